"""The contenders of `pipeline.py`: the pipeline of keras_seg, plain Keras and PyTorch, on the same tasks."""

import multiprocessing
import os
import threading
import time
from pathlib import Path

TASKS = ("plain", "augmented", "cached")
SCALES, COLOR_FACTORS = (0.5, 2.0), (0.75, 1.25)
IGNORE = 255
_WARM_UP_SECONDS = 1.5


def measure(arguments):
    """Returns, for each task, images per second and peak memory in MiB."""
    make, found = CONTENDERS[arguments.contender], {}
    for task in ("augmented",) if arguments.large else TASKS:
        try:
            samples, dataset = _samples(arguments.data)
            batches = make(samples, dataset, task, tuple(arguments.image_size), arguments.batch_size)
        except ImportError as error:
            return {"skipped": str(error)}
        with _Peak() as peak:
            batches = iter(batches)
            # The first epoch fills the caches; some seconds start workers and settle the parallelism.
            epoch = -(-len(samples) // arguments.batch_size)
            _time(batches, _WARM_UP_SECONDS, epoch if task == "cached" else 0)
            rate = _time(batches, arguments.seconds)
        found[task] = {"rate": rate, "memory": peak.mib}
        del batches
    return found


def _time(batches, seconds, least=0):
    count, number, start = 0, 0, time.perf_counter()
    while number < least or time.perf_counter() - start < seconds:
        count += len(next(batches)[0])
        number += 1
    return count / (time.perf_counter() - start)


class _Peak:
    """Watches the memory of this process and its workers; what they share is counted once (Linux)."""

    def __enter__(self):
        self.mib, self._is_done = 0.0, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_):
        self._is_done.set()
        self._watch.join()

    def _look(self):
        while not self._is_done.wait(0.2):
            processes = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
            self.mib = max(self.mib, sum(map(_proportional_mib, processes)))


def _proportional_mib(process):
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # No Linux, or the worker has ended.
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _samples(folder):
    from keras_seg.data import load_dataset

    dataset = load_dataset(folder)
    return dataset.split("train"), dataset


def _keras_seg(samples, dataset, task, image_size, batch_size):
    from keras_seg.data import train_batches

    return train_batches(dataset, image_size, batch_size, augment=task != "plain", cache=task == "cached")


def _keras(samples, dataset, task, image_size, batch_size):
    """`image_dataset_from_directory` for images and masks, zipped, with Keras's own layers on both."""
    import keras
    import tensorflow as tf

    # Augmentation starts from whole pictures, which are of one size here.
    stored_size = tuple(keras.utils.img_to_array(keras.utils.load_img(samples[0].image)).shape[:2])
    options = {
        "labels": None,
        "image_size": image_size if task == "plain" else stored_size,
        "batch_size": batch_size,
        "shuffle": False,
        "verbose": False,
    }
    images = keras.utils.image_dataset_from_directory(samples[0].image.parent, **options)
    options |= {"color_mode": "grayscale", "interpolation": "nearest"}
    masks = keras.utils.image_dataset_from_directory(samples[0].mask.parent, **options)
    stream = tf.data.Dataset.zip((images, masks))
    if task == "cached":
        stream = stream.cache()
    stream = stream.repeat()
    if task != "plain":
        # Factors of Keras: what is added to 1. A scale of 0.5 to 2 shows 2 to 0.5 times as much.
        low, high = (1 / scale - 1 for scale in SCALES[::-1])
        spread = [factor - 1 for factor in COLOR_FACTORS]
        layers = [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomZoom((low, high), fill_mode="constant"),
            keras.layers.RandomCrop(*image_size),
            keras.layers.RandomColorJitter(
                value_range=(0, 255),
                brightness_factor=spread,
                contrast_factor=COLOR_FACTORS,
                saturation_factor=COLOR_FACTORS,
            ),
        ]

        def augment(images, masks):
            pair = {"images": images, "segmentation_masks": masks}
            for layer in layers:
                pair = layer(pair, training=True)
            return pair["images"], pair["segmentation_masks"]

        stream = stream.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.prefetch(tf.data.AUTOTUNE)


def _torch(samples, dataset, task, image_size, batch_size):
    """A DataLoader with a worker per core.

    torchvision's transforms are written out in plain PyTorch, each as version 2 of torchvision computes it
    for uint8 tensors; Pillow decodes.
    """
    import numpy as np
    import torch
    from PIL import Image
    from torch.nn import functional

    def read(sample):
        image, mask = np.array(Image.open(sample.image).convert("RGB")), np.array(Image.open(sample.mask))
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)[None]

    def resize(image, mask, size):
        image = functional.interpolate(image[None], size=size, mode="bilinear")[0]
        return image, functional.interpolate(mask[None], size=size, mode="nearest-exact")[0]

    def uniform(low, high):
        return low + (high - low) * torch.rand(()).item()

    def scale_and_crop(image, mask):
        # Crops first, to resize only what is seen.
        scale, extent = uniform(*np.log(SCALES)), mask.shape[1:]
        scale = float(np.exp(scale))
        window = [min(have, round(want / scale)) for have, want in zip(extent, image_size, strict=True)]
        top, left = (int(uniform(0, have - part + 1)) for have, part in zip(extent, window, strict=True))
        part = (slice(None), slice(top, top + window[0]), slice(left, left + window[1]))
        target = [min(want, round(have * scale)) for have, want in zip(window, image_size, strict=True)]
        image, mask = resize(image[part], mask[part], target)
        missing = [want - have for want, have in zip(image_size, target, strict=True)]
        if any(missing):
            top, left = (int(uniform(0, room + 1)) for room in missing)
            margins = (left, missing[1] - left, top, missing[0] - top)
            image, mask = functional.pad(image, margins), functional.pad(mask, margins, value=IGNORE)
        return image, mask

    def blend(image, other, ratio):
        return image.float().mul_(ratio).add_(other * (1 - ratio)).clamp_(0, 255).to(torch.uint8)

    def grey(image):
        red, green, blue = image.float()
        return red.mul_(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()

    def jitter(image):
        brightness, contrast, saturation = (uniform(*COLOR_FACTORS) for _ in range(3))
        image = image.float().mul_(brightness).clamp_(0, 255).to(torch.uint8)
        image = blend(image, grey(image).mean(), contrast)
        return blend(image, grey(image), saturation)

    class Pairs(torch.utils.data.Dataset):
        def __init__(self):
            self.pairs = [read(sample) for sample in samples] if task == "cached" else None

        def __len__(self):
            return len(samples)

        def __getitem__(self, index):
            image, mask = self.pairs[index] if self.pairs else read(samples[index])
            if task == "plain":
                return resize(image, mask, image_size)
            if torch.rand(()).item() < 0.5:
                image, mask = image.flip(-1), mask.flip(-1)
            image, mask = scale_and_crop(image, mask)
            return jitter(image.contiguous()), mask

    loader = torch.utils.data.DataLoader(
        Pairs(), batch_size, shuffle=True, num_workers=os.cpu_count(), persistent_workers=True
    )

    def forever():
        while True:
            yield from loader

    return forever()


CONTENDERS = {"keras_seg": _keras_seg, "keras": _keras, "torch": _torch}
