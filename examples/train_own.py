# %% [markdown]
# A network and images of one's own: `keras_seg.train` with Keras's objects where names go. It leaves a run
# folder with the best model, its metrics, pictures and an export, as `train.py` does.
# Run it cell by cell in an editor that knows `# %%`, or whole: `python examples/train_own.py`.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_seg
from keras_seg.data import draw_shapes

# %% [markdown]
# Any `tf.data.Dataset` of images and masks will do; here two are made of arrays. Images are RGB in 0..255,
# masks hold class ids, and 255 where a pixel does not count. A data set shows itself in a notebook.

# %%
drawn = draw_shapes(counts={"train": 16, "val": 4}, size=(32, 32))


def pairs(split):
    samples = drawn.split(split)
    arrays = [np.stack([getattr(sample, name) for sample in samples]) for name in ("image", "mask")]
    return tf.data.Dataset.from_tensor_slices(tuple(arrays))


drawn  # noqa: B018

# %% [markdown]
# A functional model from images of any size to logits.

# %%
image = keras.Input((None, None, 3))
x = layers.Rescaling(1 / 255)(image)
for filters in (16, 16):
    x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
model = keras.Model(image, layers.Conv2D(drawn.num_classes, 1)(x), name="two_layers")

# %% [markdown]
# The loss leaves out what is ignored. A function may augment: its seed is another one for each image.


# %%
def mirrored(image, mask, seed):
    is_mirrored = tf.random.stateless_uniform([], seed) < 0.5
    flip = lambda x: tf.where(is_mirrored, tf.reverse(x, [1]), x)  # noqa: E731
    return flip(image), flip(mask)


run = keras_seg.train(
    dataset=(pairs("train"), pairs("val")),
    model=model,
    classes=drawn.classes,
    optimizer=keras.optimizers.Lion(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
    callbacks=[keras.callbacks.TerminateOnNaN()],
    augment=mirrored,
    epochs=3,
    batch_size=4,
    image_size=(32, 32),
)
run  # noqa: B018

# %% [markdown]
# The run predicts arrays, files and bytes; a prediction shows itself, and unpacks into mask and confidence.

# %%
predictor = run.predictor()
prediction = predictor.predict(drawn.split("val")[0].image)
prediction.save(run.path / "mask.png")
mask, confidence = prediction
print(f"classes {np.unique(mask)}, mean confidence {confidence.mean():.2f}")
prediction  # noqa: B018

# %% [markdown]
# Measured on any data set of the same classes, and exported once more.

# %%
metrics = run.evaluate("shapes")
print(f"mean IoU {metrics['mean_iou']:.3f} on {metrics['num_images']} images")
print(*run.export())
