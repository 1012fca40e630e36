"""`train` with objects of Keras where names go: models, optimizers, losses, callbacks, data and functions."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg import InputError, Predictor, TrainConfig, train
from keras_seg.data import Augmentation, draw_shapes, eval_batches, load_dataset, train_batches
from keras_seg.data.streams import dataset_of_streams
from keras_seg.evaluation import evaluate
from keras_seg.training import session, trainer
from keras_seg.training.run_state.history import read_history

SMALL = {"widths": [4, 8], "decoder_widths": [4]}
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)


@pytest.fixture
def no_finish(monkeypatch):
    monkeypatch.setattr(session, "finish", lambda *_: None)


def own_model(classes=5, channels=3):
    keras.utils.set_random_seed(7)
    image = keras.Input((None, None, channels))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Conv2D(classes, 1)(x), name="own")


def pairs(folder, split, batch=None):
    """A `tf.data.Dataset` of a split's images and masks."""
    stream = eval_batches(load_dataset(folder), split, max_pixels=0).unbatch()
    return stream.batch(batch) if batch else stream


def train_small(tmp_path, **settings):
    settings = {"epochs": 2, "batch_size": 4, "image_size": (32, 32), "output": tmp_path / "run", **settings}
    return train(report=settings.pop("report", lambda line: None), **settings)


def test_settings_are_given_by_name(eager, no_finish, shapes_folder, tmp_path):
    run = train_small(tmp_path, model="unet", data=shapes_folder, model_options=SMALL, weights="none")
    assert run.config["model"] == "unet" and run.config["epochs"] == 2 and run.config["objects"] == []
    assert {"model", "data", "epochs", "batch_size"} <= set(run.config["given"])
    config = TrainConfig(model="unet", data=shapes_folder, model_options=SMALL, weights="none", epochs=9)
    again = train_small(tmp_path, config=config, output=tmp_path / "again")
    histories = [(each.path / "history.csv").read_text() for each in (run, again)]
    assert histories[0] == histories[1] and again.config["epochs"] == 2


def test_objects_of_keras_train_evaluate_and_export_like_names(eager, shapes_folder, tmp_path):
    seen, model = [], own_model()
    before = [weights.copy() for weights in model.get_weights()]
    run = train_small(
        tmp_path,
        model=model,
        dataset=(pairs(shapes_folder, "train"), pairs(shapes_folder, "val", 2)),
        optimizer=keras.optimizers.Lion(1e-3),
        loss=LOSS,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))],
    )
    assert {path.name for path in run.path.iterdir()} >= {
        "best.keras",
        "metrics.json",
        "samples.png",
        "export",
    }
    assert (run.export_path / "1" / "saved_model.pb").is_file()
    assert all(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))
    rows = read_history(run.path / "history.csv")
    assert [row["val_mean_iou"] for row in rows] == [each["val_mean_iou"] for each in seen]
    assert rows[0]["learning_rate"] == pytest.approx(1e-3)
    dataset = load_dataset(shapes_folder)
    figures = evaluate(run.load_model(), eval_batches(dataset, "val"), dataset.classes)
    assert figures["mean_iou"] == pytest.approx(max(row["val_mean_iou"] for row in rows), abs=1e-6)
    assert figures["mean_iou"] == json.loads((run.path / "metrics.json").read_text())["mean_iou"]
    assert Predictor(run).predict(np.zeros((9, 7, 3), "uint8")).mask.shape == (9, 7)
    assert (
        run.config["model"] == "own" and run.config["optimizer"] == "Lion" and run.config["data"] == "dataset"
    )
    assert set(run.config["objects"]) == {"model", "dataset", "optimizer", "loss", "callbacks"}


def test_what_keras_fits_by_itself_has_the_same_losses(eager, no_finish, tmp_path):
    """The same images in the same order, of the size that is trained on, by `fit` and by `train`."""
    samples = draw_shapes(counts={"train": 6, "val": 2}, size=(16, 16))
    streams = [
        tf.data.Dataset.from_tensor_slices(
            tuple(
                np.stack([getattr(each, name) for each in samples.split(split)]) for name in ("image", "mask")
            )
        )
        for split in ("train", "val")
    ]
    model, plain = own_model(), own_model()
    common = {"epochs": 2, "callbacks": []}
    run = train_small(
        tmp_path, model=model, dataset=streams, loss=LOSS, optimizer=keras.optimizers.SGD(0.1), augment=False,
        batch_size=2, image_size=(16, 16),
    )  # fmt: skip
    plain.compile(keras.optimizers.SGD(0.1), LOSS)
    found = plain.fit(streams[0].batch(2), validation_data=streams[1].batch(2), verbose=0, **common).history
    rows = read_history(run.path / "history.csv")
    assert [row["loss"] for row in rows] == pytest.approx(found["loss"], rel=1e-6)
    assert [row["val_loss"] for row in rows] == pytest.approx(found["val_loss"], rel=1e-6)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_run_with_objects_goes_on_to_the_same_bits_where_they_are_given_again(
    eager, no_finish, shapes_folder, tmp_path
):
    def objects():
        return {
            "model": own_model(),
            "dataset": {name: pairs(shapes_folder, name) for name in ("train", "val")},
            "optimizer": keras.optimizers.Adam(1e-2),
            "augment": lambda image, mask, seed: (
                tf.image.stateless_random_flip_left_right(image, seed),
                mask,
            ),
        }

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    whole = train_small(tmp_path, **objects(), output=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path, **objects(), callbacks=[Stop()], checkpoint_every="1")
    run = tmp_path / "run"
    missing = "was trained with dataset and model and optimizer and augment given as objects, which no file"
    with pytest.raises(InputError, match=f"{missing} holds; give them again"):
        train(resume=run, callbacks=[], report=print)
    with pytest.raises(InputError, match=r"callbacks given as objects, .* or callbacks=\[\] to continue"):
        train(resume=run, **objects(), report=print)
    with pytest.raises(InputError, match="was trained without a loss of one's own; drop it"):
        train(resume=run, **objects(), callbacks=[], loss=LOSS, report=print)
    again = train(resume=run, **objects(), callbacks=[], report=lambda line: None)
    assert (again.path / "history.csv").read_text() == (whole.path / "history.csv").read_text()
    for one, other in zip(again.load_model().get_weights(), whole.load_model().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_data_set_of_this_library_trains_as_the_folder_that_it_was_loaded_from(
    eager, no_finish, shapes_folder, tmp_path
):
    common = {"model": "unet", "model_options": SMALL, "weights": "none", "epochs": 1}
    one = train_small(tmp_path, data=shapes_folder, **common, output=tmp_path / "one")
    other = train_small(tmp_path, dataset=load_dataset(shapes_folder), **common)
    histories = [(each.path / "history.csv").read_text() for each in (one, other)]
    assert histories[0] == histories[1]
    assert other.config["objects"] == ["dataset"] and other.classes == one.classes


def test_a_function_augments_with_a_seed_for_each_image(shapes_folder):
    dataset = load_dataset(shapes_folder)

    def brighten(image, mask, seed):
        return tf.cast(image, tf.float32) * 0 + tf.cast(seed[1] + 100 * seed[0], tf.float32), mask

    for _ in range(2):
        batches = train_batches(dataset, (16, 16), 4, seed=1, augment=brighten)
        images, masks = next(iter(batches))
        assert masks.shape == (4, 16, 16) and images.dtype == tf.uint8
        assert [int(image[0, 0, 0]) for image in images] == [100, 101, 102, 103]


def test_an_augmentation_is_taken_for_its_settings(monkeypatch):
    asked = []
    monkeypatch.setattr(trainer, "train_run", lambda config, *_: asked.append(config))
    train(model="unet", data="x", augment=Augmentation(rotation=5))
    assert asked[0].augmentation == Augmentation(rotation=5)


def stream(images, masks):
    return tf.data.Dataset.from_tensor_slices((images, masks))


IMAGES, MASKS = np.zeros((3, 8, 6, 3), "uint8"), np.zeros((3, 8, 6), "int32")


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        (stream(IMAGES, MASKS).repeat(), "val repeats for ever, and an epoch has an end; leave repeat"),
        (
            stream(IMAGES, MASKS + 7),
            "image 1 of val holds 7, and the classes are 0 to 2; say classes=8",
        ),
        (stream(IMAGES, MASKS - 1), "the mask of image 1 of val holds -1"),
        (stream(IMAGES, MASKS[:, :4]), "image 1 of val has the shape [4, 6], and the image [8, 6]"),
        (tf.data.Dataset.from_tensor_slices(IMAGES), "val must give pairs of an image [H, W, C] and a mask"),
        (stream(IMAGES, MASKS).take(0), "val holds no images"),
        (stream(IMAGES[..., :1], MASKS), "holds uint8 of 3 channels in train, uint8 of 1 channel in val"),
    ],
)
def test_a_stream_that_is_not_right_is_told_in_a_line(pairs, text):
    with pytest.raises(InputError) as error:
        dataset_of_streams({"train": stream(IMAGES, MASKS), "val": pairs}, 3)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_stream_is_read_as_it_comes_with_255_ignored():
    masks = MASKS.copy()
    masks[1, 0, 0] = 255
    images = np.arange(3, dtype="uint8")[:, None, None, None] + IMAGES
    dataset = dataset_of_streams({"train": stream(images, masks[..., None]).batch(2)}, ["a", "b"])
    assert len(dataset.split("train")) == 3 and dataset.images.is_rgb
    found = [(int(i[0, 0, 0, 0]), int(m[0, 0, 0])) for i, m in eval_batches(dataset, "train", max_pixels=0)]
    assert found == [(0, 0), (1, 255), (2, 0)]
    assert [int(i[0, 0, 0, 0]) for i, _ in eval_batches(dataset, "train", limit=2, max_pixels=0)] == [0, 1]
    (images, _), (last, _), *_ = iter(train_batches(dataset, (8, 6), 2, augment=False).take(4))
    assert images[:, 0, 0, 0].numpy().tolist() == [0, 1] and last[:, 0, 0, 0].numpy().tolist() == [2]


def two(**given):
    return {"dataset": (stream(IMAGES, MASKS), stream(IMAGES, MASKS)), **given}


class Subclassed(keras.Model):
    pass


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"epoch": 3}, "epoch is not a setting; is it epochs?"),
        ({"data_set": 3}, "data_set is not a setting; is it dataset?"),
        ({"config": "unet"}, "config must be a TrainConfig, received 'unet'"),
        ({"dataset": stream(IMAGES, MASKS)}, "dataset=(train, val); received"),
        (two(), "classes: say how many there are"),
        (two(classes=3, data="x"), "data does nothing beside a dataset of one's own"),
        (two(classes=3, ignore_label=3), "ignore_label does nothing beside a dataset of one's own"),
        (two(classes=3, distribute="mirrored"), "distribute mirrored and a dataset of one's own exclude"),
        (two(classes=3, model=own_model(4)), "own gives 4 logits, and dataset has 3 classes; give it 3"),
        (two(model=own_model(4, 1)), "own takes images of 1 channels, and those of dataset have 3"),
        ({"model": own_model(), "weights": "none"}, "weights does nothing beside a model of one's own"),
        ({"model": Subclassed(name="sub")}, "sub is no functional model, and cannot be saved whole"),
        (
            {"model": keras.Sequential([keras.Input([4]), layers.Dense(2)], name="flat")},
            "flat must be from images",
        ),
        (
            {"optimizer": keras.optimizers.SGD(), "learning_rate": 0.1},
            "learning_rate does nothing beside an opt",
        ),
        ({"loss": LOSS, "class_weights": "1,2"}, "class_weights does nothing beside a loss of one's own"),
        ({"augment": lambda *_: None, "blur": 1.0}, "blur does nothing beside an augment of one's own"),
        ({"callbacks": print}, "callbacks must be Keras's, received"),
        ({"classes": 3}, "classes is of tf.data datasets"),
        ({"resume": "run", "model": "unet"}, "model: a resumed run keeps its settings"),
        ({"resume": "run", "seed": 3}, "seed: a resumed run keeps its settings"),
        ({"model": "fcn9"}, "model must be one of"),
    ],
)
def test_what_train_cannot_take_is_told_in_a_line_and_leaves_nothing(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        train(**arguments, report=lambda line: None)
    assert text in str(error.value) and len(str(error.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_stage_may_be_named_by_a_path_and_one_that_is_missing_leaves_nothing(shapes_folder, tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        train_small(
            tmp_path, model="unet", data=shapes_folder, model_options=SMALL, init_from=tmp_path / "none"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_objects_is_replayed_from_python_alone(tmp_path):
    config = {**TrainConfig().resolve().to_dict(), "objects": ["model", "loss"]}
    with pytest.raises(InputError, match="trained with model and loss given in Python"):
        TrainConfig.from_dict(config)
