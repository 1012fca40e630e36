"""The graph that loads a data set's samples, as short as the formats that occur in it allow.

Each operation in a graph costs time, whether its branch is taken or not; one that is not there costs none.
"""

import os
from functools import partial

import tensorflow as tf

from keras_seg.data.formats.decode import (
    color_codes,
    decode_jpeg_or_png,
    decode_mask,
    decode_mask_colors,
    decode_png8,
    decode_stored,
    turn,
)
from keras_seg.data.formats.headers import GREY_8, PALETTE_8
from keras_seg.data.formats.reading import read_image
from keras_seg.data.formats.tiff import (
    decode_tiff_image,
    decode_tiff_mask,
    decode_tiff_mask_colors,
    with_tiff,
)
from keras_seg.data.labels import are_ids, to_ids
from keras_seg.data.samples import ArraySample
from keras_seg.data.streams import Stream


def make_loader(samples, headers, dataset):
    """Returns what stands for the samples, and how pairs are made of it.

    Args:
        samples: the samples of a split.
        headers: the Header of each.
        dataset: Dataset.

    Returns:
        A tf.data.Dataset, and a function of its elements that gives an image, [H, W, C], and class ids,
        uint8 [H, W]; it fails where a mask does not fit its image or holds a value that is no class.
    """
    if isinstance(samples, Stream):  # It was checked, and is decoded.
        return samples.pairs, lambda image, mask: (image, mask)
    sizes = {header.size for header in headers}
    # Where all sizes are alike, the graph need not compute with them.
    size = sizes.pop() if len(sizes) == 1 else (None, None)
    if isinstance(samples[0], ArraySample):
        elements, decode = _arrays(samples, dataset.images)
    else:
        elements, decode = _files(samples, headers, dataset.mask_colors is not None, dataset.images)

    def load(*element):
        image, mask = decode(*element)
        ids = to_ids(mask, dataset)
        is_right = tf.reduce_all(tf.equal(tf.shape(image)[:2], tf.shape(mask)))
        is_right &= are_ids(ids, dataset.num_classes)
        message = (
            "a mask differs in size from its image or holds a value that is not a class; see check_dataset"
        )
        with tf.control_dependencies([tf.raw_ops.Assert(condition=is_right, data=[message])]):
            return tf.ensure_shape(image, (*size, dataset.images.channels)), tf.ensure_shape(ids, size)

    return elements, load


def _arrays(samples, kind):
    signature = (
        tf.TensorSpec([None, None, kind.channels], kind.dtype),
        tf.TensorSpec([None, None], tf.uint8),
    )
    pairs = tf.data.Dataset.from_generator(
        lambda: ((sample.image, sample.mask) for sample in samples), output_signature=signature
    )
    return pairs, lambda image, mask: (image, mask)


def _files(samples, headers, by_color, kind):
    # As bytes, since a file's name need not be valid text.
    images = [os.fsencode(sample.image) for sample in samples]
    masks = [os.fsencode(sample.mask) for sample in samples]
    orientations = [header.orientation for header in headers]
    decode_image = _image_decoder({header.format for header in headers})
    decode_stored_mask = _mask_decoder({header.mask for header in headers}, by_color)

    def decode_stored(path):
        read = partial(_read_bands, kind=kind)
        return tf.ensure_shape(tf.numpy_function(read, [path], kind.dtype), [None, None, kind.channels])

    def decode_bands(image, mask, _):
        return decode_stored(image), decode_stored_mask(tf.io.read_file(mask))

    def decode(image, mask, orientation):
        image = decode_image(tf.io.read_file(image))
        if any(number > 1 for number in orientations):
            image = turn(image, orientation)
        return image, decode_stored_mask(tf.io.read_file(mask))

    files = tf.data.Dataset.from_tensor_slices((images, masks, orientations))
    return files, decode if kind.is_rgb else decode_bands


def _read_bands(path, kind):
    return read_image(os.fsdecode(path), kind)


def _image_decoder(formats):
    if formats <= {"JPEG", "PNG"}:
        return decode_jpeg_or_png
    if "TIFF" in formats:
        return with_tiff(decode_stored, decode_tiff_image, tf.uint8, rank=3)
    return decode_stored


def _mask_decoder(kinds, by_color):
    if by_color:
        if None not in kinds:
            return lambda contents: color_codes(decode_jpeg_or_png(contents))
        return with_tiff(decode_mask_colors, decode_tiff_mask_colors, tf.int32, rank=2)
    if kinds in ({GREY_8}, {PALETTE_8}):
        return partial(decode_png8, is_palette=kinds == {PALETTE_8})
    return with_tiff(decode_mask, decode_tiff_mask, tf.int32, rank=2)
