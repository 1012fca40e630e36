"""`fit` on every strategy of `tf.distribute`, which Keras 3 does not do by itself.

With `MultiWorkerMirroredStrategy` Keras 3.15 fails in `fit` (keras-team/keras issue 20585): it reduces the
figures of a step along an axis that they do not have, and takes the mean of the replicas' first batch, whose
parts have different sizes. Both is passed by here through methods that Keras leaves to be overridden.
`test_keras_still_needs_the_replicated_model` fails when Keras can do without.
"""

from contextlib import contextmanager

import keras
import tensorflow as tf


class ReplicatedModel(keras.Model):
    """A functional model whose steps run on the replicas of the strategy in whose scope `fit` is called.

    Make it outside of the scope, or Keras looks at the first batch to build it, of layers that were built in
    the scope; compile it in the scope.
    """

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self.train_function = _on_replicas(self.train_step)
        return self.train_function

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self.test_function = _on_replicas(self.test_step)
        return self.test_function


def _on_replicas(step):
    """A function from an iterator to the figures of one step: the mean over the replicas."""
    step = tf.autograph.experimental.do_not_convert(step)

    def stacked_step(data):
        figures = step(data)
        names[:] = sorted(figures)
        return tf.stack([figures[name] for name in names])

    names = []

    @tf.function(reduce_retracing=True, autograph=False)
    def run(iterator):
        strategy = tf.distribute.get_strategy()
        figures = strategy.run(stacked_step, (iterator.get_next(),))
        means = strategy.reduce("MEAN", figures, axis=None)
        return dict(zip(names, tf.unstack(means, len(names)), strict=True))

    return run


def replicated(model):
    """Makes a `ReplicatedModel` of a functional model, with batch statistics over all replicas.

    Args:
        model: A `keras.Model` that was built in the strategy's scope.
    """
    for layer in _normalizations(model):
        layer.synchronized = True
    return ReplicatedModel(model.input, model.output, name=model.name)


@contextmanager
def unsynchronized(model):
    """The layers as they are to be saved: a model that is loaded may run where there are no replicas."""
    layers = [layer for layer in _normalizations(model) if layer.synchronized]
    try:
        for layer in layers:
            layer.synchronized = False
        yield
    finally:
        for layer in layers:
            layer.synchronized = True


def _normalizations(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
