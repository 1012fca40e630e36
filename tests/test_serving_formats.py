"""ONNX and LiteRT files answer what the network does, and say by how much they do not."""

import json

import cv2
import numpy as np
import pytest
from serving_helpers import CLASSES, COLORS, exported, picture

from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.serving.certificate import certify
from keras_seg.serving.litert_export import litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx

SIZE = (48, 64)


def logits_of(images):
    return exported().model.predict(images.astype(np.float32), verbose=0)


@pytest.fixture(scope="module")
def onnx_path(tmp_path_factory):
    pytest.importorskip("tf2onnx")
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write_onnx(exported().model, path, classes=CLASSES, colors=COLORS)
    return path


@pytest.mark.parametrize("size", [(1, 40, 56), (2, 33, 65), (1, 1, 1)])
def test_onnx_gives_the_logits_at_any_size(onnx_path, size):
    images = np.stack([picture(*size[1:], seed) for seed in range(size[0])])
    found = onnx_runner(onnx_path)(images)
    np.testing.assert_allclose(found, logits_of(images), rtol=1e-4, atol=1e-4)


def test_an_onnx_file_names_its_axes_and_classes(onnx_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model)
    (given,), (found,) = model.graph.input, model.graph.output
    assert (given.name, found.name) == ("images", "logits")
    axes = [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim]
    assert axes == ["N", "H", "W", 3]
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert metadata == {"classes": list(CLASSES), "colors": [list(color) for color in COLORS]}


@pytest.mark.parametrize(("precision", "most"), [("float", 1e-4), ("dynamic", 0.05), ("int8", 0.1)])
def test_litert_gives_the_logits_at_its_size(precision, most, tmp_path):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "tiny.tflite"
    calibration = [picture(*SIZE, seed) for seed in range(8)]
    write_litert(exported().model, path, SIZE, precision, calibration)
    images = picture(*SIZE, 100)[None]
    expected = logits_of(images)
    error = abs(litert_runner(path)(images) - expected).max()
    assert error <= most * abs(expected).max()


def test_an_int8_file_takes_pixels_as_they_are(tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = tmp_path / "tiny.tflite"
    write_litert(exported().model, path, SIZE, "int8", [picture(*SIZE)])
    (given,) = interpreter.Interpreter(model_path=str(path)).get_input_details()
    scale, zero = given["quantization"]
    assert given["dtype"] == np.uint8 and zero == 0
    assert scale == pytest.approx(1, abs=1e-6)


def test_int8_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs images to take its scales from"):
        write_litert(exported().model, tmp_path / "tiny.tflite", SIZE, "int8")
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_counts_what_differs(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(2000))
    images = [np.zeros((4, 5, 3), np.uint8), np.ones((2, 5, 3), np.uint8)]

    def network(batch):
        return np.stack([batch[..., 0] * 8.0, batch[..., 0] * 0 + 1.0], axis=-1)

    def runner(batch):
        logits = network(batch)
        logits[0, 0, 0] += (0.25, 7.5) if batch.any() else (0.25, 0)
        return logits

    certificate = certify(path, runner, network, images)
    assert certificate[:6] == (7.5, 8.0, 29 / 30, 2, 30, 2000)
    assert "96.6667 % of 30 pixels of 2 images" in str(certificate)


def test_export_prints_a_certificate_for_each_file_and_overwrites_none(run, tmp_path, capsys):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("ai_edge_litert")
    argv = ["export", "--run", str(run.path), "--output", str(tmp_path), "--format"]
    assert main([*argv, "onnx"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"written to {tmp_path / 'unet.onnx'}\n  largest logit error ")
    assert "argmax agreement     100.0000 % of 3,840 pixels of 3 images" in out
    assert main([*argv, "onnx"]) == 2
    assert "is never overwritten" in capsys.readouterr().err

    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "a.png"), picture(40, 40))
    flags = ["litert", "--precision", "int8", "--images", str(tmp_path / "pictures")]
    assert main([*argv, *flags]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"written to {tmp_path / 'unet-int8.tflite'}\n")
    assert "% of 1,024 pixels of 1 images" in out
