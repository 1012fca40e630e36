"""Formats of annotation tools, one file per format; all are converted to shapes in pixels."""
