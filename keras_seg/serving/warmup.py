"""Warm-up records: requests that TensorFlow Serving tries on a model before it serves it."""

import cv2
import numpy as np
import tensorflow as tf

from keras_seg.data.samples import RGB
from keras_seg.serving.protocol import PredictionLog, predict_request
from keras_seg.serving.signatures import takes_pictures

PATH = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000  # TensorFlow Serving loads no model that has more.
_ENCODED = ("bytes", "confidence", "overlay")


def warmup_requests(sizes, num_images=1, array_size=None, logits_pixels=None, kind=RGB):
    """Returns `[(signature, {input: array})]`, one for every signature and size.

    Args:
        sizes: (height, width) pairs in pixels.
        num_images: N of the arrays.
        array_size: the one size that arrays can have; None: `sizes`.
        logits_pixels: the most that `logits` takes, which is left out above it; None: any.
        kind: `ImageKind` of the images.
    """
    requests = [("labels", {"query": _strings(b"")})]
    for height, width in [tuple(array_size)] if array_size else sizes:
        images = np.zeros((num_images, height, width, kind.channels), kind.dtype)
        has_logits = logits_pixels is None or num_images * height * width <= logits_pixels
        requests += [(name, {"images": images}) for name in ("serving_default", *["logits"] * has_logits)]
    for height, width in sizes if takes_pictures(kind) else ():
        image = np.zeros((height, width, kind.channels), np.uint8)
        suffix = ".png" if kind.channels == 4 else ".jpg"
        picture = _strings(cv2.imencode(suffix, image)[1].tobytes())
        requests += [(name, {"image_bytes": picture}) for name in _ENCODED]
        requests.append(("tiled", {"image_bytes": picture, "flips": np.array([False])}))
    return requests


def write_warmup(folder, model, requests):
    """Writes the requests into a SavedModel's folder as a TFRecord of PredictionLog.

    Args:
        folder: the SavedModel.
        model: its name at the server.
        requests: as from `warmup_requests`.
    """
    path = folder / PATH
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            log = PredictionLog()
            log.predict_log.request.CopyFrom(predict_request(model, signature, inputs))
            writer.write(log.SerializeToString())


def _strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array
