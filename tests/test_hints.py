"""All that is public has type hints; mypy checks that they hold."""

import importlib
import inspect
import re

import pytest

ROOMS = (
    "", ".acceleration", ".batch", ".data", ".encoders", ".evaluation", ".inference", ".layers", ".losses",
    ".metrics", ".models", ".pretrained", ".serving", ".training",
)  # fmt: skip


def public_functions(room):
    """Yields the names and the functions of a room's public names, methods of classes included."""
    module = importlib.import_module(f"keras_seg{room}")
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for key, member in vars(value).items():
                member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                # What dataclasses write themselves stands in no file.
                is_ours = inspect.isfunction(member) and member.__code__.co_filename.endswith(".py")
                if is_ours and (key in ("__init__", "__call__") or not key.startswith("_")):
                    yield f"{name}.{key}", member


def unhinted(function):
    signature = inspect.signature(function)
    names = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
    ]
    return [*names, "return"] if signature.return_annotation is signature.empty else names


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_has_type_hints(room):
    if room == ".batch":
        pytest.importorskip("pyarrow")
        pytest.importorskip("fsspec")
    found = dict(public_functions(room))
    assert found
    assert {name: unhinted(function) for name, function in found.items() if unhinted(function)} == {}


@pytest.mark.parametrize("room", ["", ".serving", ".training"])
def test_a_type_checker_sees_the_names_that_are_looked_up_on_first_use(room):
    module = importlib.import_module(f"keras_seg{room}")
    seen = re.findall(r"(\w+) as \1\b", inspect.getsource(module))
    assert sorted(seen) == sorted(module._HOMES)
