"""Images per second of the data pipeline, against plain Keras and PyTorch on the same files in the same run.

    python benchmarks/pipeline.py [--data FOLDER] [--image-size H W] [--batch-size N] [--seconds N]
    python benchmarks/pipeline.py --large

Each contender runs in a process of its own, in turn with the others and `--rounds` times; the median counts.
The tasks, alike for all:
- plain: read, decode, resize (bilinear, no antialiasing; masks nearest) and batch every pair.
- augmented: read, decode, flip, scale by 0.5 to 2, crop, jitter brightness, contrast and saturation, batch.
- cached: the same with decoded pairs kept in memory, from the second epoch on.
The contenders are written as a user would, in `pipeline_peers.py`. PyTorch is skipped where it is missing.

--large: streams drawn pairs of 4,000 x 3,000 pixels that are never all in memory, keras_seg alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline_peers import CONTENDERS, TASKS, measure

CAMVID_SIZE = (360, 480)
LARGE_SIZE = (3000, 4000)
LARGE_TASK = "augmented"
MIB = 1 << 20


def main():
    arguments = _parser().parse_args()
    if arguments.contender:
        print(json.dumps(measure(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            size, distinct = (LARGE_SIZE, 4) if arguments.large else (CAMVID_SIZE, arguments.drawn)
            arguments.data = _draw(Path(folder) / "data", arguments.drawn, size, distinct)
        height, width = arguments.image_size
        print(
            f"{arguments.data}: crops of {width} x {height}, batches of {arguments.batch_size},"
            f" {_num_cores()} cores, median of {arguments.rounds} rounds"
        )
        if arguments.large:
            _report_large(_run("keras_seg", arguments), arguments.drawn)
            return
        found = {name: [] for name in CONTENDERS}
        for _ in range(arguments.rounds):
            for name in CONTENDERS:
                found[name].append(_run(name, arguments))
        _report(found)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", help="a data folder (default: drawn shapes)")
    parser.add_argument("--drawn", metavar="N", type=int, default=64, help="pairs to draw (default: 64)")
    parser.add_argument("--image-size", metavar=("H", "W"), nargs=2, type=int, default=(256, 256))
    parser.add_argument("--batch-size", metavar="N", type=int, default=8)
    parser.add_argument("--seconds", metavar="N", type=float, default=3, help="to time a task (default: 3)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="(default: 3)")
    parser.add_argument("--large", action="store_true", help="stream pictures of 4,000 x 3,000 pixels")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser


def _num_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _draw(folder, count, size, distinct):
    """Draws pairs as photographs come: JPEG images and PNG masks; beyond `distinct` they repeat."""
    import cv2

    from keras_seg.data import draw_shapes

    dataset = draw_shapes(counts={"train": distinct, "val": 1}, size=size)
    for split, number in {"train": count, "val": 1}.items():
        files = []
        for sample in dataset.split(split):
            image = cv2.imencode(".jpg", sample.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            files.append((image.tobytes(), cv2.imencode(".png", sample.mask)[1].tobytes()))
        for kind, place, suffix in (("images", 0, ".jpg"), ("masks", 1, ".png")):
            (folder / kind / split).mkdir(parents=True)
            for index in range(number):
                path = folder / kind / split / f"{index:04d}{suffix}"
                path.write_bytes(files[index % len(files)][place])
    return folder


def _run(name, arguments):
    """Measures one contender in a process of its own, so that its memory is its own."""
    flags = ["--data", str(arguments.data), "--contender", name, "--seconds", str(arguments.seconds)]
    flags += ["--batch-size", str(arguments.batch_size), "--image-size", *map(str, arguments.image_size)]
    flags += ["--large"] * arguments.large
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, __file__, *flags], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message"
        raise SystemExit(f"{name} failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _report(found):
    print("| task | pipeline | images/s | slowest to fastest | peak memory, MiB | keras_seg is |")
    print("| --- | --- | --- | --- | --- | --- |")
    for task in TASKS:
        ours = statistics.median(result[task]["rate"] for result in found["keras_seg"])
        for name, results in found.items():
            if "skipped" in results[0]:
                print(f"| {task} | {name} | skipped: {results[0]['skipped']} | | | |")
                continue
            rates, memories = ([result[task][key] for result in results] for key in ("rate", "memory"))
            rate, spread = statistics.median(rates), f"{min(rates):.0f} to {max(rates):.0f}"
            memory = statistics.median(memories)
            ratio = f"{ours / rate:.2f} times as fast"
            print(f"| {task} | {name} | {rate:.0f} | {spread} | {memory:.0f} | {ratio} |")


def _report_large(result, count):
    result = result[LARGE_TASK]
    height, width = LARGE_SIZE
    decoded = count * height * width * 4 / MIB
    print(
        f"{count} pairs of {width} x {height} pixels, {decoded:.0f} MiB once decoded: "
        f"{result['rate']:.1f} images/s, peak memory {result['memory']:.0f} MiB"
    )


if __name__ == "__main__":
    main()
