"""What torchvision's segmentation networks have in common."""

from keras_seg.classes import VOC_CLASSES
from keras_seg.models.blocks import RESNET_RATES
from keras_seg.rows import Network, Published


def torchvision_network(name, builder, options, digest, **known):
    """Returns the row of a network that torchvision trained on COCO's images of Pascal VOC's classes.

    Args:
        name: Torchvision's, such as `fcn_resnet50`.
        builder: Of the network.
        options: Its fixed ones.
        digest: First digits of the file's SHA-256, which its name ends in.
        **known: Of `Network`, what else is known.
    """
    file = Published(
        f"https://download.pytorch.org/models/{name}_coco-{digest}.pth",
        "sha256",
        digest,
        preprocessing="torch",
        options={"aux_head": True},
        pretrained=f"{name}_coco",
        classes=VOC_CLASSES,
    )
    return Network(
        name,
        builder,
        options,
        counted={"aux_head": True},
        learning_rate=RESNET_RATES,
        reference="torchvision",
        fixture=f"torchvision-{name}",
        weights=(file,),
        sources=f"torchvision {name}",
        **known,
    )
