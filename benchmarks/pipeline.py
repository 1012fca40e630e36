"""Images per second of the data pipeline, against plain Keras and PyTorch on the same files.

    python benchmarks/pipeline.py [--data FOLDER] [--image-size H W] [--batch-size N] [--images N]

Each contender runs in a process of its own, one after another, and reads every file anew (no cache):
- keras_seg: decode, flip, scale, crop, color, batch.
- keras: `image_dataset_from_directory` for images and for masks, zipped; decode, resize, batch. It has no
  augmentation of pairs, so it does less.
- torch: DataLoader with a worker per core and torchvision's v2 transforms on pairs; skipped where PyTorch is
  not installed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTENDERS = ("keras_seg", "keras", "torch")
CAMVID_SIZE = (360, 480)


def main():
    arguments = _parser().parse_args()
    if arguments.contender:
        print(json.dumps(_measure(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            arguments.data = _draw(Path(folder) / "data", arguments.drawn)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        height, width = arguments.image_size
        print(
            f"{arguments.data}: crops of {width} x {height}, batches of {arguments.batch_size}, {cores} cores"
        )
        found = {name: _run(name, arguments) for name in CONTENDERS}
    print("| pipeline | images/s | peak memory, MiB | keras_seg is |\n| --- | --- | --- | --- |")
    ours = found["keras_seg"]
    for name, result in found.items():
        if "skipped" in result:
            print(f"| {name} | skipped: {result['skipped']} | | |")
        else:
            ratio = ours["rate"] / result["rate"]
            print(f"| {name} | {result['rate']:.1f} | {result['memory']:.0f} | {ratio:.2f} times as fast |")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", help="images/ and masks/ folders (default: drawn shapes)")
    parser.add_argument("--drawn", metavar="N", type=int, default=64, help="pairs to draw (default: 64)")
    parser.add_argument("--image-size", metavar=("H", "W"), nargs=2, type=int, default=(256, 256))
    parser.add_argument("--batch-size", metavar="N", type=int, default=8)
    parser.add_argument("--images", metavar="N", type=int, default=512, help="images to time (default: 512)")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser


def _run(name, arguments):
    """Measures one contender in a process of its own, so that its memory is its own."""
    flags = ["--data", str(arguments.data), "--contender", name, "--images", str(arguments.images)]
    flags += ["--batch-size", str(arguments.batch_size), "--image-size", *map(str, arguments.image_size)]
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, __file__, *flags], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message"
        raise SystemExit(f"{name} failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _measure(arguments):
    make = {"keras_seg": _keras_seg, "keras": _keras, "torch": _torch}[arguments.contender]
    try:
        batches = iter(make(arguments))
    except ImportError as error:
        return {"skipped": str(error)}
    for _ in range(4):  # Starts workers, fills buffers, settles the parallelism.
        next(batches)
    count, start = 0, time.perf_counter()
    while count < arguments.images:
        count += len(next(batches)[0])
    seconds = time.perf_counter() - start
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    # Of the children, the system tells the largest; PyTorch's workers are alike.
    return {"rate": count / seconds, "memory": sum(resource.getrusage(each).ru_maxrss for each in who) / 1024}


def _draw(folder, count):
    from keras_seg.data import write_shapes

    return write_shapes(folder, counts={"train": count, "val": 1}, size=CAMVID_SIZE)


def _samples(arguments):
    from keras_seg.data import load_dataset

    return load_dataset(arguments.data)


def _keras_seg(arguments):
    from keras_seg.data import train_batches

    dataset = _samples(arguments)
    return train_batches(dataset, tuple(arguments.image_size), arguments.batch_size, cache=False)


def _keras(arguments):
    import keras
    import tensorflow as tf

    samples = _samples(arguments).split("train")
    options = {
        "labels": None,
        "image_size": tuple(arguments.image_size),
        "batch_size": arguments.batch_size,
        "shuffle": False,
        "verbose": False,
    }
    images, masks = samples[0].image.parent, samples[0].mask.parent
    images = keras.utils.image_dataset_from_directory(images, **options)
    options |= {"color_mode": "grayscale", "interpolation": "nearest"}
    masks = keras.utils.image_dataset_from_directory(masks, **options)
    return tf.data.Dataset.zip((images, masks)).repeat().prefetch(tf.data.AUTOTUNE)


def _torch(arguments):
    import numpy as np
    import torch
    from PIL import Image
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    samples = _samples(arguments).split("train")
    transform = v2.Compose(
        [
            v2.ScaleJitter(
                target_size=tuple(Image.open(samples[0].image).size[::-1]), scale_range=(0.5, 2.0)
            ),
            v2.RandomCrop(
                tuple(arguments.image_size), pad_if_needed=True, fill={tv_tensors.Mask: 255, "others": 0}
            ),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.25, 0.25, 0.25),
        ]
    )

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(samples)

        def __getitem__(self, index):
            sample = samples[index]
            image = torch.from_numpy(np.array(Image.open(sample.image).convert("RGB"))).permute(2, 0, 1)
            mask = torch.from_numpy(np.array(Image.open(sample.mask)))
            return transform(tv_tensors.Image(image), tv_tensors.Mask(mask))

    loader = torch.utils.data.DataLoader(
        Pairs(), arguments.batch_size, shuffle=True, num_workers=os.cpu_count(), persistent_workers=True
    )

    def forever():
        while True:
            yield from loader

    return forever()


if __name__ == "__main__":
    main()
