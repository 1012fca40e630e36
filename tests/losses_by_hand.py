"""`python -m tests.losses_by_hand`: each loss beside a computation by hand, on the backend of KERAS_BACKEND.

The hand's losses are loops over pixels and classes in float64, from the definitions in the papers.
"""

import math
import sys
from itertools import product

import keras
import numpy as np

from keras_seg.losses import SegmentationLoss

IGNORE = 255
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (2, 5, 6, 4)).astype("float32")
LABELS = RNG.integers(0, 4, (2, 5, 6))
LABELS[:, 2] = IGNORE
BINARY_LABELS = np.where(LABELS == IGNORE, IGNORE, LABELS % 2)
STEP = 1e-6  # Of the hand's finite differences, in float64.


def probabilities(row):
    """Softmax; of a single logit, the sigmoid and what it leaves to the background."""
    if len(row) == 1:
        foreground = 1 / (1 + math.exp(-row[0]))
        return [1 - foreground, foreground]
    powers = [math.exp(x - max(row)) for x in row]
    return [power / sum(powers) for power in powers]


def pixels(labels, logits):
    """The counted pixels: a list of (label, logits, probabilities)."""
    rows = zip(np.ravel(labels), np.reshape(logits, (-1, logits.shape[-1])).astype(float), strict=True)
    return [(int(label), row.tolist(), probabilities(row.tolist())) for label, row in rows if label != IGNORE]


def weighted_mean(pairs, reduction="mean"):
    """Of (value, weight)."""
    total = sum(value * weight for value, weight in pairs)
    weights = sum(weight for _, weight in pairs)
    return total if reduction == "sum" else total / weights if weights else 0.0


def ce(label, row, p):
    return -math.log(p[label])


def bce(label, row, p):
    if len(row) == 1:
        return math.log1p(math.exp(-row[0] if label == 1 else row[0]))
    if len(row) == 2:
        return math.log1p(math.exp((row[1] - row[0]) * (1 if label == 0 else -1)))
    sigmoid = [1 / (1 + math.exp(-x)) for x in row]
    return sum(-math.log(s if c == label else 1 - s) for c, s in enumerate(sigmoid)) / len(row)


def mse(label, row, p):
    return sum((p[c] - (c == label)) ** 2 for c in range(len(p))) / len(p)


def focal(label, row, p, gamma=2.0):
    return -((1 - p[label]) ** gamma) * math.log(p[label])


PIXELS = {"ce": ce, "bce": bce, "mse": mse, "focal": focal}


def hard_ones(found, threshold=0.7, min_kept=1 / 16):
    """The pixels whose label has less than the threshold, and at least the hardest part of all."""
    by_hardness = sorted(found, key=lambda pixel: pixel[2][pixel[0]])
    least = math.ceil(min_kept * len(found))
    return [each for rank, each in enumerate(by_hardness) if rank < least or each[2][each[0]] <= threshold]


def dice(c, found):
    hits = sum(p[c] for label, _, p in found if label == c)
    return 1 - 2 * hits / (sum(label == c for label, _, _ in found) + sum(p[c] for _, _, p in found))


def jaccard(c, found):
    hits = sum(p[c] for label, _, p in found if label == c)
    return 1 - hits / (sum(label == c for label, _, _ in found) + sum(p[c] for _, _, p in found) - hits)


def tversky(c, found, alpha=0.3, beta=0.7):
    hits = sum(p[c] for label, _, p in found if label == c)
    added = sum(p[c] for label, _, p in found if label != c)
    missed = sum(1 - p[c] for label, _, p in found if label == c)
    return 1 - hits / (hits + alpha * added + beta * missed)


def focal_tversky(c, found, alpha=0.3, beta=0.7, gamma=4 / 3):
    return tversky(c, found, alpha, beta) ** (1 / gamma)


def lovasz(c, found):
    """The sum over the sorted errors of the error times the rise of the Jaccard loss of the wrong pixels."""
    errors = sorted((((1 - p[c]) if label == c else p[c], label == c) for label, _, p in found), reverse=True)
    truth, wrong, total = sum(is_truth for _, is_truth in errors), [], 0.0
    for error, is_truth in errors:
        before = jaccard_of_wrong(wrong, truth)
        wrong.append(is_truth)
        total += error * (jaccard_of_wrong(wrong, truth) - before)
    return total


def jaccard_of_wrong(wrong, truth):
    """1 - IoU of a class of `truth` pixels where the pixels in `wrong` (is it of the class?) are wrong."""
    return 1 - (truth - sum(wrong)) / (truth + sum(not each for each in wrong))


REGIONS = {
    "dice": dice,
    "jaccard": jaccard,
    "tversky": tversky,
    "focal_tversky": focal_tversky,
    "lovasz": lovasz,
}


def by_hand(name, labels=LABELS, logits=LOGITS, weights=None, reduction="mean", **parameters):
    """A loss by hand; a float."""
    found = pixels(labels, logits)
    weights = weights or [1.0] * max(logits.shape[-1], 2)
    if name in REGIONS:
        present = sorted({label for label, _, _ in found})
        return weighted_mean([(REGIONS[name](c, found, **parameters), weights[c]) for c in present])
    if name == "ohem":
        name, found, parameters = "ce", hard_ones(found, **parameters), {}
    return weighted_mean([(PIXELS[name](*each, **parameters), weights[each[0]]) for each in found], reduction)


def gradient_by_hand(name, labels=LABELS, logits=LOGITS, **options):
    """Its derivatives by the logits: central differences, one logit after another."""
    logits = logits.astype("float64")
    gradient = np.zeros_like(logits)
    for index in product(*map(range, logits.shape)):
        sides = []
        for step in (STEP, -STEP):
            moved = logits.copy()
            moved[index] += step
            sides.append(by_hand(name, labels, moved, **options))
        gradient[index] = (sides[0] - sides[1]) / (2 * STEP)
    return gradient


def gradient(loss, labels=LABELS, logits=LOGITS):
    """The backend's own derivatives of a loss by the logits."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        logits = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        return tape.gradient(value, logits).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda logits: loss(labels, logits))(jax.numpy.asarray(logits)))
    import torch

    logits = torch.tensor(logits, requires_grad=True)
    loss(labels, logits).backward()
    return logits.grad.numpy()


def rows(names=(*PIXELS, "ohem", *REGIONS), labels=LABELS, logits=LOGITS):
    """(name, ours, by hand, largest error of the gradient relative to its largest entry) of each loss."""
    for name in names:
        loss = SegmentationLoss(name)
        expected = gradient_by_hand(name, labels, logits)
        error = np.abs(gradient(loss, labels, logits) - expected).max() / np.abs(expected).max()
        yield name, float(loss(labels, logits)), by_hand(name, labels, logits), float(error)


def main():
    """Prints a table for four classes and one for a single logit; exit status 1 where something differs."""
    print(f"{keras.config.backend()}, {len(pixels(LABELS, LOGITS))} counted pixels")
    tables = {"4 classes": rows(), "1 logit": rows(labels=BINARY_LABELS, logits=LOGITS[..., :1])}
    are_right = [print_table(title, found) for title, found in tables.items()]
    return 0 if all(are_right) else 1


def print_table(title, found):
    """Prints the rows; returns whether all agree."""
    print(f"\n{title}\n")
    print(f"| {'loss':13} | {'ours':>10} | {'by hand':>10} | gradient's error |")
    print(f"| {'-' * 13} | {'-' * 10} | {'-' * 10} | {'-' * 16} |")
    is_right = True
    for name, ours, hand, error in found:
        print(f"| {name:13} | {ours:10.7f} | {hand:10.7f} | {error:16.1e} |")
        is_right &= abs(ours - hand) <= 1e-5 * hand and error <= 1e-4
    return is_right


if __name__ == "__main__":
    sys.exit(main())
