"""Losses of whole regions: how far the predicted area of a class and its true area overlap.

Each is a mean over the classes that occur in the batch; areas are soft, sums of softmax probabilities.
"""

from keras import ops

from keras_seg.losses.batch import of_label, over_classes

# The power of a smaller number has an infinite derivative.
_SMALLEST = 1e-7


def dice(batch):
    """1 - 2 sum(y p) / (sum(y) + sum(p)) (Drozdzal et al., 2016, arXiv:1608.04117).

    V-Net's (Milletari et al., 2016, arXiv:1606.04797) has sum(y^2) + sum(p^2) below.
    """
    return tversky(batch, alpha=0.5, beta=0.5)


def jaccard(batch):
    """1 - sum(y p) / (sum(y) + sum(p) - sum(y p)) (Rahman and Wang, 2016)."""
    return tversky(batch, alpha=1.0, beta=1.0)


def tversky(batch, alpha=0.3, beta=0.7):
    """1 - TP / (TP + alpha FP + beta FN) (Salehi et al., 2017, arXiv:1706.05721)."""
    losses, truth = _tversky_losses(batch, alpha, beta)
    return over_classes(batch, losses, truth)


def focal_tversky(batch, alpha=0.3, beta=0.7, gamma=4 / 3):
    """Tversky's loss to the power 1 / gamma, class by class (Abraham and Khan, 2018, arXiv:1810.07842).

    Alpha and beta are those of `tversky`; the paper's alpha is our beta.
    """
    losses, truth = _tversky_losses(batch, alpha, beta)
    return over_classes(batch, ops.maximum(losses, _SMALLEST) ** (1 / gamma), truth)


def _tversky_losses(batch, alpha, beta):
    """1 - Tversky's index of each class, and the classes' true areas, both `[C]`."""
    hits, missed, predicted = _areas(batch)
    # Rounding may leave less than nothing of the difference.
    errors = alpha * ops.maximum(predicted - hits, 0.0) + beta * missed
    return ops.divide_no_nan(errors, hits + errors), hits + missed


def _areas(batch):
    """sum(y p), sum(y (1 - p)) and sum(p) of each class over the counted pixels, each `[C]`."""
    counted = ops.cast(batch.counted, "float32")
    probability = ops.softmax(batch.logits)
    hits = of_label(batch, probability)
    sums = (
        _sum_by_label(batch, counted * hits),
        _sum_by_label(batch, counted * (1 - hits)),
        _sum_over_images(ops.sum(counted[..., None] * probability, axis=2)),
    )
    return ops.unstack(batch.replica_sum(ops.stack(sums)), 3)


def _sum_by_label(batch, values):
    """Adds up the pixels' values `[B, H, W]` of each class, `[C]`."""
    size, height, width = ops.shape(batch.labels)
    rows = ops.reshape(ops.arange(size * height, dtype="int32"), (-1, 1))
    labels = ops.reshape(batch.labels, (-1, width))
    cells = ops.reshape(rows * batch.num_classes + labels, (-1,))
    sums = ops.segment_sum(ops.reshape(values, (-1,)), cells, size * height * batch.num_classes)
    return _sum_over_images(ops.reshape(sums, (size, height, batch.num_classes)))


def _sum_over_images(rows):
    """Adds up the sums of the images' rows, `[B, H, C]`, to `[C]`.

    Along one axis after the other: float32 loses the last digits of a million numbers added up in turn.
    """
    return ops.sum(ops.sum(rows, axis=1), axis=0)


def lovasz(batch):
    """The Lovasz extension of 1 - IoU at the errors |y - p| (Berman et al., 2018, arXiv:1705.08790).

    A class's errors are sorted, largest first, and each is multiplied by how much the class's IoU falls
    when its pixel is wrong as well as those before it. In a distributed training each replica sorts its own
    pixels.
    """
    classes = ops.reshape(ops.arange(batch.num_classes, dtype="int32"), (-1, 1))
    labels = ops.reshape(ops.where(batch.counted, batch.labels, -1), (1, -1))
    is_truth = labels == classes
    probability = ops.transpose(ops.reshape(ops.softmax(batch.logits), (-1, batch.num_classes)))
    # Ignored pixels are without error, so they come last and add nothing.
    errors = ops.where(is_truth, 1 - probability, probability) * ops.cast(labels >= 0, "float32")

    order = ops.argsort(-errors, axis=-1)
    errors = ops.take_along_axis(errors, order, axis=-1)
    is_truth = ops.take_along_axis(is_truth, order, axis=-1)
    truth = ops.sum(ops.cast(is_truth, "int32"), axis=-1, keepdims=True)
    missed = ops.cumsum(ops.cast(is_truth, "int32"), axis=-1)
    added = ops.cumsum(ops.cast(ops.logical_not(is_truth), "int32"), axis=-1)
    # With I = truth - missed left of the intersection and a union U = truth + added, IoU falls by 1 / U
    # where a pixel of the class is missed, and by I / (U - 1) - I / U where another is added.
    intersection = ops.cast(truth - missed, "float32")
    union = ops.cast(ops.maximum(truth + added, 1), "float32")
    fall = ops.where(is_truth, 1.0, intersection / ops.maximum(union - 1, 1.0)) / union
    losses = ops.sum(errors * ops.stop_gradient(fall), axis=-1)
    return over_classes(batch, losses, truth[:, 0])
