"""The endpoints of an exported model: TensorFlow functions that answer a bad request with an error.

What a model server passes on unchecked can end its process: a wrong rank, a missing batch axis or an empty
height ends in a failed check of oneDNN. So each endpoint first brings its input to a known shape.
"""

from functools import cache, partial

import tensorflow as tf

from keras_seg.acceleration import accelerate
from keras_seg.data import decode_image
from keras_seg.data.formats.decode import decode_channels
from keras_seg.data.samples import RGB
from keras_seg.inference.images import MAX_JPEG_SIDE
from keras_seg.inference.tiles import bounded, in_tiles, split_by, split_equally, within
from keras_seg.logits import classify
from keras_seg.palette import ALPHA, LUMA, OUTLINE, clear_class
from keras_seg.serving.limits import within_limit, within_limit_together

_TILE_OVERLAP = 4  # Tiles of `tiled` share a quarter, those that the memory asks for less.
_MAX_LABELS = 256  # Copies of the table of classes in one answer.
_JPEG_QUALITY = 92  # As in the images that predict.py writes.
_LABELS = tf.TensorSpec([None, None, 2], tf.uint8)  # Class ids and confidences of one image.
_COLORS = tf.TensorSpec([None, None, 3], tf.uint8)


def build_signatures(network, limits, classes, colors, *, image_size=None, threshold=None, kind=RGB):
    """Returns `{name: concrete function}` of every endpoint.

    Those of encoded images are left out where no image holds such images.

    Args:
        network: as from `served_network`.
        limits: `Limits`.
        classes: class names in id order.
        colors: RGB per class, [C, 3].
        image_size: (height, width) that `serving_default` and `logits` are held to; None: any.
        threshold: probability from which a pixel is foreground, for a network with a single logit.
        kind: `ImageKind` of the images.
    """
    height, width = limits.footprint.size or (None, None)
    fixed = tuple(image_size or (None, None))
    arrays = [None, height or fixed[0], width or fixed[1], kind.channels]
    tiling = limits.tiling
    ground = clear_class(classes, colors)
    colors = tf.constant(colors, tf.uint8, [len(classes), 3])

    def decoded(contents):
        image = _reader(kind)(contents, limits.max_pixels)
        return _checked(image[None], [1, height, width, kind.channels], limits.max_pixels, tiling.padding)[0]

    def label(images):
        return _labeled(network, images, threshold)

    def paint(stacked):
        return _painted(stacked, colors, ground)

    def classified(contents):
        found = within(label, decoded(contents), tiling, _LABELS)
        return tf.io.encode_png(found[..., :1]), tf.io.encode_png(found[..., 1:])

    def painted(contents):
        image = decoded(contents)
        # As an error of the request: JPEG's own is one of the server.
        fits = tf.debugging.assert_less_equal(
            tf.reduce_max(tf.shape(image)), MAX_JPEG_SIDE, "too long for a JPEG"
        )
        with tf.control_dependencies([fits]):
            image = tf.identity(image)
        mask = within(label, image, tiling, _LABELS)[..., :1]
        shown = image[..., :3] if kind.channels > 1 else tf.repeat(image, 3, axis=-1)
        stacked = tf.concat([shown, mask, outlines(mask)], axis=-1)
        return tf.io.encode_jpeg(within(paint, stacked, tiling, _COLORS), "rgb", quality=_JPEG_QUALITY)

    def tiled(request):
        contents, flip = request

        def averaged(images):
            logits = network(images)
            return tf.cond(
                flip, lambda: (logits + network(images[:, :, ::-1])[:, :, ::-1]) / 2, lambda: logits
            )

        image = _reader(kind)(contents, limits.max_tiled_pixels)
        split, overlap = split_equally if height else split_by, min(limits.tile) // _TILE_OVERLAP
        lengths = tf.unstack(tf.shape(image, out_type=tf.int64)[:2])
        axes = (split(*axis, overlap) for axis in zip(lengths, limits.tile, strict=True))
        found = in_tiles(lambda images: _labeled(averaged, images, threshold), image, *axes, _LABELS)
        return tf.io.encode_png(found[..., :1])

    some = partial(_some, limits.max_pixels, tiling.padding)
    functions = {
        # The first endpoint is the one that a request without a signature name gets.
        "serving_default": _mask_endpoint(bounded(label, tiling, _LABELS), arrays, limits),
        "bytes": _encoded_endpoint("mask_bytes", lambda contents: classified(contents)[0], some),
        "confidence": _encoded_endpoint(("mask_bytes", "confidence_bytes"), classified, some),
        "overlay": _encoded_endpoint("overlay_bytes", painted, some),
        "logits": _logits_endpoint(network, arrays, limits),
        "tiled": _tiled_endpoint(tiled, partial(_some, limits.max_tiled_pixels, tiling.padding)),
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
    """Whether encoded images hold such images: grey, RGB or RGBA of 8 bits."""
    return kind.depth == "uint8" and kind.channels in (1, 3, 4)


@cache
def _reader(kind):
    """One function of an encoded image that the endpoints share: each trace costs a second and 200 kB."""
    decode = decode_image if kind.is_rgb else partial(decode_channels, channels=kind.channels)

    def read(contents, max_pixels):
        return decode(within_limit(contents, max_pixels)[0])

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


def served_network(model):
    """Returns the accelerated model as one function of images of any number, as `build_network` does."""
    shape = [None, *model.inputs[0].shape[1:]]
    network = build_network(accelerate(model, "inference", device="cpu"), shape)
    if None in shape[1:]:
        return network

    # A tile's size is known at run time only.
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, shape[-1]], tf.float32)], autograph=False)
    def network_of_one_size(images):
        return network.python_function(tf.ensure_shape(images, shape))

    return network_of_one_size


def _labeled(network, images, threshold):
    """Class ids and confidences of images [N, H, W, C]: uint8 [N, H, W, 2]."""
    mask, confidence = classify(network(tf.cast(images, tf.float32)), threshold)
    return tf.stack([mask, tf.cast(tf.round(confidence * 255), tf.uint8)], axis=-1)


def _painted(stacked, colors, ground):
    """The drawing of `palette.overlay` of RGB, class id and outline: uint8 [N, H, W, 5] to [N, H, W, 3]."""
    images, mask, is_outline = stacked[..., :3], stacked[..., 3:4], stacked[..., 4:] > 0
    paint = tf.gather(colors, tf.cast(mask[..., 0], tf.int32))
    grey = tf.reduce_sum(tf.cast(images, tf.int32) * LUMA, axis=-1, keepdims=True) // 256
    blend = (1 - ALPHA) * tf.cast(grey, tf.float32) + ALPHA * tf.cast(paint, tf.float32)
    drawn = tf.where(is_outline, paint, tf.cast(tf.round(blend), tf.uint8))
    return drawn if ground is None else tf.where(tf.equal(mask, ground), images, drawn)


def outlines(mask):
    """`palette.outlines` of class ids [H, W, 1], as 0 and 1: uint8 [H, W, 1]."""
    height, width, _ = tf.unstack(tf.shape(mask))
    step = tf.maximum(1, tf.maximum(height, width) // OUTLINE)
    small = mask[::step, ::step]
    across, down = tf.not_equal(small[:, 1:], small[:, :-1]), tf.not_equal(small[1:], small[:-1])
    edges = tf.pad(across, [[0, 0], [1, 0], [0, 0]]) | tf.pad(across, [[0, 0], [0, 1], [0, 0]])
    edges |= tf.pad(down, [[1, 0], [0, 0], [0, 0]]) | tf.pad(down, [[0, 1], [0, 0], [0, 0]])
    rows, columns = tf.range(height) // step, tf.range(width) // step
    return tf.cast(tf.gather(tf.gather(edges, rows), columns, axis=1), tf.uint8)


def _mask_endpoint(label, shape, limits):
    def serving_default(images):
        mask, confidence = tf.unstack(
            label(_checked(images, shape, limits.max_pixels, limits.tiling.padding)), axis=-1
        )
        return {"mask": mask, "confidence": confidence}

    return serving_default


def _logits_endpoint(network, shape, limits):
    def logits(images):
        images = _checked(images, shape, limits.logits_pixels, limits.tiling.padding)
        return {"logits": network(tf.cast(images, tf.float32))}

    return logits


def _encoded_endpoint(names, function, some):
    """Maps a function over encoded images. REST answers base64 for names in _bytes, else corrupted text."""
    single = isinstance(names, str)

    def endpoint(image_bytes):
        answers = _one_by_one(function, some(image_bytes), 1 if single else len(names))
        return {names: answers} if single else dict(zip(names, answers, strict=True))

    return endpoint


def _tiled_endpoint(function, some):
    def tiled(image_bytes, flips):
        image_bytes, flips = some(image_bytes), tf.ensure_shape(flips, [None])
        same = tf.debugging.assert_equal(tf.size(image_bytes), tf.size(flips), "one flip for each image")
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
    # The network uses all cores for one image, and memory holds one.
    kinds = tf.string if num_outputs == 1 else (tf.string,) * num_outputs
    return tf.map_fn(function, elements, fn_output_signature=kinds, parallel_iterations=1)


def _some(max_pixels, padding, image_bytes):
    image_bytes = tf.ensure_shape(image_bytes, [None])
    with tf.control_dependencies([tf.debugging.assert_positive(tf.size(image_bytes), "no image")]):
        return within_limit_together(tf.identity(image_bytes), tf.constant(max_pixels, tf.int64), padding)


def _checked(images, shape, max_pixels, padding):
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
