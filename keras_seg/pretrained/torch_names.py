"""Which of our layers a key of a PyTorch state dict means, network by network.

The keys are those of torchvision's models and of the PyTorch classes that the fixtures in `tests/parity`
come from, which keep Caffe's layer names where the network was Caffe's. A rule is a pattern for the whole
key without its last part (`weight`, `running_mean` ...) and what it becomes; dots that are left turn into
underscores.
"""

import re

from keras_seg.pretrained.vgg16_names import DEPTHS, sequence_names

# torchvision's own names, alone (classification weights) or as a segmentation model's backbone.
RESNET = ((r"(?:backbone\.)?(conv1|bn1|layer[1-4]\.\d+\..+)", r"\1"),)


def resnet_children(*places):
    """Rules for a ResNet that was cut up into `nn.Sequential`s, whose keys count and do not name.

    Args:
        *places: Prefix of each cut and the positions in it of torchvision's children 0 (conv1), 1 (bn1)
            and 4 to 7 (the four stages), `{position: child}`.
    """
    names = {0: "conv1", 1: "bn1"}
    rules = []
    for prefix, children in places:
        for position, child in children.items():
            key = re.escape(prefix if position is None else f"{prefix}.{position}")
            rules.append((key, names[child]) if child < 2 else (rf"{key}\.(.+)", rf"layer{child - 3}.\1"))
    return (*rules, *RESNET)


def vgg16_sequence(prefix, batch_norm=False):
    """Rules for VGG16's convolutions in one `nn.Sequential`."""
    return tuple((rf"{prefix}\.{place}", name) for place, name in sequence_names(batch_norm).items())


# One `nn.Sequential` for each stage: convolution, batch norm, ReLU, and again.
VGG16_BN_STAGES = tuple(
    (rf"stage{stage}\.{3 * index + offset}", f"block{stage}_conv{index + 1}{suffix}")
    for stage, depth in enumerate(DEPTHS, 1)
    for index in range(depth)
    for offset, suffix in enumerate(("", "_bn"))
)
# Caffe's names: conv1_1, conv1_1_bn.
VGG16_CAFFE = ((r"conv(\d)_(\d)(_bn)?", r"block\1_conv\2\3"),)
VGG16 = (*vgg16_sequence("features"), *VGG16_CAFFE, (r"classifier\.0", "fc6"), (r"classifier\.3", "fc7"))
VGG16_BN = (*vgg16_sequence("features", batch_norm=True), *VGG16_CAFFE)
FCN = (*VGG16, (r"(fc[67]|score_\w+|upscore\w*)", r"\1"))

WHOLE_BACKBONE = resnet_children(("backbone", {0: 0, 1: 1, 4: 4, 5: 5, 6: 6, 7: 7}))
STEM_AND_FIRST = {0: 0, 1: 1, 4: 4}


def conv_and_bn(key, name, first=0, names=False):
    """Rules for a convolution and its batch norm, numbered from `first`, or called `conv` and `bn`."""
    conv, bn = (r"\.conv", r"\.bn") if names else (rf"\.{first}", rf"\.{first + 1}")
    return ((key + conv, f"{name}_conv"), (key + bn, f"{name}_bn"))


def atrous_pyramid(prefix, names=False):
    """Rules for an ASPP with branches 0 to 3, the pooled branch 4 and the projection."""
    inner = r"(?:\.conv)?" if names else ""
    return (
        *conv_and_bn(rf"{prefix}\.convs\.([0-3]){inner}", r"aspp_\1", names=names),
        *conv_and_bn(rf"{prefix}\.convs\.4\.1" if names else rf"{prefix}\.convs\.4", "aspp_pool", 1, names),
        *conv_and_bn(rf"{prefix}\.project", "aspp_project", names=names),
    )


AUX_HEAD = (*conv_and_bn(r"aux_classifier", "aux"), (r"aux_classifier\.4", "aux_score"))
TORCHVISION_FCN = (
    *RESNET,
    *conv_and_bn(r"classifier", "head"),
    (r"classifier\.4", "head_score"),
    *AUX_HEAD,
)
TORCHVISION_DEEPLABV3 = (
    *RESNET,
    *atrous_pyramid(r"classifier\.0"),
    *conv_and_bn(r"classifier", "head", 1),
    (r"classifier\.4", "score"),
    *AUX_HEAD,
)
DOUBLE_CONV = r"(conv|bn)([12])"
UNET = (
    (rf"stem\.{DOUBLE_CONV}", r"stem_\1\2"),
    (rf"(down|up)(\d)\.conv\.{DOUBLE_CONV}", r"\1\2_\3\4"),
    (r"(up\d)\.upsample", r"\1_upsample"),
    (r"reduce", "logits"),
)

# network -> rules; the first that fits counts.
NETWORKS = {
    **dict.fromkeys(("fcn8", "fcn16", "fcn8_atonce"), FCN),
    **dict.fromkeys(("fcn8_caffe", "fcn16_caffe", "fcn32_caffe", "fcn8_atonce_caffe"), FCN),
    "fcn32": ((r"upscore", "upscore32"), *FCN),
    "fcn_alexnet": ((r"(conv\d|fc[67]|score_fr|upscore)", r"\1"),),
    "vgg16_classifier": (*VGG16, (r"classifier\.6", "predictions")),
    "fcn_resnet50": TORCHVISION_FCN,
    "fcn_resnet101": TORCHVISION_FCN,
    "fcn8_resnet50": (
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
    "fcn8_vgg16_bn": (
        *VGG16_BN_STAGES,
        *VGG16_BN,
        (r"upsample_2_1", "upsample_pool4"),
        (r"upsample_2_2", "upsample_pool3"),
        (r"upsample_8\.0", "upsample8_1"),
        (r"upsample_8\.1", "upsample8_2"),
        (r"upsample_8\.2", "upsample8_3"),
        (r"final\.0", "score"),
    ),
    **dict.fromkeys(("unet", "unet_paper"), UNET),
    "unet_vgg16": (*vgg16_sequence("features"), *UNET),
    "segnet": (
        *VGG16_BN,
        (r"conv1_1_D", "logits"),
        (r"conv(\d)_(\d)_D", r"decoder\1_\2_conv"),
        (r"conv(\d)_(\d)_D_bn", r"decoder\1_\2_bn"),
    ),
    "refinenet": (
        *resnet_children(
            ("layer1", STEM_AND_FIRST), ("layer2", {None: 5}), ("layer3", {None: 6}), ("layer4", {None: 7})
        ),
        (r"layer(\d)_reduce", r"reduce\1"),
        (r"refinenet(\d)\.rcu\.(\d)\.(\d)\.rcu\.1", r"refine\1_rcu\2_\3_conv1"),
        (r"refinenet(\d)\.rcu\.(\d)\.(\d)\.rcu\.3", r"refine\1_rcu\2_\3_conv2"),
        (r"refinenet(\d)\.mrf\.(resolve\d)", r"refine\1_mrf_\2"),
        (r"refinenet(\d)\.crp\.block(\d)\.1", r"refine\1_crp_conv\2"),
        (r"refinenet(\d)\.output_conv\.rcu\.1", r"refine\1_output_conv1"),
        (r"refinenet(\d)\.output_conv\.rcu\.3", r"refine\1_output_conv2"),
        (r"output_conv\.0\.(\d)\.rcu\.1", r"output_rcu_\1_conv1"),
        (r"output_conv\.0\.(\d)\.rcu\.3", r"output_rcu_\1_conv2"),
        (r"output_conv\.1", "score"),
    ),
    "pspnet": (
        *WHOLE_BACKBONE,
        (r"psp_layer\.ppm\.(\d)\.1\.(conv|bn)", r"ppm_\1_\2"),
        (r"psp_layer\.conv\.0\.(conv|bn)", r"head_\1"),
        (r"psp_layer\.conv\.2", "score"),
    ),
    # The authors' files call the last layer fc8_pascal or fc8_voc12.
    "deeplabv1": (*vgg16_sequence("features"), *VGG16_CAFFE, (r"(fc[678])(_\w+)?", r"\1")),
    "deeplabv2": (*WHOLE_BACKBONE, (r"aspp\.(\d)", r"aspp_\1")),
    "deeplabv3": (
        *WHOLE_BACKBONE,
        *atrous_pyramid("ASPP"),
        *conv_and_bn("classifier", "head"),
        (r"classifier\.3", "score"),
    ),
    "deeplabv3_resnet50": TORCHVISION_DEEPLABV3,
    "deeplabv3_resnet101": TORCHVISION_DEEPLABV3,
    "deeplabv3plus": (
        *resnet_children(("feature1", STEM_AND_FIRST), ("feature2", {0: 5, 1: 6, 2: 7})),
        *atrous_pyramid(r"head\.ASPP"),
        *conv_and_bn(r"head\.reduce", "reduce"),
        *conv_and_bn(r"head\.fuse_conv", "fuse_0"),
        *conv_and_bn(r"head\.fuse_conv", "fuse_1", 3),
        (r"head\.classifier", "score"),
    ),
    "fastfcn": (
        *resnet_children(
            ("feature1", STEM_AND_FIRST),
            ("feature2", {None: 5}),
            ("feature3", {None: 6}),
            ("feature4", {None: 7}),
        ),
        (r"jpu\.conv2\.(conv|bn)", r"jpu_c3_\1"),
        (r"jpu\.conv3\.(conv|bn)", r"jpu_c4_\1"),
        (r"jpu\.conv4\.(conv|bn)", r"jpu_c5_\1"),
        (r"jpu\.dilated_convs\.(\d)\.(conv|bn)", r"jpu_dilated\1_\2"),
        *atrous_pyramid(r"head\.ASPP", names=True),
        (r"head\.reduce\.(conv|bn)", r"reduce_\1"),
        (r"head\.fuse_conv\.(\d)\.(conv|bn)", r"fuse_\1_\2"),
        (r"head\.classifier", "score"),
    ),
}


def layer_name(network, key):
    """Finds the layer of a network that a state dict's key belongs to.

    Args:
        network: A key of `MODELS`, or `vgg16_classifier`.
        key: For instance `backbone.layer1.0.conv1.weight`.

    Returns:
        The name of our layer, for instance `layer1_0_conv1`; None if the network has no such key.
    """
    stem = key.rpartition(".")[0]
    for pattern, replacement in NETWORKS.get(network, ()):
        match = re.fullmatch(pattern, stem)
        if match:
            return match.expand(replacement).replace(".", "_")
    return None
