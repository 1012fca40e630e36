"""Nothing that predict or heatmap writes replaces an input, another input's answer, or a truth."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_seg.cli import main
from keras_seg.data.samples import RGB
from keras_seg.errors import InputError
from keras_seg.files import check_targets
from keras_seg.inference import Prediction, predict_files


def predict_all(paths, output, **wanted):
    predictor = SimpleNamespace(
        images=RGB,
        model=SimpleNamespace(name="tiny"),
        classes=("dark", "bright"),
        colors=np.array([[0, 0, 0], [255, 0, 0]], np.uint8),
        predict=lambda image: Prediction(np.zeros(image.shape[:2], np.uint8), np.ones(image.shape[:2])),
    )
    return predict_files(predictor, paths, output, **wanted)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((8, 8, 3), 9, np.uint8))
    return path


def video(path, frames=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (40, 32))
    for _ in range(frames):
        writer.write(np.full((32, 40, 3), 99, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("overlays/a.jpg", {"overlay": True}),
        ("confidence/a.png", {"confidence": True}),
        ("probabilities/b-1.png", {"probabilities": "png"}),
    ],
)
def test_no_output_replaces_an_input(name, wanted, tmp_path):
    paths = [picture(tmp_path / name), picture(tmp_path / "in" / "b.png")]
    before = paths[0].read_bytes()
    with pytest.raises(InputError, match="is an input, and would be overwritten"):
        predict_all(paths, tmp_path, **wanted)
    assert paths[0].read_bytes() == before


def test_a_mask_beside_its_picture_is_not_replaced(tmp_path):
    path, truth = picture(tmp_path / "a.jpg"), picture(tmp_path / "a.png")
    before = truth.read_bytes()
    with pytest.raises(InputError, match="lies beside its image"):
        predict_all([path], tmp_path)
    assert truth.read_bytes() == before
    for _ in range(2):  # In a folder of their own, masks are written anew.
        assert predict_all([path], tmp_path / "masks").done == 1


def test_a_link_to_an_input_is_that_input(tmp_path):
    path = picture(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").symlink_to(path)
    with pytest.raises(InputError, match="is an input"):
        check_targets({path: [tmp_path / "out" / "a.png"]})


def test_two_videos_of_one_name_are_refused_before_the_first_frame(run, tmp_path, capsys):
    paths = [video(tmp_path / name / "walk.avi") for name in "ab"]
    argv = ["predict", "--run", run.path, *paths, "--output", tmp_path / "out"]
    assert main([str(word) for word in argv]) == 2
    assert "both would be written to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_video_s_answer_never_replaces_another_input(run, tmp_path, capsys):
    paths = [video(tmp_path / "walk.avi"), video(tmp_path / "other.avi").rename(tmp_path / "walk.webm")]
    before = paths[1].read_bytes()
    argv = ["predict", "--run", run.path, *paths, "--output", tmp_path]
    assert main([str(word) for word in argv]) == 2
    assert "is an input, and would be overwritten" in capsys.readouterr().err
    assert paths[1].read_bytes() == before


def test_heatmaps_of_one_name_are_refused(tmp_path, capsys):
    paths = [picture(tmp_path / "cat.jpg"), picture(tmp_path / "cat.png")]
    argv = ["heatmap", *paths, "--class", "281", "--output", tmp_path / "out", "--weights", paths[0]]
    assert main([str(word) for word in argv]) == 2
    assert "both would be written to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
