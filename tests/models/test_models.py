"""What single networks and their layers promise beyond the contract of all."""

import keras
import numpy as np
import pytest

from keras_seg.layers import CropLike
from keras_seg.layers.halving import BilinearUpSampling2D, FloorMaxPooling2D
from keras_seg.models import build_model
from keras_seg.models.deeplab_early import padded_max_pool
from keras_seg.models.summary import rows
from keras_seg.pretrained.torch_names import layer_name

TORCHVISION = ("fcn_resnet50", "deeplabv3_resnet50")


def pixels(*shape):
    return np.random.default_rng(1).normal(0, 1, shape).astype("float32")


@pytest.mark.parametrize(("height", "width"), ((1, 1), (1, 5), (4, 7), (6, 2)))
def test_floor_pooling_rounds_down_but_never_to_nothing(height, width):
    x = pixels(2, height, width, 3)
    answer = np.asarray(FloorMaxPooling2D()(x))
    assert answer.shape == (2, max(height // 2, 1), max(width // 2, 1), 3)
    for row in range(answer.shape[1]):
        for column in range(answer.shape[2]):
            window = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            np.testing.assert_array_equal(answer[:, row, column], window.max(axis=(1, 2)))


def test_bilinear_upsampling_with_aligned_corners_keeps_the_corners_and_divides_the_rest_evenly():
    x = np.array([0.0, 3.0, 6.0], "float32").reshape(1, 1, 3, 1)
    answer = np.asarray(BilinearUpSampling2D(2, align_corners=True)(x))
    assert answer.shape == (1, 2, 6, 1)
    np.testing.assert_allclose(answer[0, :, :, 0], [np.linspace(0, 6, 6)] * 2, rtol=1e-6)


@pytest.mark.parametrize("stage", (3, 4))
def test_deeplabv1_pools_three_by_three_with_pad_one(stage):
    x = np.abs(pixels(1, 5, 6, 2))
    answer = np.asarray(padded_max_pool(x, stage))
    stride = {3: 2, 4: 1}[stage]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    for row in range(answer.shape[1]):
        for column in range(answer.shape[2]):
            top, left = stride * row, stride * column
            window = padded[:, top : top + 3, left : left + 3]
            np.testing.assert_array_equal(answer[:, row, column], window.max(axis=(1, 2)))


@pytest.mark.parametrize("side", (1, 9, 41, 321, 513))
def test_deeplabv1_pools_as_caffe_where_the_authors_images_are(side):
    x = np.zeros((1, side, 1, 1), "float32")
    for stage, stride in enumerate((2, 2, 2, 1, 1), 1):
        # Caffe: ceil((side + 2 pad - window) / stride) + 1, less one if the last window began in the far pad.
        caffe = -(-(side + 2 - 3) // stride) + 1
        caffe -= (caffe - 1) * stride >= side + 1
        x = padded_max_pool(x, stage)
        assert x.shape[1] == caffe
        side = caffe


@pytest.mark.parametrize("name", TORCHVISION)
def test_auxiliary_head_answers_beside_the_logits(name):
    model = build_model(name, 4, aux_head=True)
    answers = model(np.zeros((1, 9, 11, 3), "float32"))
    assert {key: tuple(value.shape) for key, value in answers.items()} == {
        "out": (1, 9, 11, 4),
        "aux": (1, 9, 11, 4),
    }


def test_keras_encoder_brings_its_own_preprocessing():
    model = build_model("deeplabv3", 3, encoder="resnet50_keras")
    assert model.get_layer("preprocessing").mode == "keras"
    assert model.get_layer("conv2_block1_1_conv")


def test_unet_without_batch_norm_has_the_papers_convolutions_only():
    model = build_model("unet_paper", 2, batch_norm=False)

    def count(kind):
        return sum(isinstance(layer, kind) for layer in model.layers)

    # 23 convolutional layers, as the paper counts them, its four transposed ones among them.
    assert count(keras.layers.Conv2D) == 19
    assert count(keras.layers.Conv2DTranspose) == 4
    assert count(keras.layers.BatchNormalization) == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    (
        ("fcn7", {}, "model must be one of fcn8, .*received 'fcn7'"),
        ("unet", {"stride": 8}, "unet has no option 'stride'; it has encoder, widths"),
        ("unet", {"decoder_widths": (8, 8)}, r"decoder_widths must have 4 entries, received \(8, 8\)"),
        ("pspnet", {"output_stride": 4}, "output_stride must be one of"),
    ),
)
def test_wrong_arguments_name_the_choices(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, 2, **options)


@pytest.mark.parametrize(
    ("network", "key", "layer"),
    (
        ("pspnet", "backbone.0.weight", "conv1"),
        ("pspnet", "backbone.4.0.downsample.1.running_var", "layer1_0_downsample_1"),
        ("pspnet", "psp_layer.ppm.3.1.bn.bias", "ppm_3_bn"),
        ("refinenet", "layer1.0.weight", "conv1"),
        ("refinenet", "layer1.4.2.conv3.weight", "layer1_2_conv3"),
        ("refinenet", "layer2.0.conv1.weight", "layer2_0_conv1"),
        ("refinenet", "layer3_reduce.weight", "reduce3"),
        ("deeplabv3plus", "feature2.1.5.bn2.weight", "layer3_5_bn2"),
        ("deeplabv3plus", "head.fuse_conv.4.bias", "fuse_1_bn"),
        ("fastfcn", "head.ASPP.convs.2.conv.conv.weight", "aspp_2_conv"),
        ("fcn_resnet50", "backbone.layer4.2.bn3.weight", "layer4_2_bn3"),
        ("fcn_resnet50", "aux_classifier.4.bias", "aux_score"),
        ("deeplabv3_resnet50", "classifier.0.convs.4.2.running_mean", "aspp_pool_bn"),
        ("deeplabv3_resnet50", "classifier.2.weight", "head_bn"),
        ("deeplabv3", "layer2.3.conv2.weight", "layer2_3_conv2"),
        ("fcn8_resnet50", "upscore2_.weight", "upscore_c3"),
        ("fcn8_vgg16_bn", "stage3.7.running_mean", "block3_conv3_bn"),
        ("fcn8", "features.28.weight", "block5_conv3"),
        ("fcn8", "conv4_2.bias", "block4_conv2"),
        ("fcn32", "upscore.weight", "upscore32"),
        ("fcn16_caffe", "upscore16.weight", "upscore16"),
        ("fcn8_atonce_caffe", "score_pool3.bias", "score_pool3"),
        ("fcn_alexnet", "conv5.weight", "conv5"),
        ("deeplabv1", "fc8_voc12.weight", "fc8"),
        ("fcn8", "classifier.3.bias", "fc7"),
        ("segnet", "features.41.bias", "block5_conv3_bn"),
        ("segnet", "conv2_1_D_bn.weight", "decoder2_1_bn"),
        ("segnet", "conv1_1_D.weight", "logits"),
        ("unet", "up3.conv.bn1.running_mean", "up3_bn1"),
        ("unet_paper", "up2.upsample.weight", "up2_upsample"),
        ("unet_vgg16", "up4.conv.conv2.bias", "up4_conv2"),
        ("fcn8", "fc.weight", None),
        ("unknown", "conv1.weight", None),
    ),
)
def test_torch_keys_find_their_layers(network, key, layer):
    assert layer_name(network, key) == layer


def test_logits_do_not_depend_on_whether_the_size_is_known():
    dynamic = build_model("unet", 3)
    static = build_model("unet", 3, input_shape=(21, 18, 3))
    static.set_weights(dynamic.get_weights())
    x = 100 * pixels(1, 21, 18, 3)
    np.testing.assert_allclose(np.asarray(static(x)), np.asarray(dynamic(x)), rtol=0, atol=1e-4)
    assert keras.backend.standardize_dtype(static(x).dtype) == "float32"


# Layer -> (window, stride, pad) as in the authors' voc-fcn8s/net.py.
FCN8S_WINDOWS = {
    **{
        f"block{stage}_conv{index}": (3, 1, 100 if stage == index == 1 else 1)
        for stage, depth in enumerate((2, 2, 3, 3, 3), 1)
        for index in range(1, depth + 1)
    },
    **{f"block{stage}_pool": (2, 2, 0) for stage in range(1, 6)},
    "fc6": (7, 1, 0),
    **dict.fromkeys(("fc7", "score_fr", "score_pool4", "score_pool3"), (1, 1, 0)),
    **{"upscore2": (4, 2, 0), "upscore_pool4": (4, 2, 0), "upscore8": (16, 8, 0)},
}


def window(model, layer):
    """`(window, stride, pad)` of a convolution or a pool; its pad as Caffe counts it."""
    size = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    pads = {"block1_conv1": model.get_layer("pad1").padding[0][0]}
    is_padded = layer.padding == "same" and not hasattr(layer, "pool_size")
    return size[0], layer.strides[0], pads.get(layer.name, size[0] // 2 if is_padded else 0)


def test_fcn8s_has_the_originals_windows():
    model = build_model("fcn8_caffe", 21, fc_filters=8)
    found = {layer.name: window(model, layer) for layer in model.layers if hasattr(layer, "strides")}
    assert found == FCN8S_WINDOWS


@pytest.mark.parametrize(
    ("name", "offsets", "parameters"),
    (
        ("fcn8_caffe", {"crop_pool4": 5, "crop_pool3": 9, "logits": 31}, 134_362_751),
        ("fcn8_atonce_caffe", {"crop_pool4": 5, "crop_pool3": 9, "logits": 31}, 134_362_751),
        ("fcn16_caffe", {"crop_pool4": 5, "logits": 27}, 134_357_354),
        ("fcn32_caffe", {"logits": 19}, 134_346_581),
        ("fcn_alexnet", {"logits": 18}, 56_954_261),
    ),
)
def test_fcn_crops_and_counts_as_the_originals(name, offsets, parameters):
    model = build_model(name, 21, fc_filters=8)
    assert {layer.name: layer.offset for layer in model.layers if isinstance(layer, CropLike)} == offsets
    # The table's figure, which the contract test compares with the full network.
    assert next(row.parameters for row in rows() if row.network == name) == parameters


def test_fcn8s_upsampling_stays_bilinear():
    model = build_model("fcn8_caffe", 2, fc_filters=8)
    for name in ("upscore2", "upscore_pool4", "upscore8"):
        assert not model.get_layer(name).trainable_weights
    row = np.array([1, 3, 3, 1]) / 4
    kernel = keras.ops.convert_to_numpy(model.get_layer("upscore2").kernel)
    np.testing.assert_allclose(kernel, np.outer(row, row)[:, :, None, None] * np.eye(2))
