"""FCN-32s, 16s and 8s, on any encoder: Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038)."""

from keras import layers

from keras_seg.layers import CropLike, bilinear_kernel
from keras_seg.models.blocks import cropped_model, encode
from keras_seg.pretrained import torch_names
from keras_seg.rows import Network

STRIDES = (8, 16, 32)
DENSE = ("vgg16", "vgg16_bn")  # Whose two dense layers become fc6 and fc7.


def score(x, num_classes, name):
    """A class score for each position; starts at zero, as the paper found best."""
    return layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name=name)(x)


def upsample(x, factor, name, *, size=None, padding="same", trainable=True, **kwargs):
    """Transposed convolution that starts as bilinear upsampling of each class by `factor`.

    Its kernel has `size` pixels, by default `2 factor`; padding `"valid"` keeps the rim where it is not
    fully covered, as Caffe does.
    """
    return layers.Conv2DTranspose(
        x.shape[-1],
        size or 2 * factor,
        strides=factor,
        padding=padding,
        use_bias=False,
        kernel_initializer=bilinear_kernel,
        trainable=trainable,
        name=name,
        **kwargs,
    )(x)


def fully_convolutional(x, *, filters=4096, size=7, padding="same", dropout=0.5):
    """VGG16's two dense layers as convolutions: `fc6` (pad 3) and `fc7`, each with dropout."""
    for name, kernel_size in (("fc6", size), ("fc7", 1)):
        x = layers.Conv2D(
            filters,
            kernel_size,
            padding=padding,
            activation="relu",
            kernel_initializer="he_normal",
            name=name,
        )(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def score_skip(x, num_classes, name, scale=1.0):
    """Scores a map of the encoder, multiplied by `scale` before: `scale_NAME` and `score_NAME`."""
    if scale != 1:
        x = layers.Rescaling(scale, name=f"scale_{name}")(x)
    return score(x, num_classes, f"score_{name}")


def fuse(x, skip, name, upscore):
    """Doubles a score map, crops what rounding up made it larger, and adds the scores of a skip."""
    x = upsample(x, 2, upscore)
    x = CropLike(name=f"crop_{name}")([x, skip])
    return layers.Add(name=f"fuse_{name}")([x, skip])


def scored_skips(stride, pyramid, num_classes, scales):
    """Lists `(name, its scores, name of the upsampling that meets them)` for each skip of FCN-`stride`s.

    Raises:
        ValueError: `stride` is not 8, 16 or 32.
    """
    if stride not in STRIDES:
        raise ValueError(f"stride must be one of {STRIDES}, received {stride}.")
    skips = ((16, "pool4", pyramid.c4, "upscore2"), (8, "pool3", pyramid.c3, "upscore_pool4"))
    return [
        (name, score_skip(x, num_classes, name, scale), upscore)
        for (skip_stride, name, x, upscore), scale in zip(skips, scales, strict=True)
        if skip_stride >= stride
    ]


def fcn(
    num_classes,
    input_shape=(None, None, 3),
    *,
    stride=8,
    encoder="vgg16",
    preprocessing=None,
    freeze_upsampling=False,
    skip_scales=(1.0, 1.0),
    fc_filters=None,
    dropout=0.5,
    name="fcn",
):
    """Builds FCN-32s, FCN-16s or FCN-8s with padding 3 at fc6, for images of any size.

    The pools round up, so each upsampled score map is cropped to its skip before they are added, and
    the last one to the image. For the other arguments and the answer see `build_model`.

    Args:
        stride: Of the finest score map: 8, 16 or 32 pixels.
        freeze_upsampling: Whether the last upsampling stays bilinear, as in the paper.
        skip_scales: Factors on pool4 and pool3 before they are scored; the at-once network has
            0.01 and 0.0001.
        fc_filters: Channels of fc6 and fc7, 0 to leave them out; by default 4096 on VGG16 and 0 on encoders
            without dense layers.

    Raises:
        ValueError: `stride` is not 8, 16 or 32.
    """
    image, pyramid = encode(input_shape, encoder, preprocessing)
    x = pyramid.c5
    if fc_filters is None:
        fc_filters = 4096 if encoder in DENSE else 0
    if fc_filters:
        x = fully_convolutional(x, filters=fc_filters, dropout=dropout)
    x = score(x, num_classes, "score_fr")
    for pool, skip, upscore in scored_skips(stride, pyramid, num_classes, skip_scales):
        x = fuse(x, skip, pool, upscore)
    x = upsample(x, stride, f"upscore{stride}", trainable=not freeze_upsampling, dtype="float32")
    return cropped_model(image, x, name)


AT_ONCE = {"stride": 8, "skip_scales": (0.01, 0.0001)}
TORCH_NAMES = (*torch_names.VGG16, (r"(fc[67]|score_\w+|upscore\w*)", r"\1"))


# He initialization keeps the scale of the pixels through all layers, so random weights see scaled ones.
FROM_SCRATCH = {"preprocessing": "torch"}
# The factors even out the maps of trained weights, of hundreds and more; those of random ones are alike.
AT_ONCE_FROM_SCRATCH = {**FROM_SCRATCH, "skip_scales": (1.0, 1.0)}


def _row(name, options, parameters, names=(), from_scratch=FROM_SCRATCH):
    return Network(
        name,
        fcn,
        options,
        from_scratch=from_scratch,
        paper="1411.4038",
        output_stride=32,
        parameters=parameters,
        reference="apart",
        torch_names=(*names, *TORCH_NAMES),
    )


# VGG16's published 138,357,544 parameters with its last layer (4,097,000) replaced by scores and upsampling.
NETWORKS = (
    _row("fcn8", {"stride": 8}, 134_489_759),
    _row("fcn16", {"stride": 16}, 134_815_994),
    _row("fcn32", {"stride": 32}, 136_152_917, ((r"upscore", "upscore32"),)),
    _row("fcn8_atonce", AT_ONCE, 134_489_759, from_scratch=AT_ONCE_FROM_SCRATCH),
)
