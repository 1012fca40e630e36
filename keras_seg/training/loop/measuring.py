"""The preprocessing of images that no published weights were trained on: by their own mean and deviation."""

from keras_seg.data.folders.index import facts_of_splits
from keras_seg.data.formats.bands import joined_moments
from keras_seg.training.loop.building import build_network, first_weights


def with_preprocessing(config, dataset, report):
    """Measures the training images, where they are no RGB of 8 bits, and says how they are preprocessed.

    Images of 8 bits that a network with pretrained weights sees keep the preprocessing of the weights.

    Args:
        config: `TrainConfig`.
        dataset: `Dataset`.
        report: Function that is given each line for the reader.

    Returns:
        The settings; the model's option `preprocessing` is `{"mean": [C], "deviation": [C]}` if measured.
    """
    kind = dataset.images
    if kind.is_rgb or "preprocessing" in config.model_options:
        return config
    if kind.depth == "uint8" and config.weights != "none" and _has_weights(config, dataset):
        return config
    moments = joined_moments(fact.moments for fact in facts_of_splits(dataset, ["train"])["train"])
    measured = {
        "mean": [float(value) for value in moments.mean],
        # A channel of one value tells nothing, whatever it is divided by.
        "deviation": [float(value) or 1.0 for value in moments.deviation],
    }
    report(f"{kind}, preprocessed by the mean and the deviation of each channel of the training images")
    return config.replace(model_options={**config.model_options, "preprocessing": measured})


def _has_weights(config, dataset):
    # Built for this alone: which file suits depends on the network's layers.
    return first_weights(build_network(config, dataset.num_logits), config)[0] is not None
