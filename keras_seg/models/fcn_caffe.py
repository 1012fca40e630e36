"""FCN in the geometry of the authors' Caffe networks: Long, Shelhamer and Darrell, 2015 (arXiv:1411.4038).

The first convolution pads the image by 100 pixels, nothing else pads for the shrinking fc6, and score
maps are cut at fixed offsets, so that the published weights give their published answers.
"""

from keras import layers

from keras_seg.classes import VOC_CLASSES
from keras_seg.encoders import alexnet, mark_encoder, vgg16
from keras_seg.layers import CropLike
from keras_seg.models.blocks import cropped_model, read_image
from keras_seg.models.fcn import (
    AT_ONCE,
    AT_ONCE_FROM_SCRATCH,
    FROM_SCRATCH,
    TORCH_NAMES,
    fully_convolutional,
    score,
    scored_skips,
    upsample,
)
from keras_seg.rows import Network, Published

PADDING = 100

# Offsets of the Crop layers (voc-fcn*/net.py): of a skip's scores, and of the last map.
SKIP_OFFSETS = {"pool4": 5, "pool3": 9}
LAST_UPSAMPLING = {32: ("upscore", 19), 16: ("upscore16", 27), 8: ("upscore8", 31)}


def fcn_caffe(
    num_classes,
    input_shape=(None, None, 3),
    *,
    stride=8,
    preprocessing="caffe",
    skip_scales=(1.0, 1.0),
    fc_filters=4096,
    dropout=0.5,
    name="fcn_caffe",
):
    """Builds the original voc-fcn32s, 16s, 8s or 8s-atonce, with frozen bilinear upsampling.

    For the arguments and the answer see `fcn`.
    """
    image, x = read_image(input_shape, preprocessing)
    pyramid = vgg16(x, padding=PADDING)
    mark_encoder(image, pyramid.before_pools)
    x = fully_convolutional(pyramid.c5, filters=fc_filters, padding="valid", dropout=dropout)
    x = score(x, num_classes, "score_fr")
    for pool, skip, upscore in scored_skips(stride, pyramid, num_classes, skip_scales):
        x = upsample(x, 2, upscore, padding="valid", trainable=False)
        skip = CropLike(SKIP_OFFSETS[pool], name=f"crop_{pool}")([skip, x])
        x = layers.Add(name=f"fuse_{pool}")([x, skip])
    upscore, offset = LAST_UPSAMPLING[stride]
    x = upsample(x, stride, upscore, padding="valid", trainable=False, dtype="float32")
    return cropped_model(image, x, name, offset=offset)


def fcn_alexnet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    preprocessing="caffe",
    fc_filters=4096,
    dropout=0.5,
    name="fcn_alexnet",
):
    """Builds the original voc-fcn-alexnet: FCN-32s on CaffeNet.

    For the other arguments and the answer see `build_model`.

    Args:
        fc_filters: Channels of fc6 and fc7.
    """
    image, x = read_image(input_shape, preprocessing)
    pyramid = alexnet(x, padding=PADDING)
    mark_encoder(image, pyramid.stages)
    x = fully_convolutional(pyramid.c5, filters=fc_filters, size=6, padding="valid", dropout=dropout)
    x = score(x, num_classes, "score_fr")
    x = upsample(x, 32, "upscore", size=63, padding="valid", trainable=False, dtype="float32")
    return cropped_model(image, x, name, offset=18)


def _row(name, parameters, authors_name, file, options, digest=None, **known):
    """The row of one of the authors' networks: `authors_name` in their repository, `file` on their server."""
    published = Published(
        f"http://dl.caffe.berkeleyvision.org/{file}.caffemodel",
        "sha1" if digest else None,
        digest,
        preprocessing="caffe",
        pretrained=f"{authors_name.removeprefix('voc-').replace('-', '_')}_voc",
        classes=VOC_CLASSES,
    )
    return Network(
        **{
            "builder": fcn_caffe,
            "encoder": "vgg16",
            "torch_names": TORCH_NAMES,
            "from_scratch": FROM_SCRATCH,
            **known,
        },
        name=name,
        options=options,
        paper="1411.4038",
        output_stride=32,
        parameters=parameters,
        reference="authors",
        fixture=authors_name,
        weights=(published,),
        sources=authors_name,
    )


# VGG16's and CaffeNet's published parameters with the last layer replaced by scores; upsampling is frozen.
NETWORKS = (
    # The one checksum that is known, from opencv_extra's download_models.py.
    _row(
        "fcn8_caffe",
        134_362_751,
        "voc-fcn8s",
        "fcn8s-heavy-pascal",
        {"stride": 8},
        "c449ea74dd7d83751d1357d6a8c323fcf4038962",
    ),
    _row("fcn16_caffe", 134_357_354, "voc-fcn16s", "fcn16s-heavy-pascal", {"stride": 16}),
    _row("fcn32_caffe", 134_346_581, "voc-fcn32s", "fcn32s-heavy-pascal", {"stride": 32}),
    _row(
        "fcn8_atonce_caffe",
        134_362_751,
        "voc-fcn8s-atonce",
        "fcn8s-atonce-pascal",
        AT_ONCE,
        from_scratch=AT_ONCE_FROM_SCRATCH,
    ),
    _row(
        "fcn_alexnet",
        56_954_261,
        "voc-fcn-alexnet",
        "fcn-alexnet-pascal",
        {},
        builder=fcn_alexnet,
        encoder="caffenet",
        torch_names=((r"(conv\d|fc[67]|score_fr|upscore)", r"\1"),),
    ),
)
