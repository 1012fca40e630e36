"""ConvNeXt under the decoders: dilated, saved, exported, and refused where a decoder reads a map it lacks."""

import keras
import numpy as np
import pytest

from keras_seg.encoders import encoder_layers, freeze_encoder
from keras_seg.encoders.convnext import CONVNEXTS, convnext
from keras_seg.models import build_model
from keras_seg.palette import default_colors
from keras_seg.serving import export_saved_model
from keras_seg.serving.litert_export import litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx
from tests.backend_answers import randomize
from tests.models.fresh_processes import Worker
from tests.models.helpers import CONVNEXT_STAGES, build_narrow, images

SIZE = (37, 50)
DESCRIBED = {"classes": ("a", "b", "c"), "colors": default_colors(3)}


@pytest.fixture(scope="module")
def model():
    model = build_narrow("deeplabv3plus", 3, encoder="convnext_tiny")
    randomize(model)
    return model


@pytest.fixture(scope="module")
def outputs(model):
    outputs = np.asarray(model(images(1, *SIZE), training=False))
    assert np.ptp(outputs, axis=(1, 2)).min() > 0.1
    return outputs


def assert_equal(found, outputs):
    np.testing.assert_allclose(np.asarray(found), outputs, rtol=0, atol=1e-5 * np.abs(outputs).max())


@pytest.mark.parametrize("output_stride", (8, 16))
def test_dilated_maps_hold_the_strided_maps_at_every_nth_pixel(output_stride, monkeypatch):
    monkeypatch.setitem(CONVNEXTS, "convnext_tiny", (*CONVNEXT_STAGES, "ConvNeXtTiny"))
    image = keras.Input((None, None, 3))
    strided, dilated = (
        keras.Model(image, list(convnext(image, output_stride=stride).stages))
        for stride in (32, output_stride)
    )
    randomize(strided)
    dilated.set_weights(strided.get_weights())
    # Odd maps: an even one has a row more once the stride is gone, which the kernels at the border see.
    x = np.random.default_rng(5).normal(0, 1, (1, 4 * 9, 4 * 17, 3)).astype("float32")
    for stride, ours, theirs in zip((4, 8, 16, 32), dilated(x), strided(x), strict=True):
        step = max(1, stride // output_stride)
        ours, theirs = np.asarray(ours)[:, ::step, ::step], np.asarray(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_a_saved_network_opens_in_a_process_that_imported_keras_seg_alone(model, outputs, tmp_path):
    model.save(tmp_path / "model.keras")
    with Worker("keras") as fresh:
        assert_equal(fresh.logits(tmp_path / "model.keras", images(1, *SIZE)), outputs)
    layers = keras.saving.load_model(tmp_path / "model.keras").get_config()["layers"]
    assert all(layer["module"].startswith(("keras.layers", "keras_seg.layers.")) for layer in layers)


def test_its_exchange_files_have_its_outputs(model, outputs, tmp_path):
    write_onnx(model, tmp_path / "model.onnx", **DESCRIBED)
    assert_equal(onnx_runner(tmp_path / "model.onnx")(images(1, *SIZE)), outputs)
    write_litert(model, tmp_path / "model.tflite", SIZE, "float")
    assert_equal(litert_runner(tmp_path / "model.tflite")(images(1, *SIZE)), outputs)


@pytest.mark.long
def test_its_export_has_its_outputs_in_the_servers_loader(model, outputs, tmp_path):
    export_saved_model(model, tmp_path / "1", **DESCRIBED)
    with Worker("savedmodel") as server:
        assert_equal(server.logits(tmp_path / "1", images(1, *SIZE)), outputs)


def test_its_four_stages_are_frozen_from_the_image_on(model):
    frozen = freeze_encoder(model, stages=1)
    try:
        assert "convnext_tiny_stem_conv" in frozen and "convnext_tiny_stage_0_block_0_layer_scale" in frozen
        assert not any("stage_1" in name for name in frozen)
        assert any("stage_3" in name for name in encoder_layers(model, stages=4))
    finally:
        freeze_encoder(model, frozen=False)


@pytest.mark.parametrize("network", ("unet", "unet_vgg16"))
def test_a_decoder_that_reads_a_map_at_stride_2_lists_the_encoders_that_have_it(network):
    with pytest.raises(ValueError, match="convnext_tiny has no map at stride 2") as error:
        build_model(network, 2, encoder="convnext_tiny")
    fitting = str(error.value).partition("give an encoder of ")[2]
    assert "efficientnet_b0" in fitting and "vgg16" in fitting and "convnext" not in fitting
