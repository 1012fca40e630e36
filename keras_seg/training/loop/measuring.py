"""Options of a network whose weights start at random, and which published weights do not restrict."""

import inspect

from keras_seg import registry
from keras_seg.data.folders.index import facts_of_splits
from keras_seg.data.formats.bands import joined_moments
from keras_seg.layers.preprocessing import UNSCALED
from keras_seg.runs import Run
from keras_seg.training.loop.building import build_network, first_weights


def for_first_weights(config, dataset, report):
    """Chooses the options of a network by the weights that it starts with, and says so.

    Images of 8 bits that a network with pretrained weights sees are preprocessed as the weights expect. Other
    images than RGB of 8 bits are preprocessed by the mean and the deviation of each channel of the training
    images. Random weights take the options of the row's `from_scratch`. Options that are given win, and a
    recipe's network stays as its source has it.

    Args:
        config: `TrainConfig`.
        dataset: `Dataset`.
        report: Function that is given each line for the reader.

    Returns:
        The settings; measured, the model's option `preprocessing` is `{"mean": [C], "deviation": [C]}`.
    """
    kind, row = dataset.images, registry.networks()[config.model]
    measures = not kind.is_rgb and "preprocessing" not in config.model_options
    options = {} if config.recipe else dict(row.from_scratch)
    if not kind.is_rgb or _own_preprocessing(config, row) not in UNSCALED:
        options.pop("preprocessing", None)
    if config.init_from is not None:  # Its weights are not random, they are used to its own options.
        before = Run.open(config.init_from).config.get("model_options", {})
        options = {name: before[name] for name in options if name in before}
    options = {name: value for name, value in options.items() if name not in config.model_options}
    if not measures and not options:
        return config
    if config.weights != "none":
        # Built for this alone: which file suits depends on the network's layers.
        path, line = first_weights(build_network(config, dataset.num_logits), config)
        if path is not None and kind.depth == "uint8":
            return config
        if path is not None:
            options = {}
        else:
            report(line)
            config = config.replace(weights="none")  # No file of another preprocessing, now or resumed.
    if options and config.init_from is None:
        chosen = ", ".join(f"{name}={value}" for name, value in options.items())
        report(f"random weights, so {config.model} is built with {chosen}")
    if measures:
        options["preprocessing"] = _measure(dataset)
        report(f"{kind}, preprocessed by the mean and the deviation of each channel of the training images")
    return config.replace(model_options={**config.model_options, **options})


def _own_preprocessing(config, row):
    """The preprocessing of a network as it is built where no other is asked for; None if it has no choice."""
    if "preprocessing" not in inspect.signature(row.build).parameters:
        return None
    encoder = registry.encoders().get(config.model_options.get("encoder"))
    return encoder.preprocessing if encoder else registry.default_preprocessing(row)


def _measure(dataset):
    moments = joined_moments(fact.moments for fact in facts_of_splits(dataset, ["train"])["train"])
    return {
        "mean": [float(value) for value in moments.mean],
        # A channel of one value tells nothing, whatever it is divided by.
        "deviation": [float(value) or 1.0 for value in moments.deviation],
    }
