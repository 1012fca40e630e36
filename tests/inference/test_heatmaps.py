"""A classifier's map of a class lies over the pixels that it was computed from."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_seg.cli import main
from keras_seg.files import CACHE
from keras_seg.inference.heatmaps import class_maps, draw_heatmap, most_likely
from keras_seg.pretrained import downloads


@pytest.fixture(scope="module")
def classifier():
    """Class 1 is bright, class 0 is dark: the mean of each cell of 32 x 32 pixels."""
    image = keras.Input((None, None, 3))
    means = layers.AveragePooling2D(32)(image)
    model = keras.Model(image, layers.Conv2D(2, 1, name="scores")(means))
    model.get_layer("scores").set_weights([np.full((1, 1, 3, 2), [-0.01, 0.01]), np.array([3.84, -3.84])])
    return model


@pytest.fixture(scope="module")
def image():
    """Dark, but for the second cell of the first row."""
    image = np.full((70, 100, 3), 20, np.uint8)
    image[:32, 32:64] = 230
    return image


def test_cells_have_the_probabilities_of_their_pixels(classifier, image):
    maps = class_maps(classifier, image)
    odds = np.exp(2 * (0.03 * np.array([[20, 230, 20], [20, 20, 20]]) - 3.84))
    np.testing.assert_allclose(maps[..., 1], odds / (1 + odds), rtol=1e-4)
    assert most_likely(maps, 2) == [0, 1]  # Dark is surer than bright.


def test_red_is_where_the_class_is(classifier, image):
    picture = draw_heatmap(image, class_maps(classifier, image)[..., 1], alpha=1.0).astype(int)
    assert picture.shape == image.shape
    red, blue = picture[16, 48], picture[60, 95]
    assert red[0] > 100 and red[0] > 2 * red[2] and blue[2] > blue[0]
    np.testing.assert_array_equal(picture[69], picture[63])  # What the pools leave over goes on as it was.


def test_a_picture_without_a_cell_is_refused(classifier):
    with pytest.raises(ValueError, match="32 pixels or more a side, received 90 x 31"):
        class_maps(classifier, np.zeros((31, 90, 3), np.uint8))


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--class", "1000"], "--class must be from 0 to 999, received 1000"),
        (["--weights", "none"], "--weights must be imagenet or a file: fresh weights see nothing"),
        (["--weights", "missing.h5"], "--weights missing.h5 is not a file. Give a weights file or imagenet."),
    ],
)
def test_what_cannot_be_drawn_is_one_line(argv, line, tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(b"")
    assert main(["heatmap", str(tmp_path / "a.jpg"), "--output", str(tmp_path / "out"), *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and line in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_weights_that_cannot_be_had_are_advised_as_it_takes_them(tmp_path, monkeypatch, capsys):
    def refuse(request):
        raise OSError("no network")

    monkeypatch.setattr(downloads, "_open", refuse)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").touch()
    assert main(["heatmap", "a.jpg", "--output", "out"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: --weights imagenet: ") and "none" not in err
    assert err.endswith("give a file with --weights FILE.\n")
