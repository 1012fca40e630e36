"""What `export` writes for TensorFlow Serving beside the graph, and what it refuses to write."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from google.protobuf import text_format
from keras import layers

from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.serving import export_saved_model, next_version
from keras_seg.serving.configs import write_configs
from keras_seg.serving.warmup import warmup_requests
from tests.serving.helpers import CLASSES, COLORS, NAME, exported, signatures_of, tiny_network


def test_a_version_is_never_overwritten():
    model, folder = exported()
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match="never overwritten"):
        export_saved_model(model, folder, classes=CLASSES, colors=COLORS)
    assert sorted(folder.rglob("*")) == before


def test_a_version_is_complete_before_it_has_its_name(tmp_path, monkeypatch):
    renamed = []

    def rename(path, target):
        renamed.append((path, target, sorted(str(file.relative_to(path)) for file in path.rglob("*"))))
        path.replace(target)

    monkeypatch.setattr(Path, "rename", rename)
    folder = export_saved_model(
        exported().model,
        tmp_path / "7",
        classes=CLASSES,
        colors=COLORS,
        image_size=(16, 24),
        warm_up=[(8, 8)],
    )
    ((source, target, files),) = renamed
    assert target == folder and source.parent == tmp_path
    assert not source.name.isdecimal()  # TensorFlow Serving looks for numbers alone.
    assert files == sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
    assert {"saved_model.pb", "assets/labels.json", "assets.extra/tf_serving_warmup_requests"} < set(files)
    assert "16 x 24 pixels" in (tmp_path / "batching.config").read_text()


def test_the_next_version_is_one_more_than_the_last(tmp_path):
    assert next_version(tmp_path / "missing").name == "1"
    for name in ("2", "10", "notes"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == tmp_path / "11"


def test_class_names_and_colors_are_an_asset():
    labels = json.loads((exported().folder / "assets" / "labels.json").read_text(encoding="utf-8"))
    assert labels == {"classes": list(CLASSES), "colors": [list(color) for color in COLORS]}


def test_every_weight_is_written_once():
    model, folder = exported()
    weights = sum(weight.numpy().nbytes for weight in model.weights)
    (data,) = folder.glob("variables/variables.data*")
    assert weights <= data.stat().st_size < 1.5 * weights + 4096


def test_warm_up_records_are_requests_for_each_signature_at_each_size():
    predictions = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    import tensorflow as tf

    records = tf.data.TFRecordDataset(str(exported().folder / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [predictions.PredictionLog.FromString(record.numpy()) for record in records]
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.name for request in requests} == {NAME}
    found = {}
    for request in requests:
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        if "images" in inputs:
            size = inputs["images"].shape
            assert inputs["images"].dtype == np.uint8
        elif "image_bytes" in inputs:
            size = tf.io.decode_image(inputs["image_bytes"][0]).shape
        else:
            size = None
        found.setdefault(request.model_spec.signature_name, []).append(size)
    arrays, encoded = [(1, 24, 40, 3), (1, 16, 16, 3)], [(24, 40, 3), (16, 16, 3)]
    assert found == {
        "labels": [None],
        **dict.fromkeys(("serving_default", "logits"), arrays),
        **dict.fromkeys(("bytes", "confidence", "overlay", "tiled"), encoded),
    }


def test_the_server_is_told_where_the_model_is_and_how_to_batch():
    configs = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    folder = exported().folder.parent
    config = text_format.Parse((folder / "models.config").read_text(), configs.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (NAME, f"/models/{NAME}", "tensorflow")
    batching = (folder / "batching.config").read_text()
    values = dict(line.split(" { value: ") for line in batching.splitlines() if "{ value" in line)
    assert values["max_batch_size"] == "8 }"
    # The server's rule: in order, and the last one is the largest batch.
    sizes = [int(line.split(": ")[1]) for line in batching.splitlines() if line.startswith("allowed")]
    assert sizes == sorted(sizes) and sizes[-1] == 8


def test_a_configuration_that_was_edited_is_kept(tmp_path):
    (tmp_path / "models.config").write_text("mine")
    assert write_configs(tmp_path, NAME, (16, 24)) == [tmp_path / "batching.config"]
    assert (tmp_path / "models.config").read_text() == "mine"


def test_arrays_can_be_held_to_one_size_for_batching():
    signatures = signatures_of(exported().model, CLASSES, COLORS, image_size=(16, 24))
    for name in ("serving_default", "logits"):
        (spec,), _ = signatures[name].structured_input_signature
        assert spec.shape == [None, 16, 24, 3]
    (spec,), _ = signatures["bytes"].structured_input_signature
    assert spec.shape == [None]


def test_nothing_is_left_where_the_folder_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        export_saved_model(exported().model, tmp_path / "file" / "1", classes=CLASSES, colors=COLORS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Lambda(lambda x: x[..., :2])])
    # Served images have an own size; a network that answers with another one cannot become a PNG mask.
    model.add(layers.Lambda(lambda x: x[:, 0]))
    with pytest.raises(Exception):  # noqa: B017  (whatever the framework says)
        export_saved_model(model, tmp_path / "1", classes=CLASSES[:2], colors=COLORS[:2])
    assert list(tmp_path.iterdir()) == []


def test_more_than_255_classes_are_refused(tmp_path):
    names, colors = [f"{i}" for i in range(256)], [(0, 0, 0)] * 256
    with pytest.raises(InputError, match="256 classes do not fit into a uint8 mask"):
        export_saved_model(tiny_network(256), tmp_path / "1", classes=names, colors=colors)


def test_class_names_must_be_as_many_as_the_classes(tmp_path):
    with pytest.raises(InputError, match="predicts 3 classes, but there are 2 names"):
        export_saved_model(exported().model, tmp_path / "1", classes=CLASSES[:2], colors=COLORS[:2])


def test_more_warm_up_requests_than_the_server_takes_are_refused(tmp_path):
    with pytest.raises(InputError, match="more than 1000 requests"):
        export_saved_model(
            exported().model, tmp_path / "1", classes=CLASSES, colors=COLORS, warm_up=[(8, 8)] * 200
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flag", ["--warm-up", "--fixed-size", "--max-pixels", "--max-tiled-pixels", "--tile"]
)
def test_sizes_and_limits_must_be_positive(flag, capsys, tmp_path):
    values = ["0", "8"] if flag in ("--warm-up", "--fixed-size") else ["0"]
    assert main(["export", "--run", str(tmp_path), flag, *values]) == 2
    assert f"{flag} must be from 1 to 2147483647, received {' '.join(values)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"warm_up": [(100, 100)], "max_pixels": 5000}, "--warm-up 100 100: a request may have 5000 pixels"),
        (
            {"warm_up": [(100, 100)], "max_tiled_pixels": 99},
            "--warm-up 100 100: a request may have 99 pixels",
        ),
        ({"image_size": (80, 80), "max_pixels": 5000}, "--fixed-size 80 80: a request may have 5000 pixels"),
        ({"warm_up": [(1, 70000)]}, "--warm-up 1 70000: a JPEG's side has 65500 pixels at most"),
    ],
)
def test_a_size_that_the_server_would_refuse_is_refused(options, line, tmp_path):
    with pytest.raises(InputError, match=line):
        export_saved_model(exported().model, tmp_path / "1", classes=CLASSES, colors=COLORS, **options)
    assert list(tmp_path.iterdir()) == []


def test_warm_up_leaves_out_logits_that_no_message_holds():
    names = [[name for name, _ in warmup_requests([(8, 8)], logits_pixels=most)] for most in (63, 64)]
    assert "logits" not in names[0] and sorted([*names[0], "logits"]) == sorted(names[1])


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--format", "onnx", "--tile", "3"], "--tile is for --format saved_model, not for onnx"),
        (
            ["--format", "onnx", "--fixed-size", "7", "9"],
            "--fixed-size is for --format saved_model or litert",
        ),
        (
            ["--format", "litert", "--warm-up", "8", "8"],
            "--warm-up is for --format saved_model, not for litert",
        ),
        (
            ["--images", "a.jpg"],
            "--images is for --format onnx or litert or saved_model --precision bfloat16",
        ),
        (["--max-pixels", "99999999999999999999"], "--max-pixels must be from 1 to 2147483647"),
    ],
)
def test_what_a_format_has_no_use_for_is_refused(argv, line, capsys, tmp_path):
    assert main(["export", "--run", str(tmp_path), *argv]) == 2
    assert f"error: {line}" in capsys.readouterr().err
