"""Training and prediction of FCN-8s and DeepLabv3 on a GPU, against PyTorch on the same card in the same run.

    python benchmarks/gpu.py [--networks NAME ...] [--image-size H W] [--batch-size N] [--json FILE]

keras_seg runs on TensorFlow where TensorFlow sees a GPU, or else on Keras's JAX and PyTorch backends where
those see one; PyTorch with channels last, bfloat16 autocast and `torch.compile`. Prints images per second,
the share of a matrix product's speed, and the memory taken on the card. Without a GPU it measures, small, JAX
and PyTorch on the processor, to see that it works, and says so.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness.flags import figures_file, positive
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine, format_table, summarize, write_figures
from benchmarks.harness.workers import Contender, measure_in_turn

OURS, TORCH = "contenders.any_backend", "contenders.pytorch"
# What prints the names of the GPUs that a framework sees, a line each.
LISTS = {
    "tensorflow": """
import tensorflow as tf
for gpu in tf.config.list_physical_devices("GPU"):
    print(tf.config.experimental.get_device_details(gpu)["device_name"])
""",
    "jax": """
import jax
for device in jax.devices():
    if device.platform == "gpu":
        print(device.device_kind)
""",
    "torch": """
import torch
for index in range(torch.cuda.device_count()):
    print(torch.cuda.get_device_name(index))
""",
}
SMALL = {"networks": ("pspnet",), "image_size": (64, 64), "batch_size": 2, "side": 512}
LARGE = {"networks": ("fcn8", "deeplabv3_resnet50"), "image_size": (512, 512), "batch_size": 16, "side": 8192}


def main():
    arguments = _parser().parse_args()
    backends = {name: _gpus(name) for name in LISTS if importlib.util.find_spec(name)}
    on_gpu = [name for name, gpus in backends.items() if gpus]
    # Where TensorFlow has the card, that is what people train on.
    chosen = on_gpu[:1] if on_gpu[:1] == ["tensorflow"] else on_gpu
    if not chosen:
        chosen = [name for name in ("jax", "torch") if name in backends]
        if not chosen:
            raise SystemExit(
                "error: no GPU, and neither jax nor torch is installed; there is nothing to measure"
            )
        print("No GPU was found: small figures of the processor, which say nothing of one.")
    settings = LARGE if on_gpu else SMALL
    networks = arguments.networks or settings["networks"]
    size = tuple(arguments.image_size or settings["image_size"])
    batch_size = arguments.batch_size or settings["batch_size"]

    os.environ["KERAS_BACKEND"] = chosen[0]  # Of this process, which only counts multiplications.
    from benchmarks.harness.operations import operations

    machine = describe_machine(next((gpus for gpus in backends.values() if gpus), ()))
    print(format_machine(machine))
    results = {}
    for network in networks:
        for kind in ("training", "prediction"):
            case = {"network": network, "size": size, "batch_size": batch_size}
            timings = measure_in_turn(
                [*_contenders(chosen, kind, case, bool(on_gpu)), *_limits(chosen[0], settings["side"])],
                arguments.rounds,
                lambda line: print(f"  {line}", file=sys.stderr),
            )
            rows = summarize(timings, operations(network, size, batch_size, is_training=kind == "training"))
            for row in rows:
                if row.get("ratio"):
                    row["images_per_second"] = batch_size / row["seconds"]
            results[f"{kind} of {network}"] = rows
            print(f"\n{kind} of {network}, {size[1]} x {size[0]}, batch of {batch_size}\n")
            print(format_table(rows))
            for row in rows:
                if "images_per_second" in row:
                    print(f"{row['name']}: {row['images_per_second']:.1f} images/s")
    write_figures(arguments.json, machine=machine, image_size=size, batch_size=batch_size, results=results)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", metavar="NAME", nargs="+")
    parser.add_argument("--image-size", metavar=("H", "W"), nargs=2, type=positive)
    parser.add_argument("--batch-size", metavar="N", type=positive)
    parser.add_argument("--rounds", metavar="N", type=positive, default=5, help="measured runs (default: 5)")
    parser.add_argument("--json", metavar="FILE", type=figures_file, help="write all figures there")
    return parser


def _gpus(name):
    """Names of the GPUs that a framework sees, asked in a process of its own: asking takes memory there."""
    done = subprocess.run([sys.executable, "-c", LISTS[name]], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line] if done.returncode == 0 else []


def _contenders(backends, kind, case, on_gpu):
    found = [
        Contender(
            f"keras_seg on {backend}, {precision.removeprefix('mixed_')}",
            f"{OURS}:{kind}",
            {**case, "precision": precision},
            {"KERAS_BACKEND": backend},
        )
        for precision in ("float32", "mixed_bfloat16")
        for backend in backends
    ]
    for is_compiled in (False, True) if on_gpu else (False,):
        for bfloat16 in (False, True):
            name = f"PyTorch{' compiled' * is_compiled}, {'bfloat16' if bfloat16 else 'float32'}"
            options = {"bfloat16": bfloat16, "is_compiled": is_compiled}
            found.append(Contender(name, f"{TORCH}:{kind}", {**case, **options}))
    return found


def _limits(backend, side):
    return [
        Contender(
            f"matrix product, {dtype}",
            f"{OURS}:matrix_product",
            {"side": side, "dtype": dtype},
            {"KERAS_BACKEND": backend},
        )
        for dtype in ("float32", "bfloat16")
    ]


if __name__ == "__main__":
    main()
