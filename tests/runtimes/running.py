"""Requests to an export in another environment: what each gets, and which end the process."""

import os
import pickle
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

RUNNER = Path(__file__).parents[1] / "serving"
ASK = Path(__file__).with_name("ask.py")
SECONDS = 600  # For all requests of one process.


class Died(NamedTuple):
    """The exit status of the process that a request ended, or None if it took too long and was stopped."""

    status: int | None


class NotLoadedError(RuntimeError):
    """The export does not load there; the message is one line."""


def ask(python, folder, requests):
    """Sends requests to an export, one after the other; after one that ends the process, a new one goes on.

    Args:
        python: Interpreter of an environment with TensorFlow and NumPy.
        folder: The SavedModel.
        requests: `[(signature, {input: array})]`.

    Returns:
        `(version, answers)`: TensorFlow's version there, and for each request `{output: array}`, the text of
        a refusal, or `Died`.

    Raises:
        NotLoadedError: The export does not load there.
    """
    answers = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "requests")
        path.write_bytes(pickle.dumps(requests))
        while True:
            version, found, died = _ask_from(python, folder, path, len(answers))
            answers += found
            if len(answers) < len(requests):
                answers.append(died)
            if len(answers) == len(requests):
                return version, answers


def _ask_from(python, folder, requests, first):
    """Runs one process; returns TensorFlow's version, the answers, and what ended it if one is missing."""
    # Nothing of this environment but the loader's few lines may be found there.
    environment = {**os.environ, "PYTHONPATH": str(RUNNER), "PYTHONDONTWRITEBYTECODE": "1"}
    # As serving/compose.yaml has it.
    environment["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] = "1"
    answers = requests.with_name(f"answers-{first}")
    command = [python, ASK, folder, requests, answers, str(first)]
    try:
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
        died, said = Died(process.returncode), process.stderr
    except subprocess.TimeoutExpired:
        died, said = Died(None), f"no answer in {SECONDS} s"
    records = list(_read(answers))
    if not records:
        raise NotLoadedError((said.strip().splitlines() or [f"exit status {died.status}"])[-1])
    return records[0], records[1:], died


def _read(path):
    """Yields the pickles of a file up to its end, where the last may be cut off."""
    if path.exists():
        with path.open("rb") as file:
            while True:
                try:
                    yield pickle.load(file)
                except (EOFError, pickle.UnpicklingError):
                    return
