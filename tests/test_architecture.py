"""The plan of the house, read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "keras_seg"
FLOORS = {
    "augmentation": 0, "classes": 0, "errors": 0, "files": 0, "gif": 0, "hardware": 0, "hints": 0,
    "initial_weights": 0,
    "layers": 0, "logits": 0, "losses": 0, "memory": 0, "metrics": 0, "notebook": 0, "palette": 0,
    "precision": 0, "process": 0, "registry": 0, "rows": 0, "run_config": 0, "settings": 0, "sheets": 0,
    "spreadsheets": 0, "texts": 0, "weights_files": 0,
    "acceleration": 1, "data": 1, "pretrained": 1,
    "encoders": 2, "runs": 2,
    "inference": 3, "models": 3,
    "evaluation": 4, "serving": 4,
    "batch": 5, "training": 5,
    "labeling": 6,
    "cli": 7, "registration": 7,
    "__init__": 8, "__main__": 8,
}  # fmt: skip
# The same within two large rooms; what is on one floor there imports nothing of one another.
INNER_FLOORS = {
    "data": {
        "samples": 0, "labels": 1, "shapes": 1, "streams": 1, "formats": 2, "folders": 3,
        "annotation": 4, "batches": 4, "doctor": 4, "preview": 5, "__init__": 5,
    },
    "training": {
        "distributed": 0, "settings": 0, "optim": 1, "run_state": 2, "loop": 3, "machine": 3, "session": 4,
        "trainer": 5, "__init__": 6,
    },
}  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))
BACKEND_NEUTRAL = ("layers", "encoders", "models", "losses", "metrics", "pretrained")


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported_modules(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # What a type checker alone imports ties no rooms together.
    tree.body = [node for node in tree.body if not is_for_type_checkers(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_below(path):
    room = room_of(path)
    for module in imported_modules(path):
        parts = module.split(".")
        if parts[0] == "keras_seg" and len(parts) > 1 and parts[1] != room:
            below = FLOORS[parts[1]] < FLOORS[room] or FLOORS[parts[1]] == FLOORS[room] == 0
            assert below, f"{room} imports {module}"


@pytest.mark.parametrize("room", INNER_FLOORS)
def test_within_a_room_imports_go_one_way(room):
    floors, folder = INNER_FLOORS[room], PACKAGE / room
    for path in folder.rglob("*.py"):
        part = path.relative_to(folder).parts[0].removesuffix(".py")
        for module in imported_modules(path):
            parts = module.split(".")
            if parts[:2] == ["keras_seg", room] and len(parts) > 2 and parts[2] != part:
                is_below = floors[parts[2]] < floors[part]
                assert is_below, f"{path.relative_to(folder)} imports {module}"


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in BACKEND_NEUTRAL], ids=str)
def test_networks_name_no_backend(path):
    backends = {"tensorflow", "torch", "jax"} & {module.split(".")[0] for module in imported_modules(path)}
    assert not backends


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_public_apis_are_used(path):
    private = ("keras.src", "tensorflow.python", "tensorflow.core", "tensorflow.compiler")
    assert not [module for module in imported_modules(path) if module.startswith(private)]


def test_importing_the_layers_registers_all_that_a_model_file_may_name():
    found = set()
    for path in PACKAGE.glob("layers/*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            decorators = " ".join(map(ast.unparse, getattr(node, "decorator_list", [])))
            found |= {node.name} if "register_keras_serializable" in decorators else set()
    tree = ast.parse((PACKAGE / "layers" / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert "FloorMaxPooling2D" in found and found <= imported


@pytest.mark.parametrize("module", ["keras_seg", "keras_seg.batch.workers"])
def test_importing_the_package_imports_nothing_heavy(module):
    heavy = ("tensorflow", "keras", "cv2", "numpy")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["train.py"], ["predict.py"], ["-m", "keras_seg"]])
def test_help_imports_nothing_heavy(command):
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", *command, "--help"],
        capture_output=True, text=True, check=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in answer.stderr.splitlines()}
    assert "argparse" in imported
    assert not imported & {"tensorflow", "keras", "cv2", "numpy", "matplotlib"}
    assert answer.stdout.startswith("usage: ")


def test_every_public_name_can_be_had():
    import keras_seg

    for name in keras_seg.__all__:
        assert getattr(keras_seg, name) is not None
