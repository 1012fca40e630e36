"""FCN on ResNet: torchvision's, with one head on the last stage, and FCN-8s with its skips."""

from keras_seg.models.blocks import RESNET_RATES, cropped_model, encode, fcn_head, segmentation_model
from keras_seg.models.fcn import AT_ONCE_FROM_SCRATCH, fuse, score, score_skip, upsample
from keras_seg.models.torchvision import torchvision_network
from keras_seg.pretrained.torch_names import (
    RESNET,
    STEM_AND_FIRST,
    auxiliary_head,
    conv_and_bn,
    resnet_children,
)
from keras_seg.rows import Network


def fcn_resnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    output_stride=8,
    preprocessing=None,
    aux_head=False,
    name="fcn_resnet50",
):
    """Builds torchvision's FCN: a dilated ResNet, a 3x3 and a 1x1 convolution, bilinear upsampling.

    For the other arguments and the answer see `build_model`.
    """
    image, pyramid = encode(input_shape, encoder, preprocessing, output_stride)
    x = fcn_head(pyramid.c5, num_classes, "head")
    aux = fcn_head(pyramid.c4, num_classes, "aux") if aux_head else None
    return segmentation_model(image, x, name, aux=aux)


def fcn8_resnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    preprocessing=None,
    skip_scales=(0.01, 0.0001),
    name="fcn8_resnet50",
):
    """Builds FCN-8s on the last three stages of a ResNet, with the at-once network's scaled skips.

    For the other arguments and the answer see `build_model`.

    Args:
        skip_scales: Factors on the fourth and the third stage before they are scored.
    """
    image, pyramid = encode(input_shape, encoder, preprocessing)
    x = score(pyramid.c5, num_classes, "score_c5")
    for stage, skip, scale in (("c4", pyramid.c4, skip_scales[0]), ("c3", pyramid.c3, skip_scales[1])):
        x = fuse(x, score_skip(skip, num_classes, stage, scale), stage, f"upscore_{stage}")
    return cropped_model(image, upsample(x, 8, "upscore8", dtype="float32"), name)


TORCHVISION_NAMES = (
    *RESNET,
    *conv_and_bn(r"classifier", "head"),
    (r"classifier\.4", "head_score"),
    *auxiliary_head(),
)


def _torchvision(encoder, parameters, digest):
    """The row of torchvision's FCN on an encoder."""
    return torchvision_network(
        f"fcn_{encoder}",
        fcn_resnet,
        {"encoder": encoder},
        digest,
        paper="1411.4038",
        parameters=parameters,
        torch_names=TORCHVISION_NAMES,
    )


NETWORKS = (
    Network(
        "fcn8_resnet50",
        fcn8_resnet,
        paper="1411.4038",
        output_stride=32,
        parameters=23_710_367,
        learning_rate=RESNET_RATES,
        reference="seed",
        from_scratch=AT_ONCE_FROM_SCRATCH,
        torch_names=(
            *resnet_children(
                ("features1", {**STEM_AND_FIRST, 5: 5}), ("features2", {None: 6}), ("features3", {None: 7})
            ),
            (r"score_pool1", "score_c3"),
            (r"score_pool2", "score_c4"),
            (r"score_pool3", "score_c5"),
            (r"upscore2", "upscore_c4"),
            (r"upscore2_", "upscore_c3"),
            (r"upscore8", "upscore8"),
        ),
    ),
    _torchvision("resnet50", 35_322_218, "1167a1af"),
    _torchvision("resnet101", 54_314_346, "7ecb50ca"),
)
