"""What a run folder says of itself where it cannot be read."""

import json
from pathlib import Path

import keras
import pytest
from keras import layers

from keras_seg import InputError, Run

CONFIG = {"model": "unet", "num_classes": 2, "classes": ["a", "b"], "colors": [], "image_size": [8, 8]}


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
    assert f"{folder / 'config.json'}: cannot be read (Permission denied); see to its permissions" in text
    assert "again" not in text


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
