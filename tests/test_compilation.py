"""What XLA compiles, as it does by default on a GPU: the right numbers, and each step once."""

import os
import subprocess
import sys

import pytest

from keras_seg.models import MODELS


def check_compiled(name):
    command = [sys.executable, "-m", "tests.compiled_steps", name]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_training_step_has_the_same_loss_and_gradients(name):
    check_compiled(name)


def test_resizing_by_no_whole_factor_is_right_under_xla():
    check_compiled("deeplabv3_resnet50")


COUNT = """
import sys
import numpy as np
from keras_seg.training import TrainConfig
from keras_seg.training.loop.building import build_training
options = {"widths": (4, 6), "decoder_widths": (4,)}
config = TrainConfig(model="unet", weights="none", model_options=options)
model = build_training(config, 3, 2, fresh=True, report=print).model
model.jit_compile = True  # As on a GPU.
def pairs(sizes):
    for size in sizes:
        yield np.zeros((1, size, 9, 3), "float32"), np.zeros((1, size, 9), "int32")
model.fit(*next(pairs([8])), epochs=1, verbose=0)
for batch in pairs(range(8, 8 + int(sys.argv[1]))):
    model.evaluate(*batch, verbose=0)
"""


def compilations(validation_sizes, folder):
    """Modules that XLA compiles in a training whose validation images have so many sizes."""
    environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={folder} --xla_dump_hlo_as_text"}
    arguments = [sys.executable, "-c", COUNT, str(validation_sizes)]
    subprocess.run(arguments, env=environment, check=True, capture_output=True)
    return len(list(folder.glob("*before_optimizations.txt")))


def test_validation_images_of_twenty_sizes_are_compiled_no_more_often_than_of_one(tmp_path):
    one, twenty = (compilations(count, tmp_path / str(count)) for count in (1, 20))
    assert one == twenty >= 1
