"""VGG16's convolutions, in the order of its files."""

DEPTHS = (2, 2, 3, 3, 3)  # Convolutions of each stage.
CONVOLUTIONS = tuple(
    f"block{stage}_conv{index}" for stage, depth in enumerate(DEPTHS, 1) for index in range(1, depth + 1)
)


def sequence_names(batch_norm=False):
    """Names our layers by their position in torchvision's `nn.Sequential`, which counts ReLUs and pools too.

    Args:
        batch_norm: Whether each convolution is followed by batch normalization.

    Returns:
        `{position: layer name}`, for instance `{0: "block1_conv1", 2: "block1_conv2", ...}`.
    """
    names, position = {}, 0
    for name, following in zip(CONVOLUTIONS, (*CONVOLUTIONS[1:], ""), strict=True):
        names[position] = name
        if batch_norm:
            names[position + 1] = f"{name}_bn"
        position += 3 if batch_norm else 2
        if not following.startswith(name[:6]):  # A pool ends the stage.
            position += 1
    return names
