# %% [markdown]
# A network, a loss and metrics of this library in plain Keras: `model.compile` and `model.fit`.
# Run it cell by cell in an editor that knows `# %%`, or whole: `python examples/keras_native.py`.

# %%
from pathlib import Path

import keras

import keras_seg
from keras_seg.data import draw_shapes, eval_batches, read_sample, steps_per_epoch, train_batches
from keras_seg.inference import write_image
from keras_seg.losses import SegmentationLoss
from keras_seg.metrics import ConfusionMatrixMetric, scores
from keras_seg.training.loop.callbacks import History
from keras_seg.training.loop.pictures import comparison_sheet, draw_curves

folder = Path("runs/keras-native")
folder.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(0)

# %% [markdown]
# Data: `load_dataset("photographs")` reads a folder; here the program draws some. Batches are `tf.data`
# datasets of images, RGB in 0..255, and class ids, 255 where a pixel is ignored.

# %%
dataset = draw_shapes(counts={"train": 48, "val": 8}, size=(32, 32))
batches = train_batches(dataset, image_size=(32, 32), batch_size=8, augment=False)

# %% [markdown]
# Any network of `keras_seg.MODELS`, here a U-Net of three levels for the small pictures. It takes the pixels
# as they are and returns logits of the image's size.
# The outline between two shapes is ignored by the loss and the metrics;
# docs/reference/losses.md lists the losses.

# %%
model = keras_seg.build_model("unet", dataset.num_classes, widths=(32, 64, 128), decoder_widths=(64, 32))
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=SegmentationLoss("ce+0.5*dice", class_weights=[0.5, 1, 1, 1, 1]),
    metrics=[
        ConfusionMatrixMetric(dataset.num_classes, "mean_iou"),
        ConfusionMatrixMetric(dataset.num_classes, "pixel_accuracy"),
    ],
)

# %% [markdown]
# Callbacks of Keras and of this library go together; with the package tensorboard, predictions are drawn
# after each epoch by `*keras_seg.training.loop.tensorboard.tensorboard_callbacks(folder, dataset)`.

# %%
rows = []
best = folder / "best.keras"
history = model.fit(
    batches,
    steps_per_epoch=steps_per_epoch(dataset, 8),
    validation_data=eval_batches(dataset, "val"),
    epochs=3,
    shuffle=False,  # The batches are in an order of their own already.
    verbose=2,
    callbacks=[
        History(folder / "history.csv", rows),
        keras.callbacks.ModelCheckpoint(best, monitor="val_mean_iou", mode="max", save_best_only=True),
    ],
)
draw_curves(rows, folder / "curves.png")

# %% [markdown]
# The best model needs no `custom_objects`. Its confusion matrix has every figure of every class.

# %%
model = keras.models.load_model(best)
metric = ConfusionMatrixMetric(dataset.num_classes)
for images, masks in eval_batches(dataset, "val"):
    metric.update_state(masks, model(images))
figures = scores(keras.ops.convert_to_numpy(metric.matrix))
for name, iou, precision, recall in zip(
    dataset.classes, figures["iou"], figures["precision"], figures["recall"], strict=True
):
    print(f"{name:10} IoU {iou:.3f}  precision {precision:.3f}  recall {recall:.3f}")

# %% [markdown]
# And what it looks like.

# %%
predictor = keras_seg.Predictor(model, dataset.classes, dataset.colors)
pairs = [read_sample(sample, dataset) for sample in dataset.split("val")[:4]]
samples = [(image, mask, predictor.predict(image).mask) for image, mask in pairs]
write_image(folder / "samples.png", comparison_sheet(samples, dataset.classes, dataset.colors))
