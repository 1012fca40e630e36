"""setup.cfg requires what the package imports, and nothing else."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.environments.promises import oldest_constraints, pythons, read_options, requirements

PACKAGE = Path(__file__).parents[1] / "keras_seg"
# Package -> the module that it is imported by, where that is not its own name.
MODULES = {
    "ai-edge-litert": "ai_edge_litert",
    "grpcio": "grpc",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "protobuf": "google",
    "scikit-learn": "sklearn",
}
# Required for what another package imports of them, or that the extra's own requirements bring.
BY_OTHERS = {
    "imagecodecs": "tifffile decompresses by it",
    "tensorboard": "keras.callbacks.TensorBoard writes by it",
}
OF_EXTRAS = {"pyarrow": "ray[data]", "fsspec": "ray[data]"}


@cache
def imported(by_name=True):
    """Top modules that the package imports; where a file has `import_optional`, its strings count as well."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif by_name and "import_optional(" in text and isinstance(node, ast.Constant):
                found.add(str(node.value).split(".")[0])
    return found


def required(options):
    """`{extra, or "" for the package: names of what it requires}`."""
    sections = {"": options["options"]["install_requires"], **options["options.extras_require"]}
    names = {section: re.findall(r"(?m)^([\w.-]+)", text) for section, text in sections.items()}
    return {section: [name for name in found if name != "keras-seg"] for section, found in names.items()}


@pytest.mark.parametrize(
    "section", [name for name in required(read_options()) if name not in ("test", "docs")]
)
def test_only_what_is_imported_is_required(section):
    modules = imported()
    for name in required(read_options())[section]:
        assert name in BY_OTHERS or MODULES.get(name, name) in modules, name


def test_what_is_imported_is_required():
    options = read_options()
    known = {MODULES.get(name, name) for names in required(options).values() for name in names}
    known |= {*sys.stdlib_module_names, *OF_EXTRAS, "keras_seg"}
    assert imported(by_name=False) - known == set()


def test_each_requirement_has_a_floor_that_an_environment_can_be_held_to():
    options = read_options()
    lines = oldest_constraints(options)
    assert len(lines) == len(requirements(options))
    assert all(re.fullmatch(r"[\w.-]+==\d+(\.\d+)+(\.\*)?", line) for line in lines)
    assert "keras==3.12.4" in lines and "tensorflow==2.20.*" in lines
    assert pythons(options) == ("3.10", "3.13")
