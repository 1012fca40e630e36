"""What is known of all networks, from their rows and the stored figures: `python -m keras_seg models`."""

import json
from pathlib import Path
from typing import NamedTuple

from keras_seg import registry
from keras_seg.models.building import MODELS
from keras_seg.rows import LearningRate

FIGURES = Path(__file__).with_name("figures.json")
TITLES = (
    "Network",
    "Paper",
    "Encoder",
    "Stride",
    "Parameters",
    "Multiply-adds",
    "Weights",
    "Learning rate",
    "Reference",
    "Parity",
)


class Row(NamedTuple):
    """A network's line in the table; what is not known of it is None.

    Attributes:
        network: Its name.
        paper: Number on arXiv.
        encoder: What it is called.
        output_stride: Pixels of the image for one of the encoder's last map.
        parameters: Trainable ones, with 21 classes.
        multiply_adds: Of the convolutions, for an image of 512 x 512 pixels.
        weights: Published files it can load.
        learning_rate: Those that a training takes where none is asked for.
        reference: What its outputs are compared with.
        parity_error: Relative to the reference's largest logit.
    """

    network: str
    paper: str
    encoder: str
    output_stride: int | None
    parameters: int | None
    multiply_adds: int | None
    weights: str
    learning_rate: LearningRate
    reference: str
    parity_error: float | None


def rows():
    """Returns a `Row` for each network, with the figures that are stored."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    return [_row(registry.networks()[name], figures.get(name, {})) for name in MODELS]


def _row(network, figures):
    encoder = registry.encoders().get(network.default_encoder)
    classifier = f"{encoder.title}: {encoder.sources}" if encoder and encoder.sources else ""
    return Row(
        network.name,
        network.paper,
        (encoder.title or encoder.name) if encoder else network.default_encoder or "its own",
        network.default("output_stride") or network.output_stride,
        figures.get("parameters") or (None if network.counted else network.parameters),
        figures.get("multiply_adds"),
        "; ".join(filter(None, (network.sources, classifier))),
        network.learning_rate,
        network.reference,
        figures.get("parity_error"),
    )


def cells(row):
    """Returns the texts of a `Row` under `TITLES`; a paper is its number."""
    return (
        row.network,
        row.paper or "-",
        row.encoder,
        str(row.output_stride or "-"),
        "-" if row.parameters is None else f"{row.parameters:,}",
        "-" if row.multiply_adds is None else f"{row.multiply_adds / 1e9:.1f} G",
        row.weights or "-",
        ", ".join(f"{rate:g}" for rate in row.learning_rate),
        row.reference or "-",
        "-" if row.parity_error is None else f"{row.parity_error:.1e}",
    )
