"""SegNet: Badrinarayanan, Kendall and Cipolla, 2017 (arXiv:1511.00561)."""

import keras

from keras_seg.encoders import mark_encoder
from keras_seg.encoders.vgg16 import STAGES, convolutions
from keras_seg.layers import MaxPoolingWithIndices2D, MaxUnpooling2D
from keras_seg.models.blocks import classify, conv_bn_relu, read_image
from keras_seg.pretrained.torch_names import VGG16_BN
from keras_seg.rows import Network


def segnet(num_classes, input_shape=(None, None, 3), *, preprocessing="keras", name="segnet"):
    """Builds SegNet: VGG16's convolutions, and their mirror image that unpools by the pools' indices.

    For the other arguments and the answer see `build_model`.
    The authors' weights want `preprocessing="bgr"`.
    """
    image, x = read_image(input_shape, preprocessing)
    pooled = []
    for stage in (1, 2, 3, 4, 5):
        map_before = convolutions(x, stage, batch_norm=True)
        x, indices = MaxPoolingWithIndices2D(name=f"block{stage}_pool")(map_before)
        pooled.append((indices, map_before))
    mark_encoder(image, [map_before for _, map_before in pooled])
    for stage in (5, 4, 3, 2, 1):
        depth, filters = STAGES[stage - 1]
        x = MaxUnpooling2D(name=f"unpool{stage}")([x, *pooled[stage - 1]])
        for index in range(depth, 0, -1):
            if index == 1:
                filters = STAGES[max(stage - 2, 0)][1]
            if stage == index == 1:
                x = classify(x, num_classes, "logits", kernel_size=3, dtype="float32")
            else:
                x = conv_bn_relu(x, filters, 3, f"decoder{stage}_{index}", use_bias=True)
    return keras.Model(image, x, name=name)


NETWORKS = (
    Network(
        "segnet",
        segnet,
        paper="1511.00561",
        encoder="vgg16_bn",
        output_stride=32,
        parameters=29_455_125,
        reference="seed",
        sources="SegNet: driving demo, SUN, Pascal",
        torch_names=(
            *VGG16_BN,
            (r"conv1_1_D", "logits"),
            (r"conv(\d)_(\d)_D", r"decoder\1_\2_conv"),
            (r"conv(\d)_(\d)_D_bn", r"decoder\1_\2_bn"),
        ),
        caffe_preprocessing="bgr",  # Its authors feed the pixels as they are.
    ),
)
