"""The arithmetic from raw pixels to an encoder's input."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seg.hints import Shape, Tensor

# name -> (channel order of the answer, divisor, mean, standard deviation), the last two in that order.
PREPROCESSINGS = {
    # The BGR mean of ILSVRC 2012 as the FCN authors subtract it (shelhamer/fcn.berkeleyvision.org).
    "caffe": ((2, 1, 0), 1.0, (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0)),
    # The mean that VGG's authors and keras.applications subtract.
    "keras": ((2, 1, 0), 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    # torchvision's normalization of its classification and segmentation weights.
    "torch": ((0, 1, 2), 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # As the SegNet authors feed their networks (SegNet-Tutorial, webcam_demo.py).
    "bgr": ((2, 1, 0), 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    # RGB in -1..1, as Keras's MobileNets and Xception were trained.
    "tf": ((0, 1, 2), 127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    # The same but for the divisor, as EfficientNetV2 S, M and L were trained (keras.applications).
    "tf_128": ((0, 1, 2), 128.0, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "none": ((0, 1, 2), 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
# Means of the same images, a grey level apart at most: FCN's authors started from VGG16 with theirs.
ALIKE = frozenset({"caffe", "keras"})
UNSCALED = frozenset({"caffe", "keras", "bgr"})  # Pixels keep their scale of 0..255.
MEASURED = "measured"


def preprocessing_options(preprocessing: str | Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `Preprocessing` for a builder's option.

    Args:
        preprocessing: A mode, or `{"mean": [C], "deviation": [C]}` as they were measured.

    Raises:
        ValueError: It is neither.
    """
    if not isinstance(preprocessing, Mapping):
        return {"mode": preprocessing}
    if preprocessing.keys() != {"mean", "deviation"}:
        raise ValueError(
            f"preprocessing must be one of {tuple(PREPROCESSINGS)}, or the mean and the deviation of each "
            f"channel, received {preprocessing!r}."
        )
    return {"mode": MEASURED, **preprocessing}


@keras.saving.register_keras_serializable(package="keras_seg")
class Preprocessing(keras.layers.Layer):
    """Turns raw pixels into an encoder's input; the first layer of every network.

    Args:
        mode: `"caffe"` or `"keras"` (BGR in 0..255, less FCN's or Keras's mean), `"torch"` (RGB in 0..1,
            ImageNet mean and deviation), `"bgr"` (BGR in 0..255), `"tf"` or `"tf_128"` (RGB in -1..1,
            divided by 127.5 or 128), `"none"` (pixels as they are) or `"measured"` (the mean of each channel
            subtracted, divided by its deviation). Images of other channels than three keep their order, and
            of a mode's means and deviations each channel gets their mean.
        mean: Of each channel, for `"measured"`.
        deviation: The same.
        stage_ends: Names of the layers in which the stages of the encoder behind it end, finest first;
            `keras_seg.encoders.mark_encoder` sets them. They change nothing here.

    Call arguments:
        image: Pixels `[B, H, W, C]`; RGB in 0..255 for the first three.

    Returns:
        `[B, H, W, C]`, float32 whatever the dtype policy, so that no bit of a pixel is lost here.

    Raises:
        ValueError: `mode` is none of these, or the statistics are not those of the image's channels.
    """

    def __init__(
        self,
        mode: str = "caffe",
        mean: Sequence[float] | None = None,
        deviation: Sequence[float] | None = None,
        stage_ends: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if mode not in (*PREPROCESSINGS, MEASURED):
            raise ValueError(f"preprocessing must be one of {tuple(PREPROCESSINGS)}, received {mode!r}.")
        self.mode, self.stage_ends = mode, tuple(stage_ends)
        self.mean = None if mean is None else tuple(map(float, mean))
        self.deviation = None if deviation is None else tuple(map(float, deviation))
        if mode == MEASURED and (not self.mean or not self.deviation or min(self.deviation) <= 0):
            raise ValueError(f"deviations must be above 0, received {mean} and {deviation}.")

    def build(self, input_shape: Shape) -> None:
        means, deviations = len(self.mean or ()), len(self.deviation or ())
        if self.mode == MEASURED and not means == deviations == input_shape[-1]:
            raise ValueError(
                f"preprocessing has {means} means and {deviations} deviations, and images "
                f"have {input_shape[-1]} channels."
            )

    def call(self, image: Tensor) -> Tensor:
        if self.mode == "none":
            return image
        if self.mode == MEASURED:
            order, divisor, mean, deviation = None, 1.0, self.mean, self.deviation
        else:
            order, divisor, mean, deviation = PREPROCESSINGS[self.mode]
            if image.shape[-1] != 3:
                order, mean, deviation = None, (sum(mean) / 3,), (sum(deviation) / 3,)
        if order not in (None, (0, 1, 2)):
            image = ops.take(image, order, axis=-1)
        return (image / divisor - ops.array(mean, image.dtype)) / ops.array(deviation, image.dtype)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        measured = {"mean": self.mean, "deviation": self.deviation} if self.mode == MEASURED else {}
        ends = {"stage_ends": list(self.stage_ends)} if self.stage_ends else {}
        return {**super().get_config(), "mode": self.mode, **measured, **ends}

    def save_own_variables(self, store: Any) -> None:
        """Writes the mode into files of weights alone, which record it nowhere else."""
        store["mode"] = np.frombuffer(self.mode.encode(), "uint8")

    def load_own_variables(self, store: Any) -> None:
        """Refuses the weights of a network with another preprocessing; older files do not record theirs."""
        mode = saved_mode(store)
        if mode not in (None, "none") and self.mode not in (mode, "none"):
            raise ValueError(f"the weights were trained with preprocessing {mode!r}, not {self.mode!r}.")


def saved_mode(store):
    """The mode that `save_own_variables` wrote into a group of a file; None if there is none."""
    return bytes(np.asarray(store["mode"], "uint8")).decode() if "mode" in store else None
