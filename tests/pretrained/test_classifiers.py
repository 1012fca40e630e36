"""Image classifiers' weights: VGG16 dense against convolutional, ResNet's encoders, decimation."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from safetensors.numpy import save_file

from keras_seg.encoders.vgg16 import max_pool
from keras_seg.errors import InputError
from keras_seg.layers import Preprocessing
from keras_seg.models import build_model
from keras_seg.models.classifier import vgg16_classifier
from keras_seg.pretrained import load_weights

DEPTHS = (2, 2, 3, 3, 3)
CONVOLUTIONS = [f"block{stage}_conv{i}" for stage, depth in enumerate(DEPTHS, 1) for i in range(1, depth + 1)]
WIDTH, UNITS, CLASSES = 4, 12, 10


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def write_published(path, weights, spelling):
    """Writes `{layer: {variable: array}}` in the layout of the files that keras.applications publishes."""
    short = {"kernel": "W", "bias": "b"} if spelling == "W_1" else {}

    def name(layer, key):
        return f"{layer}_{short[key]}_1:0" if key in short else f"{layer}/{key}:0"

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in ("input_1", *weights, "flatten")]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.0.0"
        for layer in ("input_1", *weights, "flatten"):
            group = file.create_group(layer)
            arrays = weights.get(layer, {})
            group.attrs["weight_names"] = [name(layer, key).encode() for key in arrays]
            for key, array in arrays.items():
                group[name(layer, key)] = array


def weights_of(model):
    return {
        layer.name: {v.name: np.asarray(v.value) for v in layer.weights}
        for layer in model.layers
        if layer.weights
    }


def narrow_dense():
    """VGG16 as Keras builds it, dense layers and all, with few channels."""
    image = x = keras.Input((224, 224, 3))
    for name in CONVOLUTIONS:
        x = layers.Conv2D(
            WIDTH, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name
        )(x)
        if name in ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"):
            x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(UNITS, activation="relu", bias_initializer="random_normal", name=name)(x)
    return keras.Model(image, layers.Dense(CLASSES, name="predictions")(x))


def narrow_convolutional(dense=(("fc6", 7, UNITS), ("fc7", 1, UNITS)), last="predictions", classes=CLASSES):
    """The same as a network of ours."""
    image = x = keras.Input((None, None, 3))
    for name in CONVOLUTIONS:
        x = layers.Conv2D(WIDTH, 3, padding="same", activation="relu", name=name)(x)
        if name in ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"):
            x = max_pool(x, int(name[5]))
    for name, size, units in dense:
        x = layers.Conv2D(units, size, activation="relu", name=name)(x)
    return keras.Model(image, layers.Conv2D(classes, 1, name=last)(x), name="narrow")


@pytest.fixture(scope="module")
def dense():
    keras.utils.set_random_seed(0)
    return narrow_dense()


@pytest.fixture
def published(tmp_path, dense):
    path = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    write_published(path, weights_of(dense), "W_1")
    return path


def relative_error(ours, reference):
    return np.abs(ours - reference).max() / np.abs(reference).max()


def windows(features, size=7):
    starts = range(features.shape[1] - size + 1)
    return np.concatenate([features[:, i : i + size, j : j + size] for i in starts for j in starts])


def sliding_error(model, dense, side):
    """How far a map of answers is off the dense network's for each window of 224 pixels at stride 32."""
    image = noise(1, side, side, 3)
    # A window cut from the image would have zeros around it where the image goes on, so the windows
    # are cut from the dense network's own last map, which its convolutions give for any size.
    x = whole = keras.Input((None, None, 3))
    for layer in dense.layers[1:]:
        if isinstance(layer, layers.Flatten):
            break
        x = layer(x)
    features = keras.Model(whole, x).predict(image, verbose=0)
    answer = model.predict(image, verbose=0)
    count = (side - 224) // 32 + 1
    assert answer.shape[1:3] == (count, count)
    flat = keras.Model(dense.get_layer("fc1").input, dense.output)
    reference = flat.predict(windows(features).reshape(count * count, -1), verbose=0)
    return relative_error(answer.reshape(reference.shape), reference)


@pytest.mark.parametrize("spelling", ["W_1", "kernel"])
def test_the_converted_classifier_answers_as_the_dense_one(tmp_path, dense, spelling):
    path = tmp_path / "vgg16.h5"
    write_published(path, weights_of(dense), spelling)
    model = narrow_convolutional()
    assert load_weights(model, path) == f"narrow: loaded 16 layers from {path}."
    image = noise(2, 224, 224, 3)
    assert relative_error(model.predict(image, verbose=0)[:, 0, 0], dense.predict(image, verbose=0)) < 1e-4


def test_the_converted_classifier_slides(published, dense):
    model = narrow_convolutional()
    load_weights(model, published)
    assert sliding_error(model, dense, 384) < 1e-4


def test_predictions_are_left_aside_by_a_segmentation_network(published):
    model = narrow_convolutional(last="score_fr", classes=3)
    assert load_weights(model, published) == (
        f"narrow: loaded 15 layers from {published}; "
        "re-initialized because the file does not have them: score_fr; unused: predictions."
    )


def test_a_network_without_dense_layers_takes_the_convolutions(published):
    line = load_weights(narrow_convolutional((), "score", 2), published)
    assert line.endswith("the file does not have them: score; unused: fc1, fc2, predictions.")


def test_the_file_without_its_top_leaves_the_dense_layers_fresh(tmp_path, dense):
    path = tmp_path / "vgg16_notop.h5"
    weights = {name: arrays for name, arrays in weights_of(dense).items() if name.startswith("block")}
    write_published(path, weights, "W_1")
    line = load_weights(narrow_convolutional(), path)
    assert line == (
        f"narrow: loaded 13 layers from {path}; "
        "re-initialized because the file does not have them: fc6, fc7, predictions."
    )


def test_the_classifiers_own_layer_starts_anew_for_other_classes(published):
    line = load_weights(narrow_convolutional(classes=3), published)
    assert line.endswith("re-initialized because of 10 classes there, 3 here: predictions.")


def test_largefov_takes_every_third_pixel_and_every_fourth_map(tmp_path, dense):
    weights = weights_of(dense)
    weights["fc1"] = {"kernel": noise(7 * 7 * WIDTH, 4096), "bias": noise(4096)}
    weights["fc2"] = {"kernel": noise(4096, 4096), "bias": noise(4096, seed=1)}
    weights["predictions"] = {"kernel": noise(4096, 1000), "bias": noise(1000)}
    path = tmp_path / "vgg16.h5"
    write_published(path, weights, "W_1")
    model = narrow_convolutional((("fc6", 3, 1024), ("fc7", 1, 1024)), "fc8", 21)
    load_weights(model, path)
    kernel = weights["fc1"]["kernel"].reshape(7, 7, WIDTH, 4096)
    fc6, fc7 = model.get_layer("fc6"), model.get_layer("fc7")
    np.testing.assert_array_equal(fc6.kernel, kernel[[0, 3, 6]][:, [0, 3, 6]][..., ::4])
    np.testing.assert_array_equal(fc6.bias, weights["fc1"]["bias"][::4])
    np.testing.assert_array_equal(fc7.kernel[0, 0], weights["fc2"]["kernel"][::4, ::4])


def test_torchvisions_dense_kernels_are_ordered_by_channel(tmp_path, dense):
    weights = weights_of(dense)
    tensors, position = {}, 0
    for stage, depth in enumerate(DEPTHS, 1):
        for index in range(1, depth + 1):
            arrays = weights[f"block{stage}_conv{index}"]
            tensors[f"features.{position}.weight"] = arrays["kernel"].transpose(3, 2, 0, 1)
            tensors[f"features.{position}.bias"] = arrays["bias"]
            position += 2
        position += 1
    for key, name in (("classifier.0", "fc1"), ("classifier.3", "fc2"), ("classifier.6", "predictions")):
        kernel = weights[name]["kernel"]
        if name == "fc1":
            kernel = kernel.reshape(7, 7, WIDTH, UNITS).transpose(2, 0, 1, 3).reshape(-1, UNITS)
        tensors[f"{key}.weight"], tensors[f"{key}.bias"] = kernel.T, weights[name]["bias"]
    path = tmp_path / "vgg16.safetensors"
    save_file({key: np.ascontiguousarray(array) for key, array in tensors.items()}, path)
    model = narrow_convolutional()
    load_weights(model, path)
    image = noise(1, 224, 224, 3)
    assert relative_error(model.predict(image, verbose=0)[:, 0, 0], dense.predict(image, verbose=0)) < 1e-4


def test_vgg16_is_refused_by_a_network_on_another_encoder(published):
    model = build_model("unet", 2, widths=(4, 4, 4, 4, 4), decoder_widths=(4, 4, 4, 4))
    with pytest.raises(InputError, match="holds VGG16, on which unet is not built"):
        load_weights(model, published)


def test_other_shapes_are_listed_and_nothing_is_loaded(tmp_path, dense):
    weights = weights_of(dense)
    weights["block5_conv3"]["kernel"] = noise(3, 3, WIDTH, WIDTH + 1)
    path = tmp_path / "vgg16.h5"
    write_published(path, weights, "W_1")
    model = narrow_convolutional()
    before = model.get_weights()
    with pytest.raises(InputError, match=r"block5_conv3/kernel \(3, 3, 4, 4\) is \(3, 3, 4, 5\) there"):
        load_weights(model, path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_the_keras_resnet50_file_gives_its_encoder(tmp_path):
    resnet = keras.applications.ResNet50(weights=None, include_top=False)
    for index, variable in enumerate(resnet.weights):  # Else each mean is 0 and each variance 1.
        variable.assign(variable + 0.01 * np.abs(noise(*variable.shape, seed=index)))
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_published(path, weights_of(resnet), "kernel")
    model = build_model("deeplabv2", 2, encoder="resnet50_keras", output_stride=32, preprocessing="none")
    line = load_weights(model, path)
    assert line.startswith(
        f"deeplabv2: loaded 106 layers from {path}; re-initialized because the file does not"
    )
    image = noise(1, 64, 96, 3)
    features = keras.Model(model.input, model.get_layer("conv5_block3_relu3").output)
    assert relative_error(np.asarray(features(image)), np.asarray(resnet(image))) < 1e-4


@pytest.fixture(scope="module")
def fcn_resnet50():
    return build_model("fcn_resnet50", 2)


def test_the_keras_resnet50_file_is_refused_by_torchvisions_encoder(tmp_path, fcn_resnet50):
    path = tmp_path / "resnet50.h5"
    write_published(path, {"conv1_conv": {"kernel": noise(7, 7, 3, 64)}}, "kernel")
    with pytest.raises(InputError, match="holds Keras's ResNet, on which fcn_resnet50 is not built"):
        load_weights(fcn_resnet50, path)


def test_a_torchvision_resnet50_gives_its_encoder(tmp_path, fcn_resnet50):
    suffixes = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
    suffixes |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    tensors = {"fc.weight": noise(5, 2048), "fc.bias": noise(5), "bn1.num_batches_tracked": np.int64([3])}
    for layer in fcn_resnet50.layers:
        if layer.weights and layer.name.startswith(("conv1", "bn1", "layer")):
            stem = layer.name
            if stem.startswith("layer"):
                stage, index, rest = stem.split("_", 2)
                stem = ".".join((stage, index, rest.replace("_", ".")))
            for v in layer.weights:
                shape = [v.shape[axis] for axis in (3, 2, 0, 1)] if len(v.shape) == 4 else v.shape
                tensors[f"{stem}.{suffixes.get(v.name, v.name)}"] = noise(*shape, seed=len(tensors))
    path = tmp_path / "resnet50.safetensors"
    save_file(tensors, path)
    assert load_weights(fcn_resnet50, path) == (
        f"fcn_resnet50: loaded 106 layers from {path}; re-initialized because the file does not have them: "
        "head_conv, head_bn, head_score; unused: fc."
    )
    expected = tensors["layer4.0.downsample.0.weight"][3, 5, 0, 0]
    assert fcn_resnet50.get_layer("layer4_0_downsample_0").kernel[0, 0, 5, 3] == expected


def test_weights_of_another_preprocessing_are_refused(tmp_path):
    path = tmp_path / "resnet50.safetensors"
    save_file({"conv1.weight": noise(8, 3, 7, 7), "layer1.0.conv1.weight": noise(8, 8, 1, 1)}, path)
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 7, use_bias=False, name="conv1")(Preprocessing("caffe")(image))
    model = keras.Model(image, layers.Conv2D(8, 1, use_bias=False, name="layer1_0_conv1")(x), name="net")
    with pytest.raises(InputError, match="was trained with preprocessing 'torch' and net has 'caffe'"):
        load_weights(model, path)


@pytest.mark.parity
def test_keras_vgg16_equals_fcns_converted_layers(tmp_path, record_property):
    keras.utils.set_random_seed(0)
    dense = keras.applications.VGG16(weights=None, classifier_activation=None)
    for layer in dense.layers:  # Keras starts biases at zero, which would hide a lost one.
        if layer.weights:
            layer.bias.assign(0.1 * noise(*layer.bias.shape))
    path = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    write_published(path, weights_of(dense), "W_1")
    model = vgg16_classifier(preprocessing="none")
    load_weights(model, path)
    image = 100 * noise(1, 224, 224, 3)
    errors = {
        224: relative_error(model.predict(image, verbose=0)[:, 0, 0], dense.predict(image, verbose=0)),
        384: sliding_error(model, dense, 384),
    }
    for side, error in errors.items():
        record_property(f"error at {side}", float(error))
        assert error < 1e-4
    fcn = build_model("fcn8", 21)
    assert load_weights(fcn, path).endswith("unused: predictions.")
    for name in ("fc6", "fc7"):
        np.testing.assert_array_equal(fcn.get_layer(name).kernel, model.get_layer(name).kernel)
