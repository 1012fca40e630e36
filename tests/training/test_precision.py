"""What precision is taken on which hardware, and what never runs in bfloat16 on a CPU."""

import keras
import numpy as np
import pytest

from keras_seg import InputError, TrainConfig
from keras_seg.hardware import Hardware, find_hardware, has_avx2_alone
from keras_seg.inference import Predictor
from keras_seg.models import build_model
from keras_seg.precision import choose_precision
from keras_seg.process import ONEDNN_LIMIT
from keras_seg.training.loop.building import build_training

pytestmark = pytest.mark.processor

PLAIN, AMX = Hardware((), ()), Hardware((), ("amx_bf16", "avx512_bf16"))
SMALL = {"widths": (8, 8), "decoder_widths": (8,)}


def gpus(*capabilities):
    return Hardware(capabilities, ())


@pytest.mark.parametrize(
    ("setting", "hardware", "precision", "reason"),
    [
        ("auto", gpus((9, 0)), "mixed_bfloat16", "compute capability 9.0"),
        ("auto", gpus((8, 0), (9, 0)), "mixed_bfloat16", "compute capability 8.0"),
        ("auto", gpus((9, 0), (7, 5)), "mixed_float16", "loss scaling: the GPU has compute capability 7.5"),
        ("auto", gpus((6, 1)), "float32", "compute capability 6.1, below 7.0"),
        ("auto", gpus(None), "float32", "below 7.0"),
        ("auto", PLAIN, "float32", "there is no GPU"),
        (
            "auto",
            AMX,
            "float32",
            "this CPU has amx_bf16 and avx512_bf16, which --precision mixed_bfloat16 uses",
        ),
        ("mixed_bfloat16", AMX, "mixed_bfloat16", "fc6, fc7 and the scores stay float32"),
        ("mixed_bfloat16", PLAIN, "mixed_bfloat16", "float32 is faster"),
        ("mixed_bfloat16", gpus((7, 0)), "mixed_bfloat16", "which gains nothing"),
        ("float32", PLAIN, "float32", None),
        ("mixed_float16", gpus((7, 0)), "mixed_float16", None),
    ],
)
def test_the_precision_is_what_the_hardware_gains_from(setting, hardware, precision, reason, monkeypatch):
    monkeypatch.delenv(ONEDNN_LIMIT, raising=False)
    found, line = choose_precision(setting, hardware, "training")
    assert found == precision
    assert line is None if reason is None else reason in line and "\n" not in line


def test_float16_on_a_cpu_is_refused():
    with pytest.raises(InputError, match="a CPU only loses by it; take float32 or auto"):
        choose_precision("mixed_float16", AMX, "training")


def test_processor_flags_are_read_where_there_are_any(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu amx_bf16 avx512f\nbugs\t\t: none\n")
    monkeypatch.setattr("keras_seg.hardware.CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.delenv(ONEDNN_LIMIT, raising=False)
    assert find_hardware() == Hardware((), ("amx_bf16",))
    monkeypatch.setattr("keras_seg.hardware.CPU_INFO", tmp_path / "none")
    assert find_hardware() == PLAIN


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        ("sse4_2", None, False),
        ("avx avx2 fma", None, True),
        ("avx2 avx512f", None, False),
        ("avx2 avx512f", "avx2", True),
        ("avx2 avx512f", "AVX512_CORE", False),
    ],
)
def test_whether_a_cpu_has_avx2_alone(flags, limit, expected, monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr("keras_seg.hardware.CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.delenv(ONEDNN_LIMIT, raising=False)
    if limit:
        monkeypatch.setenv(ONEDNN_LIMIT, limit)
    assert has_avx2_alone() is expected


def test_bfloat16_is_refused_where_the_environment_keeps_onednn_from_it(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f avx512_bf16\n")
    monkeypatch.setattr("keras_seg.hardware.CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setenv(ONEDNN_LIMIT, "avx2")
    assert find_hardware() == PLAIN
    model = keras.Model(image := keras.Input((None, None, 3)), image)
    for ask in (
        lambda: choose_precision("mixed_bfloat16", PLAIN, "training"),
        lambda: Predictor(model, precision="bfloat16"),
    ):
        with pytest.raises(InputError, match=f"{ONEDNN_LIMIT} is avx2, .* unset it, or take float32"):
            ask()
    monkeypatch.setenv(ONEDNN_LIMIT, "AVX512_CORE")  # Has it by other instructions.
    Predictor(model, precision="bfloat16")


@pytest.fixture
def bfloat16():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(policy)


def compute_types(name, **options):
    config = TrainConfig(
        model=name, precision="mixed_bfloat16", model_options=options, weights="none"
    ).resolve()
    model = build_training(config, 3, 2, fresh=True, report=print).model
    return {layer.name: layer.compute_dtype for layer in model.layers}


@pytest.mark.bfloat16
def test_fc6_and_fc7_and_the_scores_stay_float32_on_a_cpu(bfloat16, eager):
    types = compute_types("fcn8", fc_filters=16)
    assert {types[name] for name in types if name.startswith("block")} == {"bfloat16"}
    named = [name for name in types if name.startswith(("fc", "score", "logits", "preprocessing"))]
    assert len(named) >= 6
    assert {types[name] for name in named} == {"float32"}


@pytest.mark.bfloat16
def test_all_else_computes_in_bfloat16_on_a_cpu(bfloat16, eager):
    config = TrainConfig(
        model="unet", precision="mixed_bfloat16", model_options=SMALL, weights="none"
    ).resolve()
    model = build_training(config, 3, 2, fresh=True, report=print).model
    types = {layer.name: layer.compute_dtype for layer in model.layers}
    assert types["stem_conv1"] == types["down1_bn2"] == "bfloat16"
    assert {types[name] for name in types if name.startswith("up")} == {"bfloat16"}
    assert {types[name] for name in types if name.startswith(("logits", "preprocessing"))} == {"float32"}
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    before = [weights.copy() for weights in model.get_weights()]
    figures = model.train_on_batch(images, np.zeros((2, 16, 16), "int32"), return_dict=True)
    assert np.isfinite(figures["loss"])
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.bfloat16
def test_the_rebuilt_network_predicts_what_the_plain_one_does(bfloat16, eager):
    config = TrainConfig(
        model="unet", precision="mixed_bfloat16", model_options=SMALL, weights="none"
    ).resolve()
    model = build_training(config, 3, 2, fresh=True, report=print).model
    keras.config.set_dtype_policy("float32")
    plain = build_model("unet", 3, **SMALL)
    plain.set_weights(model.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    found, expected = model.predict(images, verbose=0), plain.predict(images, verbose=0)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_float16_trains_with_loss_scaling_around_the_groups(eager):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        config = (
            TrainConfig(
                model="unet", model_options=SMALL, weights="none", head_rate=10.0, average=0.9, accumulate=2
            )
            .resolve()
            .replace(precision="mixed_float16")
        )
        model = build_training(config, 3, 2, fresh=True, report=print).model
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
        for _ in range(4):
            figures = model.train_on_batch(images, np.zeros((2, 16, 16), "int32"), return_dict=True)
        assert np.isfinite(figures["loss"])
        assert all(np.isfinite(weights).all() for weights in model.get_weights())
    finally:
        keras.config.set_dtype_policy(policy)
