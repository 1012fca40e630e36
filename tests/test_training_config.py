"""Settings: what is left out, what a recipe sets, what is refused, and what `config.json` gives back."""

import json

import pytest

from keras_seg import InputError, LearningRate, Network, TrainConfig, registry, train
from keras_seg.cli.train_flags import GROUPS
from keras_seg.data import Augmentation
from keras_seg.models.unet import unet


def test_every_setting_has_its_flag_and_every_flag_its_setting():
    flags = {flag.removeprefix("--").replace("-", "_") for group in GROUPS.values() for flag in group}
    settings = set(TrainConfig().to_dict())
    assert flags - {"resume", "model_option"} == settings - {"model_options"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data": "x"}, {"learning_rate": 1e-4, "batch_size": 8, "epochs": 30, "image_size": (256, 256)}),
        ({"data": "x", "optimizer": "sgd"}, {"learning_rate": 1e-3, "momentum": 0.9}),
        ({"schedule": "step", "epochs": 9}, {"drop_epochs": 3, "drop_factor": 0.1}),
        ({"schedule": "plateau"}, {"drop_epochs": 5}),
        ({}, {"augment": False, "augmentation": False, "drop_epochs": None, "weights": "auto"}),
        ({"data": "x"}, {"augmentation": Augmentation()}),
        ({"rotation": 10.0}, {"augmentation": Augmentation(rotation=10.0)}),
        ({"init_from": "runs/a"}, {"weights": "none"}),
        (
            {"flip": False, "scales": (1.0, 1.0), "color_factors": (0.9, 1.1), "elastic": 10.0},
            {"augmentation": Augmentation(False, (1.0, 1.0), (0.9, 1.1), elastic=10.0)},
        ),
    ],
)
def test_what_is_left_out_is_set(given, expected):
    config = TrainConfig(**given)
    assert {name: getattr(config, name) for name in expected} == expected


FCN_PAPER = {
    "optimizer": "sgd", "momentum": 0.99, "weight_decay": 5e-4, "decay_all": False, "bias_rate": 2.0,
    "schedule": "fixed", "batch_size": 1, "loss": "ce", "loss_reduction": "sum", "accumulate": 1,
    "augmentation": Augmentation(flip=False, scales=(1.0, 1.0), color_factors=(1.0, 1.0)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "model", "expected"),
    [
        ("fcn-paper", "fcn32", {**FCN_PAPER, "learning_rate": 1e-10}),
        ("fcn-paper", "fcn16_caffe", {**FCN_PAPER, "learning_rate": 1e-12, "model_options": {}}),
        ("fcn-paper", "fcn8", {**FCN_PAPER, "learning_rate": 1e-14}),
        ("fcn-paper", "fcn8_atonce_caffe", {**FCN_PAPER, "learning_rate": 1e-10}),
        (
            "fcn-paper",
            "fcn_alexnet",
            {"learning_rate": 1e-4, "momentum": 0.9, "accumulate": 20, "loss_reduction": "mean"},
        ),
        (
            "torchvision",
            "fcn_resnet50",
            {
                "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 1e-4, "schedule": "poly",
                "power": 0.9, "aux_weight": 0.5, "aux_rate": 10.0, "image_size": (480, 480), "batch_size": 32,
                "epochs": 30,
                "model_options": {"aux_head": True},
                "augmentation": Augmentation(scales=(0.5, 2.0), color_factors=(1.0, 1.0)),
            },
        ),
        ("torchvision", "unet", {"model_options": {}}),
        (
            "seed-carvana",
            "fcn8_vgg16_bn",
            {
                "optimizer": "adamw", "learning_rate": 3e-4, "batch_size": 64, "epochs": 200,
                "image_size": (224, 224), "augment": False, "model_options": {"preprocessing": "torch"},
            },
        ),
    ],
)  # fmt: skip
def test_a_recipe_is_its_source(recipe, model, expected):
    config = TrainConfig(recipe=recipe, model=model)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"data": "x"}, 0.1),
        ({"data": "x", "optimizer": "adamw"}, 0.1),
        ({"data": "x", "optimizer": "sgd"}, 0.2),
        ({}, 0.3),
        ({"learning_rate": 0.4}, 0.4),
        ({"recipe": "torchvision"}, 0.02),
    ],
)
def test_the_learning_rate_is_that_of_the_networks_row(settings, rate, monkeypatch):
    row = Network("mine", unet, learning_rate=LearningRate(adam=0.1, sgd=0.2, shapes=0.3))
    monkeypatch.setitem(registry._ROWS[Network], "mine", row)
    assert TrainConfig(model="mine", **settings).learning_rate == rate


def test_flags_win_over_the_recipe():
    config = TrainConfig(
        recipe="torchvision", model="fcn_resnet50", learning_rate=0.005, model_options={"aux_head": False}
    )
    assert config.learning_rate == 0.005 and config.momentum == 0.9
    assert config.model_options == {"aux_head": False}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"data": "x", "rotation": 5.0, "schedule": "plateau"},
        {"recipe": "fcn-paper", "model": "fcn8", "init_from": "runs/16s"},
        {"recipe": "seed-carvana", "scales": (0.8, 1.2)},
    ],
)
def test_config_json_gives_the_same_settings_back(settings):
    config = TrainConfig(**settings)
    recorded = {**json.loads(json.dumps(config.to_dict())), "num_classes": 5, "versions": {}}
    assert TrainConfig.from_dict(recorded) == config


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": "fcn9"}, "--model must be one of"),
        ({"recipe": "mine"}, "--recipe must be one of fcn-paper"),
        ({"recipe": "fcn-paper", "model": "unet"}, "--recipe fcn-paper is for fcn32, fcn16"),
        ({"loss": "ce+nothing"}, "--loss: loss must add terms"),
        ({"loss_reduction": "max"}, "--loss-reduction must be one of mean, sum"),
        ({"class_weights": "1,x"}, "--class-weights must be balanced, or numbers"),
        ({"class_weights": "0,0"}, "--class-weights must be balanced, or numbers"),
        ({"precision": "float8"}, "--precision must be one of auto, float32"),
        ({"optimizer": "lion"}, "--optimizer must be one of adam"),
        ({"schedule": "warm"}, "--schedule must be one of poly"),
        ({"schedule": "plateau", "warmup_epochs": 1}, "--schedule plateau takes no --warmup-epochs"),
        ({"warmup_epochs": 4, "epochs": 4}, "--warmup-epochs must be below --epochs, received 4 of 4"),
        ({"batch_size": 0}, "--batch-size must be 1 or more, received 0"),
        ({"epochs": 0}, "--epochs must be 1 or more, received 0"),
        ({"accumulate": 0}, "--accumulate must be 1 or more, received 0"),
        ({"learning_rate": -1.0}, "--learning-rate must be a positive number, received -1.0"),
        ({"head_rate": float("nan")}, "--head-rate must be a positive number, received nan"),
        ({"weight_decay": -1.0}, "--weight-decay must be 0 or more"),
        ({"average": 1.0}, "--average must be 0 or more and below 1, received 1.0"),
        ({"momentum": 1.0}, "--momentum must be 0 or more and below 1"),
        ({"image_size": (0, 32)}, "--image-size takes a height and a width of 1 or more"),
        ({"ignore_label": 65536}, "--ignore-label must be a mask value from 0 to 65535, received 65536"),
        ({"seed": 1 << 32}, "--seed must be below 4294967296, received 4294967296"),
        ({"epochs": "2"}, "--epochs must be a whole number, received '2'"),
        ({"epochs": 2.5}, "--epochs must be a whole number, received 2.5"),
        ({"batch_size": True}, "--batch-size must be a whole number, received True"),
        ({"image_size": 64}, "--image-size must be 2 values, each a whole number, received 64"),
        ({"image_size": (64,)}, "--image-size must be 2 values, each a whole number, received (64,)"),
        ({"learning_rate": "fast"}, "--learning-rate must be a number, received 'fast'"),
        ({"augment": 1}, "--augment must be true or false, received 1"),
        ({"model_options": None}, "--model-options must be names with values, received None"),
        ({"checkpoint_every": 1.5}, "--checkpoint-every must be text or a whole number, received 1.5"),
        ({"checkpoint_every": "soon"}, "--checkpoint-every must be a number of steps"),
        ({"augment": False, "flip": True}, "--no-augment and --flip exclude each other"),
        (
            {"weights": "x.h5", "init_from": "run"},
            "--weights x.h5 and --init-from exclude each other",
        ),
        ({"elastic": -1.0}, "--elastic must be between 0 and 1000, received -1.0"),
        ({"max_class_share": 0.0}, "--max-class-share must be above 0 and at most 1"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_flag(settings, text):
    with pytest.raises(InputError) as error:
        TrainConfig(**settings)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"momentum": 0.9}, "--momentum does nothing without --optimizer sgd; drop it, or change that"),
        ({"momentum": 0.0, "optimizer": "adamw"}, "--momentum does nothing without --optimizer sgd"),
        ({"power": 0.9, "schedule": "cosine"}, "--power does nothing without --schedule poly"),
        ({"drop_epochs": 2}, "--drop-epochs does nothing without --schedule step or plateau"),
        ({"drop_factor": 0.5, "schedule": "fixed"}, "--drop-factor does nothing without --schedule step"),
        ({"decay_all": True}, "--decay-all does nothing without --weight-decay"),
        ({"aux_rate": 10.0}, "--aux-rate does nothing without an auxiliary head"),
        ({"aux_weight": 0.4, "model_options": {"aux_head": False}}, "--aux-weight does nothing without"),
        (
            {"freeze_encoder": True, "freeze_epochs": 2},
            "--freeze-epochs does nothing beside --freeze-encoder",
        ),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(settings, text):
    with pytest.raises(InputError) as error:
        TrainConfig(**settings)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.5, "optimizer": "sgd"},
        {"power": 2.0},
        {"drop_epochs": 2, "drop_factor": 0.5, "schedule": "plateau"},
        {"decay_all": True, "weight_decay": 0.1},
        {"decay_all": False},
        {"ignore_label": 65535, "seed": (1 << 32) - 1},
        {"aux_rate": 10.0, "aux_weight": 0.4, "model": "pspnet", "model_options": {"aux_head": True}},
        {"aux_rate": 5.0, "model": "pspnet", "recipe": "torchvision"},
        # What a recipe sets beside the flags was not asked for.
        {"recipe": "torchvision", "model": "unet", "optimizer": "adam", "schedule": "cosine"},
        {"recipe": "seed-carvana", "weight_decay": 0.0},
    ],
)
def test_a_setting_with_an_effect_is_taken(settings):
    config = TrainConfig(**settings)
    assert {name: getattr(config, name) for name in settings if name != "model_options"} == {
        name: value for name, value in settings.items() if name != "model_options"
    }


def test_what_a_run_recorded_is_not_asked_for():
    recorded = {**TrainConfig().to_dict(), "momentum": 0.5, "freeze_encoder": True, "freeze_epochs": 2}
    assert TrainConfig.from_dict(recorded).replace(epochs=9).momentum == 0.5


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("drop_epochs", "2", "--drop-epochs must be a whole number, received '2'; correct it there"),
        ("scales", 64, "--scales must be 2 values, each a number, received 64"),
        ("seed", None, "--seed must be a whole number, received None"),
        ("accumulate", 0, "--accumulate must be 1 or more, received 0"),
    ],
)
def test_a_value_edited_by_hand_is_named_with_its_file(key, value, text, tmp_path):
    classes = {"num_classes": 1, "classes": ["a"], "colors": [[0, 0, 0]]}
    recorded = {**TrainConfig().to_dict(), **classes}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**recorded, key: value}))
    with pytest.raises(InputError) as error:
        train(resume=tmp_path)
    assert f"{path}: {text}" in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_training_without_an_update_is_refused(shapes_folder, tmp_path):
    settings = {"model": "unet", "data": str(shapes_folder), "batch_size": 4, "epochs": 2, "accumulate": 7}
    with pytest.raises(InputError, match="--accumulate 7: the training has 6 batches in all"):
        train(TrainConfig(**settings, output=str(tmp_path / "run")), report=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_asked_for_only_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        TrainConfig(tensorboard=True)
