import cv2
import pytest

from keras_seg.cli import main
from tests.data.helpers import write_folder


@pytest.mark.parametrize("command", [["doctor", "gone", "--sheet"], ["preview", "gone", "--output"]])
@pytest.mark.parametrize(
    "name, message",
    [
        ("noext", "must end in .png or .jpg"),
        (".", "must end in .png or .jpg"),
        ("a.bmp", "must end in .png or .jpg"),
        ("no/a.png", "there is no folder no"),
        ("folder.png", "is a folder"),
        (f"{'x' * 300}.png", "File name too long"),
    ],
)
def test_a_picture_of_no_name_is_refused_before_anything_is_read(
    tmp_path, monkeypatch, command, name, message, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    assert main([*command, name]) == 2
    assert f"{command[-1]} {name}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.PNG"])
def test_a_preview_is_written_under_every_name_that_is_taken(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data", 4)
    assert main(["preview", "data", "--output", name, "--count", "1"]) == 0
    assert cv2.imread(name).shape[2] == 3
