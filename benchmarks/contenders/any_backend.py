"""keras_seg on whichever Keras backend `KERAS_BACKEND` names, and the matrix products of its framework."""

import keras
import numpy as np
from keras import ops

from benchmarks.harness.workers import MIB
from keras_seg.losses import SegmentationLoss
from keras_seg.models import build_model


def training(network, size, batch_size, num_classes=21, precision="float32"):
    """A step of SGD with momentum on random images that lie on the device."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    model = build_model(network, num_classes, (*size, 3))
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), SegmentationLoss(), jit_compile=_compiles())
    random = np.random.default_rng(0)
    images = ops.convert_to_tensor(random.integers(0, 256, (batch_size, *size, 3)).astype("float32"))
    masks = ops.convert_to_tensor(random.integers(0, num_classes, (batch_size, *size)).astype("int32"))
    return _on_device(lambda: model.train_on_batch(images, masks))


def prediction(network, size, batch_size=1, num_classes=21, precision="float32"):
    """Class ids of random images that lie on the device."""
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    model = build_model(network, num_classes, (*size, 3))
    classes = keras.Model(model.input, ops.cast(ops.argmax(model.output, axis=-1), "uint8"))
    classes.compile(jit_compile=_compiles())
    images = np.random.default_rng(0).integers(0, 256, (batch_size, *size, 3)).astype("float32")
    images = ops.convert_to_tensor(images)
    return _on_device(lambda: classes.predict_on_batch(images))


def matrix_product(side, dtype):
    """A product of two square matrices on the device."""
    product = {"tensorflow": _tensorflow_product, "jax": _jax_product, "torch": _torch_product}
    return product[keras.backend.backend()](side, dtype), {"operations": 2 * side**3}


def _compiles():
    # What `torch.compile` makes of Keras's own layers is left to PyTorch's networks.
    return keras.backend.backend() != "torch"


def _tensorflow_product(side, dtype):
    import tensorflow as tf

    x = tf.cast(tf.random.normal((side, side)), dtype)
    return lambda: float(tf.matmul(x, x)[0, 0])


def _jax_product(side, dtype):
    import jax

    x = jax.random.normal(jax.random.key(0), (side, side), dtype)
    product = jax.jit(jax.numpy.matmul)
    return lambda: product(x, x).block_until_ready()


def _torch_product(side, dtype):
    import torch

    from contenders.torch_device import DEVICE

    x = torch.randn(side, side, dtype=getattr(torch, dtype), device=DEVICE)
    return lambda: float((x @ x)[0, 0])


def _on_device(step):
    """Lets a step say the most memory that it took of the GPU, if there is one."""
    backend = keras.backend.backend()
    if backend == "torch":
        from contenders.torch_device import on_device

        return on_device(step)
    if backend == "jax":
        import jax

        if jax.default_backend() == "gpu":
            step.peak_mib = lambda: jax.devices()[0].memory_stats()["peak_bytes_in_use"] / MIB
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            step.peak_mib = lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"] / MIB
    return step
