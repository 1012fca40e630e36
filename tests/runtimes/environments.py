"""Environments of their own with a version of TensorFlow and nothing else."""

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from keras_seg.errors import InputError


def find_python(version, folder):
    """Returns the interpreter of an environment with TensorFlow, which is made if it is not in the folder.

    Args:
        version: Of `tensorflow-cpu`, `2.19` or `2.19.1`, or the path of a Python that has TensorFlow.
        folder: Where environments lie, one a version. One is made under another name and then renamed.

    Raises:
        InputError: This version cannot be installed, or this is no Python that has TensorFlow.
    """
    if Path(version).is_file():
        return _checked(version)
    environment = Path(folder) / f"tensorflow-cpu-{version}"
    if not environment.is_dir():
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            _install(version, environment)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{environment}: cannot be made ({reason}); name another folder") from None
    return _python(environment)


def _checked(path):
    search = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tensorflow') is None)"
    try:
        found = subprocess.run([path, "-I", "-c", search], capture_output=True).returncode == 0
    except OSError:
        found = False
    if not found:
        raise InputError(f"{path}: is no Python that has TensorFlow; name one that is, or a version")
    return Path(path)


def _install(version, environment):
    scratch = Path(tempfile.mkdtemp(prefix=".", dir=environment.parent))
    try:
        venv.create(scratch, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", _python(scratch), "install", "--quiet"]
        found = subprocess.run([*pip, f"tensorflow-cpu=={version}.*"], capture_output=True, text=True)
        if found.returncode:
            reason = found.stderr.strip().splitlines()[-1].removeprefix("ERROR: ")
            raise InputError(f"tensorflow-cpu {version}: cannot be installed ({reason}); name another")
        scratch.rename(environment)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _python(environment):
    return environment / "bin" / "python"
