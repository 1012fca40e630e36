"""`review`: planted masks come first, and it is said which images the network has trained on."""

import csv
import json
import shutil

import cv2
import pytest

from keras_seg import Run
from keras_seg.cli import main
from keras_seg.data import read_image
from keras_seg.labeling import folds


@pytest.fixture(scope="module")
def reviewed(run, tmp_path_factory):
    """The run's data with one validation mask made wrong, and the review of all of it."""
    folder = tmp_path_factory.mktemp("review")
    data = folder / "data"
    shutil.copytree(run.config["data"], data)
    victim = sorted((data / "masks" / "val").glob("*.png"))[1]
    mask = cv2.imread(str(victim), cv2.IMREAD_UNCHANGED)
    probabilities = run.predictor().probabilities(read_image(data / "images" / "val" / victim.name))
    assert cv2.imwrite(str(victim), probabilities.argmin(axis=-1).astype(mask.dtype))
    words = [
        "review",
        "--run",
        run.path,
        "--data",
        data,
        "--split",
        "train",
        "val",
        "--output",
        folder / "out",
    ]
    assert main([*map(str, words)]) == 0
    return folder / "out", victim


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_planted_mask_comes_first(reviewed):
    output, victim = reviewed
    first = rows(output / "images.csv")[0]
    assert first["mask"] == str(victim) and first["rank"] == "1"
    assert float(first["doubt"]) > 2 * abs(float(rows(output / "images.csv")[1]["doubt"]))


def test_it_is_said_which_images_the_network_has_trained_on(reviewed):
    output, _ = reviewed
    found = rows(output / "images.csv")
    # A copy of the folder: the images are known by what they hold.
    assert [row["trained_on"] for row in found] == ["no"] * 3 + ["yes"] * 10
    assert {row["split"] for row in found[:3]} == {"val"}
    page = (output / "review.html").read_text(encoding="utf-8")
    assert page.count('<figure class="seen"') == 10 and page.count("<figure") == 13
    assert "<dt>trained on</dt><dd>10</dd>" in page


def test_regions_lie_where_the_mask_is_contradicted(reviewed):
    output, victim = reviewed
    found = [row for row in rows(output / "regions.csv") if row["image"].endswith(f"val/{victim.name}")]
    assert sum(int(row["pixels"]) for row in found) > 100
    doubts = [float(row["doubt"]) for row in found]
    assert doubts == sorted(doubts, reverse=True)


def test_tasks_are_in_the_order_of_doubt(reviewed):
    output, victim = reviewed
    tasks = json.loads((output / "annotations" / "label-studio.json").read_text())
    assert tasks[0]["data"]["image"].endswith(victim.name) and len(tasks) == 13


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--folds", "1"], "--folds must be from 2 to the 10 training images, received 1"),
        (["--folds", "2", "--split", "val"], "--folds judges the train split"),
        (["--limit", "0"], "--limit must be 1 or more"),
        (["--annotations", "paper"], "--annotations must be one of label-studio"),
        (["--split", "test"], "no 'test' split"),
    ],
)
def test_wrong_input_is_one_line(run, tmp_path, capsys, words, text):
    assert main(["review", "--run", str(run.path), "--output", str(tmp_path / "out"), *words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1 and text in lines[0] and not (tmp_path / "out").exists()


def check_folds(run, output, learned):
    """Runs a review with two folds, twice; `learned` gets the names of what each network learns from."""
    words = ["--run", run.path, "--folds", "2", "--output", output, "--annotations", "none"]
    words = ["review", *map(str, words)]
    assert main(words) == 0
    found = rows(output / "images.csv")
    assert {row["trained_on"] for row in found} == {"no"} and len(found) == 13
    for number, names in enumerate(learned, 1):
        judged = {row["image"].rpartition("/")[2][:-4] for row in found if row["network"] == f"fold-{number}"}
        assert len(judged) == 5 and not judged & names and len(names) == 5
    assert {row["network"] for row in found if row["split"] == "val"} == {"run"}
    again = folds.train_folds(run, run.dataset(), 2, output)
    assert [len(fold.held_out) for fold in again] == [5, 5] and len(learned) == 2  # What is trained is taken.


def test_folds_judge_training_images_that_they_have_not_learned(run, tmp_path, monkeypatch, capsys, eager):
    learned = []

    def train(config, *, dataset, report):
        assert (config.epochs, config.image_size, config.model_options) == (
            run.config["epochs"],
            tuple(run.config["image_size"]),
            run.config["model_options"],
        )
        learned.append({sample.name for sample in dataset.split("train")})
        shutil.copytree(run.path, config.output)
        return Run.open(config.output)

    monkeypatch.setattr(folds, "train", train)
    check_folds(run, tmp_path / "out", learned)
    assert main(["review", "--run", str(run.path), "--folds", "3", "--output", str(tmp_path / "out")]) == 2
    assert "fold-1: is of other folds; remove it" in capsys.readouterr().err


@pytest.mark.long
def test_folds_are_trained_with_the_runs_settings(run, tmp_path, monkeypatch, no_export):
    learned, train = [], folds.train

    def watched(*arguments, dataset, **options):
        learned.append({sample.name for sample in dataset.split("train")})
        return train(*arguments, dataset=dataset, **options)

    monkeypatch.setattr(folds, "train", watched)
    check_folds(run, tmp_path / "out", learned)
    kept = ("epochs", "image_size", "batch_size", "loss", "learning_rate", "optimizer", "model_options")
    for fold in (tmp_path / "out").glob("fold-*"):
        config = Run.open(fold).config
        assert [config[name] for name in kept] == [run.config[name] for name in kept]
