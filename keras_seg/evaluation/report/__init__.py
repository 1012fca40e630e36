"""The figures and pictures of an evaluation as one HTML file that needs no network."""

from keras_seg.evaluation.report.gallery import Gallery
from keras_seg.evaluation.report.page import write_report

__all__ = ["Gallery", "write_report"]
