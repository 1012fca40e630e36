"""Draws the first images of training as the network sees them."""

import dataclasses

import tensorflow as tf

from keras_seg.data.batches.pipeline import train_batches
from keras_seg.data.doctor.checks import check_dataset
from keras_seg.errors import InputError
from keras_seg.sheets import Overlay, contact_sheet


def draw_preview(dataset, image_size, count, seed, augmentation):
    """Draws augmented images, their masks and both, of the first epoch.

    Args:
        dataset: Dataset.
        image_size: (height, width) in pixels.
        count: number of images, at most those of train.
        seed: of the order and of the augmentation.
        augmentation: Augmentation, or False where images are only resized.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        InputError: `count` is below 1, or one of the pairs is not right.
    """
    if count < 1:
        raise InputError(f"--count must be at least 1, received {count}.")
    # Only what may be drawn is checked, for a preview of a large data set.
    stream = train_batches(dataset, image_size, 1, seed, augment=augmentation, cache=False)
    rows = []
    try:
        for images, masks in stream.take(min(count, len(dataset.split("train")))):
            image, mask = images[0].numpy(), masks[0].numpy()
            rows.append((image, mask, Overlay(image, mask)))
    except tf.errors.InvalidArgumentError:
        check_dataset(dataclasses.replace(dataset, splits={"train": dataset.split("train")}))
        raise
    return contact_sheet(rows, ("image", "mask", "both"), dataset.classes, dataset.colors)
