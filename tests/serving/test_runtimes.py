"""`python -m tests.runtimes` tells what differs; asked here is this environment's own TensorFlow."""

import contextlib
import io
import re
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.runtimes import __main__ as command, running
from tests.runtimes.comparing import compare
from tests.runtimes.networks import NUM_CLASSES, REFUSED, REQUESTS
from tests.runtimes.running import Died, NotLoadedError, ask
from tests.serving.helpers import grey, strings

PROJECT = Path(__file__).parents[2]
NETWORK = "unet"
COUNT = len(REQUESTS)
WEBP, MALFORMED = COUNT, COUNT + 1  # Where their answers are.
KEPT = 3  # Malformed requests; tests/serving/test_malformed.py sends all of them in this environment.


@pytest.fixture(scope="module")
def table():
    """The printed table of one network in this environment, the exit status, and what was compared."""
    compared, printed = [], io.StringIO()

    def record(*arguments):
        compared.append(arguments)
        return compare(*arguments)

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        for name in list(REFUSED)[KEPT:]:
            patch.delitem(REFUSED, name)
        patch.setattr(command, "compare", record)
        status = command.main([sys.executable, "--networks", NETWORK])
        yield printed.getvalue().splitlines(), status, compared[0]


@pytest.fixture
def expected(table):
    return table[2][0]


@pytest.fixture
def answers(table):
    """A copy of the answers, to be changed."""
    return [dict(answer) if isinstance(answer, dict) else answer for answer in table[2][2]]


def test_a_row_tells_that_all_signatures_answer_alike(table):
    (_, row, verdict), status, _ = table
    assert row.split()[:5] == [NETWORK, version("tensorflow"), str(COUNT), "of", str(COUNT)]
    assert float(row.split()[5]) <= 1e-5
    assert row.split()[6:12] == ["0", "read", str(KEPT), "of", str(KEPT), "0"]
    assert (verdict, status) == ("all alike", 0)


def one_pixel(maps, value):
    """uint8 maps [N, H, W] of which one pixel is changed."""
    maps = maps.copy()
    maps[0, 3, 4] = value(int(maps[0, 3, 4]))
    return maps


def one_pixel_of_pngs(pngs, value):
    mask = one_pixel(grey(pngs[0])[None], value)[0]
    return strings(cv2.imencode(".png", mask)[1].tobytes(), *pngs[1:])


def other_class(index):
    return (index + 1) % NUM_CLASSES


def less_sure(confidence):
    return confidence - 2


CHANGES = {
    "serving_default": {"mask": lambda masks: one_pixel(masks, other_class)},
    "logits": {"logits": lambda logits: logits + 1e-4 * np.abs(logits).max()},
    "bytes": {"mask_bytes": lambda pngs: one_pixel_of_pngs(pngs, other_class)},
    "confidence": {"confidence_bytes": lambda pngs: one_pixel_of_pngs(pngs, less_sure)},
    "overlay": {"overlay_bytes": lambda jpegs: jpegs[::-1]},
    "tiled": {"mask_bytes": lambda pngs: one_pixel_of_pngs(pngs, other_class)},
    "labels": {"colors": lambda colors: colors + 1},
}


@pytest.mark.parametrize("signature", REQUESTS)
def test_a_signature_that_answers_otherwise_is_named(expected, answers, signature):
    answer = answers[list(REQUESTS).index(signature)]
    for name, change in CHANGES[signature].items():
        answer[name] = change(answer[name])
    result = compare(expected, "2.21.0", answers)
    assert signature in result.problems and result.equal < COUNT


def test_a_pixel_of_two_equal_classes_may_be_either(expected, answers):
    seen = expected.images[0]
    probabilities = seen.probabilities.copy()
    probabilities[3, 4] = 1 / NUM_CLASSES
    images = (seen._replace(probabilities=probabilities), *expected.images[1:])
    answers[0]["mask"] = one_pixel(answers[0]["mask"], other_class)
    result = compare(expected._replace(images=images), "2.21.0", answers)
    assert (result.equal, result.ties, result.problems) == (COUNT, 1, {})


def test_a_malformed_request_that_is_answered_or_ends_the_process_is_named(expected, answers):
    answers[MALFORMED], answers[MALFORMED + 1] = answers[0], Died(-6)
    result = compare(expected, "2.21.0", answers)
    first, second = list(REFUSED)[:2]
    assert result.problems == {first: "was answered", second: "the process ended with status -6"}
    assert (result.refused, result.died) == (KEPT - 2, 1)


def test_webp_is_refused_before_2_20_and_read_since(expected, answers):
    assert list(compare(expected, "2.19.1", answers).problems) == ["WebP"]
    answers[WEBP] = "Unknown image file format."
    assert compare(expected, "2.19.1", answers).problems == {}
    assert compare(expected, "2.20.0", answers).problems == {"WebP": "refused: Unknown image file format."}


def test_requests_go_on_after_one_that_ends_the_process(tmp_path, monkeypatch):
    script = tmp_path / "ask.py"
    script.write_text(
        "import os, pickle, sys\n"
        "_, folder, requests, answers, first = sys.argv\n"
        "with open(answers, 'wb') as file:\n"
        "    pickle.dump('1.2.3', file)\n"
        "    for name, inputs in pickle.load(open(requests, 'rb'))[int(first):]:\n"
        "        file.flush()\n"
        "        os.abort() if name == 'deadly' else pickle.dump(inputs, file)\n"
    )
    monkeypatch.setattr(running, "ASK", script)
    sent = [("good", {"x": 1}), ("deadly", {}), ("good", {"x": 2}), ("deadly", {})]
    assert ask(sys.executable, tmp_path, sent) == ("1.2.3", [{"x": 1}, Died(-6), {"x": 2}, Died(-6)])


def test_an_export_that_does_not_load_is_one_line(tmp_path):
    with pytest.raises(NotLoadedError, match=r"^.*Could not find SavedModel .*$"):
        ask(sys.executable, tmp_path, [])


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("9.9", "tensorflow-cpu 9.9: cannot be installed (No matching distribution found"),
        (__file__, f"{__file__}: is no Python that has TensorFlow; name one that is, or a version"),
    ],
)
def test_a_version_that_cannot_be_had_is_one_line(version, line, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path / "environments"
    assert command.main([version, "--environments", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {line}") and err.count("\n") == 1 and not out
    assert not folder.exists() or not list(folder.iterdir())


def test_compose_file_image_and_page_pin_one_server():
    texts = [(PROJECT / file).read_text() for file in ("serving/compose.yaml", "serving/Dockerfile")]
    pins = {re.search(r"TAG(?::-|=)(\d[\d.]+)", text)[1] for text in texts}
    pages = [(PROJECT / "docs/guides" / name).read_text() for name in ("serve.md", "operate.md")]
    assert all({*re.findall(r"tensorflow/serving:(\d[\d.]+)", page)} == pins for page in pages)
