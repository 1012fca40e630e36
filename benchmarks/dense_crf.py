"""Cost and gain of the dense CRF on a noisy labeling of a drawn scene.

    python benchmarks/dense_crf.py [--size H W] [--output PICTURE]

A quarter of the pixels and all outlines are labeled wrong, as by a network with coarse maps; the CRF sees the
picture besides. Prints seconds (median of `--rounds`), peak memory and mean IoU before and after: with
DeepLab's deviation of colors, 3, which is the default, and with 13, which suits this scene's noise.
"""

import argparse
import statistics
import time

import cv2
import numpy as np

from benchmarks.harness.flags import positive
from keras_seg.data import draw_shapes
from keras_seg.evaluation.counts import confusion
from keras_seg.inference import write_image
from keras_seg.inference.crf import CRF, refine
from keras_seg.memory import peak_bytes
from keras_seg.metrics import scores
from keras_seg.palette import IGNORE
from keras_seg.sheets import contact_sheet

COARSE = 8  # Pixels of the scene to a pixel of the maps, as after three poolings.
COLORS = (3.0, 13.0)  # Deviations, in levels of 0 to 255.


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", metavar=("H", "W"), nargs=2, type=positive, default=(500, 500))
    parser.add_argument("--output", metavar="PICTURE", help="draw the scene and both labelings")
    parser.add_argument("--rounds", type=positive, default=3)
    arguments = parser.parse_args()

    dataset = draw_shapes(counts={"val": 1}, size=tuple(arguments.size))
    (sample,) = dataset.split("val")
    before = coarse_probabilities(sample.mask, dataset.num_classes)
    height, width, classes = before.shape
    print(f"{width} x {height} pixels, {classes} classes: {figures(sample.mask, before)}")
    found = [before]
    for deviation in COLORS:
        crf = CRF(appearance_colors=deviation)
        seconds = []
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            after = refine(before, sample.image, crf)
            seconds.append(time.perf_counter() - start)
        found.append(after)
        print(
            f"deviation of colors {deviation:g}, {crf.steps} steps: "
            f"{figures(sample.mask, after)}, "
            f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
        )
    print(f"peak memory of the process {peak_bytes() / (1 << 20):.0f} MiB")
    if arguments.output:
        rows = [(sample.image, sample.mask, mask.argmax(-1).astype(np.uint8)) for mask in found]
        titles = "image", "truth", "without, then by CRF, 3 and 13"
        write_image(arguments.output, contact_sheet(rows, titles, dataset.classes, dataset.colors))


def figures(truth, probabilities):
    found = scores(confusion(truth, probabilities.argmax(-1), probabilities.shape[-1]))
    return f"mean IoU {found['mean_iou']:.3f}, pixel accuracy {found['pixel_accuracy']:.4f}"


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
