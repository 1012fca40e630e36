"""`python -m tests.pretrained_networks [NAME ...]`: networks loaded by name from files as they are published.

Each file is written with the layout, keys and shapes of the published one and the reference's parameters, at
full width, loaded by `load_pretrained`, and its logits are compared with the reference's. Exit status 1 if
one differs.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's remarks would stand between the rows.

import numpy as np

from keras_seg.models import load_pretrained, pretrained as module
from keras_seg.models.pretrained import pretrained_networks
from tests import parity
from tests.pretrained.pth_writer import write_pth


def fixture_path(name):
    """The `.json` of the fixture with a published network's parameters and outputs."""
    row = pretrained_networks()[name].network
    return parity.FIXTURES / f"{row.fixture or row.name}.json"


def write(name, folder):
    """Writes a network's file as it is published, but for its numbers.

    Returns:
        A context in which that is the published file.
    """
    fixture = json.loads(fixture_path(name).read_text())
    found = pretrained_networks()
    trained = found[name]
    path = Path(folder) / trained.file.name
    if fixture["framework"] == "caffe":
        write_caffemodel(path, parity.fixture_blobs(fixture))
    else:
        arrays = {}
        for key, array in parity.fixture_tensors(fixture).items():
            arrays[key] = array
            if key.endswith("running_var"):
                arrays[key.replace("running_var", "num_batches_tracked")] = np.array(7)
        write_pth(path, "zip", arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = dataclasses.replace(trained.file, algorithm="sha256", digest=digest)
    found[name] = trained._replace(file=file)
    return mock.patch.object(module, "pretrained_networks", lambda: found)


def write_caffemodel(path, blobs):
    """Writes protobuf's bytes one layer at a time; its own lists of numbers take 50 times their memory."""
    with path.open("wb") as file:
        for name, arrays in blobs.items():
            layer = _field(1, name.encode())
            for array in arrays:
                shape = _field(1, b"".join(map(_varint, array.shape)))
                layer += _field(7, _field(7, shape) + _field(5, array.astype("<f4").tobytes()))
            file.write(_field(100, layer))


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number):
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def main():
    """Prints a row for each network."""
    parser = argparse.ArgumentParser(prog="python -m tests.pretrained_networks")
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(pretrained_networks()))
    failed = 0
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory() as folder:
            published = write(name, folder)
            start = time.perf_counter()
            with published:
                model = load_pretrained(name, folder).model
            seconds = time.perf_counter() - start
            size = (Path(folder) / pretrained_networks()[name].file.name).stat().st_size / 1e6
        errors = parity.errors(model, fixture_path(name))
        passed = max(errors.values()) <= parity.LIMIT
        failed += not passed
        outputs = ", ".join(f"{output} {error:.1e}" for output, error in errors.items())
        verdict = "pass" if passed else "FAIL"
        print(f"{name:26} {size:6.1f} MB, loaded in {seconds:4.1f} s  {outputs:28} {verdict}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
