"""Losses that have a value at every pixel."""

import math

from keras import ops

from keras_seg.losses.batch import cross_entropies, of_label, over_pixels

# The power of a smaller number has an infinite derivative, or loses its digits.
_SMALLEST = 1e-7


def cross_entropy(batch):
    """-log softmax(logits)[label] (Long et al., 2015, arXiv:1411.4038)."""
    return over_pixels(batch, cross_entropies(batch))


def binary_cross_entropy(batch):
    """Each class against the rest, the mean over the classes of -log sigmoid(+-logit).

    Two classes are one decision: the sigmoid of the logits' difference, which is their softmax.
    """
    if batch.num_classes == 2:
        return cross_entropy(batch)
    # softplus(x) against the class, softplus(-x) = softplus(x) - x for it.
    losses = ops.sum(ops.softplus(batch.logits), axis=-1) - of_label(batch, batch.logits)
    return over_pixels(batch, losses / batch.num_classes)


def mean_squared_error(batch):
    """Mean over the classes of (p - y)^2, p the softmax and y the one-hot label (Brier, 1950)."""
    probability = ops.softmax(batch.logits)
    squares = ops.sum(ops.square(probability), axis=-1)
    return over_pixels(batch, (squares - 2 * of_label(batch, probability) + 1) / batch.num_classes)


def focal(batch, gamma=2.0):
    """Cross-entropy times (1 - p)^gamma, p the label's probability (Lin et al., 2017, arXiv:1708.02002).

    The paper's alpha are the class weights.
    """
    losses = cross_entropies(batch)
    rest = ops.maximum(-ops.expm1(-losses), _SMALLEST)
    return over_pixels(batch, losses * rest**gamma)


def online_hard_examples(batch, threshold=0.7, min_kept=1 / 16):
    """Cross-entropy of the hard pixels alone (Shrivastava et al., 2016, arXiv:1604.03540).

    Args:
        batch: A Batch.
        threshold: A pixel is hard if its label has less than this probability,
        min_kept: or if it is among this fraction of the counted pixels that are hardest (in a distributed
            training: of its replica's pixels).
    """
    losses = cross_entropies(batch)
    # The ignored pixels come last in a falling order.
    falling = -ops.sort(ops.reshape(ops.where(batch.counted, -losses, 1.0), (-1,)))
    count = ops.cast(ops.sum(ops.cast(batch.counted, "int32")), "float32")
    last = ops.maximum(ops.cast(ops.ceil(min_kept * count), "int32") - 1, 0)
    limit = ops.minimum(ops.take(falling, last), -math.log(threshold))
    return over_pixels(batch, losses, ops.logical_and(batch.counted, losses >= ops.stop_gradient(limit)))
