"""A small network that learns from scratch over and over, for proofs of many trainings on two cores."""

import keras
import numpy as np
from keras import layers

from keras_seg.data import train_batches
from keras_seg.encoders import mark_encoder
from keras_seg.layers import ResizeLike
from keras_seg.losses import SegmentationLoss
from keras_seg.models.blocks import conv_bn_relu, read_image

BATCH = 8


def quick_network(num_classes):
    """An encoder to stride 8 with dilated convolutions, and a decoder at stride 4."""
    image, x = read_image((None, None, 3), "torch")
    maps = []
    for stage, filters in enumerate((16, 32, 48), 1):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"stage{stage}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_bn")(x)
        x = layers.ReLU(name=f"stage{stage}_relu")(x)
        maps.append(x)
    fine = maps[1]
    for rate in (1, 2, 4):
        x = layers.Add(name=f"add{rate}")([x, conv_bn_relu(x, 48, 3, f"context{rate}", dilation_rate=rate)])
    mark_encoder(image, [x])
    x = conv_bn_relu(x, 32, 1, "reduce")
    x = layers.Concatenate(name="join")([ResizeLike(name="up")([x, fine]), fine])
    x = conv_bn_relu(x, 32, 3, "decoder")
    logits = layers.Conv2D(num_classes, 1, name="logits")(x)
    return keras.Model(image, ResizeLike(name="resize")([logits, image]))


class QuickNetwork:
    """Trains the same network anew from other first weights; it is built and compiled once.

    Args:
        num_classes: of the logits.
        steps: of each training, by Adam with a cosine decay of the learning rate.
    """

    def __init__(self, num_classes, steps):
        self._num_classes, self._steps = num_classes, steps
        self.model = self._built(0)
        self.model.compile(
            optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
            loss=SegmentationLoss("ce"),
        )

    def train(self, dataset, crop, seed):
        """Trains on a Dataset's train split in crops of (height, width); returns the model."""
        self.model.set_weights(self._built(seed).get_weights())
        self.model.optimizer.build(self.model.trainable_variables)
        for variable in self.model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        batches = train_batches(dataset, crop, BATCH, seed)
        self.model.fit(batches, steps_per_epoch=self._steps, shuffle=False, verbose=0)
        return self.model

    def _built(self, seed):
        keras.utils.set_random_seed(seed)
        return quick_network(self._num_classes)
