"""A small training from end to end, and what its run folder holds."""

import csv
import json
import random
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_seg import InputError, Predictor, Run, TrainConfig, train
from keras_seg.data import eval_batches, load_dataset, write_shapes
from keras_seg.evaluation import evaluate, evaluate_run
from keras_seg.training.run_state.state import read_group, states

EPOCHS = 3


def config(folder, output, **settings):
    defaults = {"model": "unet", "image_size": (32, 32), "batch_size": 4, "epochs": EPOCHS, "weights": "none"}
    return TrainConfig(data=str(folder), output=str(output), **{**defaults, **settings})


def history(run):
    with (run.path / "history.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_run_folder_explains_itself(run, shapes_folder):
    assert {path.name for path in run.path.iterdir()} == {
        "config.json", "best.keras", "checkpoints", "history.csv", "metrics.json", "curves.png",
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


def test_a_run_gives_its_data_set_and_measures_its_model(run, shapes_folder):
    dataset = run.dataset()
    assert dataset.split("val") == load_dataset(shapes_folder).split("val") and dataset.num_classes == 5
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert run.evaluate()["mean_iou"] == pytest.approx(metrics["mean_iou"])
    with pytest.raises(InputError, match="format must be saved_model, onnx or litert; received 'pickle'"):
        run.export(format="pickle")


def test_a_finished_run_asks_for_more_epochs(run):
    with pytest.raises(InputError, match="is trained for 3 epochs; ask for more with epochs"):
        train(resume=run.path, report=lambda line: None)


def test_a_run_is_never_written_over(run, shapes_folder):
    with pytest.raises(InputError, match="already holds a run"):
        train(config(shapes_folder, run.path), report=lambda line: None)


def test_an_option_that_the_network_has_not_is_named(shapes_folder, tmp_path):
    with pytest.raises(InputError, match="model_options: unet has no option 'stride'"):
        train(config(shapes_folder, tmp_path / "run", model_options={"stride": 8}), report=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_bad_data_leaves_no_run_folder(tmp_path):
    with pytest.raises(InputError, match="missing"):
        train(config(tmp_path / "missing", tmp_path / "run"), report=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_masks_to_validate_on_that_are_all_ignored_leave_the_last_model(
    eager, no_export, shapes_folder, tmp_path
):
    folder = tmp_path / "shapes"
    shutil.copytree(shapes_folder, folder)
    for sample in load_dataset(str(folder)).split("val"):
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(sample.mask), np.full_like(mask, 255))
    lines, small = [], {"widths": [4, 8], "decoder_widths": [4]}
    settings = config(folder, tmp_path / "run", model_options=small, epochs=2, checkpoint_every="1")
    run = train(settings, report=lines.append)
    assert lines[-4] == "no pixel of the validation masks is labeled, so the last model was kept"
    assert lines[-3].startswith("best validation mean IoU -, pixel accuracy -; ")
    assert lines[-2].startswith("next: nothing could be measured")
    last = states(run.path / "checkpoints")[0]
    weights = [each for each in read_group(last, "model") if each.dtype == np.float32]
    for found, expected in zip(run.load_model().get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_validation_that_costs_more_than_the_training_says_how_to_have_less(eager, no_export, tmp_path):
    folder = write_shapes(tmp_path / "data", counts={"train": 2, "val": 5}, size=(48, 64))
    dataset = load_dataset(folder)
    small = {"model_options": {"widths": [4, 8], "decoder_widths": [4]}, "epochs": 1}
    settings = config(folder, tmp_path / "run", image_size=(32, 24), **small)
    lines = []
    run = train(settings, report=lines.append)
    # 5 x 48 x 64 pixels beside 2 x 32 x 24; three times the latter are fewer than two images have.
    (told,) = (line for line in lines if "--val-images" in line)
    assert "validated on 5 whole images, 10.0 times the pixels that it trains on: --val-images 1 " in told
    (everything,) = history(run)
    assert everything["val_mean_iou"] == pytest.approx(measured(run, dataset, 5), rel=1e-5)

    lines.clear()
    run = train(settings.replace(val_images=1, output=str(tmp_path / "less")), report=lines.append)
    assert not any("--val-images" in line for line in lines)
    (row,) = history(run)
    assert row["val_mean_iou"] == pytest.approx(measured(run, dataset, 1), rel=1e-5)
    assert row["val_mean_iou"] != everything["val_mean_iou"]
    assert json.loads((run.path / "metrics.json").read_text())["num_images"] == 5


def measured(run, dataset, count):
    batches = eval_batches(dataset, "val", limit=count)
    return evaluate(run.load_model(), batches, dataset.classes)["mean_iou"]


def test_tensorflow_and_the_seeds_of_others_are_left_as_they_were(eager, no_export, shapes_folder, tmp_path):
    random.seed(3), np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3), np.random.seed(3)
    small = {"model_options": {"widths": [4, 8], "decoder_widths": [4]}, "epochs": 1}
    assert train(config(shapes_folder, tmp_path / "run", **small)).config["deterministic"]
    with tf.Graph().as_default():
        tf.random.normal([1])  # Refused without a seed where operations must be deterministic.
    assert (random.random(), np.random.random()) == expected
