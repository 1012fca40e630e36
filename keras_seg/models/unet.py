"""U-Net: Ronneberger, Fischer and Brox, 2015 (arXiv:1505.04597)."""

import keras
from keras import layers

from keras_seg.encoders import mark_encoder
from keras_seg.layers import CropLike, MirrorPadding2D, ResizeLike
from keras_seg.layers.halving import BilinearUpSampling2D, FloorMaxPooling2D
from keras_seg.models.blocks import classify, encode, read_image, segmentation_model
from keras_seg.pretrained.torch_names import vgg16_sequence
from keras_seg.rows import Network


def double_conv(x, filters, name, *, mid_filters=None, batch_norm=True, padding="same"):
    """Two 3x3 convolutions: `NAME_conv1`, `NAME_bn1`, `NAME_conv2`, `NAME_bn2`."""
    for index, width in enumerate((mid_filters or filters, filters), 1):
        x = layers.Conv2D(
            width, 3, padding=padding, kernel_initializer="he_normal", name=f"{name}_conv{index}"
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn{index}")(x)
        x = layers.ReLU(name=f"{name}_relu{index}")(x)
    return x


def unet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder=None,
    widths=None,
    decoder_widths=None,
    transposed=False,
    batch_norm=True,
    as_published=False,
    preprocessing=None,
    name="unet",
):
    """Builds a U-Net whose convolutions keep the size of their maps, for images of any size.

    For the other arguments and the answer see `build_model`.

    Args:
        encoder: Name of the encoder that is its way down, see `unet_on_encoder`; None for its own.
        widths: Channels of the levels of its own way down, finest first; (32, 64, 128, 256, 256), the
            paper's are 64 to 1024.
        decoder_widths: Channels of the levels on the way up, coarsest first; (128, 64, 32, 32).
        transposed: Whether 2x2 transposed convolutions upsample, as in the paper, and halve the
            channels; else bilinear interpolation does.
        batch_norm: Whether each convolution is followed by batch normalization; the paper has none.
        as_published: Whether it is the authors' network but for its channels, see `published_unet`; the two
            options before do not count then.

    Raises:
        ValueError: Not one level fewer on the way up, or the encoder leaves an option without effect.
    """
    if encoder is not None:
        if widths or transposed or as_published:
            raise ValueError(
                "widths, transposed and as_published are of a U-Net without encoder; drop them, or encoder."
            )
        options = {"preprocessing": preprocessing, "batch_norm": batch_norm, "name": name}
        if decoder_widths:
            options["decoder_widths"] = decoder_widths
        return unet_on_encoder(num_classes, input_shape, encoder=encoder, **options)
    widths, decoder_widths = widths or (32, 64, 128, 256, 256), decoder_widths or (128, 64, 32, 32)
    if len(decoder_widths) != len(widths) - 1:
        raise ValueError(f"decoder_widths must have {len(widths) - 1} entries, received {decoder_widths}.")
    image, x = read_image(input_shape, "torch" if preprocessing is None else preprocessing)
    if as_published:
        x = published_unet(image, x, num_classes, widths, decoder_widths)
        x = CropLike(name="logits_crop", dtype="float32")([x, image])
        return keras.Model(image, x, name=name)
    skips = [double_conv(x, widths[0], "stem", batch_norm=batch_norm)]
    for level, width in enumerate(widths[1:], 1):
        x = FloorMaxPooling2D(name=f"down{level}_pool")(skips[-1])
        skips.append(double_conv(x, width, f"down{level}", batch_norm=batch_norm))
    mark_encoder(image, skips)
    x = skips.pop()
    for level, width in enumerate(decoder_widths, 1):
        skip = skips.pop()
        if transposed:
            x = layers.Conv2DTranspose(x.shape[-1] // 2, 2, strides=2, name=f"up{level}_upsample")(x)
        else:
            x = BilinearUpSampling2D(2, align_corners=True, name=f"up{level}_upsample")(x)
        # A doubled map that a pool had rounded down is padded; a single pixel had not been, and is cropped.
        x = CropLike(pad=True, name=f"up{level}_fit")([x, skip])
        x = layers.Concatenate(name=f"up{level}_concat")([skip, x])
        x = double_conv(x, width, f"up{level}", mid_filters=x.shape[-1] // 2, batch_norm=batch_norm)
    x = classify(x, num_classes, dtype="float32", name="logits")
    return keras.Model(image, x, name=name)


def published_unet(image, x, num_classes, widths, decoder_widths):
    """The authors' network: no convolution pads, so the image is mirrored around its border before.

    Nothing is normalized; the last two maps on the way down are thinned out by dropout, and the upsampled
    ones rectified, as in the authors' Caffe network.

    Args:
        image: Its input.
        x: Preprocessed image, `[B, H, W, 3]`.
        num_classes, widths, decoder_widths: See `unet`.

    Returns:
        Logits, as large as the image or larger and aligned with it at the top left.
    """
    levels = len(decoder_widths)
    step = 2**levels
    margin = 6 * step - 4  # Pixels that the convolutions take from each side: 92 with four levels.
    x = MirrorPadding2D(margin, 12 * step - 4, step, name="mirror")(x)
    skips = []
    for level, width in enumerate(widths):
        name = f"down{level}" if level else "stem"
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x) if level else x
        x = double_conv(x, width, name, batch_norm=False, padding="valid")
        if level >= levels - 1:
            x = layers.Dropout(0.5, name=f"{name}_dropout")(x)
        skips.append(x)
    mark_encoder(image, skips)
    skips.pop()
    offset = 4  # Rows and columns of a skip before those that the upsampled map still has.
    for level, width in enumerate(decoder_widths, 1):
        x = layers.Conv2DTranspose(
            width, 2, strides=2, activation="relu", kernel_initializer="he_normal", name=f"up{level}_upsample"
        )(x)
        skip = CropLike(offset, name=f"up{level}_crop")([skips.pop(), x])
        x = layers.Concatenate(name=f"up{level}_concat")([skip, x])
        x = double_conv(x, width, f"up{level}", batch_norm=False, padding="valid")
        offset = 2 * offset + 8
    return classify(x, num_classes, dtype="float32", name="logits")


def unet_on_encoder(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="vgg16",
    decoder_widths=(512, 256, 128, 64),
    batch_norm=True,
    preprocessing=None,
    name="unet_vgg16",
):
    """Builds a U-Net whose way down is an encoder.

    Its levels are the encoder's maps before their pools, as of VGG16, the finest as large as the image; else
    the stages themselves, and the scores are enlarged.
    For the other arguments and the answer see `build_model`.

    Args:
        decoder_widths: Channels of the four levels on the way up, coarsest first.
        batch_norm: Whether each convolution of the way up is followed by batch normalization.

    Raises:
        ValueError: Not four levels, or the encoder is unknown.
    """
    if len(decoder_widths) != 4:
        raise ValueError(f"decoder_widths must have 4 entries, received {decoder_widths}.")
    image, pyramid = encode(input_shape, encoder, preprocessing, finest_stride=2)
    *skips, x = pyramid.before_pools or pyramid.stages
    for level, (skip, width) in enumerate(zip(reversed(skips), decoder_widths, strict=True), 1):
        x = ResizeLike(name=f"up{level}_upsample")([x, skip])
        x = layers.Concatenate(name=f"up{level}_concat")([skip, x])
        x = double_conv(x, width, f"up{level}", batch_norm=batch_norm)
    if not pyramid.before_pools:
        return segmentation_model(image, classify(x, num_classes), name)
    x = classify(x, num_classes, dtype="float32", name="logits")
    return keras.Model(image, x, name=name)


PAPER = {"widths": (64, 128, 256, 512, 1024), "decoder_widths": (512, 256, 128, 64), "transposed": True}
DOUBLE_CONV = r"(conv|bn)([12])"
TORCH_NAMES = (
    (rf"stem\.{DOUBLE_CONV}", r"stem_\1\2"),
    (rf"(down|up)(\d)\.conv\.{DOUBLE_CONV}", r"\1\2_\3\4"),
    (r"(up\d)\.upsample", r"\1_upsample"),
    (r"reduce", "logits"),
)
NETWORKS = (
    Network(
        "unet",
        unet,
        paper="1505.04597",
        preprocessing="torch",
        output_stride=16,
        finest_stride=2,
        parameters=4_321_269,
        reference="seed",
        torch_names=TORCH_NAMES,
    ),
    Network(
        "unet_paper",
        unet,
        PAPER,
        paper="1505.04597",
        preprocessing="torch",
        output_stride=16,
        finest_stride=2,
        parameters=31_044_821,
        reference="apart",
        torch_names=TORCH_NAMES,
    ),
    Network(
        "unet_vgg16",
        unet_on_encoder,
        paper="1505.04597",
        output_stride=16,
        finest_stride=2,
        parameters=24_896_277,
        reference="apart",
        torch_names=(*vgg16_sequence("features"), *TORCH_NAMES),
    ),
)
