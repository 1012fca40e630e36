"""Images too large for the memory, in bands or tiles: what these cost, and how often a class differs.

    python benchmarks/bands.py NETWORK|RUN ... [--size H W] [--memory GB] [--rounds N]

A network gets random weights; a run folder its best ones. The image is of the built-in shapes, side by side.
Whole and divided, it is predicted in turn.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.flags import positive
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine
from keras_seg.cli.quiet import import_tensorflow

CLASSES, SHAPE = 21, 64
WHOLE = 1 << 40  # Bytes, which hold any image.


def main():
    import_tensorflow("inference")  # As `predict.py` does.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="NETWORK|RUN")
    parser.add_argument("--size", nargs=2, type=positive, metavar=("H", "W"), default=(1448, 1448))
    parser.add_argument("--memory", type=float, metavar="GB", default=8.0)
    parser.add_argument("--rounds", type=positive, metavar="N", default=5)
    arguments = parser.parse_args()
    import numpy as np

    print(format_machine(describe_machine()))
    image = _image(*arguments.size)
    for source in arguments.sources:
        whole, divided = (_predictor(source, memory) for memory in (WHOLE, int(arguments.memory * 1e9)))
        expected, found = (predictor.predict(image) for predictor in (whole, divided))
        seconds = [
            [_seconds(predictor, image) for predictor in (whole, divided)] for _ in range(arguments.rounds)
        ]
        before, after = map(statistics.median, zip(*seconds, strict=True))
        ratio = statistics.median(pair[1] / pair[0] for pair in seconds)
        same = np.mean(found.mask == expected.mask)
        num_classes = len(np.unique(expected.mask))
        size = f"{arguments.size[0]} x {arguments.size[1]}"
        print(
            f"{source}, {size}, {_number(divided, image)} in {arguments.memory:g} GB: {before:.2f} CPU "
            f"seconds whole, {after:.2f} divided, {ratio:.2f} times; {same:.2%} of the pixels have the same "
            f"of {num_classes} classes",
            flush=True,
        )


def _image(height, width):
    import numpy as np

    from keras_seg.data.shapes import draw_shapes

    down, across = -(-height // SHAPE), -(-width // SHAPE)
    shapes = draw_shapes(counts={"val": down * across}, size=(SHAPE, SHAPE)).splits["val"]
    rows = [np.hstack([shape.image for shape in shapes[row * across :][:across]]) for row in range(down)]
    return np.vstack(rows)[:height, :width]


def _predictor(source, memory):
    import keras

    from keras_seg.inference import Predictor
    from keras_seg.models import MODELS, build_model

    keras.utils.set_random_seed(0)
    return Predictor(build_model(source, CLASSES) if source in MODELS else source, memory=memory)


def _number(predictor, image):
    import tensorflow as tf

    axes = predictor._tiling(image.shape[0] * image.shape[1]).divide(*tf.constant(image.shape[:2], tf.int64))
    return " x ".join(str(len(axis.starts)) for axis in axes)


def _seconds(predictor, image):
    # Of all cores, as others may use them too.
    start = time.process_time()
    predictor.predict(image)
    return time.process_time() - start


if __name__ == "__main__":
    main()
