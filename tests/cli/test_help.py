"""What a newcomer is shown, and what one who misspells something."""

import re
import shlex
import subprocess
import sys

import pytest

from keras_seg.cli import main
from keras_seg.cli.main import COMMANDS, command_module, command_parser
from keras_seg.errors import InputError, nearest
from keras_seg.inference.outputs import Outputs, Wanted
from keras_seg.losses.terms import parse_loss
from keras_seg.models import build_model
from keras_seg.models.pretrained import find_pretrained


def commands_in(text):
    """The commands of this package in a text, as words behind `python -m keras_seg`."""
    lines = re.findall(r"(?<!`)python -m keras_seg ([a-z-]+.*)", text)
    return [shlex.split(line) for line in lines if "--help" not in line]


def test_without_a_command_the_way_is_shown_from_images_to_a_server(capsys):
    assert main([], program="python -m keras_seg") == 0
    text = capsys.readouterr().out
    steps = commands_in(text)
    assert [words[0] for words in steps] == ["doctor", "train", "evaluate", "predict", "predict"]
    assert text.index("predict new") < text.index("tensorflow/serving") < text.index("--server")
    for name, *flags in steps:
        command_parser(name, "keras_seg").parse_args(flags)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_examples_that_its_flags_take(name, capsys):
    assert main([name, "--help"]) == 0
    shown = commands_in(capsys.readouterr().out.partition("examples:")[2])
    assert [words[0] for words in shown] == [name] * len(command_module(name).EXAMPLES) != []
    for words in shown:
        command_parser(name, "keras_seg").parse_args(words[1:])


def test_helps_import_nothing_heavy_and_no_other_command():
    heavy = "{'tensorflow', 'keras', 'numpy', 'cv2', 'matplotlib', 'tqdm', 'keras_seg.cli.train_flags'}"
    code = (
        "import sys; from keras_seg.cli import main; status = main(['models', '--help']);"
        f"print(status, sorted({heavy} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["trian"], "trian is not a command; is it train?"),
        (["train", "--epocs", "3"], "unrecognized arguments: --epocs 3; is it --epochs"),
        (["predict", "a.jpg", "--output", "b", "--overlays"], "--overlays; is it --overlay"),
        (["train", "--model", "unett"], "received 'unett'; is it unet?"),
        (["train", "--model", "DeepLabV3+"], "is it deeplabv3, deeplabv2 or deeplabv1?"),
        (["train", "--optimizer", "adm"], "received 'adm'; is it adam"),
        (["train", "--model", "fcn"], "is it fcn8, fcn32 or fcn16?"),
        (["train", "--model", "nothing-like-it"], "received 'nothing-like-it'\n"),
    ],
)
def test_what_is_misspelled_is_answered_with_what_is_spelt_alike(argv, text, capsys):
    assert main(argv) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: build_model("psp_net", 2), "received 'psp_net'; is it pspnet?"),
        (lambda: build_model("pspnet", 2, encoder="resnet5"), "received 'resnet5'; is it resnet50"),
        (
            lambda: build_model("pspnet", 2, encode="resnet50"),
            "no option 'encode'.*; is it encoder?",
        ),
        (lambda: find_pretrained("fcn8_voc"), "is it fcn8s_voc"),
        (lambda: parse_loss("ce+0.5*dise"), r"received 'ce\+0.5\*dise'; is it dice?"),
        (lambda: Outputs("x", Wanted(classes=("Cars",)), ("tree", "car"), [(0, 0, 0)] * 2), "; is it car?"),
    ],
)
def test_names_in_python_too(call, text):
    with pytest.raises((InputError, ValueError), match=text.replace("?", r"\?")):
        call()


def test_nearest_asks_for_three_names_at_most_and_is_silent_about_none():
    assert nearest("fcn", ["fcn8", "fcn16", "fcn32", "unet"]) == "; is it fcn8, fcn32 or fcn16?"
    assert nearest("x", ["unet"]) == nearest("", []) == ""
