"""PyTorch's and Caffe's layouts, checked against their convolutions written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_seg.errors import InputError
from keras_seg.pretrained import assign, load_blobs, load_state_dict, torch_names
from keras_seg.pretrained.torch_classifiers import unfold_rows


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def model_of(*stack, channels=4):
    image = x = keras.Input((None, None, channels))
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x, name="net")


def answer(model, x):
    """A channels-last model's answer to an NCHW array, as NCHW."""
    return np.asarray(model(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)


def convolve(x, kernel, groups=1):
    """What torch.nn.functional.conv2d and Caffe compute, without padding: OIHW kernel, NCHW map."""
    outputs, depth, rows, columns = kernel.shape
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    y = np.zeros((len(x), outputs, height, width))
    for output in range(outputs):
        first = output // (outputs // groups) * depth
        for i, j in np.ndindex(rows, columns):
            window = x[:, first : first + depth, i : i + height, j : j + width]
            y[:, output] += np.einsum("bchw,c->bhw", window, kernel[output, :, i, j])
    return y


def transposed_convolve(x, kernel, stride):
    """What torch.nn.functional.conv_transpose2d and Caffe's Deconvolution compute: IOHW kernel, NCHW map."""
    _, outputs, rows, columns = kernel.shape
    height, width = ((size - 1) * stride + rows for size in x.shape[2:])
    y = np.zeros((len(x), outputs, height, width))
    for i, j in np.ndindex(*x.shape[2:]):
        y[:, :, i * stride : i * stride + rows, j * stride : j * stride + columns] += np.einsum(
            "bi,iohw->bohw", x[:, :, i, j], kernel
        )
    return y


@pytest.fixture
def plain_names(monkeypatch):
    """Keys name the layers of the model `net` as they are."""
    monkeypatch.setattr(torch_names, "layer_name", lambda network, key: key.rpartition(".")[0])


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("framework", ["torch", "caffe"])
def test_convolution_kernels_keep_their_meaning(plain_names, framework, groups):
    model = model_of(layers.Conv2D(6, (3, 2), groups=groups, name="conv"))
    x, kernel, bias = noise(2, 4, 5, 6), noise(6, 4 // groups, 3, 2, seed=1), noise(6, seed=2)
    if framework == "torch":
        load_state_dict(model, {"conv.weight": kernel, "conv.bias": bias})
    else:
        load_blobs(model, {"conv": [kernel, bias]})
    expected = convolve(x, kernel, groups) + bias[:, None, None]
    np.testing.assert_allclose(answer(model, x), expected, atol=1e-4)


@pytest.mark.parametrize("framework", ["torch", "caffe"])
def test_transposed_kernels_keep_their_meaning(plain_names, framework):
    model = model_of(layers.Conv2DTranspose(3, 4, strides=2, use_bias=False, name="upscore2"))
    x, kernel = noise(1, 4, 3, 2), noise(4, 3, 4, 4, seed=1)
    if framework == "torch":
        load_state_dict(model, {"upscore2.weight": kernel})
    else:
        load_blobs(model, {"upscore2": [kernel]})
    np.testing.assert_allclose(answer(model, x), transposed_convolve(x, kernel, 2), atol=1e-4)


def test_depthwise_kernels_keep_their_meaning(plain_names):
    model = model_of(layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="depthwise"))
    x, kernel = noise(1, 4, 5, 5), noise(8, 1, 3, 3, seed=1)
    load_state_dict(model, {"depthwise.weight": kernel})
    np.testing.assert_allclose(answer(model, x), convolve(x, kernel, groups=4), atol=1e-4)


def test_batch_norm_takes_its_statistics(plain_names):
    model = model_of(layers.BatchNormalization(epsilon=1e-5, name="bn"))
    x, (gamma, beta, mean), var = noise(1, 4, 2, 2), noise(3, 4, seed=1), np.abs(noise(4, seed=2))
    keys = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    tensors = {
        f"bn.{key}": array for key, array in zip(keys, (gamma, beta, mean, var, np.int64(7)), strict=True)
    }
    load_state_dict(model, tensors)
    gamma, beta, mean, var = (array[:, None, None] for array in (gamma, beta, mean, var))
    np.testing.assert_allclose(answer(model, x), gamma * (x - mean) / np.sqrt(var + 1e-5) + beta, atol=1e-5)


def test_a_dense_kernel_over_a_map_becomes_a_convolution():
    x, kernel = noise(1, 5, 3, 3), noise(2, 5 * 3 * 3, seed=1)
    expected = kernel @ x.reshape(-1)
    unfolded = unfold_rows(kernel, 5).transpose(3, 2, 0, 1)
    np.testing.assert_allclose(convolve(x, unfolded).reshape(-1), expected, atol=1e-5)


def two_layers():
    return model_of(layers.Conv2D(3, 1, name="first"), layers.Conv2D(2, 1, name="second"))


def test_assign_lists_every_fault_and_touches_nothing():
    model = two_layers()
    before = [np.asarray(v.value) for v in model.weights]
    weights = {
        "first": {"kernel": noise(1, 1, 4, 3), "bias": noise(5)},
        "second": {"kernel": noise(1, 1, 3, 2)},
        "third": {"kernel": noise(1)},
    }
    with pytest.raises(InputError) as caught:
        assign(model, weights, source="x.h5")
    assert str(caught.value) == (
        "x.h5 does not fit net: missing: second/bias; left over: third/kernel; of another shape: "
        "first/bias (3,) is (5,) there. Give the file of this network."
    )
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_assign_gives_every_variable_its_array():
    model = two_layers()
    weights = {
        layer.name: {v.name: noise(*v.shape, seed=index) for index, v in enumerate(layer.weights)}
        for layer in model.layers[1:]
    }
    assert assign(model, weights) == ((), None, (), (), None)
    for layer in model.layers[1:]:
        for variable in layer.weights:
            np.testing.assert_array_equal(variable, weights[layer.name][variable.name])


def test_score_layers_of_another_number_of_classes_start_anew():
    model = two_layers()
    weights = {
        "first": {"kernel": noise(1, 1, 4, 3), "bias": noise(3)},
        "second": {"kernel": noise(1, 1, 3, 7), "bias": noise(7)},
    }
    before = model.get_layer("second").get_weights()
    loaded = assign(model, weights, reset_classes=True)
    assert (loaded.reset, loaded.file_classes) == (("second",), 7)
    np.testing.assert_array_equal(model.get_layer("first").kernel, weights["first"]["kernel"])
    np.testing.assert_array_equal(model.get_layer("second").kernel, before[0])


def test_other_shapes_are_no_matter_of_classes():
    model = two_layers()
    weights = {
        "first": {"kernel": noise(1, 1, 4, 9), "bias": noise(9)},
        "second": {"kernel": noise(1, 1, 9, 7), "bias": noise(7)},
    }
    with pytest.raises(InputError, match="of another shape: first/kernel"):
        assign(model, weights, reset_classes=True)


def test_a_state_dict_of_another_network_is_refused(plain_names):
    with pytest.raises(InputError, match=r"has no key of this network, but foo\.weight"):
        load_state_dict(two_layers(), {"foo.weight": noise(1)})


def test_left_over_keys_are_refused(plain_names):
    tensors = {"first.weight": noise(3, 4, 1, 1), "first.bias": noise(3), "foo.weight": noise(1)}
    with pytest.raises(InputError, match=r"missing: second/kernel, second/bias; left over: foo\.weight"):
        load_state_dict(two_layers(), tensors)


@pytest.mark.parametrize(("factor", "fits"), [(0.01, True), (0.0001, False)])
def test_constant_scale_layers_must_be_the_models(factor, fits):
    model = model_of(layers.Rescaling(0.01, name="scale_pool4"), layers.Conv2D(2, 1, name="score_pool4"))
    blobs = {
        "scale_pool4": [np.full(4, factor, "float32")],
        "score_pool4": [noise(2, 4, 1, 1), noise(2)],
    }
    if fits:
        load_blobs(model, blobs)
        np.testing.assert_array_equal(model.get_layer("score_pool4").bias, blobs["score_pool4"][1])
    else:
        with pytest.raises(InputError, match=r"multiplies pool4 by 0.0001 and net by 0.01"):
            load_blobs(model, blobs)
