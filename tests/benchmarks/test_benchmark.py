"""The harness of the benchmarks: what it measures of contenders whose figures are known, and its report."""

import json
import math

import pytest

from benchmarks.goals import format_goals
from benchmarks.harness import machine
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.report import format_machine, format_table, summarize
from benchmarks.harness.workers import Contender, Timing, measure_in_turn
from benchmarks.this_machine import main

HERE = "tests.benchmarks.contenders"


def test_contenders_run_in_turn_after_two_runs_that_do_not_count(tmp_path):
    log = tmp_path / "log"
    contenders = [
        Contender(name, f"{HERE}:sleeper", {"seconds": seconds, "log": str(log), "name": name})
        for name, seconds in (("a", 0.4), ("b", 0.6))
    ]
    timings = measure_in_turn(contenders, rounds=2)
    assert log.read_text() == "aabb" + "ab" * 2
    for timing, seconds in zip(timings, (0.4, 0.6), strict=True):
        assert len(timing.seconds) == 2
        assert all(seconds <= measured for measured in timing.seconds)
        assert timing.start_seconds >= seconds


def test_short_steps_are_repeated(tmp_path):
    settings = {"seconds": 0.01, "log": str(tmp_path / "log"), "name": "."}
    (timing,) = measure_in_turn([Contender("short", f"{HERE}:sleeper", settings)], rounds=1)
    # Thirty times, fewer where the machine is busy.
    assert 2 <= len((tmp_path / "log").read_text()) - 2 <= 31
    assert timing.seconds[0] >= 0.01


def test_peak_memory_is_the_contenders():
    small, large = measure_in_turn(
        [Contender("small", f"{HERE}:eater", {"mib": 1}), Contender("large", f"{HERE}:eater", {"mib": 200})],
        rounds=1,
    )
    assert large.peak_mib - small.peak_mib == pytest.approx(199, abs=10)
    assert small.peak_mib < 100  # Nothing heavy is imported on the contender's behalf.


def test_what_cannot_run_is_skipped_with_its_reason():
    names = ("absent", "crasher", "talker")
    lines = []
    timings = measure_in_turn([Contender(name, f"{HERE}:{name}", {}) for name in names], 1, lines.append)
    assert timings[0].skipped == "No module named 'absent'"
    assert timings[1].skipped == "ended with status 1: RuntimeError: the kernel is gone"
    assert timings[2].skipped is None and len(timings[2].seconds) == 1
    assert lines[0] == "absent: skipped: No module named 'absent'"
    assert lines[2].startswith("talker: first step after")


def test_the_environment_is_the_contenders_own(tmp_path):
    contender = Contender("child", "os:getenv", {"key": "GREETING"}, {"GREETING": "hello"})
    (timing,) = measure_in_turn([contender], rounds=1)
    assert "'str' object is not callable" in timing.skipped  # It was given the text as its step.


def test_figures_are_those_by_hand():
    timings = [
        Timing("ours", (2.0, 4.0, 8.0), 100.0, 5.0, {"steps": 2}),
        Timing("theirs", (3.0, 3.0), 50.0, 1.0, {}),
        Timing("gone", skipped="not installed"),
        Timing("matrix product, float32", (0.5,), 10.0, 1.0, {"operations": 100e9}),
        Timing("copy of memory", (0.1,), 10.0, 1.0, {"bytes": 2e9}),
    ]
    ours, theirs, gone, product, copy = summarize(timings, operations=80e9)
    assert (ours["seconds"], ours["fastest"], ours["slowest"]) == (2.0, 1.0, 4.0)
    assert (ours["ratio"], ours["gflops"], ours["share"]) == (1.0, 40.0, 0.2)
    assert theirs["ratio"] == 1.5 and theirs["share"] == pytest.approx(80 / 3 / 200)
    assert gone == {"name": "gone", "skipped": "not installed"}
    assert product["gflops"] == 200 and product["ratio"] is None
    assert copy["gigabytes_per_second"] == pytest.approx(20)
    lines = format_table([ours, theirs, gone, product, copy]).splitlines()
    assert lines[2] == "| ours | 2.000 | 1.000 to 4.000 | 1.00 | 40 GFLOP/s | 20% | 100 |"
    assert "skipped: not installed" in lines[4]
    assert "20.0 GB/s" in lines[6]


def test_without_the_first_nothing_is_compared():
    timings = [Timing("ours", skipped="gone"), Timing("theirs", (3.0,), 50.0, 1.0, {})]
    ours, theirs = summarize(timings, operations=80e9)
    assert ours == {"name": "ours", "skipped": "gone"}
    assert theirs["seconds"] == 3 and theirs["ratio"] is None
    assert "| theirs | 3.000 |" in format_table([ours, theirs])


def test_what_the_environment_says_of_kernels_is_printed(monkeypatch):
    for name in ("ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    *_, last = format_machine(describe_machine()).splitlines()
    assert last == "TF_ENABLE_ONEDNN_OPTS=0"


def test_a_missed_goal_and_a_failed_contender_are_told():
    def case(**seconds):
        timings = [
            Timing(name, (value,), 100.0, 1.0, {}) if value else Timing(name, skipped="gone")
            for name, value in seconds.items()
        ]
        return {"float32": summarize(timings, operations=1e9)}

    results = {
        "train-unet": case(keras_seg=1.0, PyTorch=1.3),
        "predict-unet": case(keras_seg=1.0, PyTorch=1.25, onnxruntime=1.0, SavedModel=1.1),
        "train-fcn8": case(keras_seg=1.0, PyTorch=1.59),
        "predict-fcn8": case(keras_seg=1.0, PyTorch=1.1, onnxruntime=None, SavedModel=0.9),
        "train-segnet": case(keras_seg=None, PyTorch=2.0),
    }
    lines = format_goals(results).splitlines()
    assert lines[2] == "| unet | 1.30 | 1.25 | 1.00 | 1.10 | 100 / 100 | 100 / 100 | met |"
    assert lines[3] == (
        "| fcn8 | 1.59 | 1.10 | failed | 0.90 | 100 / 100 | 100 / 100 | training, PyTorch: 1.59 for 1.6; "
        "prediction, PyTorch: 1.10 for 1.2; prediction, onnxruntime: not measured |"
    )
    assert lines[4].startswith("| segnet | failed |  |  |  | - / 100 |  | training, PyTorch: not measured;")
    assert lines[-1] == "All goals are met by 1 of 3 networks."


def test_the_limits_of_the_machine_are_counted_as_what_they_do(monkeypatch):
    monkeypatch.setattr(machine, "SIDE", 64)
    monkeypatch.setattr(machine, "COPIED", 1 << 20)
    counted = []
    for contender in machine.LIMITS:
        module, function = contender.target.split(":")
        assert module == machine.__name__
        step, facts = getattr(machine, function)(**contender.settings)
        step()
        counted.append(facts)
    assert counted == [{"operations": 2 * 64**3}, {"operations": 2 * 64**3}, {"bytes": 2 << 20}]


def test_the_command_measures_a_network(tmp_path, capsys, monkeypatch):
    # Those of the machine import TensorFlow once more each.
    limits = (Contender("matrix product", f"{HERE}:product", {"side": 256}),)
    monkeypatch.setattr(machine, "LIMITS", limits)
    path = tmp_path / "figures.json"
    flags = ["--model", "unet", "--image-size", "24", "32", "--batch-size", "1", "--classes", "3"]
    main([*flags, "--rounds", "1", "--json", str(path)])
    out = capsys.readouterr().out
    assert "training: 32 x 24 pixels, batch of 1" in out
    figures = json.loads(path.read_text())
    for kind in ("training", "prediction"):
        network, product = figures["results"][kind]
        assert network["name"] == "unet" and network["seconds"] > 0
        assert network["share"] == pytest.approx(network["gflops"] / product["gflops"])
        assert math.isfinite(network["peak_mib"])
    assert figures["settings"]["image_size"] == [24, 32]
    # Three times the multiplications of a prediction, at a batch of one each.
    amounts = [figures["results"][kind][0] for kind in ("training", "prediction")]
    training, prediction = (row["gflops"] * row["seconds"] for row in amounts)
    assert training == pytest.approx(3 * prediction)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--model", "fcn9"], "--model: no such network as fcn9; choose of fcn8,"),
        (["--rounds", "0"], "--rounds: must be a whole number of 1 or more, received 0"),
        (["--image-size", "0", "9"], "--image-size: must be a whole number of 1 or more, received 0"),
        (["--json", "missing/figures.json"], "--json: missing/figures.json cannot be written; name a file"),
    ],
)
def test_wrong_flags_end_in_one_line(flags, line, capsys):
    with pytest.raises(SystemExit) as left:
        main(flags)
    assert left.value.code == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


def test_a_failed_measurement_ends_in_one_line(monkeypatch):
    monkeypatch.setattr(machine, "LIMITS", ())
    flags = ["--model", "unet", "--image-size", "8", "8", "--precision", "int8", "--rounds", "1"]
    with pytest.raises(SystemExit, match="error: training of unet failed"):
        main(flags)
