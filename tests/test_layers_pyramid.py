"""The convolution over a map and coarser ones, against Keras's over all of them resized and put together."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_seg.layers import PyramidConv2D, ResizeLike


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def as_the_paper_draws_it(layer, maps):
    x, *grids = maps
    resize = ResizeLike(layer.align_corners)
    x = tf.concat([x, *(resize([grid, x]) for grid in grids)], axis=-1)
    return tf.tanh(tf.nn.conv2d(x, layer.kernel.value, 1, "SAME") + layer.bias.value)


@pytest.mark.parametrize("kernel_size", [3, (1, 5)])
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(13, 10), (4, 3)])  # Larger and smaller than the grids.
def test_answer_and_gradients_are_those_of_the_resized_maps(size, align_corners, kernel_size):
    shapes = ((*size, 6), (1, 1, 3), (2, 5, 4), (6, 6, 1))
    maps = [tf.constant(noise(2, *shape, seed=seed)) for seed, shape in enumerate(shapes)]
    layer = PyramidConv2D(5, kernel_size, align_corners=align_corners, activation="tanh")
    layer.build([each.shape for each in maps])
    layer.bias.assign(noise(5))
    found = []
    for function in (layer, lambda maps: as_the_paper_draws_it(layer, maps)):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            answer = function(maps)
            loss = tf.reduce_sum(answer**3)
        found.append([answer, *tape.gradient(loss, [*maps, layer.kernel.value, layer.bias.value])])
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_a_network_with_it_takes_any_size_and_comes_back_from_its_file(tmp_path):
    x, grid = keras.Input((None, None, 3)), keras.Input((2, 2, 4))
    model = keras.Model([x, grid], PyramidConv2D(5, 3, align_corners=True, use_bias=False)([x, grid]))
    assert model.output_shape == (None, None, None, 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for size in ((5, 9), (1, 1)):
        maps = [noise(2, *size, 3), noise(2, 2, 2, 4)]
        found = model.predict_on_batch(maps)
        assert found.shape == (2, *size, 5)
        np.testing.assert_array_equal(loaded.predict_on_batch(maps), found)
