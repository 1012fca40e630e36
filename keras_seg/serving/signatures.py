"""The endpoints of an exported model: TensorFlow functions that answer a bad request with an error.

What a model server passes on unchecked can end its process: a wrong rank, a missing batch axis or an empty
height ends in a failed check of oneDNN. So each endpoint first brings its input to a known shape.
"""

from functools import cache, partial

import tensorflow as tf

from keras_seg.acceleration import accelerate
from keras_seg.data import decode_image
from keras_seg.data.bands import RGB
from keras_seg.data.decode import decode_channels
from keras_seg.encoders import PAD_LAYER
from keras_seg.inference import classify
from keras_seg.inference.images import MAX_JPEG_SIDE
from keras_seg.logits import num_logits
from keras_seg.serving.limits import within_limit
from keras_seg.serving.tiles import tiled_mask

MAX_PIXELS = 1 << 25  # 8 GiB for each full-size map of 64 float32 channels, such as VGG16's first
MAX_TILED_PIXELS = 1 << 27  # 2.5 GB of kept logits at 16,384 pixels of width and 150 classes
TILE = 512
_MAX_MESSAGE = (1 << 31) - (1 << 20)  # Bytes; a protocol buffer ends at 2 GiB.
_MAX_LABELS = 256  # Copies of the table of classes in one answer.
_ALPHA, _JPEG_QUALITY = 0.5, 92  # As in the pictures that predict.py writes.


def build_signatures(
    model,
    classes,
    colors,
    *,
    image_size=None,
    max_pixels=MAX_PIXELS,
    max_tiled_pixels=MAX_TILED_PIXELS,
    tile=TILE,
    threshold=None,
    kind=RGB,
):
    """Returns `{name: concrete function}` of every endpoint.

    Those of encoded pictures are left out where no picture holds such images.

    Args:
        model: `keras.Model` from images, such as RGB [B, H, W, 3] in 0..255, to logits [B, H, W, C].
        classes: class names in id order.
        colors: RGB per class, [C, 3].
        image_size: (height, width) that `serving_default` and `logits` are held to; None: any.
        max_pixels: N * H * W of a request of arrays, and H * W of an encoded picture at most, with what the
            network pads them by.
        max_tiled_pixels: the same for `tiled`.
        tile: height and width of its tiles.
        threshold: probability from which a pixel is foreground, for a network with a single logit.
        kind: `ImageKind` of the images.
    """
    height, width = model.inputs[0].shape[1:3]
    fixed = tuple(image_size or (None, None))
    arrays = [None, height or fixed[0], width or fixed[1], kind.channels]
    network = build_network(
        accelerate(model, "inference", device="cpu"), [None, height, width, kind.channels]
    )
    colors = tf.constant(colors, tf.uint8, [len(classes), 3])

    padding = padding_of(model)
    most_probable = partial(classify, threshold=threshold)

    def decoded(contents):
        shape = [1, height, width, kind.channels]
        return _checked(_reader(kind)(contents, max_pixels)[None], shape, max_pixels, padding)

    def classified(contents):
        mask, confidence = most_probable(network(tf.cast(decoded(contents), tf.float32)))
        return _png(mask), _png(_in_bytes(confidence))

    def painted(contents):
        images = decoded(contents)
        side = tf.reduce_max(tf.shape(images))
        # As an error of the request: JPEG's own is one of the server.
        fits = tf.debugging.assert_less_equal(side, MAX_JPEG_SIDE, "too long for a JPEG")
        with tf.control_dependencies([fits]):
            images = tf.cast(images, tf.float32)
        paint = tf.gather(colors, tf.cast(most_probable(network(images))[0], tf.int32))
        shown = images[..., :3] if kind.channels > 1 else tf.repeat(images, 3, axis=-1)
        blend = (1 - _ALPHA) * shown + _ALPHA * tf.cast(paint, tf.float32)
        return tf.io.encode_jpeg(tf.cast(tf.round(blend[0]), tf.uint8), "rgb", quality=_JPEG_QUALITY)

    def tiled(request):
        contents, flip = request
        image = _reader(kind)(contents, max_tiled_pixels)
        size = height or tile, width or tile
        return _png(tiled_mask(network, num_logits(model), image, size, flip, threshold)[None])

    functions = {
        # The first endpoint is the one that a request without a signature name gets.
        "serving_default": _mask_endpoint(network, most_probable, arrays, max_pixels, padding),
        "bytes": _encoded_endpoint("mask_bytes", lambda contents: classified(contents)[0]),
        "confidence": _encoded_endpoint(("mask_bytes", "confidence_bytes"), classified),
        "overlay": _encoded_endpoint("overlay_bytes", painted),
        "logits": _logits_endpoint(network, arrays, max_pixels, padding, num_logits(model)),
        "tiled": _tiled_endpoint(tiled),
        "labels": _labels_endpoint(list(classes), colors),
    }
    inputs = {
        "serving_default": [tf.TensorSpec(arrays, kind.dtype, "images")],
        "logits": [tf.TensorSpec(arrays, kind.dtype, "images")],
        "tiled": [tf.TensorSpec([None], tf.string, "image_bytes"), tf.TensorSpec([None], tf.bool, "flips")],
        "labels": [tf.TensorSpec([None], tf.string, "query")],
    }
    encoded = [tf.TensorSpec([None], tf.string, "image_bytes")]
    if not takes_pictures(kind):
        functions = {name: functions[name] for name in ("serving_default", "logits", "labels")}
    return {
        name: tf.function(function, inputs.get(name, encoded), autograph=False).get_concrete_function()
        for name, function in functions.items()
    }


def takes_pictures(kind):
    """Whether encoded pictures hold such images: grey, RGB or RGBA of 8 bits."""
    return kind.depth == "uint8" and kind.channels in (1, 3, 4)


@cache
def _reader(kind):
    """One function of an encoded picture that the endpoints share: each trace costs a second and 200 kB."""
    decode = decode_image if kind.is_rgb else partial(decode_channels, channels=kind.channels)

    def read(contents, max_pixels):
        return decode(within_limit(contents, max_pixels))

    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)]
    return tf.function(read, input_signature=signature, autograph=False)


def build_network(model, shape):
    """Returns a model as one function of float images that all endpoints share, traced once.

    Args:
        model: `keras.Model`; what is exported is accelerated before.
        shape: of the images, [N, H, W, C], None where it varies.

    Returns:
        `tf.function` of float32 images to float32 logits [N, H, W, C].
    """

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    def network(images):
        logits = model(images, training=False)
        return logits["out"] if isinstance(logits, dict) else logits

    return network


def most_pixels_of_logits(max_pixels, num_logits):
    """Returns the pixels that a request to `logits` may have, for its answer to fit into a message."""
    return min(max_pixels, _MAX_MESSAGE // (4 * num_logits))


def padding_of(model):
    """Returns (rows, columns) that a network puts around an image, 200 in the original FCNs: one pixel costs
    them what 40,000 do.
    """
    layer = next((layer for layer in model.layers if layer.name == PAD_LAYER), None)
    return tuple(map(sum, layer.padding)) if layer else (0, 0)


def _mask_endpoint(network, most_probable, shape, max_pixels, padding):
    def serving_default(images):
        images = _checked(images, shape, max_pixels, padding)
        mask, confidence = most_probable(network(tf.cast(images, tf.float32)))
        return {"mask": mask, "confidence": _in_bytes(confidence)}

    return serving_default


def _logits_endpoint(network, shape, max_pixels, padding, channels):
    limit = most_pixels_of_logits(max_pixels, channels)

    def logits(images):
        images = _checked(_checked(images, shape, max_pixels, padding), shape, limit)
        return {"logits": network(tf.cast(images, tf.float32))}

    return logits


def _encoded_endpoint(names, function):
    """Maps a function over encoded pictures. REST answers base64 for names in _bytes, else corrupted text."""
    single = isinstance(names, str)

    def endpoint(image_bytes):
        answers = _one_by_one(function, _some(image_bytes), 1 if single else len(names))
        return {names: answers} if single else dict(zip(names, answers, strict=True))

    return endpoint


def _tiled_endpoint(function):
    def tiled(image_bytes, flips):
        image_bytes, flips = _some(image_bytes), tf.ensure_shape(flips, [None])
        same = tf.debugging.assert_equal(tf.size(image_bytes), tf.size(flips), "one flip for each picture")
        with tf.control_dependencies([same]):
            return {"mask_bytes": _one_by_one(function, (image_bytes, flips), 1)}

    return tiled


def _labels_endpoint(classes, colors):
    # REST reaches no signature without an input, and batching none whose outputs are not one a query.
    def labels(query):
        query = tf.ensure_shape(query, [None])
        count = tf.size(query)
        checks = (
            tf.debugging.assert_positive(count, "no query"),
            tf.debugging.assert_less_equal(count, _MAX_LABELS, "too many queries"),
        )
        with tf.control_dependencies(checks):
            return {
                "classes": tf.tile(tf.constant(classes)[None], [count, 1]),
                "colors": tf.tile(colors[None], [count, 1, 1]),
            }

    return labels


def _one_by_one(function, elements, num_outputs):
    # The network uses all cores for one picture, and memory holds one.
    kinds = tf.string if num_outputs == 1 else (tf.string,) * num_outputs
    return tf.map_fn(function, elements, fn_output_signature=kinds, parallel_iterations=1)


def _some(image_bytes):
    image_bytes = tf.ensure_shape(image_bytes, [None])
    with tf.control_dependencies([tf.debugging.assert_positive(tf.size(image_bytes), "no picture")]):
        return tf.identity(image_bytes)


def _checked(images, shape, max_pixels, padding=(0, 0)):
    # The server checks the rank of nothing; an assertion on tf.rank would be folded away, this is not.
    images = tf.ensure_shape(images, shape)
    count, height, width, _ = tf.unstack(tf.shape(images, out_type=tf.int64))
    padded = count * (height + padding[0]) * (width + padding[1])
    checks = (
        tf.debugging.assert_positive(
            tf.size(images), f"images must be [N, H, W, {shape[-1]}], each 1 or more"
        ),
        tf.debugging.assert_less_equal(padded, tf.constant(max_pixels, tf.int64), "too many pixels"),
    )
    with tf.control_dependencies(checks):
        return tf.identity(images)


def _in_bytes(confidence):
    return tf.cast(tf.round(confidence * 255), tf.uint8)


def _png(maps):
    """Encodes uint8 [1, H, W] as a grey PNG."""
    return tf.io.encode_png(tf.transpose(maps, [1, 2, 0]))
