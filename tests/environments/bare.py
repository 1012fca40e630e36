"""The wheel, built from the sdist, in an environment without extras: the way from images to an export."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

from tests.environments.making import PLAIN
from tests.environments.promises import PROJECT

# What a person types after `pip install keras-seg`, in an empty folder.
COMMANDS = (
    "--version",
    "models",
    "train --model unet --weights none --epochs 1 --image-size 32 32 --output runs/run",
    "predict --run runs/run photo.png --output masks --overlay",
    "evaluate --run runs/run --report",
    "export --run runs/run",
    "runs",
    "doctor photographs",
    "train --model unet --weights none --data photographs --epochs 1 --image-size 32 32 --output runs/own",
)
LEFT = (
    "runs/run/best.keras",
    "runs/run/report.html",
    "runs/run/export/2/saved_model.pb",
    "masks/photo.png",
    "runs/own/curves.png",
)
WARNINGS = 1  # The exit status of `doctor` where it only warns
IMAGES = "import cv2, numpy; cv2.imwrite('photo.png', numpy.full((40, 50, 3), 90, 'uint8'))"
SHAPES = (
    "import keras_seg.data as d; d.write_shapes('photographs', counts={'train': 8, 'val': 2}, size=(32, 40))"
)
CLIENT = "import keras_seg.serving as s, sys; s.Client; print('tensorflow' in sys.modules)"


def build(python, folder):
    """Builds the sdist from the checkout and the wheel from the sdist; returns the paths of both."""
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "setuptools"], check=True, env=PLAIN)
    checkout = folder / "checkout"
    # Of what is under version control alone, so that nothing of a former build is in it.
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=PROJECT, capture_output=True, check=True)
    checkout.mkdir()
    subprocess.run(["tar", "x"], cwd=checkout, input=archive.stdout, check=True)
    subprocess.run([python, "-c", code, folder], cwd=checkout, capture_output=True, check=True, env=PLAIN)
    (sdist,) = folder.glob("*.tar.gz")
    command = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, sdist]
    subprocess.run(command, check=True, env=PLAIN)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def left_out(wheel):
    """Returns the files of the package that the wheel lacks, and those in it that are not the package's."""
    listed = subprocess.run(["git", "ls-files", "keras_seg"], cwd=PROJECT, capture_output=True, text=True)
    expected = set(listed.stdout.split())
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    return sorted(expected - packed), sorted(packed - expected)


def holds_license(sdist):
    """Returns whether the sdist has the license in it."""
    return any(name.endswith("/LICENSE") for name in tarfile.open(sdist).getnames())


def use(python, folder):
    """Runs the commands in a folder; returns a line for each that failed."""
    program = Path(python).with_name("keras-seg")
    failures = []
    for code in (IMAGES, SHAPES):
        subprocess.run([python, "-c", code], cwd=folder, check=True, capture_output=True, env=PLAIN)
    for line in COMMANDS:
        said = subprocess.run([program, *line.split()], cwd=folder, capture_output=True, text=True, env=PLAIN)
        is_well = said.returncode in ((0, WARNINGS) if line.startswith("doctor") else (0,))
        print(f"  keras-seg {line}: {'ok' if is_well else 'failed'}", flush=True)
        if not is_well:
            failures.append(f"keras-seg {line}: status {said.returncode}: {said.stderr[-500:].strip()}")
    failures += [f"{name} was not written" for name in LEFT if not (folder / name).exists()]
    said = subprocess.run([python, "-c", CLIENT], cwd=folder, capture_output=True, text=True, env=PLAIN)
    if "grpc" not in said.stderr and said.stdout.strip() != "False":
        failures.append(f"the client: {said.stderr.strip() or 'imports TensorFlow'}")
    return failures
