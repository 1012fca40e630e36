"""What an export answered elsewhere, compared with the Predictor of this environment."""

from typing import NamedTuple

import cv2
import numpy as np

from keras_seg.palette import overlay
from tests.runtimes.networks import CLASSES, COLORS, REFUSED, REQUESTS, WEBP_REQUEST
from tests.runtimes.running import Died
from tests.serving.helpers import grey

LIMIT = 1e-5  # Of max |theirs - ours| / max |ours|, logits.
WEBP_SINCE = (2, 20)  # The decoder of older versions knows no WebP.


class Result(NamedTuple):
    """A network in another version of TensorFlow.

    Attributes:
        equal: Number of signatures that answer alike.
        error: max |theirs - ours| / max |ours| of the logits.
        webp: Whether WebP images are read.
        ties: Pixels that got the other one of two classes whose logits are as close as that error may be.
        refused: Number of malformed requests that were refused.
        died: Number of requests that ended the process.
        problems: `{signature or malformed request: what is wrong}`.
    """

    equal: int
    error: float
    webp: bool
    ties: int
    refused: int
    died: int
    problems: dict


def requests():
    """One to each signature, a WebP image, the malformed ones, and the first ones again."""
    good = list(REQUESTS.items())
    return [*good, WEBP_REQUEST, *REFUSED.values(), *good]


def compare(expected, version, answers):
    """Compares the answers to `requests()`.

    Args:
        expected: `networks.Expected`.
        version: TensorFlow's, where the answers are from.
        answers: Of `running.ask`.

    Returns:
        `Result`.
    """
    count = len(REQUESTS)
    first, webp, malformed, last = (
        answers[:count],
        answers[count],
        answers[count + 1 : -count],
        answers[-count:],
    )
    comparison = Comparison(expected)
    problems = comparison.problems(first)
    equal = count - len(problems)
    if problem := comparison.webp(version, webp):
        problems["WebP"] = problem
    for name, answer in zip(REFUSED, malformed, strict=True):
        if not isinstance(answer, str):
            problems[name] = _ended(answer) if isinstance(answer, Died) else "was answered"
    for name, problem in Comparison(expected).problems(last).items():
        problems[f"{name}, after the malformed requests"] = problem
    refused = sum(isinstance(answer, str) for answer in malformed)
    died = sum(isinstance(answer, Died) for answer in answers)
    is_read = isinstance(webp, dict)
    return Result(equal, comparison.error, is_read, comparison.ties, refused, died, problems)


class Comparison:
    """The answers of one round of `REQUESTS`; `error` and `ties` are those of `Result`."""

    def __init__(self, expected):
        self.expected = expected
        self.error, self.ties = float("nan"), 0
        # The logits of a pixel may be off by this much.
        self.tolerance = LIMIT * float(np.abs(expected.logits).max())

    def problems(self, answers):
        """Returns `{signature: what is wrong}`."""
        answers = dict(zip(REQUESTS, answers, strict=True))
        found = {name: self._problem(name, answer, answers) for name, answer in answers.items()}
        return {name: problem for name, problem in found.items() if problem}

    def webp(self, version, answer):
        """Returns what is wrong with the answer to a WebP image."""
        if tuple(map(int, version.split(".")[:2])) >= WEBP_SINCE:
            return _failure(answer) or self._masks(map(grey, answer["mask_bytes"]), [self.expected.webp])
        return "" if isinstance(answer, str) else "was answered by a version that is said to know no WebP"

    def _problem(self, name, answer, answers):
        return _failure(answer) or getattr(self, name)(answers, **answer)

    def serving_default(self, _, mask, confidence):
        return self._maps(mask, confidence, self.expected.images)

    def logits(self, _, logits):
        ours = self.expected.logits
        if logits.shape != ours.shape:
            return f"logits of shape {logits.shape}"
        self.error = float(np.abs(logits - ours).max() / np.abs(ours).max())
        return "" if self.error <= LIMIT else f"logits are off by {self.error:.1e}"

    def bytes(self, _, mask_bytes):
        return self._masks(map(grey, mask_bytes), self.expected.files)

    def confidence(self, _, mask_bytes, confidence_bytes):
        return self._maps(map(grey, mask_bytes), map(grey, confidence_bytes), self.expected.files)

    def overlay(self, answers, overlay_bytes):
        """Of the mask that `bytes` answered, since a tie may be painted in either color."""
        if _failure(answers["bytes"]):
            return "no mask to compare with"
        masks = answers["bytes"]["mask_bytes"]
        for contents, mask, seen in zip(overlay_bytes, masks, self.expected.files, strict=True):
            painted = cv2.cvtColor(overlay(seen.image, grey(mask), COLORS), cv2.COLOR_RGB2BGR)
            ours = cv2.imencode(".jpg", painted, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
            theirs = np.frombuffer(contents, np.uint8)
            if not np.array_equal(*(cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in (theirs, ours))):
                return "another overlay"
        return ""

    def tiled(self, _, mask_bytes):
        return self._masks(map(grey, mask_bytes), self.expected.tiled)

    def labels(self, _, classes, colors):
        names = tuple(name.decode() for name in classes[0])
        return "" if names == CLASSES and np.array_equal(colors[0], COLORS) else "other classes or colors"

    def _maps(self, masks, confidences, seen):
        confidences = list(confidences)
        return self._masks(masks, seen) or self._confidences(confidences, seen)

    def _masks(self, masks, seen):
        wrong = sum(self._wrong(mask, one) for mask, one in zip(masks, seen, strict=True))
        return f"{wrong} pixels of another class" if wrong else ""

    def _wrong(self, mask, seen):
        """Counts the pixels of another class, but for those at a tie, which `ties` counts."""
        ours = seen.prediction.mask
        if mask.shape != ours.shape or mask.max() >= len(CLASSES):
            return ours.size
        is_other = mask != ours
        chosen = np.take_along_axis(seen.probabilities, mask[..., None].astype(int), axis=-1)[..., 0]
        is_tie = chosen >= seen.probabilities.max(axis=-1) * np.exp(-2 * self.tolerance)
        self.ties += int(np.sum(is_other & is_tie))
        return int(np.sum(is_other & ~is_tie))

    def _confidences(self, confidences, seen):
        # Rounded to 1/255; and a probability moves by no more than the logits.
        most = 0.5 + 255 * self.tolerance
        off = max(
            float(np.abs(map_ - 255 * one.prediction.confidence).max())
            for map_, one in zip(confidences, seen, strict=True)
        )
        return f"confidences are off by {off:.2f} of 255" if off > most else ""


def _failure(answer):
    """Why a request that is right got no answer; empty if it got one."""
    if isinstance(answer, Died):
        return _ended(answer)
    return f"refused: {answer.splitlines()[0]}" if isinstance(answer, str) else ""


def _ended(died):
    return "took too long" if died.status is None else f"the process ended with status {died.status}"
