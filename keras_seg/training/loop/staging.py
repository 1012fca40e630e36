"""Weights of an earlier run for a network that shares its layers: FCN-32s, then 16s, then 8s."""

import json
import shlex

from keras_seg.errors import InputError
from keras_seg.layers.preprocessing import MEASURED, Preprocessing
from keras_seg.pretrained import assign
from keras_seg.pretrained.assign import layers_with_weights
from keras_seg.pretrained.keras_files import preprocessing_config, read_weights_h5
from keras_seg.runs import Run
from keras_seg.weights_files import open_keras, reading


def load_stage(model, folder):
    """Gives a network the layers of a run's best model that have the same names.

    What the run's network lacks stays as it was built: FCN's score layers at zero, its upsampling
    bilinear.

    Args:
        model: A network of `build_model`; untouched unless everything fits.
        folder: The run folder.

    Returns:
        One line that says how many layers were taken and which were re-initialized.

    Raises:
        InputError: It is no run, its images are preprocessed in another way, a layer has another shape,
            or no layer has the same name.
    """
    run = Run.open(folder)
    if not run.best_path.is_file():
        raise InputError(f"{run.best_path}: missing, --init-from needs a run that has a best model")
    with reading(run.best_path), open_keras(run.best_path) as (config, root):
        weights = read_weights_h5(root, run.best_path, layers_with_weights(model))
        _check_preprocessing(model, preprocessing_config(config), run)
        return _load_common(model, weights, run)


def _check_preprocessing(model, config, run):
    """Refuses a run whose images were preprocessed differently, and says how to get the same."""
    mode = config.get("mode")
    own = next((layer.mode for layer in model.layers if isinstance(layer, Preprocessing)), None)
    if mode in (None, own) or own is None:
        return
    way_out = f"add --model-option preprocessing={mode}"
    if own == MEASURED:
        way_out += ", which is for images of 8 bits, or drop --init-from"
    elif mode == MEASURED:
        there, here = len(config["mean"]), model.inputs[0].shape[-1]
        if there == here:
            measured = json.dumps({key: config[key] for key in ("mean", "deviation")})
            way_out = f"add --model-option {shlex.quote(f'preprocessing={measured}')}"
        else:
            way_out = f"its images have {there} channels and these {here}; give a run on images of as many"
    raise InputError(
        f"{run.path}: was trained with the preprocessing {mode}, and {model.name} has {own}; {way_out}"
    )


def _load_common(model, weights, run):
    layers = layers_with_weights(model)
    common = {name: arrays for name, arrays in weights.items() if name in layers}
    if not common:
        raise InputError(
            f"{run.path}: {run.config['model']} has no layer in common with {model.name}; "
            "--init-from takes a run of a network that shares its encoder"
        )
    anew = [name for name in layers if name not in common]
    loaded = assign(model, common, source=run.best_path, keep=anew, reset_classes=True)
    anew += loaded.reset
    line = f"{model.name}: took {len(layers) - len(anew)} layers from {run.path}"
    return line + (f"; re-initialized: {', '.join(anew)}" if anew else "")
