"""Logits: which of a network's outputs they are, and the classes and probabilities that follow.

A network has a logit for each of C classes, of which the largest wins, or a single one, the foreground's: its
sigmoid is the probability that a pixel is no background. That is the softmax of the pair (0, logit), so
`class_logits` makes two classes of it, 0 the background and 1 the foreground.
"""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_seg.errors import InputError
from keras_seg.palette import IGNORE

THRESHOLD = 0.5  # Probability from which a pixel is foreground.


def main_output(model):
    """The logits `[B, H, W, C]` of a network that are not its auxiliary head's."""
    return model.output["out"] if isinstance(model.output, dict) else model.output


def num_logits(model):
    """The channels of a network's logits."""
    return main_output(model).shape[-1]


def num_classes(model):
    """The number of classes of a network: two where it has a single logit."""
    return classes_of(main_output(model))


def classes_of(logits):
    """The number of classes that logits `[..., C]` tell apart."""
    return max(logits.shape[-1], 2)


def threshold_of(model, threshold=None):
    """The probability from which a pixel is foreground.

    Args:
        model: `keras.Model` to logits.
        threshold: The one that is asked for; None for 0.5.

    Returns:
        A number, None for a network with a logit for each class.

    Raises:
        InputError: `threshold` is no fraction between 0 and 1, or the network has a logit for each class.
    """
    if num_logits(model) > 1:
        if threshold is not None:
            raise InputError(
                f"--threshold is for networks of one class against the background; {model.name} tells "
                f"{num_logits(model)} classes apart, of which the most probable wins; drop it"
            )
        return None
    threshold = THRESHOLD if threshold is None else threshold
    if not 0 < threshold < 1:
        raise InputError(f"--threshold must be above 0 and below 1, received {threshold}")
    return threshold


def class_logits(logits):
    """Logits of all classes `[..., C]`, whose softmax is their probability; a single one becomes a pair."""
    if logits.shape[-1] > 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def most_likely(logits):
    """The class of the largest logit of every pixel; of equals the first.

    Args:
        logits: Float `[..., C]`, a tensor of any Keras backend.

    Returns:
        `(logit, class_id)`, both `[..., 1]`: of the type of the logits, and int32.
    """
    # Faster on a CPU than a maximum and an argmax, which in Keras looks for negative zeros first.
    return ops.top_k(logits, 1)


def classify(logits: np.ndarray, threshold: float | None = None) -> Any:
    """Turns logits into class ids and their probabilities.

    Args:
        logits: Float `[..., C]`, a tensor of any Keras backend.
        threshold: Probability from which a pixel is foreground, where there is a single logit; None for 0.5.

    Returns:
        `(mask, confidence)`, both `[...]`: uint8 (uint16 beyond 255 classes, as 255 means ignored), and
        float32, the probability of that class.
    """
    logits = ops.cast(logits, "float32")
    if logits.shape[-1] == 1:
        mask, logit = class_ids(logits, threshold), logits[..., 0]
        confidence = ops.sigmoid(ops.where(mask > 0, logit, -logit))
    else:
        largest, mask = most_likely(logits)
        # The largest softmax value, without a softmax of all C channels.
        mask, confidence = mask[..., 0], 1 / ops.sum(ops.exp(logits - largest), axis=-1)
    return ops.cast(mask, mask_dtype(classes_of(logits))), confidence


def class_ids(logits, threshold=None):
    """The class ids of `classify` as int32 `[...]`."""
    if logits.shape[-1] == 1:
        threshold = THRESHOLD if threshold is None else threshold
        return ops.cast(logits[..., 0] >= math.log(threshold / (1 - threshold)), "int32")
    return most_likely(logits)[1][..., 0]


def class_probabilities(logits):
    """The probabilities of all classes, an array `[..., C]`, of an array of logits."""
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    return softmax(logits)


def most_probable(probabilities, threshold=None):
    """What `classify` returns, of the probabilities `[..., C]` of all classes, an array.

    Args:
        probabilities: They add up to 1.
        threshold: Probability from which a pixel is foreground, of two classes; None: the most probable wins.
    """
    if threshold is None:
        mask = probabilities.argmax(axis=-1)
    else:
        mask = (probabilities[..., 1] >= threshold).astype(np.int64)
    confidence = np.take_along_axis(probabilities, mask[..., None], axis=-1)[..., 0]
    return mask.astype(mask_dtype(probabilities.shape[-1])), confidence


def softmax(logits):
    """The softmax of an array along its last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def mask_dtype(num_classes):
    """The type of a mask's class ids, 255 being no class."""
    return "uint8" if num_classes <= IGNORE else "uint16"
