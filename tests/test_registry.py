"""Networks and encoders of other packages: registered by a call, or installed with entry points."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_seg
from keras_seg import Encoder, InputError, LearningRate, Network
from keras_seg.models import MODELS, build_model
from keras_seg.models.fcn import fcn
from keras_seg.registry import encoders, networks
from tests.plugin import install

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("own_registry")


def run_python(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_an_installed_package_of_one_file_is_known_to_every_command(tmp_path):
    install(tmp_path)
    options = ("-p", "no:cacheprovider", "-k", "listed or trains_and_predicts")
    done = run_python(tmp_path, "-m", "pytest", *options, "tests/plugin/commands.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.long
def test_its_network_and_its_encoder_keep_the_contract(tmp_path):
    install(tmp_path)
    files = ("tests/models/test_contract.py", "tests/plugin/commands.py")
    done = run_python(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "-k", "acme or commands", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_package_is_one_line_and_hides_no_other(tmp_path):
    install(tmp_path, source="NETWORKS = ENCODERS = ()\n")
    install(tmp_path, "broken-nets", "broken_nets", "import nowhere_to_be_found\n")
    install(tmp_path, "empty-nets", "empty_nets", "\n")
    taken = "from keras_seg import Network\ndef mine(num_classes, input_shape, *, name): ...\n"
    install(tmp_path, "taken-nets", "taken_nets", f'{taken}NETWORKS = (Network("fcn8", mine),)\n')
    done = run_python(tmp_path, "-c", "from keras_seg import MODELS; print('fcn8' in MODELS, len(MODELS))")
    own = [name for name in MODELS if networks()[name].builder.__module__.startswith("keras_seg.")]
    assert done.stdout.split() == ["True", str(len(own))]
    lines = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert [line.split()[3:5] for line in lines] == [
        ["broken-nets", "1.0"],
        ["empty-nets", "1.0"],
        ["taken-nets", "1.0"],
    ]
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in lines[0]
    assert "empty_nets has neither NETWORKS nor ENCODERS" in lines[1]
    assert (
        "Network fcn8 of taken_nets has the name of one of keras_seg.models.fcn; give it another" in lines[2]
    )


def test_a_registered_network_is_one_of_models():
    def mine(num_classes, input_shape=(None, None, 3), *, name="mine"):
        return fcn(num_classes, input_shape, fc_filters=8, name=name)

    keras_seg.register(Network("mine", mine))
    keras_seg.register(Network("mine", mine))  # Again, as a notebook's cell does.
    assert "mine" in MODELS and list(MODELS)[-1] == "mine"
    assert build_model("mine", 2).name == "mine"


def test_all_rows_of_a_call_are_registered_or_none():
    before = set(networks())
    with pytest.raises(InputError, match="is neither a keras_seg"):
        keras_seg.register(Network("one", fcn), "two")
    assert set(networks()) == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (lambda: Network("my net", fcn), "Network 'my net': a name begins with a letter"),
        (
            lambda: Network("mine", lambda classes: None),
            "Network mine: its builder cannot be called that way",
        ),
        (
            lambda: Network("mine", fcn, learning_rate=1e-3),
            "Network mine: learning_rate must be a keras_seg.LearningRate of positive numbers, received 0.0",
        ),
        (
            lambda: Network("mine", fcn, learning_rate=LearningRate(sgd=0.0)),
            "Network mine: learning_rate must be .* received LearningRate",
        ),
        (lambda: Encoder("mine", lambda: None), "Encoder mine: its builder cannot be called that way"),
        (
            lambda: keras_seg.register(Network("unet", fcn)),
            "Network unet of keras_seg.models.fcn has the name of",
        ),
        (lambda: keras_seg.register(Encoder("vgg16", len)), "Encoder vgg16 of builtins has the name of"),
    ],
)
def test_a_row_of_no_use_is_one_line(row, message):
    with pytest.raises(InputError, match=message) as error:
        row()
    assert len(str(error.value).splitlines()) == 1
    assert "vgg16" in encoders()
