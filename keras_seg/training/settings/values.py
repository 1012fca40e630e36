"""Settings whose text holds several numbers or words."""

from keras_seg.errors import InputError

BALANCED = "balanced"


def parse_class_weights(text):
    """Reads `"0.5,1,2"` as numbers; None and `"balanced"` as they are.

    Raises:
        InputError: It is neither.
    """
    if text is None or text == BALANCED:
        return text
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if not weights or not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
        raise InputError(
            f"--class-weights must be {BALANCED}, or numbers of 0 or more as 0.5,1,2; received {text!r}"
        )
    return weights


def parse_interval(text):
    """Reads `"200"` as `(200, None)`, steps, and `"30s"` as `(None, 30.0)`, seconds.

    Raises:
        InputError: It is neither.
    """
    if text is None:
        return None, None
    try:
        if str(text).endswith("s"):
            steps, seconds = None, float(str(text)[:-1])
        else:
            steps, seconds = int(text), None
    except ValueError:
        steps, seconds = 0, None
    if not (steps or 0) > 0 and not 0 <= (-1 if seconds is None else seconds) < float("inf"):
        raise InputError(
            f"--checkpoint-every must be a number of steps such as 200, or of seconds such as 30s, "
            f"received {text!r}"
        )
    return steps, seconds
