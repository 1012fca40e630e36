"""keras_seg as a contender, in a process that is prepared as a command's before TensorFlow is imported."""

from benchmarks.harness.workers import Contender
from keras_seg.process import prepare


def our_contender(name, is_training, **settings):
    """Returns the `Contender` of `steps.training` or `steps.prediction`, whose settings are given."""
    return Contender(name, f"{__name__}:{'training' if is_training else 'prediction'}", settings)


def training(**settings):
    """`steps.training` in a process for training."""
    prepare("training")
    from benchmarks.harness import steps  # Which imports TensorFlow.

    return steps.training(**settings)


def prediction(**settings):
    """`steps.prediction` in a process for inference."""
    prepare("inference")
    from benchmarks.harness import steps  # Likewise.

    return steps.prediction(**settings)
