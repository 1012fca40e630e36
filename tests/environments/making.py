"""Environments that nothing is in but what pip finds for the package."""

import os
import shutil
import subprocess
from pathlib import Path

from keras_seg.errors import InputError

# Nothing of this environment's own is seen in another one.
PLAIN = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def find_interpreter(version):
    """Returns the path of a Python of a version such as `"3.10"`: on the PATH, or one of pyenv's.

    Raises:
        InputError: There is none.
    """
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [shutil.which(f"python{version}"), *sorted(map(str, root.glob(f"{version}.*/bin/python")))]
    for path in filter(None, found):
        # A shim of pyenv lies on the PATH and may start nothing.
        said = subprocess.run([path, "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
        if said.returncode == 0 and said.stdout.startswith(f"{version}."):
            return path
    raise InputError(f"python{version}: is not installed; install it, or give --python PATH")


def make(folder, interpreter, what, constraints=()):
    """Makes an environment, or brings one up to date that is there.

    Args:
        folder: Where it lies.
        interpreter: Path of a Python.
        what: What pip installs, such as `".[test]"` in the checkout.
        constraints: Lines of pip's constraints.

    Returns:
        Path of the environment's Python.

    Raises:
        InputError: pip finds no versions that go together, or cannot have them.
    """
    python = Path(folder) / "bin" / "python"
    if not python.exists():
        _run([interpreter, "-m", "venv", folder], what)
        _run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], "pip")
    file = Path(folder) / "constraints.txt"
    file.write_text("\n".join(constraints), encoding="utf-8")
    _run([python, "-m", "pip", "install", "--quiet", "--constraint", file, what], what)
    return python


def _run(command, what):
    said = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=PLAIN)
    if said.returncode:
        lines = [line for line in said.stderr.splitlines() if line.startswith(("ERROR", " "))]
        raise InputError(f"{what}: cannot be installed ({' '.join(map(str.strip, lines)) or said.stderr})")


def versions(python, names):
    """Returns `{package: version}` of those that an environment has."""
    code = (
        "import sys, importlib.metadata as m\n"
        "have = {d.name.lower().replace('_', '-'): d.version for d in m.distributions()}\n"
        "print(*(f'{n}={have[n]}' for n in sys.argv[1:] if n in have))"
    )
    said = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True, env=PLAIN)
    return dict(pair.split("=") for pair in said.stdout.split())
