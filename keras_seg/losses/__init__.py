"""Losses over logits; every one skips the ignored pixels. docs/reference/losses.md has their formulas."""

from keras_seg.losses.segmentation_loss import SegmentationLoss
from keras_seg.losses.terms import LOSSES, Term, parse_loss

__all__ = ["LOSSES", "SegmentationLoss", "Term", "parse_loss"]
