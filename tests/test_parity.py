"""Every network against another implementation's answer; small ones always, all under `-m parity`."""

import json

import numpy as np
import pytest

from keras_seg.errors import InputError
from keras_seg.registry import networks
from tests import parity
from tests.parity import __main__ as command

QUICK = ("fcn8_vgg16_bn", "unet")
PATHS = parity.find_fixtures(parity.FIXTURES)


def assert_passes(path):
    result = parity.compare_and_free(path)
    assert result.parameters[0] == result.parameters[1]
    for name, error in result.errors.items():
        assert error <= parity.LIMIT, f"{name} is off by {error:.1e}"


@pytest.mark.parametrize("path", [path for path in PATHS if path.stem in QUICK], ids=lambda path: path.stem)
def test_a_small_network_gives_its_references_answer(path):
    assert_passes(path)


@pytest.mark.parity
@pytest.mark.parametrize(
    "path", [path for path in PATHS if path.stem not in QUICK], ids=lambda path: path.stem
)
def test_a_large_network_gives_its_references_answer(path):
    assert_passes(path)


@pytest.mark.parity
@pytest.mark.parametrize("package", ["torch", "torchvision"])
def test_the_references_that_are_here_still_give_their_fixtures(package):
    pytest.importorskip(package)
    from tests.parity import references  # Needs PyTorch.

    for name, build in references.REFERENCES.items():
        if name.startswith("torchvision-") != (package == "torchvision"):
            continue
        module = build()
        path = parity.FIXTURES / f"{name}.json"
        fixture = json.loads(path.read_text())
        assert references.describe(module, **references.options(name)) == fixture
        with np.load(path.with_suffix(".npz")) as stored:
            for output, answer in references.answer(module, fixture).items():
                error = np.abs(answer - stored[output]).max() / np.abs(stored[output]).max()
                assert error < 1e-5, f"{name}, {output}: {error:.1e}"


def test_every_network_has_a_references_answer():
    named = {name for name, row in networks().items() if row.reference}
    assert {parity.network_of(path.stem) for path in PATHS} == named == set(networks())


def test_fixtures_are_called_as_the_rows_say():
    assert {path.stem.removesuffix(parity.PUBLISHED) for path in PATHS} <= set(parity.NETWORKS)


def test_a_bilinear_blob_is_surgerys():
    row = np.array([1, 3, 3, 1]) / 4
    np.testing.assert_allclose(parity.bilinear_blob((2, 2, 4, 4))[0, 0], np.outer(row, row))


@pytest.fixture
def unet_fixture(tmp_path):
    """A copy of the U-Net fixture under a longer name, to be spoiled."""

    def write(change_reference=lambda reference: reference, **changes):
        source = parity.FIXTURES / "unet.json"
        fixture = {**json.loads(source.read_text()), **changes}
        (tmp_path / "unet-other.json").write_text(json.dumps(fixture))
        with np.load(source.with_suffix(".npz")) as answers:
            np.savez(tmp_path / "unet-other.npz", out=change_reference(answers["out"]))
        return tmp_path

    return write


@pytest.fixture
def run(monkeypatch, capsys):
    def run(folder):
        monkeypatch.setattr("sys.argv", ["tests.parity", str(folder)])
        status = command.main()
        return status, capsys.readouterr()

    return run


def test_the_command_prints_a_row_for_each_fixture(unet_fixture, run):
    status, printed = run(unet_fixture())
    row = printed.out.splitlines()[1]
    assert status == 0
    assert row.startswith("unet-other") and "4,321,269    4,321,269  out " in row and row.endswith("pass")
    assert "1 of 1 pass" in printed.out


def test_the_command_fails_on_another_answer(unet_fixture, run):
    status, printed = run(unet_fixture(lambda reference: reference * 1.001))
    assert status == 1
    assert "FAIL" in printed.out


@pytest.mark.parametrize(
    ("parameters", "error", "passed"),
    [((5, 5), 1e-4, True), ((5, 4), 0.0, False), ((5, 5), 1.1e-4, False), ((5, 5), float("nan"), False)],
)
def test_a_result_passes_with_as_many_parameters_and_a_small_error(parameters, error, passed):
    assert parity.Result("net", parameters, {"out": 0.0, "aux": error}).passed == passed


def test_the_command_fails_on_weights_that_do_not_fit_and_goes_on(unet_fixture, run):
    status, printed = run(unet_fixture(tensors={"stem.conv1.weight": [[32, 3, 3, 3], "kernel"]}))
    assert status == 1
    assert "FAIL: InputError: unet-other.json does not fit unet: missing: stem_conv1/bias" in printed.out


def test_a_fixture_of_no_network_is_a_failure(unet_fixture, run):
    folder = unet_fixture()
    for path in list(folder.iterdir()):
        path.rename(path.with_stem("hrnet"))
    status, printed = run(folder)
    assert status == 1
    assert "hrnet.json is of no network here" in printed.out


def test_a_folder_without_fixtures_is_refused(tmp_path, run):
    status, printed = run(tmp_path)
    assert status == 2
    assert printed.err.startswith(f"error: {tmp_path} holds no fixture")
    with pytest.raises(InputError):
        parity.find_fixtures(tmp_path / "nowhere")
