"""First weights of a network that starts at random, beyond what its layers draw.

By the data: Krähenbühl, Doersch, Donahue and Darrell, 2016 (arXiv:1511.06856). Residual branches at zero:
Goyal et al., 2017 (arXiv:1706.02677), section 5.1.
"""

import keras
from keras import activations, layers, ops

from keras_seg.data import train_batches

IMAGES = 16
# Scores start at zero, and what Adam adds to their weights in a step is the rate, whatever they see: on maps
# of a deviation of 1 they take longer to leave the ground.
DEVIATION = 4.0
SMALLEST = 1e-3  # Deviation below which a channel is as good as constant.


def first_images(dataset, config):
    """The images by which random weights are standardized: some training images, as the training sees them.

    Args:
        dataset: `Dataset`.
        config: `TrainConfig`.

    Returns:
        `[B, H, W, C]`, at most 16.
    """
    batches = train_batches(
        dataset, config.image_size, config.batch_size, seed=config.seed, augment=config.augmentation
    )
    # As many at a time as the training has, so that the memory suffices for them.
    return next(iter(batches.take(1)))[0][:IMAGES]


def silence_residuals(network):
    """Starts each block of a residual network as the identity: scales its last batch normalization by 0.

    The gradient of a block is the sum of two, so over the sixteen blocks of a ResNet50 it grows some
    hundredfold from the last stage to the first, and Adam moves all of them alike at first. Blocks without a
    projection start as if they were not there.

    Args:
        network: A network of random weights; changed in place.

    Returns:
        Names of the batch normalizations.
    """
    last = {
        id(layer.output): layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)
    }
    silenced = []
    for layer in network.layers:
        inputs = layer.input if isinstance(layer, layers.Add) else []
        found = [last[id(each)] for each in inputs if id(each) in last]
        if len(found) == 1 and found[0].scale:  # Of two, one is a projection.
            found[0].gamma.assign(ops.zeros_like(found[0].gamma))
            silenced.append(found[0].name)
    return silenced


def standardize(network, images):
    """Standardizes the input of each ReLU in a network without normalizations: mean 0, one deviation.

    The outputs of a deep stack of random convolutions and ReLUs hardly depend on the image: each has
    a mean that is many times the differences between places, and what is behind learns that mean first. Batch
    normalization takes it away in each step. Here it is done once, by the kernels and biases of the
    convolutions, from the first one on: `w' = 4 w / deviation`, `b' = 4 (b - mean) / deviation` of each
    channel. A network with batch normalizations stays as it is.

    Args:
        network: A network of random weights; changed in place.
        images: Function that returns images of the training, `[B, H, W, C]`.

    Returns:
        Names of the convolutions; none in a network that has batch normalizations.
    """
    if any(isinstance(layer, layers.BatchNormalization) for layer in network.layers):
        return []
    rectified = {id(layer.input) for layer in network.layers if isinstance(layer, layers.ReLU)}
    found = [layer for layer in network.layers if _is_rectified(layer, rectified)]
    batch = images() if found else None
    for layer in found:
        mean, deviation = _moments(network, layer, batch)
        deviation = ops.where(deviation < SMALLEST, 1.0, deviation) / DEVIATION
        layer.kernel.assign(layer.kernel / deviation)
        layer.bias.assign((layer.bias - mean) / deviation)
    return [layer.name for layer in found]


def _is_rectified(layer, rectified):
    if type(layer) is not layers.Conv2D or not layer.use_bias:
        return False
    return layer.activation is activations.relu or id(layer.output) in rectified


def _moments(network, layer, images):
    """Mean and deviation of each channel of a convolution, before its ReLU."""
    before = keras.Model(network.input, layer.input)
    x = ops.cast(before(images, training=False), layer.kernel.dtype)
    x = layer.convolution_op(x, layer.kernel) + layer.bias
    return ops.mean(x, (0, 1, 2)), ops.std(x, (0, 1, 2))
