"""Which encoders fit under which networks, from their rows: a table for the page of networks."""

from typing import Any

from keras_seg import registry
from keras_seg.models import MODELS
from keras_seg.texts import markdown_table


def decoders():
    """Networks that take an encoder, one for each builder and stride."""
    found: dict[Any, list[str]] = {}
    for name in MODELS:
        row = registry.networks()[name]
        if has_option(row, "encoder"):
            key = row.builder.__qualname__, row.options.get("stride"), row.default("output_stride")
            found.setdefault(key, row)
    return list(found.values())


def has_option(network, option):
    """Whether a network's builder takes an option."""
    return network.default(option) is not None or option in network.builder.__kwdefaults__


def fitting_options(network, encoder):
    """The options with which a network is built on an encoder; None if it does not fit.

    Args:
        network: A `Network` that takes an encoder.
        encoder: An `Encoder`.
    """
    if not encoder.output_strides or encoder.finest_stride > network.finest_stride:
        return None
    options = {"encoder": encoder.name}
    stride = network.default("output_stride") or 32
    if stride in encoder.output_strides:
        return options
    if has_option(network, "output_stride"):
        return {**options, "output_stride": min(encoder.output_strides)}
    return None


def format_combinations():
    """The table of encoders by networks: `yes`, or the output stride that has to be given."""
    networks = decoders()
    lines = []
    for encoder in registry.encoders().values():
        if encoder.output_strides:
            channels = ", ".join(map(str, encoder.channels))
            lines.append((f"`{encoder.name}`", channels, *(_cell(row, encoder) for row in networks)))
    return markdown_table(("Encoder", "Channels", *(f"`{row.name}`" for row in networks)), lines)


def _cell(network, encoder):
    options = fitting_options(network, encoder)
    if options is None:
        return "-"
    return str(options.get("output_stride", "yes"))
