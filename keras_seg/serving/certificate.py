"""How far an exported file's answers are from the network's own, on real images."""

import statistics
import time
from typing import NamedTuple

import numpy as np

from keras_seg.logits import class_ids


class Certificate(NamedTuple):
    """What was measured.

    Attributes:
        error: largest difference of a logit.
        largest: largest logit of the network, to judge the error by.
        agreement: part of the pixels whose class is the same.
        num_images: how many images.
        num_pixels: how many pixels they have.
        num_bytes: size of the file, or of all files of the folder.
        seconds: median time of an image.
        own_seconds: the same by the SavedModel's graph.
    """

    error: float
    largest: float
    agreement: float
    num_images: int
    num_pixels: int
    num_bytes: int
    seconds: float
    own_seconds: float

    def __str__(self):
        return (
            f"  largest logit error  {self.error:.2g}, the largest logit being {self.largest:.3g}\n"
            f"  argmax agreement     {100 * self.agreement:.4f} % of {self.num_pixels:,} pixels of "
            f"{self.num_images} images\n"
            f"  file                 {self.num_bytes / 1e6:.1f} MB\n"
            f"  time per image       {1e3 * self.seconds:.1f} ms, the SavedModel's graph "
            f"{1e3 * self.own_seconds:.1f} ms"
        )


def certify(path, runner, network, images, threshold=None):
    """Compares an exported file with the network.

    Args:
        path: the file, or a SavedModel's folder.
        runner: function of uint8 [1, H, W, 3] to logits [1, H, W, C] that runs it.
        network: the same by the SavedModel's graph.
        images: uint8 RGB images [H, W, 3].
        threshold: probability from which a pixel is foreground, where there is a single logit.

    Returns:
        Certificate.
    """
    error = largest = same = pixels = 0
    seconds = [], []
    for index, image in enumerate(images):
        batch = image[None]
        if not index:
            # The first run of either builds what later ones use.
            runner(batch), network(batch)
        (ours, taken), (theirs, own) = _timed(runner, batch), _timed(network, batch)
        error = max(error, float(np.abs(ours - theirs).max()))
        largest = max(largest, float(np.abs(theirs).max()))
        ids = (np.asarray(class_ids(logits, threshold)) for logits in (ours, theirs))
        same += int(np.equal(*ids).sum())
        pixels += theirs[..., 0].size
        seconds[0].append(taken)
        seconds[1].append(own)
    medians = map(statistics.median, seconds)
    return Certificate(error, largest, same / pixels, len(images), pixels, _num_bytes(path), *medians)


def _num_bytes(path):
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _timed(function, batch):
    start = time.perf_counter()
    answer = np.asarray(function(batch))
    return answer, time.perf_counter() - start
