"""Tables of the reference that people wrote, against the code."""

import inspect
import re
from fractions import Fraction

import pytest

from keras_seg.losses import LOSSES
from keras_seg.metrics import FIGURES
from tools.blocks import DOCS

CELL = re.compile(r"`([^`]+)`")


def rows(page, first):
    """The cells of each row of the table of a page whose first title is `first`."""
    lines = (DOCS / "reference" / page).read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {first} |")) + 2
    table = lines[start : next(i for i in range(start, len(lines) + 1) if i == len(lines) or not lines[i])]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_the_page_has_every_loss_with_its_parameters_and_their_defaults():
    table = {CELL.findall(row[0])[0]: row[3] for row in rows("losses.md", "name")}
    assert list(table) == list(LOSSES)
    for name, loss in LOSSES.items():
        defaults = {
            key: float(Fraction(value)) for key, value in re.findall(r"`(\w+)=([\d./]+)`", table[name])
        }
        parameters = list(inspect.signature(loss).parameters.values())[1:]
        assert defaults == pytest.approx({each.name: each.default for each in parameters})


def test_the_page_has_every_metric():
    names = [name for row in rows("metrics.md", "figure") for name in CELL.findall(row[0])]
    assert set(names) == {*FIGURES, "mean_boundary_iou"}


def test_the_page_has_every_signature_with_its_inputs_and_outputs(run):
    import tensorflow as tf

    table = {CELL.findall(row[0])[0]: row[1:] for row in rows("signatures.md", "signature")}
    signatures = tf.saved_model.load(run.export_path / "1").signatures
    assert set(table) == set(signatures)
    alike = dict.fromkeys(("confidence", "overlay"), "image_bytes")  # "the same" as the row before.
    for name, signature in signatures.items():
        takes, gives = table[name]
        for given in signature.structured_input_signature[1]:
            assert f"`{given}`" in takes or (takes == "the same" and alike[name] == given)
        for output in signature.structured_outputs:
            assert f"`{output}`" in gives
