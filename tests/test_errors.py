"""An error is one line that no terminal obeys, whatever the names in it hold."""

import json
import shutil

import pytest

from keras_seg import InputError, Run
from keras_seg.cli import main
from keras_seg.data import check_dataset, load_dataset
from tests.cli.test_runs import write_run

ODD = "a\nb\r\x1b[2J\x9b1m\u2028\u202egnp"
SPELLED = r"a\nb\r\x1b[2J\x9b1m\u2028\u202egnp"


def test_control_characters_in_an_error_are_spelled_out():
    assert (
        str(InputError(f"{ODD}.jpg: is empty; Größe 日本 stays"))
        == f"{SPELLED}.jpg: is empty; Größe 日本 stays"
    )


@pytest.fixture
def folder(shapes_folder, tmp_path):
    """A data folder with an image twice, once by an odd name."""
    folder = shutil.copytree(shapes_folder, tmp_path / "data")
    for kind in ("images", "masks"):
        path = sorted((folder / kind / "train").iterdir())[0]
        shutil.copy(path, path.with_name(f"{ODD}{path.suffix}"))
    return folder


def test_so_they_are_in_warnings_and_in_the_doctors_report(folder, capsys):
    (line,) = [line for line in check_dataset(load_dataset(str(folder))) if "same" in line]
    assert SPELLED in line and ODD not in line
    assert main(["doctor", str(folder)]) == 1
    out = capsys.readouterr().out
    assert SPELLED in out and not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_so_they_are_in_the_list_of_runs(tmp_path, capsys):
    write_run(tmp_path / "a", [(0.5, 0.5)], data=f"/x/{ODD}", loss=ODD)
    write_run(tmp_path / ODD, model=None)
    assert main(["runs", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out.count(SPELLED) == 2 and len(captured.out.splitlines()) == 2
    assert SPELLED in captured.err and len(captured.err.splitlines()) == 1


def test_no_class_has_such_a_name(folder, tmp_path):
    (folder / "dataset.json").write_text(json.dumps({"classes": ["a", ODD]}))
    with pytest.raises(InputError, match="'classes' must be a list of 1 to 254 valid and different names"):
        load_dataset(str(folder))
    run = write_run(tmp_path / "run", classes=["a", ODD])
    with pytest.raises(InputError, match="'classes' must be"):
        Run.open(run)
