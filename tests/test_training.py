"""A small training from end to end, and what becomes of it when it is stopped."""

import csv
import json

import cv2
import keras
import numpy as np
import pytest

from keras_seg import InputError, Predictor, Run, TrainConfig, train
from keras_seg.data import load_dataset
from keras_seg.evaluation import evaluate_run
from keras_seg.models import build_model
from keras_seg.training.history import History
from keras_seg.training.initialization import scale_first_convolution
from keras_seg.training.optimizers import build_optimizer, fuse_update

EPOCHS = 3


def config(folder, output, **settings):
    defaults = {"model": "unet", "image_size": (32, 32), "batch_size": 4, "epochs": EPOCHS, "weights": "none"}
    return TrainConfig(data=str(folder), output=str(output), **{**defaults, **settings})


def history(run):
    with (run.path / "history.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_run_folder_explains_itself(run, shapes_folder):
    assert {path.name for path in run.path.iterdir()} == {
        "config.json", "best.keras", "last.weights.h5", "history.csv", "metrics.json", "curves.png",
        "samples.png", "export",
    }  # fmt: skip
    settings = json.loads((run.path / "config.json").read_text())
    assert settings["model"] == "unet"
    assert settings["classes"] == list(load_dataset(shapes_folder).classes)
    assert len(settings["colors"]) == settings["num_classes"] == 5
    assert {"keras_seg", "python", "tensorflow", "keras"} <= set(settings["versions"])
    assert (run.export_path / "1" / "saved_model.pb").is_file()
    assert cv2.imread(str(run.path / "curves.png")) is not None


def test_samples_show_every_validation_image_of_a_small_set(run):
    height, width, _ = cv2.imread(str(run.path / "samples.png")).shape
    cell_height, cell_width = 256, 320  # 32 x 40 pixels, enlarged eight times
    assert 3 * cell_height <= height < 4 * cell_height
    assert 3 * cell_width <= width < 4 * cell_width


def test_history_has_a_row_an_epoch(run):
    rows = history(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert {"loss", "val_loss", "mean_iou", "val_mean_iou", "pixel_accuracy"} <= set(rows[0])


def test_poly_learning_rate_falls_with_power_0_9(run):
    steps = 3  # 10 images in batches of 4
    for row in history(run):
        done = row["epoch"] / EPOCHS
        assert row["learning_rate"] == pytest.approx(1e-4 * (1 - done) ** 0.9, rel=1e-4, abs=1e-12), steps


def test_the_best_model_is_the_one_of_the_best_epoch(run, shapes_folder):
    best = max(row["val_mean_iou"] for row in history(run))
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert metrics["mean_iou"] == pytest.approx(best, abs=1e-4)
    assert evaluate_run(Run.open(run.path), str(shapes_folder))["mean_iou"] == pytest.approx(best, abs=1e-4)


def test_a_run_predicts_masks_of_the_image_size(run):
    prediction = Predictor(run.path).predict(np.zeros((17, 23, 3), "uint8"))
    assert prediction.mask.shape == (17, 23)
    assert prediction.mask.max() < 5


def test_an_interrupted_training_is_usable_and_goes_on_to_the_same_end(
    run, shapes_folder, tmp_path, monkeypatch
):
    def press_ctrl_c(self, batch, logs=None):
        if len(self.rows) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(History, "on_train_batch_end", press_ctrl_c)
    stopped = config(shapes_folder, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, report=lambda line: None)
    monkeypatch.undo()
    assert Predictor(tmp_path / "run").predict(np.zeros((8, 8, 3), "uint8")).mask.shape == (8, 8)
    assert len(history(Run.open(tmp_path / "run"))) == 2

    resumed = train(resume=tmp_path / "run", report=lambda line: None)
    for expected, row in zip(history(run), history(resumed), strict=True):
        validation = {key: value for key, value in expected.items() if key.startswith("val_")}
        assert {key: row[key] for key in validation} == pytest.approx(validation, rel=1e-3, abs=1e-5)
    for expected, weights in zip(run.load_model().weights, resumed.load_model().weights, strict=True):
        np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=1e-4)


def test_a_finished_run_asks_for_more_epochs(run):
    with pytest.raises(InputError, match="is trained for 3 epochs; ask for more with --epochs"):
        train(resume=run.path, report=lambda line: None)


def test_a_run_is_never_written_over(run, shapes_folder):
    with pytest.raises(InputError, match="already holds a run"):
        train(config(shapes_folder, run.path), report=lambda line: None)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": "fcn9"}, "--model must be one of"),
        ({"loss": "ce+nothing"}, "--loss: loss must add terms"),
        ({"precision": "float8"}, "--precision must be one of float32"),
        ({"model_options": {"aux_head": True}}, "--model-option aux_head"),
        ({"optimizer": "lion"}, "--optimizer must be one of adam"),
        ({"schedule": "warm"}, "--schedule must be one of poly"),
        ({"batch_size": 0}, "--batch-size must be 1 or more, received 0"),
        ({"epochs": 0}, "--epochs must be 1 or more, received 0"),
        ({"learning_rate": -1.0}, "--learning-rate must be a positive number, received -1.0"),
        ({"image_size": (0, 32)}, "--image-size takes a height and a width of 1 or more"),
        ({"ignore_label": 256}, "--ignore-label must be a mask value from 0 to 255"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_flag(settings, text):
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        TrainConfig(**settings)


def test_an_option_that_the_network_has_not_is_named(shapes_folder, tmp_path):
    with pytest.raises(InputError, match="--model-option: unet has no option 'stride'"):
        train(config(shapes_folder, tmp_path / "run", model_options={"stride": 8}), report=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_first_maps_of_a_network_from_scratch_have_unit_size():
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    model = build_model("unet", 5, preprocessing="caffe")
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    maps = keras.Model(model.input, first.output)
    assert np.std(maps(image)) > 20
    scale_first_convolution(model)
    assert 0.3 < np.std(maps(image)) < 3


def test_tensorboard_is_asked_for_only_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        TrainConfig(tensorboard=True)


def test_bad_data_leaves_no_run_folder(tmp_path):
    with pytest.raises(InputError, match="missing"):
        train(config(tmp_path / "missing", tmp_path / "run"), report=lambda line: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_fused_update_equals_the_plain_one(name):
    answers = []
    for fuse in (False, True):
        weights = keras.Variable(np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4))
        optimizer = build_optimizer(name, 0.1, "poly", 10)
        optimizer.build([weights])
        if fuse:
            fuse_update(optimizer)
        for step in range(3):
            optimizer.apply_gradients([(keras.ops.cos(weights * (step + 1)), weights)])
        answers.append(keras.ops.convert_to_numpy(weights))
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-7)
