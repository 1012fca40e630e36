"""The memory that a network takes, computed from its TensorFlow graph, and the image size that fits."""

import math
from typing import NamedTuple

import tensorflow as tf

from keras_seg.encoders import PAD_LAYER
from keras_seg.errors import InputError
from keras_seg.inference.tiles import Tiling
from keras_seg.logits import classify

GIGABYTE = 10**9
DEFAULT_MEMORY = 8 * GIGABYTE
LEAST_SIDE = 256  # Pixels of a tile; smaller ones would see too little, and cost too much.
# Address space of TensorFlow Serving's loader with a network of a few weights: 1.6 GB, most of it libraries.
PROGRAM = 1_700_000_000
# As they were loaded, and as the kernels want them.
COPIES_OF_WEIGHTS = 3
# For each pixel of a whole image: what is held of its samples: a file, decoded, turned; of bytes: maps, PNGs.
_COPIES_OF_IMAGES, _MAPS_BYTES = 3, 7
MAX_PIXELS = 1 << 25  # Of an image for which there is to be memory.
_USUAL_PIXELS = 12_000_000  # Of a photograph.
_SIDE = 512  # Pixels of the image that is traced; any other gives the same per pixel.
# Operations whose output takes the place of their first input.
_IN_PLACE = ("BiasAdd", "Identity", "Relu", "Reshape", "ExpandDims", "Squeeze")
_UNCOUNTED = ("Const", "ReadVariableOp")  # Weights.
_FLOAT = 4  # Bytes


class Footprint(NamedTuple):
    """Memory that a network takes.

    Attributes:
        fixed: Bytes, whatever the image: the program and the weights.
        per_pixel: Bytes for each pixel that goes through at once, padding included.
        padding: (rows, columns) that the network puts around an image.
        size: (height, width) of all its images, None where any will do.
        image_bytes: Bytes for each pixel of an image, however much of it goes through at once.
    """

    fixed: int
    per_pixel: float
    padding: tuple = (0, 0)
    size: tuple | None = None
    image_bytes: int = 16

    @property
    def least(self):
        """Bytes that the smallest tile takes, or the whole image where there is one size."""
        rows, columns = self.padding
        height, width = self._smallest
        return math.ceil(self.fixed + self.per_pixel * (height + rows) * (width + columns))

    @property
    def _smallest(self):
        return self.size or (LEAST_SIDE, LEAST_SIDE)

    def image_pixels(self, memory, wanted=MAX_PIXELS):
        """Returns how large images may be: `wanted`, or what half of the bytes holds that are left."""
        return max(min(wanted, int((memory - self.least) / 2 / self.image_bytes)), 1)

    def tiling(self, memory, pixels):
        """Divides memory between an image and the part of it that goes through the network at once.

        Args:
            memory: Bytes.
            pixels: Of the largest image.

        Returns:
            `Tiling`.

        Raises:
            InputError: The memory is too little.
        """
        if memory < self.least + pixels * self.image_bytes:
            raise InputError(f"--memory {memory / GIGABYTE:g}: {self._way_out(memory, pixels)}")
        return Tiling(int((memory - self.fixed - pixels * self.image_bytes) / self.per_pixel), self.padding)

    def _way_out(self, memory, pixels):
        height, width = self._smallest
        taken = f"take {self.least / GIGABYTE:.2f} GB"
        least = f"the program, the weights and {height} x {width} pixels at once {taken}"
        if memory < self.least:
            # Twice, as `image_pixels` gives an image half of what is left.
            enough = _rounded_up(self.least + 2 * _USUAL_PIXELS * self.image_bytes)
            return f"{least}; {enough} are enough for images of {_USUAL_PIXELS / 1e6:g} megapixels"
        image = pixels * self.image_bytes
        return (
            f"{least}, and an image of {pixels / 1e6:.1f} megapixels {image / GIGABYTE:.2f}; allow "
            f"{_rounded_up(self.least + image)}, or fewer pixels"
        )


def _rounded_up(memory):
    return f"{math.ceil(memory / GIGABYTE * 10) / 10:g}"


def footprint(model, network, kind):
    """Computes what a network takes, with the classification of its logits.

    Args:
        model: The `keras.Model`.
        network: A function of float images [N, H, W, C] to logits that runs it.
        kind: `ImageKind` of its images.

    Returns:
        `Footprint`.
    """
    known = model.inputs[0].shape[1:3]
    height, width = (side or _SIDE for side in known)
    rows, columns = padding = padding_of(model)
    trace = tf.function(lambda images: classify(network(images)), autograph=False)
    graph = trace.get_concrete_function(tf.TensorSpec([1, height, width, kind.channels], tf.float32)).graph
    weights = sum(variable.shape.num_elements() * variable.dtype.size for variable in graph.variables)
    return Footprint(
        PROGRAM + COPIES_OF_WEIGHTS * weights,
        peak_bytes(graph) / ((height + rows) * (width + columns)),
        padding,
        None if None in known else tuple(known),
        _COPIES_OF_IMAGES * kind.channels * tf.as_dtype(kind.dtype).size + _MAPS_BYTES,
    )


def padding_of(model):
    """Returns (rows, columns) that a network puts around an image, 200 in the original FCNs: one pixel costs
    them what 40,000 do.
    """
    layer = next((layer for layer in model.layers if layer.name == PAD_LAYER), None)
    return tuple(map(sum, layer.padding)) if layer else (0, 0)


def peak_bytes(graph):
    """Bytes of all tensors that are held at once, at most, when a graph's operations run in their order.

    Args:
        graph: `tf.Graph` of tensors whose shapes are known.
    """
    operations = graph.get_operations()
    place = {}  # Tensor -> the one in whose memory it lies.
    size, last = {}, {}  # Of that one: its bytes, and its last reader.
    for index, operation in enumerate(operations):
        places = [place[tensor.ref()] for tensor in operation.inputs]
        last.update(dict.fromkeys(places, index))
        for tensor in operation.outputs:
            at = places[0] if operation.type in _IN_PLACE else tensor.ref()
            place[tensor.ref()] = at
            size.setdefault(at, _bytes(tensor) if operation.type not in _UNCOUNTED else 0)
            last[at] = index
    last.update((place[tensor.ref()], len(operations)) for tensor in graph.outputs)
    freed = [0] * (len(operations) + 1)
    for at, index in last.items():
        freed[index] += size[at]
    begun, held, peak = set(), 0, 0
    for index, operation in enumerate(operations):
        new = {place[tensor.ref()] for tensor in operation.outputs} - begun
        begun |= new
        held += sum(size[at] for at in new)
        peak = max(peak, held + scratch_bytes(operation))
        held -= freed[index]
    return peak


def scratch_bytes(operation):
    """Bytes that an operation takes for itself.

    Without oneDNN a convolution lays out all that its kernel sees at each pixel, `rows x columns x channels`
    numbers, in one block (Eigen's packed side of a matrix product).
    """
    if operation.type in ("MatMul", "BatchMatMulV2"):
        return _bytes(operation.inputs[0])
    if operation.type == "Conv2D":
        pixels = operation.outputs[0].shape[:3]
    elif operation.type == "Conv2DBackpropInput":  # A transposed convolution.
        pixels = operation.inputs[2].shape[:3]
    else:
        return 0
    rows, columns, channels = operation.inputs[1].shape[:3]
    return _FLOAT * pixels.num_elements() * rows * columns * channels


def _bytes(tensor):
    elements = tensor.shape.num_elements()
    return 0 if elements is None or tensor.dtype == tf.resource else elements * tensor.dtype.size
