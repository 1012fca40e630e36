"""Settings of the sources, by name: what their authors trained with."""

import inspect

from keras_seg.errors import InputError
from keras_seg.models import MODELS

# voc-fcn*/solver.prototxt (shelhamer/fcn.berkeleyvision.org), for a loss that is summed over the pixels.
FCN_LEARNING_RATES = {"fcn32": 1e-10, "fcn16": 1e-12, "fcn8": 1e-14, "fcn8_atonce": 1e-10}
FCN_STAGES = {"fcn16": "fcn32", "fcn8": "fcn16"}
FCN_EPOCHS = 12  # 100,000 images of the 8,498 of SBD


def recipe_settings(name, model):
    """What a recipe sets, as settings of `TrainConfig`.

    Args:
        name: Of `keras_seg.training.settings.subjects.RECIPES`.
        model: Name of the network.

    Returns:
        `{setting: value}`; flags win over them.

    Raises:
        InputError: The recipe is not for this network.
    """
    return {"fcn-paper": _fcn_paper, "torchvision": _torchvision, "seed-carvana": _seed_carvana}[name](model)


def stage_before(model):
    """The network that FCN's authors started `model` from, None for those that start from VGG16."""
    stage = FCN_STAGES.get(model.removesuffix("_caffe"))
    return stage and stage + model[len(model.removesuffix("_caffe")) :]


def _fcn_paper(model):
    """Long, Shelhamer and Darrell, 2015: the loss summed over the pixels of one whole image."""
    settings = {
        "optimizer": "sgd",
        "schedule": "fixed",
        "weight_decay": 5e-4,
        "bias_rate": 2.0,
        "batch_size": 1,
        "epochs": FCN_EPOCHS,
        # Whole images: those of Pascal VOC have at most 500 pixels a side, and what is missing is ignored.
        "image_size": (500, 500),
        "augment": True,
        "flip": False,
        "scales": (1.0, 1.0),
        "color_factors": (1.0, 1.0),
    }
    if model == "fcn_alexnet":
        return {**settings, "learning_rate": 1e-4, "momentum": 0.9, "accumulate": 20, "loss": "ce"}
    if model.removesuffix("_caffe") not in FCN_LEARNING_RATES:
        names = ", ".join([*FCN_LEARNING_RATES, *(f"{name}_caffe" for name in FCN_LEARNING_RATES)])
        raise InputError(f"--recipe fcn-paper is for {names} and fcn_alexnet, not for {model}")
    return {
        **settings,
        "learning_rate": FCN_LEARNING_RATES[model.removesuffix("_caffe")],
        "momentum": 0.99,
        "loss": "ce",
        "loss_reduction": "sum",
        "model_options": _known(model, freeze_upsampling=True),
    }


def _torchvision(model):
    """pytorch/vision, references/segmentation/train.py: COCO with VOC's labels, 8 GPUs with 4 images each."""
    return {
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "decay_all": True,
        "schedule": "poly",
        "power": 0.9,
        "batch_size": 32,
        "epochs": 30,
        "loss": "ce",
        "aux_rate": 10.0,
        "aux_weight": 0.5,
        "image_size": (480, 480),
        "augment": True,
        "flip": True,
        "scales": (0.5, 2.0),
        "color_factors": (1.0, 1.0),
        "model_options": _known(model, aux_head=True),
    }


def _seed_carvana(model):
    """FCN on Kaggle's Carvana images at 224 x 224: one class, the car, by a sigmoid."""
    return {
        "optimizer": "adamw",
        "learning_rate": 3e-4,
        "weight_decay": 0.01,  # PyTorch's default
        "decay_all": True,
        "schedule": "fixed",
        "batch_size": 64,
        "epochs": 200,
        "binary": True,
        "loss": "bce",
        "image_size": (224, 224),
        "augment": False,
        "weights": "none",
        "model_options": _known(model, preprocessing="torch"),
    }


def _known(model, **options):
    """The options that the network's builder has."""
    parameters = inspect.signature(MODELS[model]).parameters if model in MODELS else {}
    return {name: value for name, value in options.items() if name in parameters}
