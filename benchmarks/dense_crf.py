"""Cost and gain of the dense CRF on a noisy labeling of a drawn scene.

    python benchmarks/dense_crf.py [--size H W] [--output PICTURE]

A quarter of the pixels and all outlines are labeled wrong, as by a network with coarse maps; the CRF sees the
picture besides. Prints seconds (median of `--rounds`), peak memory and mean IoU before and after.
"""

import argparse
import resource
import statistics
import time

import cv2
import numpy as np

from keras_seg.data import draw_shapes
from keras_seg.evaluation.counts import confusion
from keras_seg.inference import write_image
from keras_seg.inference.crf import CRF, refine
from keras_seg.metrics import scores
from keras_seg.palette import IGNORE, panel

COARSE = 8  # Pixels of the scene to a pixel of the maps, as after three poolings.


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", metavar=("H", "W"), nargs=2, type=int, default=(500, 500))
    parser.add_argument("--output", metavar="PICTURE", help="draw the scene and both labelings")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    dataset = draw_shapes(counts={"val": 1}, size=tuple(arguments.size))
    (sample,) = dataset.split("val")
    before = coarse_probabilities(sample.mask, dataset.num_classes)
    crf = CRF(appearance_colors=13.0)
    seconds = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        after = refine(before, sample.image, crf)
        seconds.append(time.perf_counter() - start)

    height, width, classes = before.shape
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{width} x {height} pixels, {classes} classes, {crf.steps} steps: "
        f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}), "
        f"peak memory of the process {memory:.0f} MiB"
    )
    for name, probabilities in (("before", before), ("after", after)):
        found = scores(confusion(sample.mask, probabilities.argmax(-1), classes))
        print(f"{name:6} mean IoU {found['mean_iou']:.3f}")
    if arguments.output:
        rows = [(sample.image, sample.mask, mask.argmax(-1).astype(np.uint8)) for mask in (before, after)]
        titles = "image", "truth", "above as it is, below by CRF"
        write_image(arguments.output, panel(rows, titles, dataset.classes, dataset.colors))


def coarse_probabilities(truth, classes):
    """Class probabilities as of a network that is coarse and often wrong, float32 [H, W, C]."""
    random = np.random.default_rng(0)
    truth = np.where(truth == IGNORE, 0, truth)
    height, width = truth.shape
    small = cv2.resize(truth, (width // COARSE, height // COARSE), interpolation=cv2.INTER_NEAREST)
    wrong = random.random(small.shape) < 0.1
    small[wrong] = random.integers(0, classes, wrong.sum())
    maps = np.eye(classes, dtype=np.float32)[small] * 0.6 + 0.4 / classes
    maps = cv2.resize(maps, (width, height))
    noisy = random.random(truth.shape) < 0.25
    maps[noisy] = np.eye(classes, dtype=np.float32)[random.integers(0, classes, noisy.sum())] * 0.6 + 0.08
    return maps / maps.sum(axis=-1, keepdims=True)


if __name__ == "__main__":
    main()
