"""The report's pages in a browser: what a reader does, by mouse and keys, in the dark and on a phone.

`python -m pytest -m long tests/evaluation/test_page.py`, where Chromium is installed.
"""

import pytest

from keras_seg.evaluation.report import write_comparison
from tests.browser import CHROMIUM, Browser
from tests.evaluation.test_report import CLASSES, COLORS, evaluated, report

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
# WCAG 2.2, 1.4.3: the contrast of every text with what is behind it, each color drawn on a canvas.
CONTRASTS = """(() => {
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (color, below) => {
    context.clearRect(0, 0, 1, 1);
    if (below) { context.fillStyle = `rgb(${below.join()})`; context.fillRect(0, 0, 1, 1); }
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (element) => rgba(getComputedStyle(element).backgroundColor,
    element.parentElement ? ground(element.parentElement) : [255, 255, 255]);
  const luminance = (color) => {
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = color.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    const style = getComputedStyle(element);
    const isText = texts.length && !["SCRIPT", "title"].includes(element.tagName);
    if (!isText || !element.getClientRects().length) continue;
    const grounds = [ground(element)];
    const bar = style.backgroundImage.match(/rgba?\\([^)]*\\)/);
    if (bar) grounds.push(rgba(bar[0], grounds[0]));
    for (const each of grounds) {
      const text = rgba(element.closest("svg") ? style.fill : style.color, each);
      const [low, high] = [luminance(text), luminance(each)].sort((a, b) => a - b);
      found.push([(high + 0.05) / (low + 0.05), element.tagName, texts[0].data.trim()]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]);
})()"""
FIRSTS = "[...document.querySelectorAll('.sortable tbody th')].map((each) => each.textContent)"
NAMES = "[...document.querySelectorAll('figure')].map((each) => each.dataset.name)"
SHOWN = """[...document.querySelectorAll('.stack')].filter((each) => !each.querySelector('template'))
  .map((stack) => [...stack.querySelectorAll('.layer')]
  .filter((each) => getComputedStyle(each).display !== 'none')
  .map((each) => each.className.split(' ').at(-1)).join())"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    path, metrics, _ = report(folder, count=12)
    (one, first), (other, second) = evaluated(12), evaluated(12, seed=7)
    comparison = folder / "comparison.html"
    write_comparison(comparison, ["a", "b"], [one, other], [first, second], COLORS, "val of photographs")
    return {"report": path, "comparison": comparison}, metrics


@pytest.fixture(params=["report", "comparison"])
def browser(request, pages):
    with Browser(pages[0][request.param].as_uri()) as browser:
        yield browser
        assert browser.errors == []


@pytest.fixture
def report_page(pages):
    with Browser(pages[0]["report"].as_uri()) as browser:
        yield browser
        assert browser.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(browser, scheme):
    browser.prefer(scheme)
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]
    found = browser.run(CONTRASTS)
    assert len(found) > 50 and found[0][0] >= 4.5, found[:5]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(browser, width):
    browser.resize(width, 844)
    assert browser.run("document.documentElement.scrollWidth") == width
    sizes = browser.run(
        "[...document.querySelectorAll('p, td, th, li, label, svg text')]"
        ".filter((e) => e.getClientRects().length)"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize) * "
        "(e.closest('svg') ? e.closest('svg').clientWidth / e.closest('svg').viewBox.baseVal.width : 1))"
    )
    assert min(sizes) >= 11.5


def test_all_that_can_be_used_has_a_name(browser):
    browser.run("document.querySelector('#images').scrollIntoView()")
    browser.wait("document.querySelectorAll('.stack img').length > 10")
    roles = ("button", "link", "slider", "radio", "combobox", "image", "img", "region")
    used = [(role, name) for role, name in browser.names() if role in roles]
    assert {"button", "link", "slider", "radio", "combobox"} <= {role for role, _ in used}
    assert all(name for _, name in used), used
    names = [name for role, name in used if role == "slider"]
    assert len(names) == len(set(names)) >= 3


def test_tables_sort_both_ways_by_keys_alone(report_page, pages):
    ious = dict(zip(CLASSES, (row["iou"] for row in pages[1]["classes"]), strict=True))
    while report_page.run("document.activeElement.textContent") != "IoU":
        report_page.press("Tab")
    report_page.press("Enter")
    assert report_page.run(FIRSTS) == sorted(CLASSES, key=lambda name: -ious[name])
    report_page.press(" ")
    assert report_page.run(FIRSTS) == sorted(CLASSES, key=lambda name: ious[name])
    assert report_page.run("document.querySelector('[aria-sort]').ariaSort") == "ascending"


def test_one_switch_changes_the_layer_of_all_images(report_page):
    report_page.run("document.querySelector('#images').scrollIntoView()")
    report_page.wait("document.querySelectorAll('.stack template').length < 12")
    assert set(report_page.run(SHOWN)) == {"errors"}  # Without having touched anything.
    report_page.run("document.querySelector('#layers input').focus()")
    for layer in ("prediction", "truth", ""):
        report_page.press("ArrowRight")
        assert set(report_page.run(SHOWN)) == {layer}


def test_a_slider_moves_the_border_of_its_layer(browser):
    browser.run("document.querySelector('figure input').scrollIntoView()")
    browser.wait("document.querySelector('.stack img.layer')")
    browser.run("document.querySelector('figure input').focus()")
    browser.press("Home")
    browser.press("ArrowRight", times=20)
    clips = browser.run(
        "[...document.querySelectorAll('figure')].slice(0, 1).flatMap((figure) => "
        "[...figure.querySelectorAll('.errors')].map((each) => getComputedStyle(each).clipPath))"
    )
    assert clips in (["inset(0px 80% 0px 0px)"], ["inset(0px 80% 0px 0px)", "inset(0px 0px 0px 20%)"])


def test_images_are_ordered_as_is_asked(report_page):
    for order, expected in (("-iou", range(12)), ("iou", range(11, -1, -1)), ("name", range(12))):
        report_page.run(
            f"document.getElementById('order').value = '{order}';"
            "document.getElementById('order').dispatchEvent(new Event('change'))"
        )
        assert report_page.run(NAMES) == [f"{number:03d}.png" for number in expected]


def test_the_button_turns_light_into_dark_and_back(browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.run("document.getElementById('theme').focus()")
    browser.press("Enter")
    assert browser.run(ground) == "rgb(20, 23, 28)" != light
    browser.press(" ")
    assert browser.run(ground) == light


def test_images_come_only_as_they_are_looked_at(tmp_path):
    path, *_ = report(tmp_path, count=300, limit=1000)
    with Browser(path.as_uri()) as browser:
        assert browser.run("document.querySelectorAll('figure').length") == 300
        assert browser.run("document.querySelectorAll('.stack img').length") < 100
        browser.run("document.querySelector('figure:last-of-type').scrollIntoView()")
        browser.wait("document.querySelector('figure:last-of-type .stack img')")
        assert browser.run("document.querySelectorAll('.stack template').length") > 150
        assert browser.errors == []
