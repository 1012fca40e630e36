"""What every test has: a quiet TensorFlow, and one small training to look at."""

import contextlib
import os
import tempfile

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
_cache = tempfile.TemporaryDirectory(prefix="keras_seg-", ignore_cleanup_errors=True)
os.environ["KERAS_SEG_CACHE"] = _cache.name  # Nothing of a test stays in the home folder.


def pytest_runtest_setup(item):
    """Leaves out what computes in bfloat16 where the environment keeps oneDNN from it: it would abort."""
    if item.get_closest_marker("bfloat16"):
        from keras_seg.errors import InputError
        from keras_seg.hardware import check_bfloat16

        try:
            check_bfloat16()
        except InputError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def shapes_folder(tmp_path_factory):
    """A data folder of 10 training and 3 validation images, 32 x 40 pixels."""
    from keras_seg.data import write_shapes

    folder = tmp_path_factory.mktemp("data") / "shapes"
    return write_shapes(folder, counts={"train": 10, "val": 3}, size=(32, 40))


@pytest.fixture(scope="session")
def run(shapes_folder, tmp_path_factory):
    """A U-Net of few channels trained on it for three epochs by the command line; tests only read it."""
    from keras_seg import Run
    from keras_seg.cli import main

    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = {
        "--model": ["unet"],
        "--data": [shapes_folder],
        "--image-size": [32, 32],
        "--epochs": [3],
        "--batch-size": [4],
        "--weights": ["none"],
        "--output": [folder],
    }
    options = ["--model-option", "widths=[8,16,32]", "--model-option", "decoder_widths=[16,8]"]
    words = [word for flag, values in flags.items() for word in (flag, *map(str, values))]
    assert main([*words, *options], program="train.py") == 0
    return Run.open(folder)


@pytest.fixture
def eager():
    """Runs the steps operation by operation, since tracing them takes longer; what comes out is the same."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    from keras_seg import registry

    registry.networks()
    monkeypatch.setattr(registry, "_ROWS", {kind: dict(rows) for kind, rows in registry._ROWS.items()})


@pytest.fixture
def no_export(monkeypatch):
    """Leaves out the export of the best model, which takes longer than a small training."""
    from keras_seg.training.loop import finishing

    monkeypatch.setattr(finishing, "export_saved_model", lambda *_, **__: None)


@pytest.fixture(scope="session")
def http_port():
    """A REST port that sends what a test tells it."""
    from tests.serving.hostile_servers import HttpServer

    with contextlib.closing(HttpServer()) as server:
        yield server


@pytest.fixture(scope="session")
def grpc_port():
    """A gRPC port that sends what a test tells it."""
    from tests.serving.hostile_servers import GrpcServer

    with contextlib.closing(GrpcServer()) as server:
        yield server
