"""Batches for training and evaluation with tf.data: decoded, augmented and batched beside the model."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_seg.augmentation import Augmentation
from keras_seg.data.batches.augment import augment as augment_pair, resize
from keras_seg.data.batches.loading import make_loader
from keras_seg.data.batches.sharing import WHOLE, Share, parts_of_batches, select, turns_of_batches
from keras_seg.data.folders.index import headers_of
from keras_seg.data.samples import Dataset
from keras_seg.data.streams import Stream
from keras_seg.errors import InputError
from keras_seg.hints import Size
from keras_seg.memory import available_memory
from keras_seg.palette import IGNORE

AUTOTUNE = tf.data.AUTOTUNE
_CACHED_PART = 1 / 4  # Of the memory that is free; the rest is for the model.
EVAL_PIXELS = 1 << 18  # Of a batch of evaluation
_FOREVER = 1 << 32  # Epochs


def train_batches(
    dataset: Dataset,
    image_size: Size,
    batch_size: int,
    seed: int = 0,
    *,
    augment: bool | Augmentation | Callable[..., Any] = True,
    cache: bool | str = "auto",
    start_epoch: int = 0,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Makes the endless stream of training batches, epoch after epoch, each in its own order.

    The stream depends on the data and the arguments alone, and started at epoch k it continues exactly as it
    would have. An epoch is `steps_per_epoch(dataset, batch_size)` batches: its last batch is
    short where the samples do not divide, and no batch holds samples of two epochs.

    Args:
        dataset: Dataset with a train split.
        image_size: (height, width) of the batches in pixels.
        batch_size: samples per batch.
        seed: of the order and of the augmentation.
        augment: an Augmentation, or True for its defaults: flip, scale by 0.5 to 2, crop and color at
            random. False: resize to `image_size`. Or a function of an image [H, W, C], its class ids, uint8
            [H, W], and a seed, int64 [2], for stateless random operations of TensorFlow, that returns both
            changed; what has another size is resized.
        cache: keep decoded samples in memory: True, False, or "auto": if a quarter of the free memory
            is enough.
        start_epoch: the first epoch of the stream, from 0.
        share: a `Share`: only some replicas' parts of each batch, one after the other.

    Returns:
        tf.data.Dataset of (images [B, H, W, C], int32 class ids [B, H, W], 255 ignored). Images are uint8
        RGB, or as the data set's `images` say.
    """
    samples = dataset.split("train")
    if batch_size < 1:
        raise InputError(f"The batch size must be at least 1, received {batch_size}.")
    if min(image_size) < 1:
        raise InputError(
            f"The image size must be at least 1 x 1, received {image_size[0]} x {image_size[1]}."
        )
    headers = headers_of(samples, dataset)
    stored, load = make_loader(samples, headers, dataset)
    if _fits(headers, dataset.images) if cache == "auto" else cache:
        stored, load = _map(stored, load).cache(), lambda *pair: pair

    epochs = tf.data.Dataset.range(start_epoch, _FOREVER)
    if isinstance(samples, Stream):  # It has an order of its own.
        whole = stored.apply(tf.data.experimental.assert_cardinality(len(samples)))
        stream = epochs.flat_map(lambda epoch: whole)
    else:
        stream = epochs.flat_map(lambda epoch: _shuffle(stored, len(samples), seed, epoch))
    options = Augmentation() if augment is True else augment

    def prepare(step, element):
        image, mask = load(*element)
        key = tf.stack([tf.constant(seed, tf.int64), step])
        if callable(options):
            image, mask = _as_given(options(image, mask, key), image)
            image, mask = resize(image, mask, image_size)
            return tf.ensure_shape(image, (*image_size, None)), tf.ensure_shape(mask, image_size)
        if options:
            return augment_pair(image, mask, image_size, key, options)
        return resize(image, mask, image_size)

    chosen, sizes = parts_of_batches(share, _batch_sizes(len(samples), batch_size))
    stream = select(stream.enumerate(start_epoch * len(samples)), chosen)
    # One step, since each hands every pair over to other threads.
    return _batch(_map(stream, prepare), sizes)


def eval_batch_sizes(headers, max_pixels=EVAL_PIXELS):
    """Returns how many samples of some `Header`s each batch of `eval_batches` has."""
    sizes = []
    for (height, width), run in itertools.groupby(header.size for header in headers):
        sizes += _batch_sizes(len(list(run)), max(1, max_pixels // (height * width)))
    return sizes


def eval_batches(
    dataset: Dataset,
    split: str = "val",
    *,
    limit: int | None = None,
    max_pixels: int = EVAL_PIXELS,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Makes one pass over a split: whole images at their own size, in the split's order.

    Args:
        dataset: Dataset.
        split: name of the split.
        limit: most samples, spread evenly over the split, as neighbors are often alike; None: all.
        max_pixels: neighbors of one size share a batch up to this many pixels; 0: one image a batch.
        share: a `Share`: only the batches of some replicas, which take them in turn. A replica for which
            none is left in the last turn has an image of which all is ignored.

    Returns:
        tf.data.Dataset of (images [B, H, W, C], int32 class ids [B, H, W], 255 ignored), of known length.
    """
    samples = dataset.split(split)
    if limit is not None and limit < len(samples):
        chosen = [index * len(samples) // limit for index in range(limit)]
        if isinstance(samples, Stream):
            samples = samples.chosen(chosen)
        else:
            samples = [samples[index] for index in chosen]
    headers = headers_of(samples, dataset)
    sizes = eval_batch_sizes(headers, max_pixels)
    stored, load = make_loader(samples, headers, dataset)
    chosen, sizes, missing = turns_of_batches(share, sizes)
    stream = _map(select(stored.enumerate(), chosen), lambda _, element: load(*element))
    for _ in range(missing):
        stream = stream.concatenate(_all_ignored(stream.element_spec))
    sizes += [1] * missing
    return _batch(stream, sizes).apply(tf.data.experimental.assert_cardinality(len(sizes)))


def _all_ignored(spec):
    """An image and its class ids, all ignored, of the size that the specification has, if any."""
    size = [32 if side is None else side for side in spec[1].shape]
    pair = (
        tf.zeros([1, *size, spec[0].shape[-1]], spec[0].dtype),
        tf.fill([1, *size], tf.constant(IGNORE, tf.uint8)),
    )
    return tf.data.Dataset.from_tensor_slices(pair)


def steps_per_epoch(dataset: Dataset, batch_size: int) -> int:
    """Returns the number of batches that `train_batches` makes of one epoch."""
    return -(-len(dataset.split("train")) // batch_size)


def _as_given(changed, image):
    """What an augmentation of somebody's own returned, in the types that it was given."""
    changed_image, mask = changed
    if image.dtype == tf.uint8 and changed_image.dtype != tf.uint8:
        changed_image = tf.cast(tf.clip_by_value(tf.round(changed_image), 0, 255), tf.uint8)
    return tf.ensure_shape(changed_image, [None, None, image.shape[-1]]), tf.cast(mask, tf.uint8)


def _fits(headers, kind):
    if headers[0].format in ("array", "stream"):  # What a stream gives may differ from epoch to epoch.
        return headers[0].format == "array"
    pixels = sum(height * width for height, width in (header.size for header in headers))
    bytes_per_pixel = kind.channels * np.dtype(kind.dtype).itemsize + 1  # Of an image and its class ids.
    return pixels * bytes_per_pixel < available_memory() * _CACHED_PART


def _batch_sizes(count, most):
    full, rest = divmod(count, most)
    return [most] * full + [rest] * bool(rest)


def _shuffle(stream, count, seed, epoch):
    # The raw operation, since Dataset.shuffle mixes tf.random.set_seed in, and fails where that is 0.
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(stream),
        buffer_size=count,
        seed=seed,
        seed2=epoch + 1,  # Two zeros would mean any seed.
        output_types=[spec.dtype for spec in stream.element_spec],
        output_shapes=[spec.shape for spec in stream.element_spec],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, stream.element_spec)


def _map(stream, function):
    # These functions are graph operations already; converting them costs seconds.
    function = tf.autograph.experimental.do_not_convert(function)
    return stream.map(function, num_parallel_calls=AUTOTUNE, deterministic=True)


def _batch(stream, sizes):
    """Batches a stream in groups of the given sizes, over and over, without a pause between epochs."""
    batches = stream.batch(1).rebatch(sizes)
    return batches.map(lambda images, masks: (images, tf.cast(masks, tf.int32))).prefetch(AUTOTUNE)
