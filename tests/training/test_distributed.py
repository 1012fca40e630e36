"""One network on several devices and in several processes ends as it does on one."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_seg import InputError, Run, TrainConfig, train
from keras_seg.data import Share, eval_batches, load_dataset, train_batches, write_shapes
from keras_seg.data.batches.sharing import parts_of_batches, turns_of_batches
from keras_seg.hardware import Hardware
from keras_seg.precision import choose_precision
from keras_seg.training import session
from keras_seg.training.distributed.cluster import read_cluster
from keras_seg.training.distributed.distribution import Replicas
from keras_seg.training.run_state.history import read_history
from keras_seg.training.run_state.state import states
from tests.attack.kills import state_digest

PROJECT = Path(__file__).parents[2]
# A normalization in every block, and all else that replicas could do each for itself.
SETTINGS = {
    "model": "unet",
    "model_options": {"widths": [4, 8, 8], "decoder_widths": [8, 4]},
    "image_size": (32, 32),
    "batch_size": 4,
    "epochs": 2,
    "weights": "none",
    "optimizer": "sgd",
    "learning_rate": 0.02,
    "weight_decay": 1e-3,
    "head_rate": 2.0,
    "clip_norm": 0.1,
    "average": 0.9,
    "augment": True,
    "loss": "ce+0.5*dice",
}
WORKERS = {"worker": ["a:1", "b:2"]}
CHILD = """
import json, os, sys
import tensorflow as tf
devices, settings = int(sys.argv[1]), json.loads(sys.argv[2])
if devices > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
from keras_seg import InputError, TrainConfig, train
from keras_seg.training import session
session.finish = lambda *_: None
try:
    train(**settings) if "resume" in settings else train(TrainConfig.from_dict(settings))
except InputError as error:
    sys.exit(f"error: {error.command_line}")
"""
PLAIN_KERAS = """
import keras, numpy as np, sys, tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
try:
    model.fit(tf.data.Dataset.from_tensors((np.ones([4, 3]), np.ones([4, 1]))).unbatch().batch(4), verbose=0)
except Exception as error:
    sys.exit(f"fit failed: {type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """10 training images, of which every third has few pixels that are not ignored, and 3 to validate on."""
    folder = tmp_path_factory.mktemp("distributed") / "shapes"
    write_shapes(folder, counts={"train": 10, "val": 3}, size=(32, 40))
    samples = load_dataset(str(folder)).split("train")
    for sample in samples[::3]:
        mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
        mask[4:] = 255
        cv2.imwrite(str(sample.mask), mask)
    return folder


def settings_for(folder, output, **more):
    return TrainConfig(**{**SETTINGS, "data": str(folder), "output": str(output), **more}).to_dict()


@pytest.fixture(scope="module")
def single(folder, tmp_path_factory):
    """The run of one process on one device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "finish", lambda *_: None)
        output = tmp_path_factory.mktemp("runs") / "single"
        return train(TrainConfig.from_dict(settings_for(folder, output)), report=print)


def start(code, *arguments, cluster=None, worker=0):
    """Starts a process, as a worker of a cluster if it is to be one."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(PROJECT)}
    environment.pop("TF_CONFIG", None)
    if cluster:
        task = {"cluster": {"worker": cluster}, "task": {"type": "worker", "index": worker}}
        environment["TF_CONFIG"] = json.dumps(task)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
    )  # fmt: skip


def start_two(code, *arguments):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return [start(code, *arguments, cluster=cluster, worker=worker) for worker in range(2)]


def finish(processes, seconds=240):
    """What the processes wrote, `[(status, standard output, standard error)]`."""
    deadline, answers = time.monotonic() + seconds, []
    try:
        for process in processes:
            output = process.communicate(timeout=max(1, deadline - time.monotonic()))
            answers.append((process.returncode, *output))
    finally:
        for process in processes:
            process.kill()
    return answers


def read_state(run):
    with zipfile.ZipFile(states(run.path / "checkpoints")[0]) as archive:
        names = [name for name in sorted(archive.namelist()) if name.endswith(".npy")]
        return {name: np.load(io.BytesIO(archive.read(name))) for name in names}


def assert_equal_runs(run, single, title):
    """The weights, the optimizer and every figure of every epoch to 1e-6.

    The batch statistics to 1e-5 of their size besides: Keras's variance over replicas is E(x^2) - E(x)^2,
    which rounds in another way than its variance on one device.
    """
    ours, theirs = read_state(run), read_state(single)
    assert ours.keys() == theirs.keys()
    statistics = {
        f"model/{index:05d}.npy"
        for index, variable in enumerate(single.load_model().variables)
        if variable.name.startswith("moving_")
    }
    assert statistics
    difference = {name: np.abs(ours[name].astype("float64") - theirs[name]).max() for name in ours}
    weights = max(difference[name] for name in ours if name.startswith("model/") and name not in statistics)
    rows = [read_history(each.path / "history.csv") for each in (run, single)]
    for index, (row, expected) in enumerate(zip(*rows, strict=True), 1):
        print(f"{title}: epoch {index}, loss {row['loss']!r}, of one process {expected['loss']!r}")
    print(
        f"{title}: largest difference of weights {weights:.1e}, "
        f"of batch statistics {max(difference[name] for name in statistics):.1e}"
    )
    for name in ours:
        relative = 1e-5 if name in statistics else 0
        np.testing.assert_allclose(ours[name], theirs[name], rtol=relative, atol=1e-6, err_msg=name)
    for row, expected in zip(*rows, strict=True):
        assert row == pytest.approx(expected, abs=1e-6)


def test_two_devices_train_as_one(folder, single, tmp_path):
    settings = settings_for(folder, tmp_path / "run", distribute="mirrored")
    [(status, output, errors)] = finish([start(CHILD, 2, json.dumps(settings))])
    assert status == 0, errors
    assert "2 replicas" in output
    assert_equal_runs(Run.open(tmp_path / "run"), single, "two devices")
    # What is saved can be trained where there are no replicas.
    layers = Run.open(tmp_path / "run").load_model().layers
    assert not any(getattr(layer, "synchronized", False) for layer in layers)


def test_two_processes_train_as_one(folder, single, tmp_path):
    settings = settings_for(folder, tmp_path / "run", distribute="multiworker")
    answers = finish(start_two(CHILD, 1, json.dumps(settings)))
    for status, _, errors in answers:
        assert status == 0, errors
    chief, other = (output for _, output, _ in answers)
    assert "2 replicas of 2 workers" in chief and "val_mean_iou" in chief
    assert other == ""
    shown = [float(loss) for loss in re.findall(r" loss: ([\d.]+)", chief)]
    assert len(shown) >= 4 and shown == pytest.approx([2.0] * len(shown), abs=0.1)  # As the history says.
    assert_equal_runs(Run.open(tmp_path / "run"), single, "two processes")
    assert not [path.name for path in (tmp_path / "run").glob(".*")]


def send_after(processes, run, steps, worker, number):
    """Sends a worker a signal once `steps` steps are on disk; what all of them wrote."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        newest = states(run / "checkpoints")[:1] if run.exists() else []
        if newest and int(newest[0].stem.removeprefix("step-")) >= steps:
            break
        time.sleep(0.005)
    processes[worker].send_signal(number)
    return finish(processes)


@pytest.mark.long
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_ends_the_others_and_all_go_on_to_the_same_bits(folder, tmp_path, victim):
    more = {"distribute": "multiworker", "checkpoint_every": "1", "epochs": 3}
    whole = settings_for(folder, tmp_path / "whole", **more)
    assert [answer[0] for answer in finish(start_two(CHILD, 1, json.dumps(whole)))] == [0, 0]

    run = tmp_path / "run"
    processes = start_two(CHILD, 1, json.dumps(settings_for(folder, run, **more)))
    answers = send_after(processes, run, 4, victim, signal.SIGKILL)
    assert answers[victim][0] == -signal.SIGKILL
    status, _, errors = answers[1 - victim]
    assert status != 0, "the other worker went on"
    print(f"worker {victim} killed, the other ended with {status}: {errors.splitlines()[-1:]}")

    again = {"resume": str(run), "checkpoint_every": "1"}
    for status, _, errors in finish(start_two(CHILD, 1, json.dumps(again))):
        assert status == 0, errors
    digests = [state_digest(Run.open(path)) for path in (run, tmp_path / "whole")]
    print(f"killed and resumed {digests[0]} uninterrupted {digests[1]}")
    assert digests[0] == digests[1]


@pytest.mark.long
def test_a_signal_to_one_worker_stops_all_after_the_same_batch(folder, tmp_path):
    more = {"distribute": "multiworker", "checkpoint_every": "1", "epochs": 500}
    run = tmp_path / "run"
    processes = start_two(CHILD, 1, json.dumps(settings_for(folder, run, **more)))
    answers = send_after(processes, run, 2, 1, signal.SIGTERM)
    assert [status for status, _, _ in answers] == [128 + signal.SIGTERM] * 2, answers
    assert f"resume it with --resume {run}" in answers[0][1]


@pytest.mark.long
def test_keras_still_needs_the_replicated_model():
    """Where this fails, Keras's own `fit` knows several workers, and `replicated_model.py` can go."""
    for status, _, errors in finish(start_two(PLAIN_KERAS)):
        assert status == 1 and "fit failed: " in errors, errors
        print(errors[errors.index("fit failed: ") :])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}, (1, 2)),
        ({"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}, (0, 2)),
        (
            {"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}},
            (1, 2),
        ),
    ],
)
def test_the_place_in_a_cluster_is_read(text, place):
    assert read_cluster(json.dumps(text)) == place


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "is not set"),
        (" ", "is not set"),
        ("{cluster", "is no JSON"),
        ([], "has no cluster"),
        ({"cluster": WORKERS}, "has no task"),
        ({"cluster": {"worker": "a:1"}, "task": {}}, "has no list of addresses for worker"),
        ({"cluster": {"worker": ["a"]}, "task": {}}, "has the address 'a', which is not host:port"),
        ({"cluster": {"worker": [1]}, "task": {}}, "has the address 1, which is not host:port"),
        ({"cluster": {}, "task": {}}, "names no worker"),
        ({"cluster": {**WORKERS, "ps": ["c:1"]}, "task": {}}, "has tasks of the type ps"),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}, "that this is worker 2, which"),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": -1}}, "that this is worker -1, which"),
        ({"cluster": WORKERS, "task": {"type": "chief", "index": 0}}, "that this is chief 0, which"),
        ({"cluster": WORKERS, "task": {"index": 0}}, "that this is None 0, which"),
    ],
)
def test_a_wrong_cluster_is_refused_in_a_line(text, reason):
    with pytest.raises(InputError) as error:
        read_cluster(text if text is None or isinstance(text, str) else json.dumps(text))
    message = str(error.value)
    assert message.startswith(f"--distribute multiworker: TF_CONFIG {reason}") or reason in message
    assert '"task": {"type": "worker", "index": 0}}' in message and len(message.splitlines()) == 1


def test_a_training_without_a_cluster_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    settings = settings_for(folder, tmp_path / "run", distribute="multiworker")
    with pytest.raises(InputError, match="TF_CONFIG is not set"):
        train(TrainConfig.from_dict(settings))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"distribute": "all"}, "distribute must be one of none, mirrored, multiworker"),
        ({"distribute": "mirrored", "accumulate": 2}, "distribute mirrored and accumulate 2 exclude"),
        ({"distribute": "multiworker", "tensorboard": True}, "distribute multiworker and tensorboard"),
    ],
)
def test_what_does_not_go_with_it_is_refused(settings, text):
    with pytest.raises(InputError) as error:
        TrainConfig(**settings)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1


def test_float16_is_refused_and_not_chosen():
    turing = Hardware(((7, 5),), ())
    assert choose_precision("auto", turing, "training")[0] == "mixed_float16"
    assert choose_precision("auto", turing, "training", is_distributed=True)[0] == "float32"
    with pytest.raises(InputError, match="mixed_float16 and --distribute exclude each other"):
        choose_precision("mixed_float16", turing, "training", is_distributed=True)


@pytest.mark.parametrize(("samples", "batch", "fitting"), [(10, 3, 4), (9, 4, 5), (10, 1, 2), (2, 8, None)])
def test_a_batch_with_too_few_images_is_refused_and_another_size_named(samples, batch, fitting):
    replicas = Replicas()
    replicas.count = 3 if samples != 10 else 2
    with pytest.raises(InputError) as error:
        replicas.check_batches(samples, batch)
    way_out = f"take --batch-size {fitting}" if fitting else "take fewer devices"
    assert str(error.value).endswith(way_out)
    if fitting:
        replicas.check_batches(samples, fitting)


def test_parts_of_batches_make_the_batch():
    sizes = [5, 5, 3]
    shares = [parts_of_batches(Share(replica, 1, 3), sizes) for replica in range(3)]
    assert np.sum([chosen for chosen, _ in shares], axis=0).tolist() == [1] * 13
    assert np.sum([parts for _, parts in shares], axis=0).tolist() == sizes
    assert min(min(parts) for _, parts in shares) >= 1
    both = parts_of_batches(Share(1, 2, 3), sizes)[1]
    assert both == [size for pair in zip(shares[1][1], shares[2][1], strict=True) for size in pair]


@pytest.mark.parametrize("sizes", [[3], [4, 4, 1], [1], [1, 1, 1], [2, 1, 7]])
@pytest.mark.parametrize("total", [1, 2, 4])
def test_turns_take_every_sample_once_and_are_as_many_for_all(sizes, total):
    shares = [turns_of_batches(Share(replica, 1, total), sizes) for replica in range(total)]
    assert np.sum([chosen for chosen, _, _ in shares], axis=0).tolist() == [1] * sum(sizes)
    assert len({len(parts) + missing for _, parts, missing in shares}) == 1
    assert all(sum(chosen) == sum(parts) and min(parts, default=1) > 0 for chosen, parts, _ in shares)


def test_workers_see_the_batches_of_one_process(folder):
    dataset = load_dataset(str(folder))
    arguments = dataset, (16, 16), 4
    whole = train_batches(*arguments, seed=3, start_epoch=1).take(4)
    parts = [train_batches(*arguments, seed=3, start_epoch=1, share=Share(k, 1, 2)).take(4) for k in range(2)]
    for (images, masks), *pairs in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([pair[0] for pair in pairs]), images)
        np.testing.assert_array_equal(np.concatenate([pair[1] for pair in pairs]), masks)


def test_validation_shows_every_image_once_and_else_what_is_ignored(folder):
    dataset = load_dataset(str(folder))
    images = [image for images, _ in eval_batches(dataset) for image in images]
    seen = []
    for replica in range(4):
        batches = list(eval_batches(dataset, share=Share(replica, 1, 4)))
        assert len(batches) == 1
        for image, mask in zip(*batches[0], strict=True):
            if np.any(mask != 255):
                seen.append(image.numpy().tobytes())
    assert sorted(seen) == sorted(image.numpy().tobytes() for image in images)
