"""FCN-8s of features instead of scores: VGG16 with batch norm and learned transposed convolutions."""

import keras
from keras import layers

from keras_seg.encoders import vgg16
from keras_seg.layers import CropLike
from keras_seg.models.blocks import classify, read_image


def deconvolve(x, filters, name):
    """Transposed convolution that doubles the map."""
    return layers.Conv2DTranspose(
        filters, 4, strides=2, padding="same", kernel_initializer="he_normal", name=name
    )(x)


def fcn8_vgg16_bn(num_classes, input_shape=(None, None, 3), *, preprocessing="torch", name="fcn8_vgg16_bn"):
    """Builds a fully convolutional network that adds pool4 and pool3 as features and scores at full size.

    Five doublings take the last pool back to the image; the first two are joined by a skip.

    Args:
        num_classes: Number of classes, the channels of the logits.
        input_shape: `(H, W, 3)` of the images, None for any.
        preprocessing: `"caffe"`, `"torch"` or `"none"`.
        name: Name of the model.

    Returns:
        A `keras.Model` from RGB pixels in 0..255 `[B, H, W, 3]` to float32 logits `[B, H, W, C]`.

    Raises:
        ValueError: Unknown preprocessing.
    """
    image, x = read_image(input_shape, preprocessing)
    pyramid = vgg16(x, batch_norm=True)
    x = pyramid.c5
    for pool, skip in (("pool4", pyramid.c4), ("pool3", pyramid.c3)):
        x = deconvolve(x, skip.shape[-1], f"upsample_{pool}")
        x = CropLike(name=f"crop_{pool}")([x, skip])
        x = layers.Add(name=f"fuse_{pool}")([x, skip])
    for step in (1, 2, 3):
        x = deconvolve(x, 256, f"upsample8_{step}")
    x = classify(x, num_classes, dtype="float32")
    return keras.Model(image, CropLike(name="logits", dtype="float32")([x, image]), name=name)
