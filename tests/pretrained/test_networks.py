"""Whole networks' files under their authors' names, and one VGG16 file for every network built on it."""

import json
import re

import keras
import numpy as np
import pytest
from keras import layers
from safetensors.numpy import save_file

from keras_seg.errors import InputError
from keras_seg.models import MODELS
from keras_seg.pretrained import load_blobs, load_weights
from keras_seg.pretrained.torch_names import layer_name
from keras_seg.registry import networks
from tests.models.helpers import build_narrow, free
from tests.parity import FIXTURES
from tests.pretrained.caffe_writer import write_caffemodel
from tests.pretrained.test_classifiers import write_published

DEPTHS, WIDTHS = (2, 2, 3, 3, 3), (8, 16, 24, 32, 32)
VGG16_STAGES = tuple(zip(DEPTHS, WIDTHS, strict=True))
PLACES = [(stage, i) for stage, depth in enumerate(DEPTHS, 1) for i in range(1, depth + 1)]
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # In torchvision's `nn.Sequential`.
UNITS = 32
VGG16_NETWORKS = [name for name in MODELS if networks()[name].default_encoder in ("vgg16", "vgg16_bn")]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def memory():
    yield
    free()


def narrow_vgg16(dense):
    """VGG16 with few channels: `[((stage, index), kernel OIHW, bias)]` and `[(kernel OI, bias)]` or none."""
    convolutions, depth = [], 3
    for number, (stage, index) in enumerate(PLACES):
        width = WIDTHS[stage - 1]
        convolutions.append(((stage, index), noise(width, depth, 3, 3, seed=number), noise(width)))
        depth = width
    sizes = ((UNITS, 49 * depth), (UNITS, UNITS), (10, UNITS)) if dense else ()
    return convolutions, [(noise(*size, seed=9), noise(size[0], seed=8)) for size in sizes]


def write_keras(path, convolutions, dense):
    """As keras.applications: HWIO kernels, fc1 flattened by height, width, channel."""
    weights = {
        f"block{stage}_conv{index}": {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
        for (stage, index), kernel, bias in convolutions
    }
    for name, (kernel, bias) in zip(("fc1", "fc2", "predictions"), dense, strict=False):
        if name == "fc1":
            kernel = kernel.reshape(UNITS, -1, 7, 7).transpose(0, 2, 3, 1).reshape(UNITS, -1)
        weights[name] = {"kernel": kernel.T, "bias": bias}
    write_published(path, weights, "kernel")


def write_torchvision(path, convolutions, dense):
    tensors = {}
    for place, (_, kernel, bias) in zip(FEATURES, convolutions, strict=True):
        tensors |= {f"features.{place}.weight": kernel, f"features.{place}.bias": bias}
    for place, (kernel, bias) in zip((0, 3, 6), dense, strict=False):
        tensors |= {f"classifier.{place}.weight": kernel, f"classifier.{place}.bias": bias}
    save_file(tensors, path)


def write_caffe(path, convolutions, dense):
    blobs = {f"conv{stage}_{index}": [kernel, bias] for (stage, index), kernel, bias in convolutions}
    blobs |= {f"fc{number}": list(arrays) for number, arrays in enumerate(dense, 6)}
    write_caffemodel(path, blobs, v1=True)


FORMATS = {"vgg16.h5": write_keras, "vgg16.safetensors": write_torchvision, "vgg16.caffemodel": write_caffe}


@pytest.mark.parametrize("network", VGG16_NETWORKS)
def test_every_network_on_vgg16_takes_every_source_of_its_weights(tmp_path, network):
    # DeepLab v1's fc6 has 1024 maps of the 4096, a thinning that a narrow file has not.
    model = build_narrow(network, vgg16_stages=VGG16_STAGES, preprocessing="none")
    has_dense = any(layer.name == "fc6" for layer in model.layers) and network != "deeplabv1"
    convolutions, dense = narrow_vgg16(dense=network != "deeplabv1")
    for name, write in FORMATS.items():
        if write is write_caffe and not dense:
            continue
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        write(tmp_path / name, convolutions, dense)
        load_weights(model, tmp_path / name)
        for (stage, index), kernel, bias in convolutions:
            layer = model.get_layer(f"block{stage}_conv{index}")
            np.testing.assert_array_equal(layer.kernel, kernel.transpose(2, 3, 1, 0))
            np.testing.assert_array_equal(layer.bias, bias)
        if has_dense:
            fc1 = dense[0][0].reshape(UNITS, -1, 7, 7).transpose(2, 3, 1, 0)
            np.testing.assert_array_equal(model.get_layer("fc6").kernel, fc1)
            np.testing.assert_array_equal(model.get_layer("fc7").kernel[0, 0], dense[1][0].T)


def segnet_blobs(num_classes):
    """The blobs of segnet_pascal.prototxt, narrow: BN layers hold a scale and a shift."""
    blobs, depth = {}, 3

    def add(name, inputs, outputs):
        blobs[name] = [noise(outputs, inputs, 3, 3, seed=len(blobs)), noise(outputs)]
        if name != "conv1_1_D":
            blobs[f"{name}_bn"] = [noise(1, outputs, 1, 1, seed=len(blobs)), noise(1, outputs, 1, 1, seed=1)]

    for stage, index in PLACES:
        add(f"conv{stage}_{index}", depth, WIDTHS[stage - 1])
        depth = WIDTHS[stage - 1]
    for stage, index in reversed(PLACES):
        width = WIDTHS[stage - 1] if index > 1 else WIDTHS[max(stage - 2, 0)]
        if stage == index == 1:
            width = num_classes
        add(f"conv{stage}_{index}_D", depth, width)
        depth = width
    return blobs


@pytest.fixture(scope="module")
def segnet():
    return build_narrow("segnet", 12, vgg16_stages=VGG16_STAGES, preprocessing="bgr")


@pytest.mark.parametrize("classes", (12, 5))
def test_segnets_published_files_fit_whatever_the_number_of_classes(tmp_path, segnet, classes):
    path, blobs = tmp_path / "segnet.caffemodel", segnet_blobs(classes)
    write_caffemodel(path, blobs)
    anew = "" if classes == 12 else "; re-initialized because of 5 classes there, 12 here: logits"
    assert load_weights(segnet, path) == f"segnet: loaded {50 if anew else 51} layers from {path}{anew}."
    last = segnet.get_layer("decoder1_2_conv").kernel
    np.testing.assert_array_equal(last, blobs["conv1_2_D"][0].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(segnet.get_layer("decoder3_1_bn").gamma, blobs["conv3_1_D_bn"][0].ravel())


def test_segnets_batch_norm_scales_and_shifts_at_inference():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 1, name="block1_conv1")(image)
    x = layers.BatchNormalization(epsilon=1e-3, name="block1_conv1_bn")(x)
    model = keras.Model(image, layers.Conv2D(2, 1, name="logits")(x), name="segnet")
    kernels, biases = (noise(4, 3, 1, 1), noise(2, 4, 1, 1)), (noise(4), noise(2))
    scale, shift = noise(4, seed=1), noise(4, seed=2)
    batch_norm = [scale.reshape(1, 4, 1, 1), shift.reshape(1, 4, 1, 1)]
    load_blobs(
        model,
        {
            "conv1_1": [kernels[0], biases[0]],
            "conv1_1_bn": batch_norm,
            "conv1_1_D": [kernels[1], biases[1]],
        },
    )
    x = noise(1, 2, 3, 3)
    expected = scale * (x @ kernels[0][:, :, 0, 0].T + biases[0]) + shift
    expected = expected @ kernels[1][:, :, 0, 0].T + biases[1]
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-5, atol=1e-5)


def test_segnets_published_files_want_their_preprocessing():
    model = build_narrow("segnet", 12)
    with pytest.raises(InputError, match="has 'keras': build the model with preprocessing='bgr'"):
        load_blobs(model, segnet_blobs(12))


def test_batch_norm_with_other_blobs_than_two_is_refused(segnet):
    blobs = segnet_blobs(12)
    blobs["conv1_1_bn"] += [noise(8), noise(8)]
    with pytest.raises(InputError, match=r"missing: block1_conv1_bn/moving_mean, .*left over: .*/third blob"):
        load_blobs(segnet, blobs)


@pytest.mark.parametrize("last", ("fc8_pascal", "fc8_voc12", "fc8"))
def test_deeplabs_published_files_fit_under_any_name_of_the_last_layer(tmp_path, last):
    model = build_narrow("deeplabv1", 21, vgg16_stages=VGG16_STAGES)
    blobs = {f"conv{stage}_{i}": [kernel, bias] for (stage, i), kernel, bias in narrow_vgg16(False)[0]}
    blobs |= {"fc6": [noise(1024, 32, 3, 3), noise(1024)], "fc7": [noise(1024, 1024, 1, 1), noise(1024)]}
    blobs[last] = [noise(21, 1024, 1, 1), noise(21)]
    path = tmp_path / "train_iter_8000.caffemodel"
    write_caffemodel(path, blobs, v1=True)
    assert load_weights(model, path) == f"deeplabv1: loaded 16 layers from {path}."
    np.testing.assert_array_equal(model.get_layer("fc8").kernel[0, 0], blobs[last][0][:, :, 0, 0].T)


def fcn_blobs(model):
    """What the authors' file would hold of a network of ours."""
    blobs = {}
    for layer in model.layers:
        if layer.weights:
            name = re.sub(r"block(\d)_conv(\d)", r"conv\1_\2", layer.name)
            arrays = [np.asarray(v.value) for v in layer.weights]
            blobs[name] = [a.transpose(3, 2, 0, 1) if a.ndim == 4 else a for a in arrays]
    return blobs


@pytest.mark.parametrize("name", ("fcn8_caffe", "fcn_alexnet"))
def test_a_caffemodel_of_other_classes_gives_all_but_the_scores(tmp_path, name):
    path = tmp_path / "fcn.caffemodel"
    write_caffemodel(path, fcn_blobs(build_narrow(name, 21)))
    model = build_narrow(name, 5)
    line = load_weights(model, path)
    scores = [layer.name for layer in model.layers if layer.weights and "score" in layer.name]
    head, _, listed = line.rstrip(".").partition("; re-initialized because of 21 classes there, 5 here: ")
    assert head.startswith(f"{name}: loaded ") and "\n" not in line
    assert set(listed.split(", ")) == set(scores)


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory):
    """A narrow `fcn_resnet50` with auxiliary head, under torchvision's keys."""
    model = build_narrow("fcn_resnet50", 21, aux_head=True)
    variables = {
        (layer.name, variable.name): np.asarray(variable.value)
        for layer in model.layers
        for variable in layer.weights
    }
    kinds = {"running_mean": "moving_mean", "running_var": "moving_variance", "bias": "beta"}
    tensors = {}
    for key in json.loads((FIXTURES / "torchvision-fcn_resnet50.json").read_text())["tensors"]:
        name, kind = layer_name("fcn_resnet50", key), key.rpartition(".")[2]
        if (name, "gamma") in variables:
            tensors[key] = variables[name, kinds.get(kind, "gamma")]
        elif (name, "kernel") in variables:
            array = variables[name, {"weight": "kernel"}.get(kind, kind)]
            tensors[key] = np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
    path = tmp_path_factory.mktemp("torchvision") / "fcn_resnet50_coco.safetensors"
    save_file(tensors, path)
    return path


def test_an_auxiliary_head_is_left_aside_by_a_network_without(torchvision_file):
    line = load_weights(build_narrow("fcn_resnet50", 21), torchvision_file)
    assert line.endswith(f"from {torchvision_file}; unused: aux_conv, aux_bn, aux_score.")


def test_both_heads_start_anew_for_other_classes(torchvision_file):
    line = load_weights(build_narrow("fcn_resnet50", 5, aux_head=True), torchvision_file)
    assert line.endswith("; re-initialized because of 21 classes there, 5 here: aux_score, head_score.")


def test_a_file_without_the_auxiliary_head_is_refused_by_a_network_with(tmp_path):
    path = tmp_path / "net.keras"
    build_narrow("fcn_resnet50", 5).save(path)
    with pytest.raises(InputError, match="missing: aux_conv/kernel, aux_bn/gamma"):
        load_weights(build_narrow("fcn_resnet50", 5, aux_head=True), path)
