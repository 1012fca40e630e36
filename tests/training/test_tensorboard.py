"""What TensorBoard's own reader finds in the folder of a training."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_seg.data import draw_shapes, eval_batches
from keras_seg.losses import SegmentationLoss
from keras_seg.metrics import ConfusionMatrixMetric
from keras_seg.training.loop.tensorboard import draw_confusion, tensorboard_callbacks

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

EPOCHS = 2


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A network of one convolution after two epochs: (folder, model, data set)."""
    folder = tmp_path_factory.mktemp("run")
    dataset = draw_shapes(counts={"train": 4, "val": 6}, size=(16, 24))
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(5, 1)(layers.Rescaling(1 / 255)(image)))
    model.compile("sgd", SegmentationLoss(), metrics=[ConfusionMatrixMetric(5)])
    model.fit(
        eval_batches(dataset, "train"),
        validation_data=eval_batches(dataset, "val"),
        epochs=EPOCHS,
        verbose=0,
        callbacks=tensorboard_callbacks(folder, dataset, sample_count=2),
    )
    return folder / "tensorboard", model, dataset


def events(folder, tag):
    reader = event_accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return reader.Tensors(tag)


def picture(event):
    """The height, width and pixels of an image event."""
    width, height, png = event.tensor_proto.string_val
    pixels = tf.io.decode_png(png).numpy()
    assert pixels.shape == (int(height), int(width), 3)
    return pixels


def test_scalars_of_training_and_validation_are_there_for_every_epoch(training):
    for split in ("train", "validation"):
        for name in ("epoch_loss", "epoch_mean_iou"):
            assert [event.step for event in events(training[0] / split, name)] == [0, 1]


def test_the_graph_of_layers_is_one_that_tensorboard_can_draw(training):
    from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def

    (event,) = events(training[0] / "train", "keras")
    graph = keras_model_to_graph_def(json.loads(event.tensor_proto.string_val[0]))
    assert len(graph.node) == len(training[1].layers)


def test_sample_predictions_are_drawn_after_every_epoch(training):
    drawn = events(training[0] / "pictures", "samples")
    assert [event.step for event in drawn] == list(range(EPOCHS))
    height, width, _ = picture(drawn[0]).shape
    assert width >= 3 * 320 and height >= 2 * 320 * 16 // 24  # Image, truth and prediction of two images.


def test_the_confusion_matrix_is_that_of_the_validation_set(training):
    folder, model, dataset = training
    drawn = events(folder / "pictures", "confusion_matrix")
    assert [event.step for event in drawn] == list(range(EPOCHS))
    metric = ConfusionMatrixMetric(5)
    for images, masks in eval_batches(dataset, "val"):
        metric.update_state(masks, model(images))
    expected = draw_confusion(metric.matrix.numpy(), dataset.classes)
    np.testing.assert_array_equal(picture(drawn[-1]), expected)


def test_a_training_that_begins_with_the_end_of_an_epoch_has_its_pictures(training, tmp_path):
    _, model, dataset = training
    callback = tensorboard_callbacks(tmp_path, dataset)[1]
    callback.set_model(model)
    callback.on_epoch_end(4, {"val_loss": 1.0})
    callback.on_train_end()
    assert [event.step for event in events(tmp_path / "tensorboard" / "pictures", "samples")] == [4]


def test_a_model_without_the_metric_has_samples_alone(training, tmp_path):
    _, model, dataset = training
    plain = keras.Model(model.input, model.output)
    plain.compile("sgd", SegmentationLoss())
    callback = tensorboard_callbacks(tmp_path, dataset, sample_count=1)[1]
    callback.set_model(plain)
    callback.on_epoch_end(0, {"val_loss": 1.0})
    callback.on_train_end()
    folder = tmp_path / "tensorboard" / "pictures"
    assert events(folder, "samples")
    with pytest.raises(KeyError):
        events(folder, "confusion_matrix")


def test_the_confusion_matrix_shows_shares_of_the_truth():
    sure = draw_confusion(np.diag([9, 1]), ("a", "b"))
    np.testing.assert_array_equal(sure, draw_confusion(np.diag([1, 9]), ("a", "b")))
    assert (sure != draw_confusion(np.array([[1, 8], [0, 1]]), ("a", "b"))).any()
    assert draw_confusion(np.zeros((30, 30)), [str(i) for i in range(30)]).shape == sure.shape
