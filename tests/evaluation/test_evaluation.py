"""The figures of an evaluation are those of FCN's score.py over one confusion matrix."""

import csv
import json
import shutil
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import binom

from keras_seg import palette
from keras_seg.cli import main
from keras_seg.data import load_dataset, write_shapes
from keras_seg.errors import InputError
from keras_seg.evaluation import compare, evaluate, evaluate_run, format_table, write_metrics
from keras_seg.inference import Prediction
from keras_seg.runs import Run

CLASSES = ("ground", "road", "car", "ghost")


def replay(masks, confidences=None):
    """A predictor that answers with the given masks, one batch after another."""
    answers = zip(masks, confidences or [np.ones(mask.shape, np.float32) for mask in masks], strict=True)
    predict_batch = lambda images: Prediction(*next(answers))  # noqa: E731
    return SimpleNamespace(predict_batch=predict_batch, num_classes=len(CLASSES))


def measure(truths, predictions):
    truths = [np.array(truth, np.int32) for truth in truths]
    batches = [(np.zeros((*truth.shape, 3), np.uint8), truth) for truth in truths]
    return evaluate(replay([np.array(p, np.uint8) for p in predictions]), batches, CLASSES)


def by_hand(truth, predicted):
    """The same figures from sets of pixels, class by class."""
    pixels = [(t, p) for t, p in zip(truth, predicted, strict=True) if t != 255]
    ious, accuracies, weighted = {}, {}, 0
    for c in range(len(CLASSES)):
        both = sum(t == c and p == c for t, p in pixels)
        either = sum(t == c or p == c for t, p in pixels)
        in_truth = sum(t == c for t, _ in pixels)
        ious[c] = both / either if either else None
        accuracies[c] = both / in_truth if in_truth else None
        weighted += in_truth * both / either / len(pixels) if either else 0
    return ious, accuracies, weighted


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values)


def test_figures_equal_a_count_by_hand_over_batches_of_different_sizes():
    random = np.random.default_rng(0)
    shapes = ((2, 5, 7), (1, 9, 3), (3, 1, 1))
    truths = [random.choice([0, 1, 2, 255], shape) for shape in shapes]
    predictions = [random.integers(0, 3, shape) for shape in shapes]
    metrics = measure(truths, predictions)

    truth = np.concatenate([t.ravel() for t in truths])
    ious, accuracies, weighted = by_hand(truth, np.concatenate([p.ravel() for p in predictions]))
    for index, row in enumerate(metrics["classes"]):
        assert row["name"] == CLASSES[index]
        assert row["iou"] == pytest.approx(ious[index])
        assert row["accuracy"] == pytest.approx(accuracies[index])
        assert row["pixels"] == (truth == index).sum()
    assert metrics["mean_iou"] == pytest.approx(mean(ious.values()))
    assert metrics["mean_accuracy"] == pytest.approx(mean(accuracies.values()))
    assert metrics["frequency_weighted_iou"] == pytest.approx(weighted)
    assert metrics["num_images"] == 6
    assert metrics["num_pixels"] == (truth != 255).sum()


def test_a_known_matrix_gives_known_figures():
    # n = [[3, 1], [0, 4]]: IoU 3/4 and 4/5, accuracy 3/4 and 1.
    metrics = measure([[[[0, 0, 0, 0, 1, 1, 1, 1, 255]]]], [[[[0, 0, 0, 1, 1, 1, 1, 1, 0]]]])
    assert metrics["pixel_accuracy"] == pytest.approx(7 / 8)
    assert metrics["mean_accuracy"] == pytest.approx(7 / 8)
    assert metrics["mean_iou"] == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert metrics["frequency_weighted_iou"] == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_a_class_that_never_occurs_is_null_and_left_out_of_the_means():
    metrics = measure([[[[0, 1]]]], [[[[0, 1]]]])
    assert metrics["mean_iou"] == metrics["mean_accuracy"] == 1
    assert metrics["classes"][3] == {
        "name": "ghost", "iou": None, "accuracy": None, "dice": None, "boundary_iou": None, "pixels": 0
    }  # fmt: skip


def test_a_class_that_is_only_predicted_counts_in_the_mean_iou():
    metrics = measure([[[[0, 0]]]], [[[[0, 3]]]])
    assert metrics["classes"][3] == {
        "name": "ghost", "iou": 0.0, "accuracy": None, "dice": 0.0, "boundary_iou": 0.0, "pixels": 0
    }  # fmt: skip
    assert metrics["mean_iou"] == pytest.approx((1 / 2 + 0) / 2)
    assert metrics["mean_accuracy"] == pytest.approx(1 / 2)


@pytest.mark.parametrize("truths", [[], [[[[255, 255]]]]])
def test_nothing_labeled_gives_null(truths):
    metrics = measure(truths, np.zeros_like(truths))
    assert metrics["pixel_accuracy"] is metrics["mean_iou"] is metrics["frequency_weighted_iou"] is None
    assert metrics["num_pixels"] == 0
    json.dumps(metrics, allow_nan=False)


@pytest.mark.parametrize("value", [4, 254, 256, -1])
def test_a_mask_value_that_is_no_class_is_refused(value):
    with pytest.raises(InputError, match=f"value {value}, which is no class of 0 to 3"):
        measure([[[[0, value]]]], [[[[0, 0]]]])


def test_a_model_and_tensors_are_taken_as_they_are():
    image = keras.Input((None, None, 3))
    model = keras.Model(
        image, layers.Conv2D(2, 1, kernel_initializer="zeros", bias_initializer="ones")(image)
    )
    batches = [(keras.ops.zeros((2, 4, 5, 3)), keras.ops.zeros((2, 4, 5), "int32"))]
    metrics = evaluate(model, batches, ("a", "b"))
    assert metrics["classes"][0]["iou"] == 1 and metrics["num_images"] == 2


def test_class_names_must_be_as_many_as_the_classes():
    with pytest.raises(InputError, match="predicts 4 classes"):
        predictor = replay([])
        predictor.model = SimpleNamespace(name="fcn8")
        evaluate(predictor, [], ("a", "b"))


METRICS = measure([[[[0, 0, 0, 0, 1, 1, 1, 1]]]], [[[[0, 0, 0, 1, 1, 1, 1, 1]]]])


def test_the_table_has_a_line_per_class_and_all_figures():
    lines = format_table(METRICS).splitlines()
    assert lines[1].split() == ["ground", "0.750", "0.750", "0.857", "0.750", "4"]
    assert lines[4].split() == ["ghost", "-", "-", "-", "-", "0"]
    summary = {line[:22].strip(): line[22:].split()[0] for line in lines[6:11]}
    assert summary == {
        "mean IoU": "0.775", "pixel accuracy": "0.875", "mean accuracy": "0.875",
        "frequency-weighted IoU": "0.775", "mean Dice": "0.873",
    }  # fmt: skip
    assert lines[-1] == "1 images, 8 labeled pixels"
    assert len({len(line) for line in lines[:5]}) == 1


def test_runs_are_compared_side_by_side():
    perfect = measure([[[[0, 1]]]], [[[[0, 1]]]])
    lines = compare({"ours": METRICS, "theirs": perfect}).splitlines()
    assert lines[0].split() == ["ours", "theirs"]
    assert lines[1].split() == ["mean", "IoU", "0.775", "1.000"]
    assert lines[-1].split() == ["ghost", "-", "-"]


def test_the_classes_are_written_as_csv(tmp_path):
    write_metrics(tmp_path / "metrics.csv", METRICS)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open(newline="")))
    assert [row["name"] for row in rows] == list(CLASSES)
    assert float(rows[1]["iou"]) == METRICS["classes"][1]["iou"] and rows[3]["iou"] == ""


def test_calibration_is_confidence_against_accuracy_bin_by_bin():
    # Two of four pixels at 0.7 are right, the one at 0.95 is, the ignored one does not count.
    truth = np.array([[[0, 1, 0, 1, 2, 255]]])
    mask = np.array([[[0, 1, 1, 0, 2, 0]]], np.uint8)
    confidence = np.array([[[0.7, 0.7, 0.7, 0.7, 0.95, 0.1]]], np.float32)
    batches = [(np.zeros((1, 1, 6, 3), np.uint8), truth)]
    metrics = evaluate(replay([mask], [confidence]), batches, CLASSES)
    low, high = metrics["calibration"]
    assert (low["pixels"], low["accuracy"], low["confidence"]) == (4, 0.5, pytest.approx(0.7))
    assert (high["pixels"], high["accuracy"], high["confidence"]) == (1, 1.0, pytest.approx(0.95))
    assert metrics["calibration_error"] == pytest.approx(0.8 * 0.2 + 0.2 * 0.05)


def test_intervals_are_percentiles_of_resampled_data_sets():
    """Of accuracies 0 and 1 alone a resample's is the share of ones drawn: binomial, exactly."""
    count = 20
    truths = [[[[0, 0]]]] * count
    found = [[[[0, 0]]]] * 14 + [[[[1, 1]]]] * 6
    low, high = measure(truths, found)["intervals"]["pixel_accuracy"]
    assert (low, high) == pytest.approx(binom.ppf((0.025, 0.975), count, 14 / 20) / count, abs=0.051)


def test_alike_pictures_leave_no_doubt():
    metrics = measure([[[[0, 1, 1, 1]]]] * 5, [[[[0, 1, 1, 0]]]] * 5)
    assert metrics["intervals"]["mean_iou"] == pytest.approx([metrics["mean_iou"]] * 2)


def test_the_confusion_matrix_has_the_truth_in_its_rows():
    assert METRICS["confusion"][0] == [3, 1, 0, 0] and METRICS["confusion"][1] == [0, 4, 0, 0]


def test_metrics_are_written_whole_as_json(tmp_path):
    write_metrics(tmp_path / "metrics.json", METRICS)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")) == METRICS
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_metrics_that_cannot_be_written_are_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_metrics(tmp_path / "missing" / "metrics.json", METRICS)


SHAPES = ("ground", "circle", "square", "triangle", "star")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(
        tmp_path_factory.mktemp("data") / "shapes", counts={"train": 2, "val": 3}, size=(24, 32)
    )


@pytest.fixture
def make_run(tmp_path):
    """Makes a run folder whose model calls every pixel the first class."""

    def make(classes=SHAPES, **config):
        image = keras.Input((None, None, 3))
        head = layers.Conv2D(len(classes), 1, kernel_initializer="zeros")
        keras.Model(image, head(image)).save(tmp_path / "best.keras")
        required = {"model": "fcn8", "num_classes": len(classes), "classes": classes, "image_size": [24, 32]}
        config = {**required, "colors": [[0, 0, 0]] * len(classes), **config}
        (tmp_path / "config.json").write_text(json.dumps(config))
        return Run.open(tmp_path)

    return make


def test_a_run_is_measured_on_a_split_of_a_folder(make_run, shapes):
    metrics = evaluate_run(make_run(), shapes, "val")
    masks = [sample.mask for sample in load_dataset(shapes).split("val")]
    truth = np.stack([cv2.imread(str(mask), cv2.IMREAD_UNCHANGED) for mask in masks])
    counts = np.bincount(truth.ravel(), minlength=256)
    assert metrics["num_images"] == 3
    assert [row["pixels"] for row in metrics["classes"]] == counts[:5].tolist()
    assert metrics["pixel_accuracy"] == pytest.approx(counts[0] / counts[:5].sum())


def test_the_bar_counts_images_to_their_number(make_run, shapes, capsys):
    run = make_run(data=str(shapes))
    assert main(["evaluate", "--run", str(run.path)]) == 0
    assert "3/3" in capsys.readouterr().err  # In one batch, for they are of one size.


def test_a_run_is_measured_on_its_own_data_by_default(make_run, shapes):
    metrics = evaluate_run(make_run(data=str(shapes), ignore_label=0))
    assert metrics["num_images"] == 3
    assert metrics["classes"][0]["pixels"] == 0  # Ignored in training, so ignored here.


def test_other_classes_are_refused(make_run, shapes):
    for classes in (("ground", "circle"), (*SHAPES[:3], "star", "triangle")):
        with pytest.raises(InputError, match="evaluate on the same classes in the same order"):
            evaluate_run(make_run(classes), shapes)


def test_masks_without_names_need_not_hold_every_class(make_run, shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nameless")
    shutil.copytree(shapes / "images", folder / "images")
    for path in (shapes / "masks").rglob("*.png"):
        copy = folder / path.relative_to(shapes)
        copy.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(copy), np.minimum(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 2))
    metrics = evaluate_run(make_run(), folder)
    assert [row["name"] for row in metrics["classes"]] == list(SHAPES)
    assert metrics["classes"][4]["pixels"] == 0 and metrics["classes"][2]["pixels"] > 0


@pytest.mark.parametrize("config", [{}, {"reduce_zero_label": True}])
def test_masks_in_color_are_evaluated_as_the_message_says(make_run, shapes, tmp_path, capsys, config):
    folder = tmp_path / "colored"
    shutil.copytree(shapes, folder)
    dataset = load_dataset(shapes)
    for path in (folder / "masks").rglob("*.png"):
        colors = palette.colorize(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), dataset.colors)
        cv2.imwrite(str(path), colors[..., ::-1])
    described = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({"splits": described.get("splits")}))
    command = ["evaluate", "--run", str(make_run(data=str(shapes), **config).path), "--data", str(folder)]
    assert main(command) == 2
    assert "give the color of each class with --mask-colors FILE" in capsys.readouterr().err
    lines = [
        f"{' '.join(map(str, color))} {name}"
        for name, color in zip(dataset.classes, dataset.colors, strict=True)
    ]
    (tmp_path / "colors.txt").write_text("\n".join([*lines, "224 224 192 void"]))
    assert main([*command, "--mask-colors", str(tmp_path / "colors.txt")]) == 0
    found = json.loads((tmp_path / "evaluation-colored.json").read_text())
    expected = evaluate_run(make_run(data=str(shapes)))
    assert found["classes"] == expected["classes"]


def test_an_unknown_split_is_named(make_run, shapes):
    with pytest.raises(InputError, match="holiday"):
        evaluate_run(make_run(), shapes, "holiday")


def test_the_classes_of_a_list_are_compared_too(make_run, shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("list")
    rows = [(sample.image, sample.mask) for sample in load_dataset(shapes).split("val")]
    (folder / "val.csv").write_text("".join(f"{image},{mask}\n" for image, mask in rows))
    (folder / "dataset.json").write_text(json.dumps({"classes": [*SHAPES[:3], "star", "triangle"]}))
    with pytest.raises(InputError, match="evaluate on the same classes in the same order"):
        evaluate_run(make_run(), folder / "val.csv")


@pytest.mark.parametrize(
    ("classes", "data", "line"),
    [
        (("ground", "circle"), None, "evaluate them one by one"),
        (SHAPES, "elsewhere", "name the data of both with --data"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_first(
    classes, data, line, make_run, shapes, tmp_path, capsys
):
    folders = []
    for index, config in enumerate(
        [{"data": str(shapes)}, {"classes": classes, "data": data or str(shapes)}]
    ):
        make_run(**config)
        folders.append(tmp_path / str(index))
        folders[-1].mkdir()
        for name in ("best.keras", "config.json"):
            (tmp_path / name).rename(folders[-1] / name)
    assert main(["evaluate", "--run", *map(str, folders)]) == 2
    out, err = capsys.readouterr()
    assert line in err and not out


def test_an_output_that_cannot_be_written_is_told_first(make_run, shapes, tmp_path, capsys):
    run = make_run(data=str(shapes))
    (tmp_path / "file").touch()
    assert main(["evaluate", "--run", str(run.path), "--output", str(tmp_path / "file" / "m.json")]) == 2
    out, err = capsys.readouterr()
    assert "cannot be written" in err and "evaluate:" not in err and not out


def test_the_training_s_figures_stay(make_run, shapes, tmp_path, capsys):
    run = make_run(data=str(shapes))
    (tmp_path / "metrics.json").write_text("{}")
    assert main(["evaluate", "--run", str(run.path), "--split", "training"]) == 0
    found = json.loads((tmp_path / "evaluation-train.json").read_text())
    assert (found["split"], found["data"], found["num_images"]) == ("train", str(shapes), 2)
    assert (tmp_path / "metrics.json").read_text() == "{}"


def test_other_data_leave_the_run_s_own_figures_and_report(make_run, shapes, tmp_path, capsys):
    run = make_run(data=str(shapes))
    other = write_shapes(tmp_path / "other", counts={"train": 1, "val": 2}, size=(24, 32))
    command = ["evaluate", "--report", "--run", str(run.path)]
    assert main(command) == 0
    own = {name: (tmp_path / name).read_bytes() for name in ("evaluation.json", "report.html")}
    assert main([*command, "--data", str(other)]) == 0
    assert main([*command, "--data", str(other), "--split", "train"]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in own} == own
    for suffix, images in (("other", 2), ("other-train", 1)):
        found = json.loads((tmp_path / f"evaluation-{suffix}.json").read_text())
        assert (found["data"], found["num_images"]) == (str(other), images)
        assert "of other" in (tmp_path / f"report-{suffix}.html").read_text()
    # Its own data by another name are its own.
    assert main([*command[:1], *command[2:], "--data", f"{shapes}/../{shapes.name}"]) == 0
    assert not (tmp_path / f"evaluation-{shapes.name}.json").exists()


def _copy_run(source, target, **config):
    target.mkdir()
    shutil.copy(source / "best.keras", target)
    content = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**content, **config}))
    return target


def test_folders_of_one_name_have_metrics_of_their_own(make_run, shapes, tmp_path, capsys):
    run = make_run(data=str(shapes)).path
    places = [tmp_path / name / "other" for name in ("a", "b")]
    for count, place in enumerate(places, 1):
        place.parent.mkdir()
        write_shapes(place, counts={"train": 1, "val": count}, size=(24, 32))
    for place in (*places, *places):
        assert main(["evaluate", "--report", "--run", str(run), "--data", str(place)]) == 0
    for count, (place, name) in enumerate(zip(places, ("other", "other-2"), strict=True), 1):
        found = json.loads((run / f"evaluation-{name}.json").read_text())
        assert (found["data"], found["num_images"]) == (str(place), count)
        assert (run / f"report-{name}.html").is_file()
    assert not (run / "evaluation-other-3.json").exists()


@pytest.fixture
def half_broken(shapes, tmp_path):
    """A folder whose val is sound, and whose train holds what may not be, and an image twice."""
    folder = shutil.copytree(shapes, tmp_path / "half")
    images, masks = (sorted((folder / kind / "train").iterdir()) for kind in ("images", "masks"))
    shutil.copy(images[0], images[0].with_name("alone.png"))
    images[0].write_bytes(b"no image")
    cv2.imwrite(str(masks[1]), np.full((24, 32), 77, np.uint8))
    return folder


def test_only_the_split_that_is_evaluated_is_looked_at(make_run, shapes, half_broken):
    run = make_run()
    assert evaluate_run(run, half_broken) == evaluate_run(run, shapes)
    with pytest.raises(InputError, match=r"alone\.png: has no mask"):
        evaluate_run(run, half_broken, "train")
    (half_broken / "images" / "train" / "alone.png").unlink()
    with pytest.raises(InputError, match="is not an image"):
        evaluate_run(run, half_broken, "train")


def test_what_unnamed_masks_mean_needs_no_other_split_to_be_sound(make_run, shapes, half_broken):
    described = json.loads((half_broken / "dataset.json").read_text())
    (half_broken / "dataset.json").write_text(json.dumps({"splits": described["splits"]}))
    run = make_run()
    assert evaluate_run(run, half_broken) == evaluate_run(run, shapes)


def test_an_image_that_is_twice_is_told_or_strictly_refused(make_run, shapes, tmp_path, capsys):
    folder = shutil.copytree(shapes, tmp_path / "twice")
    for kind in ("images", "masks"):
        path = sorted((folder / kind / "val").iterdir())[0]
        shutil.copy(path, path.with_name("again.png"))
    command = ["evaluate", "--run", str(make_run(data=str(folder)).path)]
    assert main(command) == 0
    assert "warning: " in (out := capsys.readouterr().out) and "the same file as" in out
    assert main([*command, "--strict"]) == 2
    assert "the same file as" in capsys.readouterr().err


def test_two_runs_that_set_other_images_aside_are_told_apart(make_run, shapes, tmp_path, capsys):
    folder = tmp_path / "unsplit"
    for kind in ("images", "masks"):
        shutil.copytree(shapes / kind / "train", folder / kind)
        shutil.copytree(shapes / kind / "val", folder / kind, dirs_exist_ok=True)
    source = make_run(data=str(folder), seed=0).path
    held = {seed: load_dataset(folder, val_seed=seed).split("val")[0].image.name for seed in range(9)}
    other = next(seed for seed in held if held[seed] != held[0])
    runs = [_copy_run(source, tmp_path / f"run{seed}", seed=seed) for seed in (0, other)]
    assert main(["evaluate", "--run", *map(str, runs)]) == 0
    line = f"{runs[1]} is evaluated on 1 of 1 images that {runs[0]} is not, such as {held[other]};"
    assert line in (out := capsys.readouterr().out) and "same --val-seed and --val-fraction" in out
    runs.append(_copy_run(source, tmp_path / "run", seed=other, val_seed=0))
    assert main(["evaluate", "--run", str(runs[0]), str(runs[2])]) == 0
    assert "evaluated on" not in capsys.readouterr().out
