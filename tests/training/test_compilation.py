"""What XLA compiles, as it does by default on a GPU: the right numbers, and each step once."""

import os
import subprocess
import sys

import pytest

from keras_seg.models import MODELS


def compiled_steps(*arguments, **environment):
    command = [sys.executable, "-m", "tests.compiled_steps", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_training_step_has_the_same_loss_and_gradients(name):
    answer = compiled_steps(name)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """One process for both tests below, since importing TensorFlow takes much of its time."""
    folder = tmp_path_factory.mktemp("compiled")
    flags = f"--xla_dump_to={folder} --xla_dump_hlo_as_text"
    return compiled_steps("deeplabv3_resnet50", "--count", folder, XLA_FLAGS=flags)


def test_resizing_by_no_whole_factor_is_right_under_xla(answer):
    assert answer.returncode == 0, answer.stderr


def test_validation_images_of_twenty_sizes_are_compiled_no_more_often_than_of_one(answer):
    one, twenty = map(int, answer.stdout.split())
    assert one == twenty >= 1
