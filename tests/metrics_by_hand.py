"""`python -m tests.metrics_by_hand`: each metric beside a computation by hand, from sets of pixels."""

import sys

import numpy as np

from keras_seg.metrics import FIGURES, ConfusionMatrixMetric, boundary_counts, boundary_scores, scores

IGNORE = 255
CLASSES = 5
RNG = np.random.default_rng(1)
LABELS = RNG.integers(0, 3, (6, 7, 9))
LABELS[LABELS == 2] = 3  # Class 2 never occurs in the truth,
LABELS[0] = IGNORE
LABELS[1:, 2] = IGNORE
LOGITS = RNG.normal(size=(6, 7, 9, CLASSES)).astype("float32")
LOGITS[..., 4] = -9  # and class 4 neither there nor in the prediction.
PREDICTED = LOGITS.argmax(-1)


def blobs(size, ignored=0.0):
    """A mask of a few large regions, size x 4/3 size: every cell of a coarse grid is one class."""
    mask = np.kron(RNG.integers(0, 4, (3, 4)), np.ones((size // 3, size // 3), int))
    return np.where(RNG.random(mask.shape) < ignored, IGNORE, mask)


def fraction(above, below):
    return above / below if below else None


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def per_class(labels=LABELS, predicted=PREDICTED):
    """The figures of each class; None where there is nothing to divide by."""
    pixels = [(t, p) for t, p in zip(np.ravel(labels), np.ravel(predicted), strict=True) if t != IGNORE]
    found = {name: [] for name in ("iou", "accuracy", "dice", "precision", "recall", "share")}
    for c in range(CLASSES):
        truth = {i for i, (t, _) in enumerate(pixels) if t == c}
        guess = {i for i, (_, p) in enumerate(pixels) if p == c}
        found["iou"].append(fraction(len(truth & guess), len(truth | guess)))
        found["dice"].append(fraction(2 * len(truth & guess), len(truth) + len(guess)))
        found["precision"].append(fraction(len(truth & guess), len(guess)))
        found["accuracy"].append(fraction(len(truth & guess), len(truth)))
        found["recall"].append(fraction(len(truth & guess), len(truth)))
        found["share"].append(fraction(len(truth), len(pixels)))
    right = sum(t == p for t, p in pixels)
    return found, right / len(pixels)


def figures(labels=LABELS, predicted=PREDICTED):
    """The figures of `FIGURES`."""
    found, pixel_accuracy = per_class(labels, predicted)
    weighted = zip(found["share"], found["iou"], strict=True)
    return {
        "pixel_accuracy": pixel_accuracy,
        "frequency_weighted_iou": sum(share * iou for share, iou in weighted if share),
        **{f"mean_{name}": mean(found[name]) for name in ("accuracy", "iou", "dice", "precision", "recall")},
    }


def boundary(mask, distance):
    """Positions of a set of pixels `mask` (positions in a set) that have an outside one within `distance`."""
    steps = range(-distance, distance + 1)
    return {(y, x) for y, x in mask if any((y + i, x + j) not in mask for i in steps for j in steps)}


def boundary_ious(labels, predicted, distance):
    """Boundary IoU of each class over several images, with the prediction where the truth is ignored."""
    both, either = [0] * CLASSES, [0] * CLASSES
    for truth, guess in zip(labels, predicted, strict=True):
        counted = {tuple(at) for at in np.argwhere(truth != IGNORE).tolist()}
        for c in range(CLASSES):
            filled = np.where(truth == IGNORE, guess, truth)
            ours, theirs = (
                boundary({tuple(at) for at in np.argwhere(mask == c).tolist()}, distance) & counted
                for mask in (filled, guess)
            )
            both[c] += len(ours & theirs)
            either[c] += len(ours | theirs)
    return [fraction(*pair) for pair in zip(both, either, strict=True)]


def main():
    """Prints the table; exit status 1 where something differs."""
    metrics = {name: ConfusionMatrixMetric(CLASSES, name) for name in FIGURES}
    for metric in metrics.values():
        for start in (0, 4):  # Batches of 4 and 2.
            metric.update_state(LABELS[start : start + 4], LOGITS[start : start + 4])
    matrix = metrics["mean_iou"].matrix
    by_hand, counted = figures(), scores(np.asarray(matrix))
    rows = [(name, float(metrics[name].result()), counted[name], by_hand[name]) for name in FIGURES]
    truths, predictions = [blobs(18, 0.1), blobs(18, 0.1)], [blobs(18), blobs(18)]
    counts = sum(boundary_counts(*pair, CLASSES, 0.05) for pair in zip(truths, predictions, strict=True))
    streamed = boundary_scores(counts)["mean_boundary_iou"]
    rows.append(("mean_boundary_iou", streamed, streamed, mean(boundary_ious(truths, predictions, 2))))

    print(f"{np.sum(LABELS != IGNORE)} counted pixels, {CLASSES} classes; boundaries of 24 x 18 pixels\n")
    print(f"| {'metric':22} | {'streamed':>9} | {'from the matrix':>15} | {'by hand':>9} |")
    print(f"| {'-' * 22} | {'-' * 9} | {'-' * 15} | {'-' * 9} |")
    for name, *values in rows:
        print(f"| {name:22} | {values[0]:9.7f} | {values[1]:15.7f} | {values[2]:9.7f} |")
    return 0 if all(max(values) - min(values) < 1e-6 for _, *values in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
