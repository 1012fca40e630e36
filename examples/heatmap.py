# %% [markdown]
# Where in a picture a classifier of images sees a class: VGG16, whose dense layers become convolutions, gives
# an answer for every cell of 32 x 32 pixels. `python -m keras_seg heatmap` does the same for files.
# Run it cell by cell in an editor that knows `# %%`, or whole:
# `python examples/heatmap.py [PICTURE] [WEIGHTS]`.

# %%
import sys
from pathlib import Path

import keras_seg
from keras_seg.data import draw_shapes
from keras_seg.inference import read_image, write_image
from keras_seg.inference.heatmaps import class_maps, draw_heatmap, most_likely
from keras_seg.models.classifier import vgg16_classifier
from keras_seg.pretrained import resolve_weights

folder = Path("runs/heatmap")
folder.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# A photograph, or without one a drawn scene.

# %%
if len(sys.argv) > 1:
    image = read_image(sys.argv[1])
else:
    image = draw_shapes(counts={"val": 1}, size=(256, 320)).split("val")[0].image

# %% [markdown]
# `padding="same"` takes pictures from 32 pixels up; `"valid"`, as FCN's authors show it, from 224, with an
# answer for each window of 224 x 224. Without the published weights the maps are those of random ones.

# %%
classifier = vgg16_classifier(padding="same")
weights, line = resolve_weights("vgg16_classifier", sys.argv[2] if len(sys.argv) > 2 else "auto")
print(line)
if weights is not None:
    print(keras_seg.load_weights(classifier, weights))

# %% [markdown]
# The maps of ImageNet's 1000 classes; the most likely three are drawn.

# %%
maps = class_maps(classifier, image)
for class_id in most_likely(maps, 3):
    path = folder / f"class-{class_id}.jpg"
    write_image(path, draw_heatmap(image, maps[..., class_id]))
    print(f"{path}: probability up to {maps[..., class_id].max():.3f}")
