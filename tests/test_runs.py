"""What a run folder says of itself where it cannot be read."""

import json
import os
from pathlib import Path

import keras
import pytest
from keras import layers

from keras_seg import InputError, Run

CONFIG = {
    "model": "unet",
    "num_classes": 2,
    "classes": ["a", "b"],
    "colors": [[0, 0, 0], [9, 9, 9]],
    "image_size": [8, 8],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def message(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_config_without_permission_does_not_cost_the_run(folder, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    text = message(Run.open, folder)
    assert f"{folder / 'config.json'}: cannot be read (Permission denied); check its permissions" in text
    assert "again" not in text


def test_a_file_of_a_run_leads_to_its_folder(folder):
    (folder / "export" / "1").mkdir(parents=True)
    (folder / "best.keras").touch()
    for name in ("best.keras", "config.json", "export", "export/1"):
        text = message(Run.open, folder / name)
        assert text == f"{folder / name}: is inside the run {folder} and is not a run itself; name {folder}"
        assert Run.open(text.split("; name ")[1]).path == folder
    (folder / "config.json").unlink()
    assert message(Run.open, folder / "best.keras").endswith(
        "is a file; name a run folder, which train.py wrote"
    )
    assert "no config.json" in message(Run.open, folder / "export")


NOT_SETTINGS = [
    ("model", [["unet"], None, 1, "", "../unet", "a/b", "\ud800"]),
    ("num_classes", [2.5, True, None, -1, 3, "2", [2]]),
    ("classes", [None, "ab", [], ["a"], ["a", "a"], ["a", "\ud800"], ["a", ""], ["a", None], ["a", ["b"]]]),
    (
        "colors",
        [None, [], [[0, 0, 0]], [[0, 0, 0], [0, 0]], [[0, 0, 0], [0, 0, 256]], [[0, 0, 0], [0, 0, -1]]],
    ),
    ("image_size", [None, 8, [8], [8, 8, 8], [0, 8], [8.5, 8], [[8], 8], [1 << 40, 8]]),
    ("data", [1, [], "a\0b", "\ud800"]),
    ("seed", [-1, 1 << 32, 0.5, "1"]),
    ("ignore_label", [-1, 1 << 16, [0], True]),
    ("reduce_zero_label", [1, "yes"]),
    ("epochs", [0, 1.5, [3]]),
    ("learning_rate", [-1, 0, "1", [1], True, float("nan"), float("inf")]),
    ("loss", [1, {}, "\udc80"]),
]


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in NOT_SETTINGS for value in values], ids=ascii
)
def test_a_setting_that_is_none_is_named_with_its_file(key, value, folder):
    (folder / "config.json").write_text(json.dumps({**CONFIG, key: value}))
    text = message(Run.open, folder)
    assert text.startswith(f"{folder / 'config.json'}: ") and key in text
    text.encode()


def test_a_config_that_is_nested_without_end_is_refused(folder):
    (folder / "config.json").write_text("[" * 100_000)
    assert "is not JSON: it is nested too deep" in message(Run.open, folder)


def test_a_data_folder_whose_name_is_no_text_is_taken(folder):
    path = os.fsdecode(b"/data/r\xff")
    (folder / "config.json").write_text(json.dumps({**CONFIG, "data": path}))
    assert Run.open(folder).config["data"] == path


def test_a_best_model_with_damaged_bytes_is_named(folder):
    image = keras.Input((None, None, 3))
    path = folder / "best.keras"
    keras.Model(image, layers.Conv2D(64, 9)(image)).save(path)
    Run.open(folder).load_model()
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 50):
        content[place] ^= 0xFF
    path.write_bytes(content)
    assert f"{path}: cannot be read (Bad CRC-32" in message(Run.open(folder).load_model)
