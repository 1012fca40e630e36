"""Logits: which of a network's outputs they are, and their class ids."""

from keras import ops


def most_likely(logits):
    """The class of the largest logit of every pixel; of equals the first.

    Args:
        logits: Float `[..., C]`, a tensor of any Keras backend.

    Returns:
        `(logit, class_id)`, both `[..., 1]`: of the type of the logits, and int32.
    """
    # Faster on a CPU than a maximum and an argmax, which in Keras looks for negative zeros first.
    return ops.top_k(logits, 1)


def main_output(model):
    """The logits `[B, H, W, C]` of a network that are not its auxiliary head's."""
    return model.output["out"] if isinstance(model.output, dict) else model.output


def num_classes(model):
    """The number of classes of a network: the channels of its logits."""
    return main_output(model).shape[-1]
