"""The command line as a user meets it: exit status, one clear line, results on standard output."""

import re
import sys

import cv2
import numpy as np
import pytest

from keras_seg.cli import main


def run_main(capsys, *argv, program="keras-seg"):
    status = main([str(word) for word in argv], program=program)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["train", "--data", "nowhere"], "nowhere"),
        (["train", "--model", "fcn9"], "--model must be one of"),
        (["train", "--batch-size", "0"], "--batch-size must be 1 or more"),
        (["train", "--resume", "nowhere"], "nowhere: no such run folder"),
        (["train", "--resume", "nowhere", "--seed", "1"], "--seed: a resumed run keeps its settings"),
        (["train", "--resume", "nowhere", "--checkpoint-every", "never"], "nowhere: no such run folder"),
        (["train", "--rotation", "200"], "--rotation must be from 0 to 180, received 200.0"),
        (["train", "--scales", "2", "1"], "--scales must be two factors, the lower first"),
        (["train", "--no-augment", "--blur", "2"], "--no-augment and --blur exclude each other"),
        (["train", "--recipe", "fcn-paper", "--model", "unet"], "--recipe fcn-paper is for fcn32"),
        (["train", "--init-from", "nowhere", "--weights", "auto"], "--weights auto and --init-from exclude"),
        (["train", "--precision", "mixed_float16"], "--precision mixed_float16: there is no GPU"),
        (["train", "--class-weights", "heavy"], "--class-weights must be balanced, or numbers"),
        (["predict", "--run", "nowhere", "--output", "masks", "a.jpg"], "nowhere: no such run folder"),
        (["evaluate", "--run", "nowhere"], "nowhere: no such run folder"),
        (["evaluate", "--run", "a", "b", "--output", "x.json"], "--output is for one run"),
        (["predict", "--server", "host:1", "--crf", "--output", "masks", "a.jpg"], "--crf works with --run"),
        (["export", "--run", "nowhere"], "nowhere: no such run folder"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(argv, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _out, err = run_main(capsys, *argv)
    assert status == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert text in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [["train", "--epochs", "many"], ["fly"], ["--fly"]])
def test_wrong_use_is_status_2(argv, capsys):
    status, _out, err = run_main(capsys, *argv)
    assert status == 2
    assert "usage: " in err and "Traceback" not in err


def test_a_config_json_is_replayed_and_flags_win_over_it(run, capsys, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("keras_seg.training.train", asked.append)
    argv = ["train", "--config", run.path / "config.json"]
    assert run_main(capsys, *argv)[0] == 0
    assert run_main(capsys, *argv, "--seed", "5", "--optimizer", "sgd", "--output", tmp_path)[0] == 0
    replayed, changed = (config.resolve().to_dict() for config in asked)
    settings = replayed.keys() - {"output", "given"}
    assert {name: replayed[name] for name in settings} == {name: run.config[name] for name in settings}
    assert replayed["output"] is None  # The run's own is taken.
    differing = {name: changed[name] for name in replayed if changed[name] != replayed[name]}
    expected = {"seed": 5, "optimizer": "sgd", "learning_rate": 1e-3, "output": str(tmp_path)}
    assert differing.pop("given") and differing == expected
    status, _, err = run_main(capsys, *argv, "--resume", run.path)
    assert status == 2 and "--config and --resume exclude each other" in err
    (tmp_path / "list.json").write_text("[]")
    assert "is not a run's configuration" in run_main(capsys, "train", "--config", tmp_path / "list.json")[2]


def test_a_folder_that_is_no_run_is_named(capsys, tmp_path):
    status, _out, err = run_main(capsys, "evaluate", "--run", tmp_path)
    assert (status, err) == (2, f"error: {tmp_path}: not a run folder, it holds no config.json; "
                                "name a folder that train.py wrote\n")  # fmt: skip


def test_names_are_told_with_every_blank_and_in_one_line(capsys, tmp_path):
    name = "holiday  of   May\nand June"
    for command in (["evaluate", "--run", name], ["doctor", name], ["runs", name]):
        status, _out, err = run_main(capsys, *command)
        assert status == 2 and "holiday  of   May\\nand June: " in err and err.count("\n") == 1
    broken = tmp_path / "two  blanks"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    assert f"skipped: {broken}/config.json: " in run_main(capsys, "runs", tmp_path)[2]


def test_a_broken_config_is_named(capsys, tmp_path):
    (tmp_path / "config.json").write_text("{")
    status, _out, err = run_main(capsys, "evaluate", "--run", tmp_path)
    assert status == 2
    assert f"{tmp_path / 'config.json'}: is not JSON" in err


def test_predict_writes_masks_and_overlays_and_names_the_bad_image(run, shapes_folder, capsys, tmp_path):
    (tmp_path / "note.png").write_text("no image")
    images = sorted(shapes_folder.glob("images/val/*"))
    status, out, err = run_main(
        capsys, "--run", run.path, *images, tmp_path / "note.png", "--output", tmp_path / "out",
        "--overlay", program="predict.py",
    )  # fmt: skip
    assert status == 2
    assert "note.png" in err and "Traceback" not in err
    assert f"3 of 4 images labeled in {tmp_path / 'out'}" in out
    mask = cv2.imread(str(tmp_path / "out" / f"{images[0].stem}.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (32, 40) and mask.dtype == np.uint8 and mask.max() < 5


def test_evaluate_prints_a_table_of_classes(run, shapes_folder, capsys, tmp_path):
    status, out, _err = run_main(capsys, "evaluate", "--run", run.path, "--output", tmp_path / "metrics.json")
    assert status == 0
    assert "star" in out and (tmp_path / "metrics.json").is_file()


def test_predict_and_evaluate_in_windows_with_augmentation_and_a_crf(run, shapes_folder, capsys, tmp_path):
    how = ["--sliding", "16", "16", "--overlap", "0.5", "--blend", "gaussian", "--tta", "--crf"]
    image = min(shapes_folder.glob("images/val/*"))
    argv = ["predict", "--run", run.path, image, "--output", tmp_path / "out", "--classes", "star", "circle"]
    status, _, _ = run_main(capsys, *argv, *how)
    assert status == 0
    mask = cv2.imread(str(tmp_path / "out" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (32, 40) and set(np.unique(mask)) <= {1, 4, 255}

    table = tmp_path / "classes.csv"
    status, out, _ = run_main(capsys, "evaluate", "--run", run.path, *how, "--output", table)
    assert status == 0 and "mean boundary IoU" in out
    assert table.read_text().startswith("name,iou,accuracy,dice,boundary_iou,pixels\nground")
    status, _, err = run_main(capsys, *argv, *how, "--overlap", "1")
    assert (status, err) == (2, "error: --overlap must be from 0 to below 1, received 1.0\n")


def test_predict_takes_videos_beside_images_and_names_a_bad_one(run, shapes_folder, capsys, tmp_path):
    image = min(shapes_folder.glob("images/val/*"))
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (40, 32))
    for _ in range(3):
        writer.write(cv2.imread(str(image)))
    writer.release()
    (tmp_path / "talk.mp4").write_text("no video")
    argv = ["predict", "--run", run.path, tmp_path / "walk.avi", tmp_path / "talk.mp4", image]
    status, out, err = run_main(capsys, *argv, "--output", tmp_path / "out")
    assert status == 2 and "talk.mp4: is no video" in err and "Traceback" not in err
    assert "3 frames written" in out and "2 of 3 images labeled" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{image.stem}.png", "walk.webm"]


def test_export_writes_a_version_and_refuses_to_write_over_it(run, capsys, tmp_path):
    argv = ["export", "--run", run.path, "--output", tmp_path / "7"]
    status, out, _ = run_main(capsys, *argv)
    assert status == 0 and out.startswith(f"written to {tmp_path / '7'}\nimages up to ")
    assert re.search(r" in bands or tiles of that size .* a request takes 8 GB at most\n$", out)
    assert (tmp_path / "7" / "saved_model.pb").is_file()
    status, _, err = run_main(capsys, *argv)
    assert status == 2
    assert str(tmp_path / "7") in err


def test_an_unwritable_output_is_named(run, shapes_folder, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    status, _out, err = run_main(
        capsys,
        "--run",
        run.path,
        shapes_folder / "images" / "val",
        "--output",
        tmp_path / "file" / "out",
        program="predict.py",
    )
    assert status == 2
    assert f"{tmp_path / 'file' / 'out'}: cannot be written" in err


def test_models_lists_every_network(capsys):
    from keras_seg import MODELS

    status, out, _err = run_main(capsys, "models")
    assert status == 0
    assert all(f"`{name}`" in out or name in out for name in MODELS)


def test_ctrl_c_ends_with_status_130(capsys, monkeypatch):
    module = sys.modules["keras_seg.cli.models"]
    monkeypatch.setattr(module, "run", lambda arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    status, _out, err = run_main(capsys, "models")
    assert (status, err) == (130, "interrupted\n")
