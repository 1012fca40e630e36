"""The rows of networks and encoders: what they say, against what others published and counted."""

import pytest

from keras_seg.models import MODELS
from keras_seg.registry import encoders, networks

NUM_CLASSES = 21
# VGG16's and CaffeNet's published counts less their last layers of 1000 classes.
VGG16_TO_FC7 = 138_357_544 - 4_097_000
ALEXNET_TO_FC7 = 60_965_224 - 4_097_000
VGG16_CONVOLUTIONS = 14_714_688
SCORES = {channels: (channels + 1) * NUM_CLASSES for channels in (256, 512, 4096)}
FCN8_SCORES = SCORES[4096] + SCORES[512] + SCORES[256]
LAST = (64 + 1) * NUM_CLASSES


def kernels(*sizes):
    """Weights of bilinear kernels between all classes."""
    return sum(size * size * NUM_CLASSES**2 for size in sizes)


def double_convs(*channels):
    """Pairs of 3x3 convolutions (in, middle, out), each with a bias and batch norm's scale and shift."""
    return sum((9 * a + 3) * b + (9 * b + 3) * c for a, b, c in channels)


# Counted by hand; those of the other networks were published, or counted in their references.
COUNTS = {
    "fcn8": VGG16_TO_FC7 + FCN8_SCORES + kernels(4, 4, 16),
    "fcn16": VGG16_TO_FC7 + SCORES[4096] + SCORES[512] + kernels(4, 32),
    "fcn32": VGG16_TO_FC7 + SCORES[4096] + kernels(64),
    "fcn8_atonce": VGG16_TO_FC7 + FCN8_SCORES + kernels(4, 4, 16),
    "fcn8_caffe": VGG16_TO_FC7 + FCN8_SCORES,
    "fcn16_caffe": VGG16_TO_FC7 + SCORES[4096] + SCORES[512],
    "fcn32_caffe": VGG16_TO_FC7 + SCORES[4096],
    "fcn8_atonce_caffe": VGG16_TO_FC7 + FCN8_SCORES,
    "fcn_alexnet": ALEXNET_TO_FC7 + SCORES[4096],
    "unet_paper": (
        double_convs((3, 64, 64), (64, 128, 128), (128, 256, 256), (256, 512, 512), (512, 1024, 1024))
        + sum((4 * 2 * c + 1) * c for c in (512, 256, 128, 64))
        + double_convs(*((2 * c, c, c) for c in (512, 256, 128, 64)))
        + LAST
    ),
    "unet_vgg16": (
        VGG16_CONVOLUTIONS
        + double_convs((1024, 512, 512), (768, 256, 256), (384, 128, 128), (192, 64, 64))
        + LAST
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_parameters_are_those_counted_by_hand(name):
    assert networks()[name].parameters == COUNTS[name]


def test_every_network_of_ours_says_what_it_is_compared_with_and_counts_to():
    for name, row in networks().items():
        assert row.paper and row.parameters, name
        assert row.reference in ("authors", "torchvision", "seed", "apart")


def test_networks_are_listed_by_the_age_of_their_papers():
    papers = [networks()[name].paper for name in MODELS]
    assert papers == sorted(papers)


def test_every_encoder_that_a_network_names_is_there():
    named = {row.default_encoder for row in networks().values()} - {None}
    assert named <= set(encoders())
