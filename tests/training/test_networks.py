"""Auxiliary heads, stages, frozen encoders, averaged weights and class weights."""

import argparse
import json
import re
import shlex
import sys
from contextlib import ExitStack

import keras
import numpy as np
import pytest

from keras_seg import InputError, Predictor, TrainConfig, train
from keras_seg.cli.train_flags import add_flags
from keras_seg.data import ArraySample, Dataset
from keras_seg.data.folders.dataset import dataset_of_settings
from keras_seg.encoders import encoder_layers
from keras_seg.models import build_model
from keras_seg.training import session
from keras_seg.training.loop import building
from keras_seg.training.loop.building import build_metrics, build_training
from keras_seg.training.loop.callbacks import AveragedValidation, FrozenEncoder
from keras_seg.training.loop.finishing import learned_nothing
from keras_seg.training.loop.first_weights import silence_residuals, standardize
from keras_seg.training.loop.measuring import for_first_weights
from keras_seg.training.loop.staging import load_stage
from keras_seg.training.optim.class_weights import class_weights
from keras_seg.training.run_state.checkpoints import averaged_weights, save_model
from keras_seg.training.run_state.run_folder import create_run

SMALL = {"widths": (4, 4), "decoder_widths": (4,)}
STAGES = ((1, 4), (1, 4), (1, 8), (1, 8), (1, 8))


@pytest.fixture
def narrow(monkeypatch):
    """Encoders of few channels and blocks."""
    resnet = sys.modules["keras_seg.encoders.resnet"]
    monkeypatch.setattr(resnet, "FILTERS", (4, 4, 8, 8))
    monkeypatch.setitem(resnet.RESNETS, "resnet50", ((1, 1, 1, 1), resnet.RESNETS["resnet50"][1]))
    monkeypatch.setattr(sys.modules["keras_seg.encoders.vgg16"], "STAGES", STAGES)


def pixels(count=4, size=8, classes=3):
    chance = np.random.default_rng(0)
    images = chance.uniform(0, 255, (count, size, size, 3)).astype("float32")
    return images, chance.integers(0, classes, (count, size, size)).astype("int32")


def small_training(whole=False, **settings):
    """A compiled U-Net of two levels; with `whole` the `Training` that it belongs to."""
    defaults = {"model": "unet", "model_options": SMALL, "weights": "none", "schedule": "fixed"}
    config = TrainConfig(**{**defaults, "learning_rate": 1e-2, **settings}).resolve()
    training = build_training(config, 3, 2, fresh=True, report=lambda line: None)
    return training if whole else training.model


def test_updates_are_fused_where_they_are_worth_a_compilation():
    parameters = small_training(epochs=1).count_params()
    steps = -(-building.UPDATES_WORTH_FUSING // parameters)
    assert not _is_fused(small_training(epochs=steps // 2 - 1))  # Of two steps each.
    assert _is_fused(small_training(epochs=steps // 2 + 1))


def _is_fused(model):
    return model.optimizer.fused


def cross_entropy(logits, labels):
    """Mean of -log softmax at the label."""
    logits = logits.astype("float64")
    chosen = np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    return np.mean(np.log(np.sum(np.exp(logits), -1)) - chosen)


def test_the_loss_of_an_auxiliary_head_counts_by_its_weight(narrow, eager):
    config = TrainConfig(
        model="fcn_resnet50", model_options={"aux_head": True}, weights="none", aux_weight=0.3
    ).resolve()
    model = build_training(config, 3, 2, fresh=True, report=lambda line: None).model
    images, labels = pixels(size=16)
    logits = model.predict(images, verbose=0)
    figures = model.evaluate(images, {"out": labels, "aux": labels}, return_dict=True, verbose=0)
    expected = cross_entropy(logits["out"], labels) + 0.3 * cross_entropy(logits["aux"], labels)
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("aux_head", [False, True])
def test_metrics_can_be_restored_before_the_first_batch(narrow, eager, aux_head):
    settings = {"model": "fcn_resnet50", "weights": "none", "model_options": {"aux_head": aux_head}}
    images, labels = pixels(size=16)
    truth = {"out": labels, "aux": labels} if aux_head else labels
    trained, built = (
        build_training(TrainConfig(**settings).resolve(), 3, 2, fresh=True, report=lambda line: None).model
        for _ in range(2)
    )
    trained.train_on_batch(images, truth)
    build_metrics(built)
    names = [[(each.name, each.shape) for each in model.metrics_variables] for model in (built, trained)]
    assert names[0] == names[1]
    assert not any(np.any(keras.ops.convert_to_numpy(each)) for each in built.metrics_variables)


def test_a_run_with_an_auxiliary_head_leaves_a_model_without_one(
    narrow, eager, shapes_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(session, "finish", lambda *_: None)
    settings = {"image_size": (32, 32), "epochs": 1, "weights": "none", "batch_size": 5, "augment": False}
    config = TrainConfig("fcn_resnet50", str(shapes_folder), output=str(tmp_path / "run"), **settings,
                         model_options={"aux_head": True})  # fmt: skip
    run = train(config, report=lambda line: None)
    model = run.load_model()
    assert not isinstance(model.output, dict)
    assert not [layer.name for layer in model.layers if layer.name.startswith("aux")]
    assert Predictor(run).predict(np.zeros((9, 7, 3), "uint8")).mask.shape == (9, 7)
    columns = (run.path / "history.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "out_loss", "aux_loss", "mean_iou", "val_mean_iou", "val_pixel_accuracy"} <= set(columns)


def test_a_network_without_an_auxiliary_head_says_so():
    with pytest.raises(InputError, match="--model-option: unet has no option 'aux_head'"):
        small_training(model_options={"aux_head": True})


@pytest.fixture
def stage(narrow, tmp_path):
    """The run folder of an FCN-32s with random weights."""
    config = TrainConfig("fcn32", output=str(tmp_path / "32s"), model_options={"fc_filters": 16}).resolve()
    dataset = Dataset("none", ("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)), None, {})
    run = create_run(config, dataset, ExitStack())
    model = build_model("fcn32", 3, fc_filters=16)
    chance = np.random.default_rng(0)
    model.get_layer("score_fr").set_weights([chance.normal(size=(1, 1, 16, 3)), chance.normal(size=3)])
    save_model(model, run.best_path)
    return run, model


def test_a_stage_starts_where_the_one_before_ended(stage):
    run, coarse = stage
    fine = build_model("fcn16", 3, fc_filters=16)
    line = load_stage(fine, run.path)
    assert line.startswith(f"fcn16: took 8 layers from {run.path}; re-initialized: ")
    assert set(line.rpartition(": ")[2].split(", ")) == {"score_pool4", "upscore2", "upscore16"}
    for layer in ("block5_conv1", "fc7", "score_fr"):
        for found, expected in zip(
            fine.get_layer(layer).get_weights(), coarse.get_layer(layer).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    assert not any(np.any(weights) for weights in fine.get_layer("score_pool4").get_weights())
    image = pixels(1, 64)[0]
    before, after = (model.predict(image, verbose=0)[0, 24:-24, 24:-24] for model in (coarse, fine))
    # Two bilinear steps are not quite one.
    assert np.abs(after - before).max() < 0.1 * np.abs(before).max()


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("fcn16", {"preprocessing": "torch"}, "add --model-option preprocessing=keras"),
        ("unet", {"preprocessing": "keras"}, "fcn32 has no layer in common with unet"),
        ("fcn16", {"fc_filters": 8}, "of another shape: fc6/kernel"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused(stage, name, options, text):
    run, _ = stage
    model = build_model(name, 3, **({"fc_filters": 16} if name == "fcn16" else {}) | options)
    before = model.get_weights()
    with pytest.raises(InputError) as error:
        load_stage(model, run.path)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


MEASURED = {"mean": [100.5, 90.25, 80.0], "deviation": [50.0, 40.5, 30.0]}


@pytest.fixture
def stage_of(narrow, tmp_path):
    """Function of a preprocessing and of channels to the run folder of a small FCN-32s."""

    def make(preprocessing, channels=3):
        options = {"fc_filters": 16, "preprocessing": preprocessing}
        settings = {"model": "fcn32", "output": str(tmp_path / "stage"), "model_options": options}
        dataset = Dataset("none", ("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)), None, {})
        run = create_run(TrainConfig(**settings).resolve(), dataset, ExitStack())
        save_model(build_model("fcn32", 3, (None, None, channels), **options), run.best_path)
        return run.path

    return make


@pytest.mark.parametrize(("there", "here"), [(MEASURED, "torch"), ("torch", MEASURED), ("torch", "keras")])
def test_a_stage_of_another_preprocessing_is_taken_as_the_message_says(stage_of, there, here):
    run = stage_of(there)
    with pytest.raises(InputError) as error:
        load_stage(build_model("fcn16", 3, fc_filters=16, preprocessing=here), run)
    (flags,) = re.findall(r"add (--model-option .*?)(?:, which is for images of 8|$)", str(error.value))
    parser = argparse.ArgumentParser()
    add_flags(parser)
    options = dict(parser.parse_args(shlex.split(flags)).model_options)
    assert options == {"preprocessing": there}
    model = build_model("fcn16", 3, fc_filters=16, **options)
    assert load_stage(model, run).startswith("fcn16: took 8 layers from ")


def test_a_stage_of_other_channels_that_were_measured_gives_no_advice_that_fails(stage_of):
    run = stage_of({"mean": [1.0] * 5, "deviation": [2.0] * 5}, channels=5)
    with pytest.raises(InputError, match="its images have 5 channels and these 3; give a run on images"):
        load_stage(build_model("fcn16", 3, fc_filters=16, preprocessing="torch"), run)


def test_a_stage_needs_a_best_model(stage):
    run, _ = stage
    run.best_path.unlink()
    with pytest.raises(InputError, match=r"best\.keras: missing, --init-from needs a run"):
        load_stage(build_model("fcn16", 3, fc_filters=16), run.path)


def test_the_encoder_and_its_statistics_stay_for_the_first_epochs():
    """In a traced step, since that has to be traced anew."""
    network, model = small_training(freeze_epochs=2, whole=True)
    encoder = [
        layer for layer in model.layers if layer.weights and not layer.name.startswith(("up", "logits"))
    ]
    assert [layer.name for layer in encoder if "_bn" in layer.name]
    seen = []

    def note(epoch, logs):
        seen.append([weights.copy() for layer in encoder for weights in layer.get_weights()])

    watch = keras.callbacks.LambdaCallback(on_epoch_end=note)
    note(0, None)
    model.fit(
        *pixels(),
        epochs=3,
        batch_size=2,
        callbacks=[FrozenEncoder(2, encoder_layers(network)), watch],
        verbose=0,
    )
    same = [all(np.array_equal(a, b) for a, b in zip(seen[0], later, strict=True)) for later in seen[1:]]
    assert same == [True, True, False]
    assert all(not np.array_equal(a, b) for a, b in zip(seen[0], seen[3], strict=True))


def test_validation_sees_the_averaged_weights(eager):
    model = small_training(average=0.9)
    images, labels = pixels()
    model.fit(images, labels, epochs=2, batch_size=2, verbose=0)
    trained = model.get_weights()
    with averaged_weights(model):
        averaged = model.get_weights()
        expected = cross_entropy(model.predict(images, verbose=0), labels)
    kernels = [variable.name == "kernel" for variable in model.weights]
    for is_kernel, one, other in zip(kernels, trained, averaged, strict=True):
        assert not is_kernel or not np.array_equal(one, other)
    with AveragedValidation() as averaging:
        figures = model.evaluate(images, labels, callbacks=[averaging], return_dict=True, verbose=0)
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(RuntimeError), AveragedValidation() as averaging:
        averaging.set_model(model)
        averaging.on_test_begin()
        raise RuntimeError
    assert all(np.array_equal(a, b) for a, b in zip(trained, model.get_weights(), strict=True))


def test_balanced_weights_are_the_median_frequency_by_each():
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 3] = 1  # 12 pixels of class 0 and 4 of class 1; then 2 of class 2 in 10 labeled
    other = np.array([[0] * 8 + [2] * 2 + [255] * 6], np.uint8).reshape(4, 4)
    samples = [ArraySample(np.zeros((4, 4, 3), np.uint8), each, "x") for each in (mask, other)]
    dataset = Dataset("d", tuple("abcd"), ((0, 0, 0),) * 4, None, {"train": samples})
    frequency = np.array([20 / 26, 4 / 16, 2 / 10])
    expected = [*(0.25 / frequency), 1.0]
    assert class_weights("balanced", dataset) == pytest.approx(expected)
    assert class_weights("1,2,0,4", dataset) == (1.0, 2.0, 0.0, 4.0)
    assert class_weights(None, dataset) is None
    with pytest.raises(InputError, match="must be 4 numbers, for a, b, c, d; received 2"):
        class_weights("1,2", dataset)


def test_config_json_says_what_was_decided(eager, shapes_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "finish", lambda *_: None)
    config = TrainConfig(
        "unet", str(shapes_folder), output=str(tmp_path / "run"), epochs=1, precision="auto",
        model_options=SMALL, weights="none", image_size=(16, 16), class_weights="balanced",
    )  # fmt: skip
    lines = []
    train(config, report=lines.append)
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recorded["precision"] == "float32" and recorded["deterministic"] is True
    assert [line for line in lines if line.startswith("precision float32: there is no GPU")]
    assert [line for line in lines if line.startswith("class weights: ")]


NO_IMAGES = Dataset("none", ("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)), None, {})


def options_for_first_weights(model, **settings):
    """The options that a network of random weights is built with, and the lines that say so."""
    lines = []
    config = TrainConfig(model=model, **{"weights": "none", **settings}).resolve()
    return for_first_weights(config, NO_IMAGES, lines.append).model_options, lines


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("fcn8", {}, {"preprocessing": "torch"}),
        ("fcn8", {"preprocessing": "caffe"}, {"preprocessing": "caffe"}),
        ("fcn8", {"encoder": "resnet18"}, {"encoder": "resnet18"}),
        ("fcn8", {"encoder": "mobilenet_v2"}, {"encoder": "mobilenet_v2"}),
        ("deeplabv1", {}, {"preprocessing": "torch"}),
        ("fcn_alexnet", {}, {"preprocessing": "torch"}),
        ("segnet", {}, {}),
        ("unet", {}, {}),
        ("fcn8_atonce", {}, {"preprocessing": "torch", "skip_scales": [1.0, 1.0]}),
        ("fcn8_resnet50", {}, {"skip_scales": [1.0, 1.0]}),
        ("fcn8_resnet50", {"skip_scales": [0.1, 0.1]}, {"skip_scales": [0.1, 0.1]}),
    ],
)
def test_random_weights_are_given_pixels_and_skips_of_their_scale(model, given, expected):
    options, lines = options_for_first_weights(model, model_options=given)
    assert options == expected
    assert len(lines) == (options != given)


def test_weights_that_cannot_be_had_are_asked_for_once(narrow, monkeypatch):
    asked = []

    def resolve(network, choice, **built):
        asked.append(choice)
        return None, "weights: He initialization, because there is no network."

    monkeypatch.setattr(building, "resolve_weights", resolve)
    lines = []
    config = TrainConfig(model="fcn8", model_options={"fc_filters": 4}).resolve()
    found = for_first_weights(config, NO_IMAGES, lines.append)
    assert asked == ["auto"] and lines[0].endswith("because there is no network.")
    # Nor does a training that starts again look for a file of the preprocessing that was chosen.
    assert found.weights == "none" and found.model_options["preprocessing"] == "torch"


def test_a_recipe_keeps_its_network():
    assert options_for_first_weights("fcn8_atonce", recipe="fcn-paper")[0] == {"freeze_upsampling": True}


def test_a_later_stage_is_preprocessed_as_the_one_before(stage):
    run, _ = stage
    assert options_for_first_weights("fcn16", init_from=str(run.path)) == ({}, [])
    run.config["model_options"]["preprocessing"] = "torch"
    (run.path / "config.json").write_text(json.dumps(run.config))
    assert options_for_first_weights("fcn16", init_from=str(run.path)) == ({"preprocessing": "torch"}, [])


def test_pretrained_weights_keep_pixels_and_skips_as_they_were_trained(narrow, tmp_path):
    options = {"fc_filters": 4}
    build_model("fcn8_atonce", 3, **options).save_weights(tmp_path / "a.weights.h5")
    settings = {"weights": str(tmp_path / "a.weights.h5"), "model_options": options}
    assert options_for_first_weights("fcn8_atonce", **settings) == (options, [])


def test_a_network_with_random_weights_starts_near_the_loss_of_chance(narrow, eager):
    images, labels = pixels(size=32)
    losses = {}
    for name in ("scaled", "raw"):
        keras.utils.set_random_seed(0)  # With other seeds the raw loss was 7 to 84.
        config = TrainConfig(model="deeplabv1", weights="none").resolve()
        if name == "scaled":
            config = for_first_weights(config, NO_IMAGES, lambda line: None)
        model = build_training(config, 3, 2, fresh=True, report=lambda line: None).model
        losses[name] = cross_entropy(model.predict(images, verbose=0), labels)
    assert losses["scaled"] == pytest.approx(np.log(3), rel=0.2)
    assert losses["raw"] > 2 * np.log(3)


def test_shapes_are_drawn_at_the_size_that_is_trained_on_and_validated_so():
    sample = dataset_of_settings(TrainConfig(image_size=(16, 24)).resolve().settings()).split("val")[0]
    assert sample.image.shape == (16, 24, 3)
    recorded = {"image_size": [16, 24], "data": None}
    assert dataset_of_settings(recorded).split("val")[0].mask.tolist() == sample.mask.tolist()


def convolved(image, kernel, bias):
    """A convolution that keeps the size of its map, by hand: `[B, H, W, C]`."""
    height, width = image.shape[1:3]
    rim = kernel.shape[0] // 2
    padded = np.pad(image, ((0, 0), (rim, rim), (rim, rim), (0, 0)))
    windows = [
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    ]
    return sum(windows) + bias


def test_random_weights_are_standardized_by_the_data(narrow):
    model = build_model("fcn8", 3, fc_filters=6)
    images = pixels(size=32)[0]
    names = standardize(model, lambda: images)
    assert names == [*(f"block{stage}_conv1" for stage in range(1, 6)), "fc6", "fc7"]
    for name, before in (
        ("block1_conv1", "preprocessing"),
        ("block3_conv1", "block2_pool"),
        ("fc6", "block5_pool"),
    ):
        x = keras.Model(model.input, model.get_layer(before).output).predict(images, verbose=0)
        x = convolved(x, *model.get_layer(name).get_weights())
        np.testing.assert_allclose(x.mean((0, 1, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(x.std((0, 1, 2)), 4, atol=1e-3)
    assert not np.any(model.get_layer("score_fr").get_weights()[0])


def test_a_network_with_batch_normalizations_is_not_standardized(narrow):
    model = build_model("fcn_resnet50", 3)
    before = model.get_weights()
    assert standardize(model, None) == []
    assert all(map(np.array_equal, before, model.get_weights()))


def test_residual_blocks_without_a_projection_start_as_the_identity(narrow, monkeypatch):
    resnet = sys.modules["keras_seg.encoders.resnet"]
    monkeypatch.setitem(resnet.RESNETS, "resnet50", ((1, 2, 1, 3), resnet.RESNETS["resnet50"][1]))
    model = build_model("fcn_resnet50", 3)
    assert silence_residuals(model) == ["layer2_1_bn3", "layer4_1_bn3", "layer4_2_bn3"]
    names = ("layer4_0_relu3", "layer4_1_relu3", "layer4_2_relu3")
    maps = keras.Model(model.input, [model.get_layer(name).output for name in names])
    first, second, third = maps.predict(pixels(size=32)[0], verbose=0)
    assert np.any(first) and np.array_equal(first, second) and np.array_equal(first, third)
    assert silence_residuals(build_model("fcn8", 3, fc_filters=4)) == []


def test_a_constant_channel_stays_finite(narrow):
    model = build_model("fcn8", 3, fc_filters=4)
    standardize(model, lambda: np.full((2, 32, 32, 3), 7.0))
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_a_training_from_random_weights_starts_standardized_and_one_from_a_file_does_not(narrow, tmp_path):
    images = pixels(size=32)[0]
    model = build_model("fcn8", 3, fc_filters=4)
    model.save_weights(tmp_path / "a.weights.h5")
    for weights, is_standardized in (("none", True), (str(tmp_path / "a.weights.h5"), False)):
        config = TrainConfig(model="fcn8", weights=weights, model_options={"fc_filters": 4}).resolve()
        network = build_training(
            config, 3, 2, fresh=True, report=lambda line: None, images=lambda: images
        ).network
        assert np.any(network.get_layer("fc7").bias) == is_standardized
        if not is_standardized:
            assert all(map(np.array_equal, network.get_weights(), model.get_weights()))


def test_a_training_that_found_the_commonest_class_alone_says_so():
    names = [{"name": name} for name in ("sky", "road", "car")]
    # 60 pixels of sky, 30 of road, none of car: sky everywhere has the IoUs 60 / 90 and 0.
    constant = {"confusion": [[60, 0, 0], [30, 0, 0], [0, 0, 0]], "mean_iou": 60 / 90 / 2, "classes": names}
    line = learned_nothing(constant)
    assert "mean IoU 0.333 is no better than 0.333, which labeling every pixel sky gives" in line
    assert "try more --epochs" in line and "\n" not in line
    better = {"confusion": [[55, 5, 0], [10, 20, 0], [0, 0, 0]], "mean_iou": (55 / 70 + 20 / 35) / 2}
    assert learned_nothing({**better, "classes": names}) is None
    assert learned_nothing({**constant, "confusion": [[0] * 3] * 3, "mean_iou": None}) is None
    one_class = {"confusion": [[90, 0, 0], [0] * 3, [0] * 3], "mean_iou": 1.0, "classes": names}
    assert learned_nothing(one_class) is None
