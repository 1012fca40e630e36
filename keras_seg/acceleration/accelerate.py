"""`accelerate`: the same network, faster on this machine."""

from typing import Any, NamedTuple

import keras

from keras_seg.acceleration.folding import fold
from keras_seg.acceleration.rules import PURPOSES, RULES


class Call(NamedTuple):
    """A layer of the original network, and its inputs in the accelerated one."""

    layer: Any
    inputs: Any
    output: Any  # Kept, or its identity could be another tensor's.


class Network:
    """The network while it is rebuilt: what rules can query, and what Keras calls for each layer.

    Args:
        rules: Those that may be applied.
    """

    def __init__(self, rules):
        self.rules = rules
        self._calls = {}

    def call(self, layer, inputs):
        """Returns the output of a layer, or of what a rule puts in its place."""
        output = None
        if layer.compute_dtype in ("float32", "bfloat16"):
            replaced = (rule.replace(layer, inputs, self) for rule in self.rules)
            output = next((each for each in replaced if each is not None), None)
        return layer(inputs) if output is None else output

    def maker(self, tensor):
        """Returns the `Call` whose output a tensor is, None where there is none, as of a network's input."""
        return self._calls.get(id(tensor))

    def __call__(self, layer, *args, **kwargs):
        is_usual = len(args) == 1 and all(value is None for value in kwargs.values())
        if not (is_usual and isinstance(layer, keras.layers.Layer)):  # Or an operation, such as `-x`.
            return layer(*args, **kwargs)
        output = self.call(layer, args[0])
        self._calls[id(output)] = Call(layer, args[0], output)
        return output


def accelerate(model: keras.Model, purpose: str, device: str | None = None) -> keras.Model:
    """Returns a faster network with the same variables and outputs, for this machine and purpose.

    It is to be run, never saved: layers that a rule of `RULES` replaces are no longer Keras's. For
    `"training"` it shares all weights with `model`: what the one learns the other knows. For `"inference"`
    some are combined into new ones, so a model that has learned since is to be given here again.

    Args:
        model: A functional `keras.Model`; another one is returned as it is.
        purpose: `"training"` or `"inference"`.
        device: `"cpu"` or another; where TensorFlow computes by default. Exports, which run elsewhere, are
            made for `"cpu"`.

    Returns:
        A `keras.Model`, not compiled, whose outputs differ from those of `model` by rounding alone: less than
        1e-5 of the largest.

    Raises:
        ValueError: `purpose` is none of these.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {PURPOSES}, received {purpose!r}.")
    rules = [rule for rule in RULES if purpose in rule.purposes]
    if (device or _device()) != "cpu":
        rules = [rule for rule in rules if not rule.on_cpu_only]
    return rebuilt(model, rules)


def fold_batch_normalization(model: keras.Model) -> keras.Model:
    """Returns a plain Keras model whose batch normalizations are folded into the layers before them."""
    return rebuilt(model, [rule for rule in RULES if rule.replace is fold])


def rebuilt(model, rules):
    """Rebuilds a functional network from its own layers and those that rules put in their place."""
    if not hasattr(model, "operations"):
        return model
    plain = keras.Model(model.input, model.output, name=model.name)  # A compiled one would be compiled again.
    return keras.models.clone_model(plain, clone_function=lambda layer: layer, call_function=Network(rules))


def _device():
    if keras.config.backend() != "tensorflow":
        return keras.config.backend()
    # Imported here for the other backends' sake.
    import tensorflow as tf

    return "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
