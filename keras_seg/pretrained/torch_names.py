"""Which of our layers a key of a PyTorch state dict means, by the rules in the network's row.

The keys are those of torchvision's models and of the PyTorch classes that the fixtures in `tests/parity`
come from, which keep Caffe's layer names where the network was Caffe's. A rule is a pattern for the whole
key without its last part (`weight`, `running_mean` ...) and what it becomes; dots that are left turn into
underscores. The first rule that fits counts. Here are those that several networks share.
"""

import re

from keras_seg import registry
from keras_seg.pretrained.vgg16_names import sequence_names

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


# Caffe's names: conv1_1, conv1_1_bn.
VGG16_CAFFE = ((r"conv(\d)_(\d)(_bn)?", r"block\1_conv\2\3"),)
VGG16 = (*vgg16_sequence("features"), *VGG16_CAFFE, (r"classifier\.0", "fc6"), (r"classifier\.3", "fc7"))
VGG16_BN = (*vgg16_sequence("features", batch_norm=True), *VGG16_CAFFE)

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


def auxiliary_head():
    """Rules for torchvision's auxiliary head."""
    return (*conv_and_bn(r"aux_classifier", "aux"), (r"aux_classifier\.4", "aux_score"))


def layer_name(network, key):
    """Finds the layer of a network that a state dict's key belongs to.

    Args:
        network: Name of a network.
        key: For instance `backbone.layer1.0.conv1.weight`.

    Returns:
        The name of our layer, for instance `layer1_0_conv1`; None if the network has no such key.
    """
    stem = key.rpartition(".")[0]
    row = registry.networks().get(network)
    for pattern, replacement in row.torch_names if row else ():
        match = re.fullmatch(pattern, stem)
        if match:
            return match.expand(replacement).replace(".", "_")
    return None
