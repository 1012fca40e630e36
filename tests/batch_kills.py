"""A batch job whose workers, and once whose driver, are killed: every mask is there once, and right.

    python -m tests.batch_kills                       # 20,000 images, minutes
    python -m tests.batch_kills --images 1000 --kills 3 --no-nodes

Draws images of three sizes, and labels them

1. in one job while a worker is killed by SIGKILL every few seconds, and its driver once, which is then
   started again with the same words: no image lacks its mask or has two, each is the Predictor's to the
   pixel, and the manifest has one row an image;
2. by the plain Predictor, which takes all cores, and by undisturbed jobs of a twentieth and of all images:
   images a second, and the most memory that driver and workers held together;
3. on two nodes of a cluster on the loopback interface: the masks are the same.

Needs the extra `batch` and Linux.
"""

import argparse
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

SIZES = ((48, 64), (64, 48), (56, 56))
ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=8, help="of workers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-nodes", action="store_true", help="leave the two nodes out")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="batch-kills-"))
    try:
        run = train(folder / "run")
        few, images = folder / "few", folder / "images"
        draw(images, arguments.images, arguments.seed)
        draw(few, max(1, arguments.images // 20), arguments.seed)
        killed(run, images, folder / "killed", arguments)
        expected, alone = predicted(run, images)
        compare(folder / "killed", expected, "with kills")
        print(f"Predictor alone: {alone:.0f} images a second")
        for source in (few, images):
            speed, peak = undisturbed(run, source, folder / f"plain-{source.name}")
            print(
                f"{source.name}: {speed:.0f} images a second, {speed / alone:.2f} of its, {peak} MB at most"
            )
        if not arguments.no_nodes:
            two_nodes(run, few, folder / "nodes", expected)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def train(run):
    words = ["--model", "unet", "--weights", "none", "--image-size", "32", "32", "--epochs", "1"]
    options = ["--model-option", "widths=[8,16,32]", "--model-option", "decoder_widths=[16,8]"]
    command = [sys.executable, "train.py", *words, *options, "--output", str(run)]
    subprocess.run(command, check=True, cwd=ROOT, env=ENVIRONMENT, capture_output=True)
    return run


def draw(folder, count, seed):
    generator = np.random.default_rng(seed)
    for index in range(count):
        path = folder / f"{index // 500:03d}" / f"{index:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = SIZES[index % 3]
        image = cv2.resize(generator.integers(0, 256, (6, 6, 3), np.uint8), (width, height))
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def command(run, images, output, *more):
    words = ["batch", str(images), "--run", str(run), "--output", str(output), *more]
    return [sys.executable, "-m", "keras_seg", *words]


def processes(ours):
    """{process id: command line} of a job's processes: those whose environment names its target."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"KERAS_SEG_JOB={ours}".encode() in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def start(words, output):
    environment = {**ENVIRONMENT, "KERAS_SEG_JOB": output.name}
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def killed(run, images, output, arguments):
    """One job, killed again and again."""
    chance, kills, drivers = random.Random(arguments.seed), 0, 0
    job = start(command(run, images, output), output)
    while job.poll() is None:
        time.sleep(chance.uniform(2, 5))
        workers = [pid for pid, line in processes(output.name).items() if "MapWorker" in line]
        has_begun = (output / "parts").is_dir()
        if kills < arguments.kills and workers and has_begun:
            os.kill(chance.choice(workers), signal.SIGKILL)
            kills += 1
        if kills >= arguments.kills // 2 and not drivers:
            job.kill()
            job.wait()
            drivers += 1
            print(f"the driver was killed with {count_masks(output)} masks there", flush=True)
            time.sleep(5)  # Its workers see that it is gone.
            job = start(command(run, images, output), output)
    text = job.communicate()[0]
    assert job.returncode == 0, text
    assert drivers == 1 and kills, f"{kills} workers and {drivers} drivers were killed; take more images"
    print(f"{kills} workers and the driver were killed; {text.strip().splitlines()[-1]}", flush=True)


def count_masks(output):
    return sum(1 for _ in output.glob("masks/*/[!.]*.png"))


def predicted(run, images):
    """{path: mask} by the Predictor, one image after the other, and images a second."""
    from keras_seg.cli.quiet import import_tensorflow

    import_tensorflow("inference")
    from keras_seg import Predictor
    from keras_seg.data import read_image

    predictor, masks = Predictor(run), {}
    paths = sorted(images.rglob("*.png"))
    for path in paths[:3]:
        predictor.predict(read_image(path))
    started = time.perf_counter()
    for path in paths:
        masks[str(path)] = predictor.predict(read_image(path)).mask
        cv2.imencode(".png", masks[str(path)])
    return masks, len(paths) / (time.perf_counter() - started)


def compare(output, expected, what):
    from pyarrow import parquet

    rows = parquet.read_table(output / "manifest.parquet").to_pylist()
    assert len(rows) == len({row["path"] for row in rows}) == len(expected), f"{len(rows)} rows"
    assert {row["status"] for row in rows} == {"done"}
    assert count_masks(output) == len(expected), f"{count_masks(output)} masks for {len(expected)} images"
    different = 0
    for row in rows:
        mask = cv2.imread(str(output / row["mask"]), cv2.IMREAD_UNCHANGED)
        different += not np.array_equal(mask, expected[row["path"]])
        assert sum(row["pixels"]) == mask.size
    print(
        f"{what}: {len(rows)} rows, {len(expected)} masks, {different} differ from the Predictor's",
        flush=True,
    )
    assert not different


def undisturbed(run, images, output):
    """Images a second once the first part is there, and the most MB of driver and workers together."""
    job, peak, begun, lines = start(command(run, images, output), output), 0, None, []
    reader = threading.Thread(target=lambda: lines.extend(job.stdout), daemon=True)
    reader.start()
    while job.poll() is None:
        held = 0
        for pid, line in processes(output.name).items():
            if "MapWorker" in line or pid == job.pid:
                try:
                    held += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
                except OSError:
                    continue
        peak = max(peak, held)
        if begun is None and (output / "parts").is_dir():
            begun = (time.perf_counter(), count_masks(output))
        time.sleep(0.2)
    reader.join()
    assert job.returncode == 0, "".join(lines)
    seconds = time.perf_counter() - begun[0]
    return (count_masks(output) - begun[1]) / seconds, peak >> 20


def two_nodes(run, images, output, expected):
    """The same on a cluster of two nodes of one core each."""
    ray = str(Path(sys.executable).with_name("ray"))
    nodes = [
        ["--head", "--port", "6399", "--include-dashboard", "false"],
        ["--address", "127.0.0.1:6399"],
    ]
    # Who joins a cluster shows a token; a job's driver finds it in the same variables.
    environment = {**ENVIRONMENT, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    options = {"check": True, "env": environment, "cwd": ROOT, "capture_output": True, "text": True}
    try:
        for node in nodes:
            subprocess.run([ray, "start", *node, "--num-cpus", "1"], **options)
        words = command(run, images, output, "--address", "127.0.0.1:6399", "--workers", "2")
        answer = subprocess.run(words, **options)
    finally:
        subprocess.run([ray, "stop", "--force"], **{**options, "check": False})
    print(answer.stdout.strip())
    names = {Path(path).name: mask for path, mask in expected.items()}
    compare(output, {str(path): names[path.name] for path in images.rglob("*.png")}, "two nodes")


if __name__ == "__main__":
    main()
