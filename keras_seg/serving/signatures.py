"""The endpoints of an exported model: TensorFlow functions that answer a bad request with an error.

What a model server passes on unchecked can end its process: a wrong rank, a missing batch axis or an empty
height ends in a failed check of oneDNN. So each endpoint first brings its input to a known shape.
"""

import tensorflow as tf

from keras_seg.data import decode_image
from keras_seg.inference import classify

MAX_PIXELS = 1 << 25  # 8 GiB for each full-size map of 64 float32 channels, such as VGG16's first


def mask_signature(model, max_pixels=MAX_PIXELS):
    """Returns `(function, input signature)`: uint8 RGB `images` [N, H, W, 3] -> uint8 `mask` [N, H, W].

    Args:
        model: `keras.Model` to logits.
        max_pixels: N * H * W at most; beyond it the request is an error.
    """
    shape = [None, *model.inputs[0].shape[1:]]

    def mask(images):
        return {"mask": _masks(model, _checked(images, shape, max_pixels))}

    return mask, [tf.TensorSpec(shape, tf.uint8, name="images")]


def bytes_signature(model, max_pixels=MAX_PIXELS):
    """Returns `(function, input signature)`: string `image_bytes` [N] -> string `mask_bytes` [N].

    Each is a whole file: JPEG, PNG, BMP, GIF or WebP in, and a grey PNG of class ids out, of that picture's
    size and EXIF orientation. The pictures of a request may differ in size.

    Args:
        model: `keras.Model` to logits.
        max_pixels: H * W of a picture at most; beyond it the request is an error.
    """
    shape = [None, *model.inputs[0].shape[1:]]

    def encoded_mask(contents):
        images = _checked(decode_image(contents)[None], shape, max_pixels)
        return tf.io.encode_png(tf.transpose(_masks(model, images), [1, 2, 0]))

    def mask_bytes(image_bytes):
        image_bytes = tf.ensure_shape(image_bytes, [None])
        with tf.control_dependencies([tf.debugging.assert_positive(tf.size(image_bytes), "no picture")]):
            image_bytes = tf.identity(image_bytes)
        # One after another: the network uses all cores for one picture, and memory holds one.
        masks = tf.map_fn(encoded_mask, image_bytes, fn_output_signature=tf.string, parallel_iterations=1)
        # REST answers base64 where the name ends in _bytes, and corrupted text elsewhere.
        return {"mask_bytes": masks}

    return mask_bytes, [tf.TensorSpec([None], tf.string, name="image_bytes")]


def _checked(images, shape, max_pixels):
    # The server checks the rank of nothing; an assertion on tf.rank would be folded away, this is not.
    images = tf.ensure_shape(images, shape)
    pixels = tf.size(images, out_type=tf.int64) // 3
    checks = (
        tf.debugging.assert_positive(pixels, "images must be [N, H, W, 3], each 1 or more"),
        tf.debugging.assert_less_equal(pixels, tf.constant(max_pixels, tf.int64), "too many pixels"),
    )
    with tf.control_dependencies(checks):
        return tf.identity(images)


def _masks(model, images):
    logits = model(images, training=False)
    return classify(logits["out"] if isinstance(logits, dict) else logits)[0]
