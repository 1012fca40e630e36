"""Layers with too few channels for bfloat16."""

_FEW = 8


def has_few_channels(layer, num_classes):
    """Whether a layer gives an image's or the classes' channels, which stay float32 in every precision.

    No bit of a pixel may be lost, and bfloat16 has 8 bits to tell the scores of two classes apart.

    Args:
        layer: Of a built network.
        num_classes: Channels of the network's logits.
    """
    # Some pools give the places of the maxima too.
    output = layer.output[0] if isinstance(layer.output, (list, tuple)) else layer.output
    return output.shape[-1] == num_classes or output.shape[-1] < _FEW
