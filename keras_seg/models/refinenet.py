"""RefineNet: Lin, Milan, Shen and Reid, 2017 (arXiv:1611.06612)."""

from keras import layers

from keras_seg.layers import ResizeLike
from keras_seg.models.blocks import classify, encode, segmentation_model
from keras_seg.pretrained.torch_names import STEM_AND_FIRST, resnet_children
from keras_seg.rows import Network

FILTERS = (256, 256, 256, 512)  # Of the blocks, the finest first.


def conv3x3(x, filters, name, use_bias=False):
    """A 3x3 convolution that keeps the size of its map."""
    return layers.Conv2D(
        filters, 3, padding="same", use_bias=use_bias, kernel_initializer="he_normal", name=name
    )(x)


def residual_conv_unit(x, name, rectify=True):
    """ReLU and convolution twice, added to the input, which is rectified where the ReLU works in place."""
    skip, x = x, layers.ReLU(name=f"{name}_relu1")(x)
    skip = x if rectify else skip
    x = conv3x3(x, x.shape[-1], f"{name}_conv1", use_bias=True)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv3x3(x, x.shape[-1], f"{name}_conv2")
    return layers.Add(name=f"{name}_add")([x, skip])


def two_residual_conv_units(x, name, rectify=True):
    """Two residual units, one after the other."""
    for index in (0, 1):
        x = residual_conv_unit(x, f"{name}_{index}", rectify)
    return x


def multi_resolution_fusion(coarse, fine, name):
    """The sum of two maps, convolved to the finer one's channels, at the finer one's size."""
    filters = fine.shape[-1]
    coarse = conv3x3(coarse, filters, f"{name}_resolve0")
    fine = conv3x3(fine, filters, f"{name}_resolve1")
    coarse = ResizeLike(align_corners=True, name=f"{name}_resize")([coarse, fine])
    return layers.Add(name=f"{name}_add")([coarse, fine])


def chained_residual_pooling(x, name):
    """Two 5x5 pools with a convolution each, one fed by the other; the sum of all."""
    x = layers.ReLU(name=f"{name}_relu")(x)
    maps = [x]
    for index in (1, 2):
        x = layers.MaxPooling2D(5, strides=1, padding="same", name=f"{name}_pool{index}")(x)
        x = conv3x3(x, x.shape[-1], f"{name}_conv{index}")
        maps.append(x)
    return layers.Add(name=f"{name}_add")(maps)


def refine(x, skip, name, rectify=True):
    """One RefineNet block: refines `skip`, a stage of the encoder, by the coarser answer `x` (or None)."""
    paths = [path for path in (x, skip) if path is not None]
    paths = [two_residual_conv_units(path, f"{name}_rcu{index}", rectify) for index, path in enumerate(paths)]
    x = paths[0] if len(paths) == 1 else multi_resolution_fusion(paths[0], paths[1], f"{name}_mrf")
    x = chained_residual_pooling(x, f"{name}_crp")
    return residual_conv_unit(x, f"{name}_output", rectify)


def refinenet(
    num_classes,
    input_shape=(None, None, 3),
    *,
    encoder="resnet50",
    as_published=False,
    preprocessing=None,
    name="refinenet",
):
    """Builds RefineNet: four cascaded blocks refine the stages of a ResNet, the coarsest first.

    For the other arguments and the answer see `build_model`.

    Args:
        as_published: Whether a residual unit adds its input itself, as in the paper, and not what its first
            ReLU makes of it, as in the reference, whose ReLU works in place.
    """
    rectify = not as_published
    image, pyramid = encode(input_shape, encoder, preprocessing)
    x = None
    for level in (4, 3, 2, 1):
        skip = conv3x3(pyramid[level], FILTERS[level - 1], f"reduce{level}")
        x = refine(x, skip, f"refine{level}", rectify)
    x = two_residual_conv_units(x, "output_rcu", rectify)
    return segmentation_model(image, classify(x, num_classes), name, align_corners=True)


NETWORKS = (
    Network(
        "refinenet",
        refinenet,
        paper="1611.06612",
        output_stride=32,
        parameters=90_759_765,
        reference="seed",
        torch_names=(
            *resnet_children(
                ("layer1", STEM_AND_FIRST),
                ("layer2", {None: 5}),
                ("layer3", {None: 6}),
                ("layer4", {None: 7}),
            ),
            (r"layer(\d)_reduce", r"reduce\1"),
            (r"refinenet(\d)\.rcu\.(\d)\.(\d)\.rcu\.1", r"refine\1_rcu\2_\3_conv1"),
            (r"refinenet(\d)\.rcu\.(\d)\.(\d)\.rcu\.3", r"refine\1_rcu\2_\3_conv2"),
            (r"refinenet(\d)\.mrf\.(resolve\d)", r"refine\1_mrf_\2"),
            (r"refinenet(\d)\.crp\.block(\d)\.1", r"refine\1_crp_conv\2"),
            (r"refinenet(\d)\.output_conv\.rcu\.1", r"refine\1_output_conv1"),
            (r"refinenet(\d)\.output_conv\.rcu\.3", r"refine\1_output_conv2"),
            (r"output_conv\.0\.(\d)\.rcu\.1", r"output_rcu_\1_conv1"),
            (r"output_conv\.0\.(\d)\.rcu\.3", r"output_rcu_\1_conv2"),
            (r"output_conv\.1", "score"),
        ),
    ),
)
