"""The metrics and images of an evaluation, or of two, as one HTML file that needs no network."""

from keras_seg.evaluation.report.gallery import Gallery
from keras_seg.evaluation.report.page import About, legend, write_comparison, write_page, write_report

__all__ = ["About", "Gallery", "legend", "write_comparison", "write_page", "write_report"]
