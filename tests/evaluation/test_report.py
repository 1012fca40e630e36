"""The report is one file that holds everything; its page works in a browser, where Chromium is installed."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from keras_seg.evaluation import evaluate
from keras_seg.evaluation.report import Gallery, write_report
from keras_seg.inference import Prediction

CLASSES = ("ground", '<tree> & "bush"', "car")
COLORS = [(0, 0, 0), (0, 200, 0), (200, 0, 0)]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"),
)
# What a reader does; what the page shows then is written into its title.
ACTIONS = """
<script>
const seen = [];
const heads = document.querySelectorAll(".sortable thead button");
const firsts = () => [...document.querySelectorAll(".sortable tbody th")].map((each) => each.textContent);
heads[1].click(); seen.push(firsts());
heads[1].click(); seen.push(firsts());
const figure = document.querySelector("figure");
const slider = figure.querySelector("input[type=range]");
slider.value = 80; slider.dispatchEvent(new Event("input", {bubbles: true}));
seen.push(getComputedStyle(figure.querySelector(".layer.shown")).clipPath);
figure.querySelector("input[value=errors]").click();
seen.push([...figure.querySelectorAll(".layer")].map((each) => getComputedStyle(each).display));
const order = document.getElementById("order");
order.value = "-iou"; order.dispatchEvent(new Event("change"));
seen.push([...document.querySelectorAll("figure")].map((each) => each.dataset.name));
document.getElementById("theme").click();
const ground = getComputedStyle(document.body).backgroundColor;
document.getElementById("theme").click();
seen.push(ground !== getComputedStyle(document.body).backgroundColor);
document.title = JSON.stringify(seen);
</script>
"""


class Noisy:
    """Gives back the truth, which is hidden in the image, with more errors the later the image."""

    num_classes = 3

    def __init__(self):
        self.random, self.count = np.random.default_rng(0), 0

    def predict_batch(self, images):
        mask = images[..., 0] // 80
        self.count += 1
        wrong = self.random.random(mask.shape) < 0.05 * self.count
        mask = np.where(wrong, self.random.integers(0, 3, mask.shape), mask).astype(np.uint8)
        return Prediction(mask, np.full(mask.shape, 0.8, np.float32))


def report(folder, count=4, limit=200):
    gallery = Gallery(COLORS, limit)
    random = np.random.default_rng(0)
    batches = []
    for _ in range(count):
        truth = random.integers(0, 3, (1, 24, 32)).repeat(2, axis=1)
        image = np.stack([truth * 80] * 3, axis=-1).astype(np.uint8)
        truth[:, :3] = 255
        batches.append((image, truth))
    watch = lambda number, *pictures: gallery.add(f"{number:03d}.png", *pictures)  # noqa: E731
    metrics = evaluate(Noisy(), batches, CLASSES, watch=watch)
    path = folder / "report.html"
    write_report(path, "unet on val", metrics, gallery.pictures(), COLORS, {"model": "unet", "seed": 0})
    return path, metrics, gallery.pictures()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return report(tmp_path_factory.mktemp("report"))


def test_the_page_holds_everything_and_asks_for_nothing(page):
    path, metrics, _ = page
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"<!--[A-Z]+-->", text)
    assert (
        not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
        and "url(" not in text
        and "@import" not in text
    )
    assert f"{metrics['mean_iou']:.3f}" in text and "<tree>" not in text and html.escape(CLASSES[1]) in text
    assert text.count("<figure") == 4 and text.count("data:image/png") == 12
    assert [path.name for path in path.parent.iterdir()] == ["report.html"]


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
    gallery = Gallery([(0, 0, 0)] * 11)
    gallery.add("a", image, truth, truth)
    (picture,) = gallery.pictures()
    size = len(picture.photo) + sum(map(len, picture.layers.values()))
    assert 200 * size * 4 / 3 < 20e6


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_sorting_sliders_layers_and_themes_work_in_a_browser(page, tmp_path):
    path, *_ = page
    copy = tmp_path / "acted.html"
    copy.write_text(
        path.read_text(encoding="utf-8").replace("</body>", f"{ACTIONS}</body>"), encoding="utf-8"
    )
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", copy.as_uri()]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in answer.stderr
    title = html.unescape(re.search(r"<title>(.*?)</title>", answer.stdout, re.DOTALL)[1])
    falling, rising, clip, layers, order, changed = json.loads(title)
    ious = dict(zip(CLASSES, (row["iou"] for row in page[1]["classes"]), strict=True))
    assert falling == sorted(CLASSES, key=lambda name: -ious[name]) and rising == falling[::-1]
    assert clip == "inset(0px 20% 0px 0px)"
    assert layers == ["none", "none", "block"]
    assert order == ["000.png", "001.png", "002.png", "003.png"]
    assert changed is True
