"""CSV whose texts are no formulas, in every file that the program writes."""

import ast
import csv
import io
from pathlib import Path

import pytest

from keras_seg.evaluation import write_metrics
from keras_seg.spreadsheets import write_rows
from keras_seg.training.run_state.history import read_history, write_history

PACKAGE = Path(__file__).parent.parent / "keras_seg"
FORMULAS = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "-1e5+1", " =1", "\t=1", "\r=1", "\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_would_be_a_formula_begins_with_a_quote(text):
    file = io.StringIO(newline="")
    write_rows(file, [[text, "road"], [1.5, -2]])
    file.seek(0)
    assert list(csv.reader(file)) == [
        ["'" + text.replace("\t", " ").replace("\r", " "), "road"],
        ["1.5", "-2"],
    ]


@pytest.mark.parametrize("text", ["-", "=", "-0.25", "+3", "-1e-5", "road", "a=b", ""])
def test_numbers_and_what_can_be_no_formula_stay(text):
    file = io.StringIO(newline="")
    write_rows(file, [[text, "road"]])
    file.seek(0)
    assert list(csv.reader(file)) == [[text, "road"]]


def test_a_carriage_return_in_a_name_begins_no_line():
    file = io.StringIO(newline="")
    write_rows(file, [["road\r=1+1", "a"]])
    assert file.getvalue() == "road =1+1,a\n"


def test_the_name_of_a_class_is_no_formula_in_the_table_of_an_evaluation(tmp_path):
    write_metrics(tmp_path / "e.csv", {"classes": [{"name": "=HYPERLINK(1)", "iou": None, "pixels": 3}]})
    assert (tmp_path / "e.csv").read_text() == "name,iou,pixels\n'=HYPERLINK(1),,3\n"


def test_a_history_is_read_back_as_it_was_written(tmp_path):
    losses, best = (-0.1, 1e-30), 0.5
    rows = [{"epoch": epoch, "loss": loss, "val_mean_iou": best} for epoch, loss in enumerate(losses, 1)]
    write_history(tmp_path / "history.csv", rows)
    assert read_history(tmp_path / "history.csv") == rows


def test_a_data_folder_whose_name_is_no_text_can_be_written_into_metrics(tmp_path):
    write_metrics(tmp_path / "e.json", {"data": "r\udcff"})
    assert (tmp_path / "e.json").read_text() == '{\n  "data": "r\\udcff"\n}\n'


def test_csv_is_written_in_one_place():
    writers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter"):
                writers |= {path.name} if ast.unparse(node.value) == "csv" else set()
    # Lists of pairs begin with the path of a folder, and are read back as they are.
    assert writers == {"spreadsheets.py", "pairs.py"}
