"""Predictions in bfloat16: what is rounded, and when it is chosen."""

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import layers

from keras_seg.cli import main
from keras_seg.errors import InputError
from keras_seg.hardware import Hardware
from keras_seg.inference import Predictor
from keras_seg.precision import choose_precision

PLAIN = Hardware((), ())


@pytest.mark.parametrize(
    ("setting", "hardware", "precision", "line"),
    [
        ("float32", PLAIN, "float32", None),
        ("bfloat16", PLAIN, "bfloat16", "float32 is faster"),
        ("bfloat16", Hardware((), ("amx_bf16",)), "bfloat16", None),
        ("auto", PLAIN, "float32", "nothing here has instructions for bfloat16"),
        ("auto", Hardware((), ("avx512_bf16",)), "bfloat16", "this CPU has avx512_bf16"),
        ("auto", Hardware(((9, 0), (8, 6)), ()), "bfloat16", "the GPU has compute capability 8.6"),
        ("auto", Hardware(((7, 5),), ("amx_bf16",)), "float32", "nothing here"),
        ("auto", Hardware((None,), ()), "float32", "nothing here"),
    ],
)
def test_bfloat16_is_chosen_where_the_hardware_has_it(setting, hardware, precision, line):
    found, reason = choose_precision(setting, hardware, "prediction")
    assert found == precision
    assert reason is None if line is None else line in reason


def test_another_precision_is_refused():
    with pytest.raises(InputError, match="--precision must be one of float32, bfloat16, auto, received int8"):
        choose_precision("int8", PLAIN, "prediction")
    with pytest.raises(ValueError, match="precision must be float32 or bfloat16, received 'auto'"):
        Predictor(keras.Model((x := keras.Input((None, None, 3))), x), precision="auto")


@pytest.mark.bfloat16
@pytest.mark.processor
def test_weights_and_maps_are_rounded_but_for_pixels_and_scores():
    chance = np.random.default_rng(0)
    kernels = [chance.normal(size=size).astype(np.float32) for size in ((3, 16), (16, 4))]
    image = keras.Input((None, None, 3))
    x = layers.Dense(16, use_bias=False, activation="relu")(image)
    model = keras.Model(image, layers.Dense(4, use_bias=False)(x))
    model.set_weights(kernels)
    picture = chance.integers(0, 256, (9, 7, 3), np.uint8)

    def rounded(array):
        return array.astype(ml_dtypes.bfloat16).astype(np.float32)

    hidden = np.maximum(rounded(rounded(picture.astype(np.float32)) @ rounded(kernels[0])), 0)
    by_hand = hidden @ kernels[1]
    found = Predictor(model, precision="bfloat16")
    logits = found.model.predict(picture[None].astype(np.float32), verbose=0)[0]
    assert logits.dtype == np.float32
    # Processors differ in how they round sums: by one unit in the last of bfloat16's eight places.
    assert np.all(abs(logits - by_hand) <= 2**-7 * (hidden @ abs(kernels[1])))
    exact = np.maximum(picture @ kernels[0], 0) @ kernels[1]
    assert abs(logits - exact).max() > 1e-3 * abs(exact).max()
    np.testing.assert_array_equal(found.predict(picture).mask, logits.argmax(-1))


@pytest.mark.bfloat16
def test_evaluate_says_what_the_precision_is(run, shapes_folder, capsys, tmp_path):
    flags = ["--run", str(run.path), "--data", str(shapes_folder), "--output", str(tmp_path / "figures.json")]
    assert main(["evaluate", *flags, "--precision", "bfloat16"]) == 0
    assert "mean IoU" in capsys.readouterr().out
    assert main(["evaluate", *flags, "--precision", "half"]) == 2
    assert "received half" in capsys.readouterr().err
