"""The papers' own forms of networks, `as_published=True`; `tests/parity` compares them at full width."""

import keras
import numpy as np
import pytest

from keras_seg import load_model
from keras_seg.acceleration import accelerate
from keras_seg.palette import default_colors
from keras_seg.serving import export_saved_model
from keras_seg.serving.formats import saved_model_runner
from keras_seg.serving.litert_export import litert_runner, write_litert
from keras_seg.serving.onnx_export import onnx_runner, write_onnx
from tests.backend_answers import randomize
from tests.models.helpers import build_narrow, images

# RefineNet's differs from the seed's form in one edge of each residual unit.
NAMES = ("unet_paper", pytest.param("refinenet", marks=pytest.mark.long), "fastfcn")


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    keras.utils.set_random_seed(0)
    model = build_narrow(request.param, 3, as_published=True)
    randomize(model)
    return model


@pytest.mark.parametrize("size", [(1, 1), (33, 70)])
def test_logits_match_an_image_of_any_size(model, size):
    logits = np.asarray(model(images(2, *size), training=False))
    assert logits.shape == (2, *size, 3) and np.isfinite(logits).all()
    assert np.ptp(logits, axis=-1).max() > 0


def test_it_is_saved_loaded_and_accelerated_with_the_same_logits(model, tmp_path):
    image = images(1, 31, 42)
    expected = np.asarray(model(image, training=False))
    model.save(tmp_path / "net.keras")
    for other in (load_model(tmp_path / "net.keras"), accelerate(model, "inference", "cpu")):
        found = np.asarray(other(image, training=False))
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_all_of_it_learns(model):
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    before = [np.asarray(weight) for weight in model.trainable_weights]
    model.train_on_batch(images(2, 33, 40), np.ones((2, 33, 40, 3)))
    changed = [np.any(np.asarray(w) != old) for w, old in zip(model.trainable_weights, before, strict=True)]
    assert np.mean(changed) > 0.9  # A ReLU that is zero everywhere hides what is before it.


def test_unet_as_published_labels_the_middle_of_what_it_sees():
    """388 of 572 pixels, in the paper's figure 1, after convolutions of 64 to 1024 channels."""
    model = build_narrow("unet_paper", 2, as_published=True, widths=(4,) * 5, decoder_widths=(4,) * 4)
    padded = model.get_layer("mirror").compute_output_shape((1, 388, 388, 3))
    assert padded == (1, 572, 572, 3)
    shapes = {layer.name: layer.compute_output_shape for layer in model.layers}
    side = 572
    for name in ("stem", "down1", "down2", "down3", "down4"):
        side = side // 2 if name != "stem" else side
        side = shapes[f"{name}_conv2"](shapes[f"{name}_conv1"]((1, side, side, 4)))[1]
    assert side == 28  # The lowest map of figure 1.


@pytest.mark.long
@pytest.mark.parametrize("kind", ["saved_model", "onnx", "litert"])
def test_every_export_has_the_same_logits(model, kind, tmp_path):
    about = {"classes": ["a", "b", "c"], "colors": default_colors(3)}
    image, path = images(1, 61, 94), tmp_path / f"net.{kind}"
    if kind == "saved_model":
        export_saved_model(model, path, **about)
        run = saved_model_runner(path)
    elif kind == "onnx":
        write_onnx(model, path, **about)
        run = onnx_runner(path)
    else:
        write_litert(model, path, image.shape[1:3])
        run = litert_runner(path)
    expected = np.asarray(model(image, training=False))
    assert np.abs(run(image.astype("uint8")) - expected).max() < 1e-5 * np.abs(expected).max()
