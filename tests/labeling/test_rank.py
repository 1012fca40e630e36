"""`rank`: what would teach most comes first, and images that are alike do not come one after another."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data import read_image
from keras_seg.labeling.spreading import Features, cluster, spread_order


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ranked(run, tmp_path_factory):
    """Training images of the run, of which one is there six times, and a file that is no image."""
    folder = tmp_path_factory.mktemp("rank")
    photos = folder / "photos"
    shutil.copytree(Path(run.config["data"]) / "images" / "train", photos)
    first = min(photos.iterdir())
    for number in range(5):
        shutil.copy(first, photos / f"copy-{number}.png")
    (photos / "damaged.png").write_bytes(first.read_bytes()[:100])
    words = ["rank", photos, "--run", run.path, "--output", folder / "out", "--count", "6"]
    assert main([*map(str, words)]) == 2  # Of the damaged one.
    return folder / "out", photos, first


def test_scores_are_those_of_the_probabilities_by_hand(ranked, run):
    output, _, _ = ranked
    found = rows(output / "ranking.csv")
    assert len(found) == 15 and [row["rank"] for row in found] == [str(number) for number in range(1, 16)]
    predictor = run.predictor()
    for row in found[:2]:
        image = read_image(row["image"])
        probabilities = predictor.probabilities(image).astype(np.float64)
        mirrored = predictor.probabilities(image[:, ::-1].copy()).astype(np.float64)[:, ::-1]
        entropy = -(probabilities * np.log(probabilities)).sum(axis=-1)
        assert float(row["entropy"]) == pytest.approx(entropy.mean() / np.log(5), abs=1e-5)
        ordered = np.sort(probabilities, axis=-1)
        lead = ordered[..., -1] - ordered[..., -2]
        assert float(row["margin"]) == pytest.approx(1 - lead.mean(), abs=1e-5)
        middle = (probabilities + mirrored) / 2
        # The divergence by its definition, half of each view's from the middle.
        apart = [(view * np.log(view / middle)).sum(axis=-1) for view in (probabilities, mirrored)]
        assert float(row["disagreement"]) == pytest.approx(np.mean(apart) / np.log(5), abs=1e-5)


def test_images_that_are_alike_do_not_come_one_after_another(ranked):
    output, _, first = ranked
    names = [row["image"] for row in rows(output / "ranking.csv")]
    alike = ["copy-" in name or name == str(first) for name in names]
    assert sum(alike[:6]) <= 1 and sum(alike) == 6
    clusters = [row["cluster"] for row in rows(output / "ranking.csv")][:6]
    assert len(set(clusters)) == 6


def test_within_a_turn_the_least_sure_come_first(ranked):
    entropies = [float(row["entropy"]) for row in rows(ranked[0] / "ranking.csv")][:6]
    assert entropies == sorted(entropies, reverse=True)


def test_the_contact_sheet_and_the_tasks_are_of_the_first_images(ranked):
    output, _, _ = ranked
    sheet = cv2.imread(str(output / "contact_sheet.png"))
    assert sheet.shape[1] > 1000 and sheet.std() > 20
    tasks = json.loads((output / "annotations" / "label-studio.json").read_text())
    first = [Path(row["image"]).name for row in rows(output / "ranking.csv")][:6]
    assert [task["data"]["image"].rpartition("=")[2] for task in tasks] == first


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--by", "luck"], "--by must be one of entropy, margin, disagreement, received luck"),
        (["--clusters", "0"], "--clusters must be 1 or more, received 0"),
        (["--count", "0"], "--count must be 1 or more, received 0"),
        (["--scales", "9"], "--scales must be above 0 and at most 8"),
        (["--annotations", "paper"], "--annotations must be one of label-studio"),
    ],
)
def test_wrong_input_is_one_line(ranked, run, tmp_path, capsys, words, text):
    output = tmp_path / "out"
    argv = ["rank", str(ranked[2]), "--run", str(run.path), "--output", str(output), *words]
    assert main(argv) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert text in error and not list(output.glob("*.csv"))


def test_the_order_takes_turns_among_clusters():
    scores, clusters = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 1, 1, 0, 2]
    assert spread_order(scores, clusters).tolist() == [0, 3, 4, 1, 2]
    assert spread_order(scores, [0] * 5).tolist() == [0, 1, 2, 3, 4]


def test_clusters_are_the_groups_that_there_are():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat([0, 1, 2], 20))
    features = np.eye(3)[groups] * [1, 100, 10000] + rng.normal(size=(60, 3)) * [0.01, 1, 100]
    found = cluster(features, 3)
    assert len({(group, number) for group, number in zip(groups, found, strict=True)}) == 3
    assert cluster(np.ones((4, 2)), 3).tolist() == [0] * 4


def test_features_are_the_mean_of_the_coarsest_map(run):
    import keras

    network = run.load_model()
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 3)).astype(np.uint8)
    from keras_seg.encoders import encoder_layers

    last = network.get_layer(encoder_layers(network)[-1]).output
    maps = keras.Model(network.input, last)(image[None].astype(np.float32), training=False)
    expected = np.asarray(maps)[0].mean(axis=(0, 1))
    np.testing.assert_allclose(Features(network)(image), expected, rtol=1e-4, atol=1e-5)
