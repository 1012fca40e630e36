"""ONNX, LiteRT and bfloat16 files answer what the network does, and say by how much they do not."""

import json
import re
import sys
import types

import cv2
import keras
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.inference.bfloat16 import in_bfloat16
from keras_seg.serving import onnx_export
from keras_seg.serving.certificate import certify
from keras_seg.serving.formats import saved_model_runner
from keras_seg.serving.litert_export import litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx
from tests.serving.helpers import CLASSES, COLORS, NAME, exported, picture

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


def test_large_weights_are_constants_of_an_onnx_file_too(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")
    onnx = pytest.importorskip("onnx")
    monkeypatch.setattr(onnx_export, "_LARGE", 100)
    path = tmp_path / "tiny.onnx"
    write_onnx(exported().model, path, classes=CLASSES, colors=COLORS)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["images"]
    images = picture(33, 65)[None]
    np.testing.assert_allclose(onnx_runner(path)(images), logits_of(images), rtol=1e-4, atol=1e-4)


def test_the_converter_sees_no_large_weight_that_a_normalization_was_folded_into(tmp_path, monkeypatch):
    convert = pytest.importorskip("tf2onnx").convert
    given = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(7, 3, padding="same", use_bias=False)(given)
    maps = keras.layers.BatchNormalization(moving_variance_initializer="random_uniform")(maps)
    model = keras.Model(given, keras.layers.Conv2D(2, 1)(maps))
    converted = []
    from_function = convert.from_function

    def recorded(*args, **kwargs):
        answer = from_function(*args, **kwargs)
        converted.extend(int(np.prod(weight.dims)) for weight in answer[0].graph.initializer)
        return answer

    monkeypatch.setattr(onnx_export, "_LARGE", 100)
    monkeypatch.setattr(convert, "from_function", recorded)
    path = tmp_path / "folded.onnx"
    write_onnx(model, path, classes=CLASSES[:2], colors=COLORS[:2])
    assert converted and max(converted) <= 100  # The first kernel has 189 numbers.
    images = picture(9, 11)[None]
    expected = model.predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(onnx_runner(path)(images), expected, rtol=1e-4, atol=1e-4)


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


@pytest.fixture(scope="module")
def tiny_run(shapes_folder, tmp_path_factory):
    """A run folder as far as `export` reads it; its data are three validation images of 32 x 40 pixels."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    exported().model.save(folder / "best.keras")
    config = {"model": NAME, "num_classes": 3, "classes": CLASSES, "colors": COLORS, "image_size": SIZE}
    (folder / "config.json").write_text(json.dumps({**config, "data": str(shapes_folder)}))
    return folder


def export(run, output, *flags):
    return main(["export", "--run", str(run), "--output", str(output), *map(str, flags)])


def test_export_prints_a_certificate_for_each_file_and_overwrites_none(tiny_run, tmp_path, capsys):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("ai_edge_litert")
    assert export(tiny_run, tmp_path, "--format", "onnx") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"written to {tmp_path / 'tiny.onnx'}\n  largest logit error ")
    assert "argmax agreement     100.0000 % of 3,840 pixels of 3 images" in out
    assert export(tiny_run, tmp_path, "--format", "onnx") == 2
    assert "is never overwritten" in capsys.readouterr().err

    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "a.png"), picture(40, 40))
    flags = ["--precision", "int8", "--images", tmp_path / "pictures"]
    assert export(tiny_run, tmp_path, "--format", "litert", *flags) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"written to {tmp_path / 'tiny-int8.tflite'}\n")
    assert "% of 3,072 pixels of 1 images" in out


@pytest.mark.bfloat16
def test_a_bfloat16_model_is_half_as_large_and_as_right_as_its_bits(tiny_run, tmp_path, capsys):
    assert export(tiny_run, tmp_path / "1", "--precision", "bfloat16") == 0
    error, pixels = re.search(
        r"logit error  (\S+), the largest logit being .*of ([\d,]+) pixels of 3",
        capsys.readouterr().out,
        re.S,
    ).groups()
    images = np.stack([picture(33, 65, seed) for seed in range(2)])
    found, expected = saved_model_runner(tmp_path / "1")(images), logits_of(images)
    assert found.dtype == np.float32
    # Three layers, each of which may round by 1 in 2^9.
    assert 0 < abs(found - expected).max() < abs(expected).max() / 2**7
    assert float(error) > 0 and pixels == "3,840"
    sizes = [
        next(path.glob("variables/variables.data*")).stat().st_size
        for path in (tmp_path / "1", exported().folder)
    ]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.bfloat16
def test_scores_and_pixels_stay_float32_in_a_bfloat16_model():
    layers = in_bfloat16(exported().model).layers
    kinds = {(layer.output.shape[-1], layer.compute_dtype) for layer in layers}
    assert kinds == {(3, "float32"), (8, "bfloat16")}


def test_pictures_too_large_to_check_with_are_told_before_anything_is_written(tiny_run, tmp_path, capsys):
    assert export(tiny_run, tmp_path / "1", "--precision", "bfloat16", "--max-pixels", 100) == 2
    assert "have more than 100 pixels; name others with --images" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file_format", "module", "text"),
    [
        ("onnx", "tf2onnx", "tiny.onnx: needs tf2onnx; pip install 'keras-seg[onnx]'"),
        ("onnx", "onnxruntime", "tiny.onnx: needs onnxruntime; pip install 'keras-seg[onnx]'"),
        (
            "litert",
            "ai_edge_litert.interpreter",
            "tiny-float.tflite: needs ai-edge-litert; pip install 'keras-seg[litert]'",
        ),
    ],
)
def test_a_missing_package_is_told_before_anything_is_written(
    file_format, module, text, tiny_run, tmp_path, capsys, monkeypatch
):
    for name in {"tf2onnx", "onnxruntime", module} if file_format == "onnx" else {module}:
        monkeypatch.setitem(sys.modules, name, None if name == module else types.ModuleType(name))
    assert export(tiny_run, tmp_path, "--format", file_format) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/{text}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--precision", "int8"], "saved_model must be one of float32, bfloat16, received int8"),
        (["--precision", "float32", "bfloat16"], "one of float32, bfloat16, received float32 bfloat16"),
        (["--format", "onnx", "--precision", "bfloat16"], "onnx must be one of float32, received bfloat16"),
        (
            ["--format", "litert", "--precision", "half"],
            "must be some of float, dynamic, int8, received half",
        ),
    ],
)
def test_precisions_are_those_of_the_format(flags, text, tmp_path, capsys):
    assert export(tmp_path, tmp_path, *flags) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            ["--format", "litert", "--threshold", "0"],
            "--threshold is for --format saved_model or",
        ),
        (
            ["--format", "onnx", "--fixed-size", "8", "8"],
            "--fixed-size is for --format saved_model or",
        ),
        (
            ["--format", "litert", "--warm-up", "8", "8"],
            "--warm-up is for --format saved_model, not",
        ),
    ],
)
def test_flags_are_those_of_the_format(flags, text, tmp_path, capsys):
    assert export(tmp_path, tmp_path, *flags) == 2
    assert text in capsys.readouterr().err
