"""What the metrics of an evaluation mean, in sentences, and what to do next."""

from shlex import quote
from typing import NamedTuple

import numpy as np

from keras_seg.metrics import scores

MARGIN = 0.005  # Of mean IoU: a few pixels of other classes are no better.
SURE = 0.02  # Of confidence: a model that is off by less is well calibrated.
RARE = 0.5  # A class whose IoU is below this part of the mean has fallen behind.
LATE = 0.9  # A training whose best epoch lies after this part of it may go on.
# How much of the way from the commonest class to a perfect model was gone, and what that is called.
_GRADES = ((0.85, "Excellent"), (0.65, "Good"), (0.4, "Fair"), (0.0, "Weak"))


class Baseline(NamedTuple):
    """What labeling every pixel with the commonest class would give.

    Attributes:
        name: The class.
        mean_iou, pixel_accuracy: Fractions.
    """

    name: str
    mean_iou: float
    pixel_accuracy: float


class Confusion(NamedTuple):
    """A class that is taken for another one.

    Attributes:
        truth, prediction: Names of the classes.
        part: Of the pixels of the first class, a fraction.
        of_errors: Part of all wrong pixels.
    """

    truth: str
    prediction: str
    part: float
    of_errors: float


class Step(NamedTuple):
    """What to do next.

    Attributes:
        reason: Why, a clause without a full stop.
        command: What to type.
    """

    reason: str
    command: str


def baseline(metrics):
    """Returns the `Baseline` of an evaluation; None where fewer than two classes are in the ground truth."""
    pixels = np.sum(metrics["confusion"], axis=1)
    if np.count_nonzero(pixels) < 2:
        return None
    commonest = int(np.argmax(pixels))
    constant = np.zeros((len(pixels), len(pixels)))
    constant[:, commonest] = pixels
    found = scores(constant)
    name = metrics["classes"][commonest]["name"]
    return Baseline(name, float(found["mean_iou"]), float(found["pixel_accuracy"]))


def has_learned(metrics):
    """Whether a model is better than its `baseline`; True where there is none."""
    known = baseline(metrics)
    return known is None or metrics["mean_iou"] > known.mean_iou + MARGIN


def grade(metrics):
    """Says in a word or two how good a model is, between its baseline and 1; None without a baseline."""
    known = baseline(metrics)
    if known is None:
        return None
    if not has_learned(metrics):
        return "Nothing learned yet"
    gone = (metrics["mean_iou"] - known.mean_iou) / (1 - known.mean_iou)
    return next(word for least, word in _GRADES if gone >= least)


def largest_confusions(metrics, count=3):
    """Returns the largest `Confusion`s by pixels, at most `count`."""
    matrix = np.array(metrics["confusion"], np.float64)
    wrong = matrix * (1 - np.eye(len(matrix)))
    names = [row["name"] for row in metrics["classes"]]
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    cells = [divmod(int(place), len(matrix)) for place in order]
    return [
        Confusion(
            names[row],
            names[column],
            wrong[row, column] / matrix[row].sum(),
            wrong[row, column] / wrong.sum(),
        )
        for row, column in cells
        if wrong[row, column]
    ]


def calibration_sentence(metrics):
    """Says whether the confidence can be trusted; None where nothing is labeled."""
    bins = metrics["calibration"]
    total = sum(each["pixels"] for each in bins)
    if not total:
        return None
    confidence, accuracy = (
        sum(each["pixels"] * each[name] for each in bins) / total for name in ("confidence", "accuracy")
    )
    text = f"on average it is {confidence:.0%} sure, and {accuracy:.0%} of the pixels are right"
    if abs(confidence - accuracy) < SURE:
        return f"Well calibrated: {text}."
    if confidence > accuracy:
        return f"Overconfident: {text}. Take its confidence for less than it says."
    return f"Underconfident: {text}. It is right more often than it says."


def next_steps(folder, metrics, rows=(), can_train_anew=True):
    """Says what to do after an evaluation.

    Args:
        folder: Run folder, as it is typed.
        metrics: As of `evaluate`.
        rows: The run's history, rows of `history.csv`.
        can_train_anew: Whether the run's `config.json` holds all its settings.

    Returns:
        Two `Step`s: one that may make the model better, and one that uses it.
    """
    folder = quote(str(folder))
    use = _command(f"predict IMAGE.jpg --run {folder} --output masks --overlay")
    return [_improvement(folder, metrics, rows, can_train_anew), Step("label images of your own", use)]


def _improvement(folder, metrics, rows, can_train_anew):
    if metrics["mean_iou"] is None:
        reason = "nothing could be measured: try it on images whose masks are labeled"
        return Step(reason, _command(f"evaluate --run {folder} --data LABELED"))
    epochs = len(rows)
    best = max(range(epochs), key=lambda index: rows[index].get("val_mean_iou", 0), default=0)
    anew = f"train --config {folder}/config.json"
    if can_train_anew and not has_learned(metrics):
        rate = max((row.get("learning_rate", 0) for row in rows), default=0)
        flag = f"--learning-rate {rate / 3:.2g}" if rate else "--loss ce+dice"
        reason = "it has learned nothing yet: a third of the learning rate often helps"
        return Step(reason, _command(f"{anew} {flag}"))
    if epochs and best + 1 > LATE * epochs:
        reason = f"its best epoch was {best + 1} of {epochs}: it was still learning"
        return Step(reason, _command(f"train --resume {folder} --epochs {2 * epochs}"))
    behind = _behind(metrics)
    if can_train_anew and behind:
        reason = f"the class {behind} falls behind the others: let it count for more"
        return Step(reason, _command(f"{anew} --loss ce+dice"))
    if can_train_anew and epochs:
        reason = (
            f"its best epoch was {best + 1} of {epochs}: more varied images may help it to go on learning"
        )
        return Step(reason, _command(f"{anew} --rotation 15 --blur 1"))
    return Step("see where it fails", _command(f"evaluate --run {folder} --report"))


def _behind(metrics):
    """The class with the lowest IoU, where that is far below the mean."""
    known = [
        (row["iou"], row["name"]) for row in metrics["classes"] if row["iou"] is not None and row["pixels"]
    ]
    if len(known) < 2:
        return None
    iou, name = min(known)
    return name if iou < RARE * metrics["mean_iou"] else None


def _command(text):
    return f"python -m keras_seg {text}"
