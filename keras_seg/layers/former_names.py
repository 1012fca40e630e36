"""Names that files of earlier versions have for layers of Keras and of this package."""

import keras

from keras_seg.layers.cropping import CropLike


class PadLike(CropLike):
    """The layer that padded before `CropLike` did."""

    @classmethod
    def from_config(cls, config):
        return CropLike(pad=True, **config)


FORMER_NAMES = {
    "DilatedConv2D": keras.layers.Conv2D,
    "PatchConv2D": keras.layers.Conv2D,
    "PointwiseConv2D": keras.layers.Conv2D,
    "FusedBatchNormalization": keras.layers.BatchNormalization,
    "PadLike": PadLike,
}


def register_former_names():
    """Lets Keras read such files."""
    for name, layer in FORMER_NAMES.items():
        keras.saving.get_custom_objects()[f"keras_seg>{name}"] = layer
