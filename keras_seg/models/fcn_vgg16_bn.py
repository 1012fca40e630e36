"""FCN-8s of features instead of scores: VGG16 with batch norm and learned transposed convolutions."""

from keras import layers

from keras_seg.layers import CropLike
from keras_seg.models.blocks import classify, cropped_model, encode
from keras_seg.pretrained.torch_names import VGG16_BN
from keras_seg.pretrained.vgg16_names import DEPTHS
from keras_seg.rows import Network

FILTERS = 256  # At the image's size.


def deconvolve(x, filters, name):
    """Transposed convolution that doubles the map."""
    return layers.Conv2DTranspose(
        filters, 4, strides=2, padding="same", kernel_initializer="he_normal", name=name
    )(x)


def fcn8_vgg16_bn(num_classes, input_shape=(None, None, 3), *, preprocessing="torch", name="fcn8_vgg16_bn"):
    """Builds a fully convolutional network that adds pool4 and pool3 as features and scores at full size.

    Five doublings take the last pool back to the image; the first two are joined by a skip.
    For the other arguments and the answer see `build_model`.
    """
    image, pyramid = encode(input_shape, "vgg16_bn", preprocessing)
    x = pyramid.c5
    for pool, skip in (("pool4", pyramid.c4), ("pool3", pyramid.c3)):
        x = deconvolve(x, skip.shape[-1], f"upsample_{pool}")
        x = CropLike(name=f"crop_{pool}")([x, skip])
        x = layers.Add(name=f"fuse_{pool}")([x, skip])
    for step in (1, 2, 3):
        x = deconvolve(x, FILTERS, f"upsample8_{step}")
    return cropped_model(image, classify(x, num_classes, dtype="float32"), name)


# One `nn.Sequential` for each stage: convolution, batch norm, ReLU, and again.
STAGES = tuple(
    (rf"stage{stage}\.{3 * index + offset}", f"block{stage}_conv{index + 1}{suffix}")
    for stage, depth in enumerate(DEPTHS, 1)
    for index in range(depth)
    for offset, suffix in enumerate(("", "_bn"))
)
NETWORKS = (
    Network(
        "fcn8_vgg16_bn",
        fcn8_vgg16_bn,
        paper="1411.4038",
        encoder="vgg16_bn",
        output_stride=32,
        parameters=24_162_113,
        counted={"num_classes": 1},
        reference="seed",
        torch_names=(
            *STAGES,
            *VGG16_BN,
            (r"upsample_2_1", "upsample_pool4"),
            (r"upsample_2_2", "upsample_pool3"),
            (r"upsample_8\.0", "upsample8_1"),
            (r"upsample_8\.1", "upsample8_2"),
            (r"upsample_8\.2", "upsample8_3"),
            (r"final\.0", "score"),
        ),
    ),
)
