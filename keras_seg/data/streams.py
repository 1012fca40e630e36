"""A user's `tf.data.Dataset` of images and masks as a split of a data set."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from keras_seg.classes import BINARY_CLASSES, MAX_CLASSES
from keras_seg.data.samples import ArraySample, Dataset, ImageKind, default_names
from keras_seg.errors import InputError
from keras_seg.palette import IGNORE, default_colors
from keras_seg.rows import MAX_CHANNELS

_DEPTHS = {"uint8": "uint8", "uint16": "uint16"}  # All others are float32.
_NONE = 1 << 30  # No value of a mask.


@dataclass(frozen=True, eq=False)
class Stream:
    """The samples of a split that come in the order of a `tf.data.Dataset`, neither shuffled nor kept.

    Attributes:
        pairs: `tf.data.Dataset` of an image [H, W, C] and uint8 class ids [H, W], 255 ignored.
        sizes: (height, width) of each image.
    """

    pairs: Any
    sizes: list[tuple[int, int]]

    def __len__(self):
        return len(self.sizes)

    def __iter__(self):
        for number, (image, mask) in enumerate(self.pairs.as_numpy_iterator(), 1):
            yield ArraySample(image, mask, f"image {number}")

    def chosen(self, indices):
        """Returns the samples with these numbers, in ascending order."""
        wanted = set(indices)
        table = tf.constant([index in wanted for index in range(len(self))])
        pairs = self.pairs.enumerate().filter(lambda index, _: table[index]).map(lambda _, pair: pair)
        return Stream(pairs, [self.sizes[index] for index in indices])


def has_streams(dataset):
    """Whether the samples of a data set come in an order of their own."""
    return any(isinstance(samples, Stream) for samples in dataset.splits.values())


def dataset_of_streams(splits, classes, is_binary=False):
    """Makes a data set of `tf.data.Dataset`s, and reads each of them once to check it.

    Args:
        splits: Name of the split, "train", "val" or "test", to `tf.data.Dataset` of (image [H, W, C], class
            ids [H, W] or [H, W, 1]), one at a time or in batches; 255 is ignored. uint8 images of three
            channels are taken for RGB in 0..255, all others are read as they are.
        classes: Number of classes, or their names in id order.
        is_binary: Whether one class is told from the background by a single logit; the ids are 0 and 1.

    Returns:
        `Dataset`.

    Raises:
        InputError: One holds something else, nothing, or repeats for ever, or a mask holds what is no class.
    """
    names = _names(classes, is_binary)
    found = {name: _unbatched(name, pairs) for name, pairs in splits.items()}
    kinds = {name: _kind(name, pairs) for name, pairs in found.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise InputError(f"dataset: holds {told}; all of its images must be of one kind")
    kind = next(iter(kinds.values()))
    return Dataset(
        name="dataset",
        classes=names,
        colors=tuple(map(tuple, default_colors(names).tolist())),
        ignore_label=None,
        splits={name: _stream(name, pairs, kind, len(names)) for name, pairs in found.items()},
        is_binary=is_binary,
        images=kind,
    )


def _names(classes, is_binary):
    if is_binary and classes in (None, 1, 2):
        return BINARY_CLASSES
    names = default_names(classes) if isinstance(classes, int) else tuple(classes or ())
    if not 1 <= len(names) <= MAX_CLASSES or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"classes must be a number of classes, up to {MAX_CLASSES}, or names; received {classes!r}"
        )
    if is_binary and len(names) != 2:
        raise InputError(f"classes must be two names, the background's first, received {len(names)}")
    return names


def _unbatched(name, pairs):
    spec = pairs.element_spec
    is_pair = isinstance(spec, tuple) and [type(each) for each in spec] == [tf.TensorSpec] * 2
    if not is_pair or spec[0].shape.rank not in (3, 4) or spec[1].shape.rank is None:
        raise InputError(
            f"dataset: {name} must give pairs of an image [H, W, C] and a mask [H, W], or batches of them, "
            f"received {spec}"
        )
    if spec[0].shape.rank == 4:
        pairs = pairs.unbatch()
    if pairs.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(f"dataset: {name} repeats for ever, and an epoch has an end; leave repeat() out")
    return pairs


def _kind(name, pairs):
    image = pairs.element_spec[0]
    if image.shape[-1] is None or not 1 <= image.shape[-1] <= MAX_CHANNELS:
        raise InputError(
            f"dataset: the images of {name} have {image.shape[-1]} channels; set their shape, with "
            f"1 to {MAX_CHANNELS} channels, by image.set_shape([None, None, 3])"
        )
    return ImageKind(image.shape[-1], _DEPTHS.get(image.dtype.name, "float32"))


def _stream(name, pairs, kind, num_classes):
    @tf.autograph.experimental.do_not_convert
    def look(image, mask):
        ids = tf.cast(mask, tf.int32)
        wrong = tf.boolean_mask(ids, (ids < 0) | (ids >= num_classes) & (ids != IGNORE))
        return tf.shape(image)[:2], tf.shape(mask), tf.concat([wrong, [_NONE]], 0)[0]

    @tf.autograph.experimental.do_not_convert
    def convert(image, mask):
        mask = tf.reshape(tf.cast(mask, tf.uint8), tf.shape(image)[:2])
        return tf.cast(image, kind.dtype), tf.ensure_shape(mask, image.shape[:2])

    sizes = []
    for number, (size, mask_shape, wrong) in enumerate(pairs.map(look).as_numpy_iterator(), 1):
        if tuple(mask_shape) not in (tuple(size), (*size, 1)):
            raise InputError(
                f"dataset: the mask of image {number} of {name} has the shape {mask_shape.tolist()}, and the "
                f"image {size.tolist()}; give each pixel one class id"
            )
        if wrong != _NONE:
            raise InputError(
                f"dataset: the mask of image {number} of {name} holds {wrong}, and the classes are 0 to "
                f"{num_classes - 1}; say classes={wrong + 1}, or make it {IGNORE}, which is ignored"
            )
        height, width = map(int, size)
        sizes.append((height, width))
    if not sizes:
        raise InputError(f"dataset: {name} holds no images")
    return Stream(pairs.map(convert), sizes)
