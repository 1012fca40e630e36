"""A loss as text: `ce+0.5*dice`, `focal(gamma=3)+0.5*tversky(alpha=0.3)`."""

import inspect
import re
from typing import Any, NamedTuple

from keras_seg.errors import nearest
from keras_seg.hints import Tensor
from keras_seg.losses import pixels, regions

LOSSES = {
    "ce": pixels.cross_entropy,
    "bce": pixels.binary_cross_entropy,
    "mse": pixels.mean_squared_error,
    "focal": pixels.focal,
    "ohem": pixels.online_hard_examples,
    "dice": regions.dice,
    "jaccard": regions.jaccard,
    "tversky": regions.tversky,
    "focal_tversky": regions.focal_tversky,
    "lovasz": regions.lovasz,
}
_FRACTIONS = ("threshold", "min_kept")
_TERM = re.compile(r"\s*(?:(?P<weight>[^*+()]*)\*)?\s*(?P<name>\w+)\s*(?:\((?P<parameters>[^()]*)\))?\s*")


class Term(NamedTuple):
    """One loss of a sum.

    Attributes:
        name: Of `LOSSES`.
        weight: What it is multiplied by.
        parameters: Those that are not left to their defaults.
    """

    name: str
    weight: float
    parameters: dict[str, float]

    def __call__(self, batch: Any) -> Tensor:
        return self.weight * LOSSES[self.name](batch, **self.parameters)


def parse_loss(text: str) -> tuple[Term, ...]:
    """Reads a sum of losses.

    Args:
        text: Such as `"ce+0.5*dice"` or `"focal(gamma=3)"`: names of `LOSSES`, each with a weight before it
            and parameters behind it if they are not to be the defaults.

    Returns:
        Tuple of Term.

    Raises:
        ValueError: A term is no loss, has no such parameter, or a number is not positive.
    """
    terms = []
    # A parameter's exponent, as in 1e+3, may hold a plus as well.
    for part in re.split(r"\+(?![^(]*\))", text):
        match = _TERM.fullmatch(part)
        if not match or match["name"] not in LOSSES:
            near = nearest(match["name"] if match else part, LOSSES) or "."
            raise ValueError(
                f"loss must add terms of {', '.join(LOSSES)} (as in ce+0.5*dice), received {text!r}{near}"
            )
        name, weight = match["name"], match["weight"]
        number = 1.0 if weight is None else _positive("a loss's weight", weight)
        terms.append(Term(name, number, _parameters(name, match["parameters"])))
    return tuple(terms)


def _parameters(name, text):
    known = list(inspect.signature(LOSSES[name]).parameters)[1:]
    parameters = {}
    for part in text.split(",") if text and text.strip() else ():
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in known:
            choice = f"one of {', '.join(f'{word}=' for word in known)}" if known else "none"
            raise ValueError(f"a parameter of {name} must be {choice}, received {part.strip()!r}.")
        parameters[key] = _positive(f"{name}'s {key}", value)
        if key in _FRACTIONS and parameters[key] > 1:
            raise ValueError(f"{name}'s {key} must be a fraction of at most 1, received {value!r}.")
    return parameters


def _positive(what, text):
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{what} must be a positive number, received {text.strip()!r}.")
    return number
