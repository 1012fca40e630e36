"""The report is one file that holds everything and says what its metrics mean."""

import html
import io
import re
from collections import Counter
from html.parser import HTMLParser

import cv2
import markupsafe
import numpy as np
import pytest
from PIL import Image

from keras_seg import palette
from keras_seg.evaluation import evaluate, verdict
from keras_seg.evaluation.report import About, Gallery, write_comparison, write_report
from keras_seg.evaluation.report.charts import curves, ticks
from keras_seg.inference import Prediction

CLASSES = ("ground", '<tree> & "bush"', "car")
COLORS = [(0, 0, 0), (0, 200, 0), (200, 0, 0)]


class Noisy:
    """Gives back the truth, which is hidden in the image, with more errors the later the image."""

    num_classes = 3

    def __init__(self, seed=0):
        self.random, self.count = np.random.default_rng(seed), 0

    def predict_batch(self, images):
        mask = images[..., 0] // 80
        self.count += 1
        wrong = self.random.random(mask.shape) < 0.05 * self.count
        mask = np.where(wrong, self.random.integers(0, 3, mask.shape), mask).astype(np.uint8)
        return Prediction(mask, np.full(mask.shape, 0.8, np.float32))


HISTORY = [
    {"epoch": epoch, "loss": 1 / epoch, "val_loss": 1.2 / epoch, "val_mean_iou": score, "learning_rate": 1e-3}
    for epoch, score in ((1, 0.3), (2, 0.7), (3, 0.6))
]
SETTINGS = {"model": "unet", "model_options": {"width": "<b>"}}


def images(count):
    """Images whose ground truth is hidden in them, and it."""
    random = np.random.default_rng(0)
    for _ in range(count):
        truth = random.integers(0, 3, (1, 24, 32)).repeat(2, axis=1)
        image = np.stack([truth * 80] * 3, axis=-1).astype(np.uint8)
        truth[:, :3] = 255
        yield image, truth


def evaluated(count=4, limit=200, seed=0, names="{:03d}.png"):
    gallery = Gallery(COLORS, CLASSES, count, limit)
    watch = lambda number, *pictures: gallery.add(names.format(number), *pictures)  # noqa: E731
    return evaluate(Noisy(seed), images(count), CLASSES, watch=watch), gallery


def report(folder, **options):
    metrics, gallery = evaluated(**options)
    path = folder / "report.html"
    about = About("unet", "runs/unet", "photographs", "val", HISTORY, SETTINGS)
    write_report(path, about, metrics, gallery, COLORS)
    return path, metrics, gallery.pictures()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return report(tmp_path_factory.mktemp("report"))


def test_the_page_holds_everything_and_asks_for_nothing(page):
    path, metrics, _ = page
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"{{|}}|{%", text)
    assert (
        not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
        and "url(" not in text
        and "@import" not in text
        and "default-src 'none'" in text
    )
    assert f"{metrics['mean_iou']:.3f}" in text and "<tree>" not in text
    assert str(markupsafe.escape(CLASSES[1])) in text
    assert text.count("<figure") == 4 and text.count("data:image/png") == 12
    assert [path.name for path in path.parent.iterdir()] == ["report.html"]


def test_the_page_says_whether_it_is_good_where_it_fails_and_what_to_do(page):
    path, metrics, _ = page
    text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8"))))
    assert "unet on photographs" in text and "val split of photographs: 4 images" in text
    assert f"every pixel {verdict.baseline(metrics).name}" in text
    first = verdict.largest_confusions(metrics)[0]
    assert f"{first.part:.0%} of {first.truth} is taken for {first.prediction}" in text
    for step in verdict.next_steps("runs/unet", metrics, HISTORY):
        assert step.command in text
    assert verdict.calibration_sentence(metrics) in text
    assert "best: 0.700 in epoch 2" in text
    matrix = np.array(metrics["confusion"])
    for index in range(3):  # Precision, recall
        assert f"{matrix[index, index] / matrix[:, index].sum():.3f}" in text
        assert f"{matrix[index, index] / matrix[index].sum():.3f}" in text


@pytest.mark.parametrize(
    "text", ["<script>bad()</script>", '" onload="bad()', "</template><img src=x>", "{{ 7 * 7 }}"]
)
def test_nothing_that_is_put_into_a_page_becomes_a_part_of_it(tmp_path, monkeypatch, text):
    monkeypatch.setattr(f"{__name__}.CLASSES", (text, "b", "c"))
    metrics, gallery = evaluated(2, names=text.replace("{", "{{").replace("}", "}}") + "{}")
    about = About(text, text, text, text, HISTORY, {text: text, "list": [text]})
    write_report(tmp_path / "report.html", about, metrics, gallery, COLORS)
    pair = [metrics] * 2, [gallery] * 2
    write_comparison(tmp_path / "comparison.html", [text, "b"], *pair, COLORS, text)
    for page in tmp_path.iterdir():
        found = Tags()
        found.feed(page.read_text(encoding="utf-8"))
        assert found.seen["script"] == 1 and found.seen["img"] == 2 * (4 if page.stem == "report" else 5)
        assert not found.handlers
        assert text in found.text


class Tags(HTMLParser):
    """Counts the tags of a page, and gathers its text and what would run."""

    def __init__(self):
        super().__init__()
        self.seen, self.handlers, self.text = Counter(), [], ""

    def handle_starttag(self, tag, attributes):
        self.seen[tag] += 1
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


def test_two_runs_are_compared_image_by_image(tmp_path):
    (one, first), (other, second) = evaluated(6), evaluated(6, seed=7)
    path = tmp_path / "comparison.html"
    write_comparison(path, ["a", "b"], [one, other], [first, second], COLORS, "val of photographs")
    text = path.read_text(encoding="utf-8")
    differences = [y - x for x, y in zip(first.scores, second.scores, strict=True)]
    found = [float(value) for value in re.findall(r'data-iou="([^"]+)"', text)]
    assert found == pytest.approx(sorted(differences), abs=1e-6)
    better, worse = (sum(sign * each > 0 for each in differences) for sign in (1, -1))
    assert f"b is better on <b>{better}</b> of 6 images and worse on <b>{worse}</b>" in text
    assert f"Per image its mean IoU is {np.mean(differences):+.3f}" in text
    assert f"<td>{one['mean_iou']:.3f}</td><td>{other['mean_iou']:.3f}</td>" in text


def test_pictures_are_scored_by_themselves_and_the_worst_come_first(page):
    *_, pictures = page
    assert [picture.name for picture in pictures] == ["003.png", "002.png", "001.png", "000.png"]
    assert pictures[0].accuracy == pytest.approx(1 - 0.2 * 2 / 3, abs=0.04)


def test_a_large_data_set_keeps_its_worst_and_its_best(tmp_path):
    path, _, pictures = report(tmp_path, count=12, limit=6)
    assert [picture.name for picture in pictures] == [f"{number:03d}.png" for number in (11, 10, 9, 2, 1, 0)]
    assert "6 of 12 images" in path.read_text(encoding="utf-8")


def test_two_hundred_photographs_stay_below_twenty_megabytes():
    """Noise compresses worse than any photograph."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (480, 640, 3), np.uint8)
    truth = random.integers(0, 11, (24, 32)).repeat(20, axis=0).repeat(20, axis=1)
    gallery = Gallery([(0, 0, 0)] * 11, count=200)
    gallery.add("a", image, truth, truth)
    (picture,) = gallery.pictures()
    size = len(picture.photo) + sum(map(len, picture.layers.values()))
    assert 200 * size * 4 / 3 < 20e6


@pytest.mark.parametrize(("count", "side", "megabytes"), [(200, 480, 20), (1000, 320, 40), (5000, 320, 40)])
def test_pages_of_many_photographs_stay_small(count, side, megabytes):
    """Of noise, which compresses worse than any photograph, and masks of two hundred regions."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (480, 640, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)  # As sharp as a camera's.
    truth = random.integers(0, 11, (12, 16)).repeat(40, axis=0).repeat(40, axis=1)
    gallery = Gallery([(0, 0, 0)] * 11, count=count)
    gallery.add("a", image, truth, np.roll(truth, 9, axis=1))
    (picture,) = gallery.pictures()
    assert Image.open(io.BytesIO(picture.photo)).size == (side, side * 3 // 4)
    size = len(picture.photo) + sum(map(len, picture.layers.values()))
    assert min(count, 1000) * size * 4 / 3 < megabytes * 1e6


def test_layers_are_clear_where_the_image_is_seen():
    _, gallery = evaluated(1)
    (picture,) = gallery.pictures()
    (_, truth), *_ = images(1)
    opacity = {
        name: np.array(Image.open(io.BytesIO(contents)).convert("RGBA"))[..., 3]
        for name, contents in picture.layers.items()
    }
    np.testing.assert_array_equal(
        opacity["truth"][0:48] == 0, np.isin(truth[0], (0, 255))
    )  # 0 is the ground.
    errors = np.array(Image.open(io.BytesIO(picture.layers["errors"])).convert("RGBA"))
    is_red = (errors == (*palette.ERROR_COLOR, 255)).all(-1)
    labeled = truth[0] != 255
    assert is_red[labeled].mean() == pytest.approx(1 - picture.accuracy) and not is_red[~labeled].any()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 0.001, [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
     (1, 30, [10, 20, 30]), (2, 2, [2])],
)  # fmt: skip
def test_ticks_are_round_numbers_within_the_axis(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_numbers_beside_an_axis_are_short():
    chart = curves([{"epoch": epoch, "learning_rate": 1.5e-4 / epoch} for epoch in (1.0, 2.0)])[-1]
    assert [tick.text for tick in chart.y_ticks] == ["0", "5e-5", "1e-4", "1.5e-4"]
