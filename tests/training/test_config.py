"""Settings: what is left out, what a recipe sets, what is refused, and what `config.json` gives back."""

import argparse
import dataclasses
import json
import pickle
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from keras_seg import InputError, LearningRate, Network, Run, TrainConfig, registry, train
from keras_seg.cli.train_flags import add_flags
from keras_seg.data import Augmentation, load_dataset
from keras_seg.data.folders.dataset import dataset_of_settings
from keras_seg.losses.segmentation_loss import REDUCTIONS
from keras_seg.models.unet import unet
from keras_seg.training.optim.optimizers import CLASSES
from keras_seg.training.run_state.resume import recorded_config
from keras_seg.training.run_state.run_folder import create_run
from keras_seg.training.settings import subjects
from keras_seg.training.settings.config import ResolvedConfig
from keras_seg.training.settings.names import SettingError
from tests.data.helpers import write_folder
from tools import settings_page
from tools.blocks import DOCS

SETTINGS = [each.name for each in dataclasses.fields(TrainConfig)]


def test_every_setting_has_its_flag_and_every_flag_its_setting():
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser)
    flags = [action.option_strings[0].removeprefix("--").replace("-", "_") for action in parser._actions]
    assert [name.replace("model_option", "model_options") for name in flags] == SETTINGS
    assert len(SETTINGS) == len(set(SETTINGS)) > 50


def test_the_page_of_settings_is_the_generated_one():
    page = DOCS / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == settings_page.format_page()


def test_what_can_be_chosen_is_what_there_is():
    assert set(subjects.OPTIMIZERS) == set(CLASSES)
    assert subjects.REDUCTIONS == REDUCTIONS


def test_an_augmentation_has_the_defaults_of_the_settings():
    resolved = TrainConfig(data="x").resolve()
    assert {name: getattr(resolved, name) for name in vars(Augmentation())} == vars(Augmentation())


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
    config = TrainConfig(**given).resolve()
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
    config = TrainConfig(recipe=recipe, model=model).resolve()
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
    assert TrainConfig(model="mine", **settings).resolve().learning_rate == rate


def test_flags_win_over_the_recipe():
    config = TrainConfig(
        recipe="torchvision", model="fcn_resnet50", learning_rate=0.005, model_options={"aux_head": False}
    ).resolve()
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
    config = TrainConfig(**settings).resolve()
    recorded = {**json.loads(json.dumps(config.to_dict())), "num_classes": 5, "versions": {}}
    assert ResolvedConfig.from_dict(recorded) == config
    assert TrainConfig.from_dict(recorded) == TrainConfig(**settings)
    del recorded["given"]  # As an earlier version wrote it.
    assert TrainConfig.from_dict(recorded).resolve().replace(given=config.given) == config


ALL_KINDS = {
    "data": Path("photographs"), "epochs": np.int64(4), "image_size": [np.int32(64), 48], "learning_rate": 1,
    "scales": np.array([0.5, 1.5]), "flip": np.bool_(False), "class_weights": [0.5, 1, 2],
    "model_options": {"aux_head": np.True_, "widths": (4, 8)}, "model": "pspnet", "seed": np.uint32(7),
}  # fmt: skip


def test_paths_lists_and_numbers_of_numpy_are_taken():
    given = TrainConfig(**ALL_KINDS).settings()
    assert given == {
        "data": "photographs", "epochs": 4, "image_size": (64, 48), "learning_rate": 1.0,
        "scales": (0.5, 1.5), "flip": False, "class_weights": "0.5,1,2",
        "model_options": {"aux_head": True, "widths": [4, 8]}, "model": "pspnet", "seed": 7,
    }  # fmt: skip
    kinds = {int, float, bool, str, tuple, dict}
    assert {type(value) for value in given.values()} == kinds and type(given["learning_rate"]) is float


@pytest.mark.parametrize("settings", [{}, ALL_KINDS, {"recipe": "fcn-paper", "init_from": Path("runs/16s")}])
@pytest.mark.parametrize("resolve", [False, True])
def test_settings_go_round(settings, resolve):
    config = TrainConfig(**settings)
    config = config.resolve() if resolve else config
    for again in (
        type(config)(**config.to_dict()),
        type(config)(**json.loads(json.dumps(config.to_dict()))),
        pickle.loads(pickle.dumps(config)),
        dataclasses.replace(config),
        dataclasses.replace(dataclasses.replace(config, seed=1), seed=config.seed),
    ):
        assert again == config and type(again) is type(config)


def test_what_follows_from_a_setting_changes_with_it():
    config = TrainConfig(data="x")
    rates = [dataclasses.replace(config, optimizer=name).resolve().learning_rate for name in ("adam", "sgd")]
    assert rates == [1e-4, 1e-3] and config.learning_rate is None
    assert dataclasses.replace(config, data=None).resolve().epochs == 3
    recorded = {
        **config.resolve().to_dict(),
        "epochs": 7,
        "precision": "mixed_bfloat16",
    }  # By hand, by a machine.
    replayed = TrainConfig.from_dict(recorded, optimizer="sgd").resolve()
    assert (replayed.learning_rate, replayed.epochs, replayed.precision) == (1e-3, 7, "mixed_bfloat16")
    assert TrainConfig.from_dict(recorded, epochs=2).epochs == 2
    recorded |= {"binary": False, "channels": 3}  # What the data set decided goes with it.
    assert TrainConfig.from_dict(recorded).binary is False
    assert TrainConfig.from_dict(recorded, data="y").settings().keys() == {"data", "epochs", "precision"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epoch", "epoch is not a setting; is it epochs?"),
        ("learningrate", "learningrate is not a setting; is it learning_rate?"),
        ("zzz", "zzz is not a setting; docs/reference/settings.md lists them"),
    ],
)
def test_a_misspelled_setting_is_told_by_the_nearest(name, text):
    for make in (TrainConfig, TrainConfig().replace):
        with pytest.raises(InputError) as error:
            make(**{name: 1})
        assert str(error.value) == text


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": "fcn9"}, "model must be one of"),
        ({"recipe": "mine"}, "recipe must be one of fcn-paper"),
        ({"recipe": "fcn-paper", "model": "unet"}, "recipe fcn-paper is for fcn32, fcn16"),
        ({"loss": "ce+nothing"}, "loss: loss must add terms"),
        ({"loss_reduction": "max"}, "loss_reduction must be one of mean, sum"),
        ({"class_weights": "1,x"}, "class_weights must be balanced, or numbers"),
        ({"class_weights": "0,0"}, "class_weights must be balanced, or numbers"),
        ({"precision": "float8"}, "precision must be one of auto, float32"),
        ({"optimizer": "lion"}, "optimizer must be one of adam"),
        ({"schedule": "warm"}, "schedule must be one of poly"),
        ({"schedule": "plateau", "warmup_epochs": 1}, "schedule plateau takes no warmup_epochs"),
        ({"warmup_epochs": 4, "epochs": 4}, "warmup_epochs must be below epochs, received 4 of 4"),
        ({"batch_size": 0}, "batch_size must be 1 or more, received 0"),
        ({"epochs": 0}, "epochs must be 1 or more, received 0"),
        ({"accumulate": 0}, "accumulate must be 1 or more, received 0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0, received -1.0"),
        ({"head_rate": float("nan")}, "head_rate must be above 0, received nan"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ({"average": 1.0}, "average must be 0 or more and below 1, received 1.0"),
        ({"momentum": 1.0}, "momentum must be 0 or more and below 1"),
        ({"image_size": (0, 32)}, "image_size must be two numbers 1 or more"),
        ({"ignore_label": 65536}, "ignore_label must be from 0 to 65535, received 65536"),
        ({"seed": 1 << 32}, "seed must be 0 or more and below 4294967296, received 4294967296"),
        ({"epochs": "2"}, "epochs must be a whole number, received '2'"),
        ({"epochs": 2.5}, "epochs must be a whole number, received 2.5"),
        ({"batch_size": True}, "batch_size must be a whole number, received True"),
        ({"image_size": 64}, "image_size must be 2 values, each a whole number, received 64"),
        ({"image_size": (64,)}, "image_size must be 2 values, each a whole number, received (64,)"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, received 'fast'"),
        ({"augment": 1}, "augment must be true or false, received 1"),
        ({"model_options": "big"}, "model_options must be names with values, received 'big'"),
        ({"checkpoint_every": 1.5}, "checkpoint_every must be text or a whole number, received 1.5"),
        ({"checkpoint_every": "soon"}, "checkpoint_every must be a number of steps"),
        ({"augment": False, "flip": True}, "augment=False and flip exclude each other"),
        (
            {"weights": "x.h5", "init_from": "run"},
            "weights x.h5 and init_from exclude each other",
        ),
        ({"elastic": -1.0}, "elastic must be from 0 to 1000, received -1.0"),
        ({"max_class_share": 0.0}, "max_class_share must be above 0 and at most 1"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_name(settings, text):
    with pytest.raises(InputError) as error:
        TrainConfig(**settings)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("--no-augment and --flip exclude each other", "augment=False and flip exclude each other"),
        ("add --model-option aux_head=true.", "add model_options={'aux_head': True}."),
        ("add --model-option preprocessing=torch", "add model_options={'preprocessing': 'torch'}"),
        ("--model-option: unet has no option", "model_options: unet has no option"),
        (
            "a b: is full; resume it with --resume a b",
            "a b: is full; resume it with train(resume='a b')",
        ),
        ("predict in windows (--sliding 512 512)", "predict in windows (--sliding 512 512)"),
        ("a--epochs/b: --val-images 3 takes fewer", "a--epochs/b: val_images 3 takes fewer"),
    ],
)
def test_a_flag_is_told_as_python_has_it_and_kept_for_the_command_line(text, python):
    error = SettingError(text)
    assert (str(error), error.command_line) == (python, text)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"momentum": 0.9}, "momentum does nothing without optimizer sgd; drop it, or change that"),
        ({"momentum": 0.0, "optimizer": "adamw"}, "momentum does nothing without optimizer sgd"),
        ({"power": 0.9, "schedule": "cosine"}, "power does nothing without schedule poly"),
        ({"drop_epochs": 2}, "drop_epochs does nothing without schedule step or plateau"),
        ({"drop_factor": 0.5, "schedule": "fixed"}, "drop_factor does nothing without schedule step"),
        ({"decay_all": True}, "decay_all does nothing without weight_decay"),
        ({"aux_rate": 10.0}, "aux_rate does nothing without an auxiliary head"),
        ({"aux_weight": 0.4, "model_options": {"aux_head": False}}, "aux_weight does nothing without"),
        (
            {"freeze_encoder": True, "freeze_epochs": 2},
            "freeze_epochs does nothing beside freeze_encoder",
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
    settings = TrainConfig().resolve().to_dict()
    recorded = {**settings, "momentum": 0.5, "freeze_encoder": True, "freeze_epochs": 2}
    assert ResolvedConfig.from_dict(recorded).replace(epochs=9).momentum == 0.5


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("drop_epochs", "2", "drop_epochs must be a whole number, received '2'; correct it there"),
        ("scales", 64, "scales must be 2 values, each a number, received 64"),
        ("seed", None, "seed must be a whole number, received None"),
        ("accumulate", 0, "accumulate must be 1 or more, received 0"),
    ],
)
def test_a_value_edited_by_hand_is_named_with_its_file(key, value, text, tmp_path):
    classes = {"num_classes": 1, "classes": ["a"], "colors": [[0, 0, 0]]}
    recorded = {**TrainConfig().resolve().to_dict(), **classes}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**recorded, key: value}))
    with pytest.raises(InputError) as error:
        train(resume=tmp_path)
    assert f"{path}: {text}" in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_training_without_an_update_is_refused(shapes_folder, tmp_path):
    settings = {"model": "unet", "data": str(shapes_folder), "batch_size": 4, "epochs": 2, "accumulate": 7}
    with pytest.raises(InputError, match="accumulate 7: the training has 6 batches in all"):
        train(TrainConfig(**settings, output=str(tmp_path / "run")), report=lambda line: None)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_asked_for_only_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        TrainConfig(tensorboard=True)


def test_what_is_set_aside_has_a_seed_and_a_part_of_its_own(tmp_path):
    root = write_folder(tmp_path / "data", 20)

    def held(**settings):
        dataset = dataset_of_settings(TrainConfig(data=root, **settings).resolve().settings())
        return [sample.name for sample in dataset.split("val")]

    assert held() == held(val_seed=0, seed=5) == [sample.name for sample in load_dataset(root).split("val")]
    assert held(seed=5) == held(val_seed=5)  # Where nobody says more.
    assert len(held()) == 4 and len(held(val_fraction=0.5)) == 10
    assert held(val_seed=5) == [sample.name for sample in load_dataset(root, seed=5).split("val")] != held()


def test_the_images_of_a_run_are_those_that_were_set_aside_for_it(tmp_path):
    root = write_folder(tmp_path / "data", 20)
    given = TrainConfig(data=root, val_seed=3, val_fraction=0.3, seed=1, output=tmp_path / "run").resolve()
    with ExitStack() as held:
        run = create_run(given, dataset_of_settings(given.settings()), held)
    expected = load_dataset(root, val_seed=3, val_fraction=0.3).split("val")
    assert run.dataset().split("val") == expected
    assert dataset_of_settings(recorded_config(run.path).settings()).split("val") == expected
    # A run of former times, whose one seed is of both.
    old = {key: value for key, value in run.config.items() if key not in ("val_seed", "val_fraction")}
    (run.path / "config.json").write_text(json.dumps(old))
    former = load_dataset(root, seed=1).split("val")
    assert Run.open(run.path).dataset().split("val") == former
    assert dataset_of_settings(recorded_config(run.path).settings()).split("val") == former
