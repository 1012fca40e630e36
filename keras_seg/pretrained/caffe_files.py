"""Reader of Caffe's `.caffemodel` files, with protobuf alone (BVLC/caffe, src/caffe/proto/caffe.proto)."""

import functools
from pathlib import Path

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from keras_seg.errors import InputError

# message -> (field, number, type, repeated); a type in capitals is another message. Of caffe.proto only
# what holds weights. Packed floats are bytes on the wire: declared so, they need no loop to be read.
_MESSAGES = {
    "BlobShape": (("dim", 1, "int64", True),),
    "BlobProto": (
        ("num", 1, "int32", False),
        ("channels", 2, "int32", False),
        ("height", 3, "int32", False),
        ("width", 4, "int32", False),
        ("data", 5, "bytes", True),
        ("shape", 7, "BlobShape", False),
        ("double_data", 8, "bytes", True),
    ),
    "V1LayerParameter": (("name", 4, "string", False), ("blobs", 6, "BlobProto", True)),
    "LayerParameter": (("name", 1, "string", False), ("blobs", 7, "BlobProto", True)),
    "NetParameter": (
        ("name", 1, "string", False),
        ("layers", 2, "V1LayerParameter", True),
        ("layer", 100, "LayerParameter", True),
    ),
}


@functools.cache
def _net_parameter():
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_seg/caffe.proto", package="keras_seg.caffe", syntax="proto2"
    )
    for message_name, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message_name)
        for name, number, kind, repeated in fields:
            field = descriptor.field.add(name=name, number=number)
            field.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".keras_seg.caffe.{kind}"
            else:
                field.type = getattr(field_type, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("keras_seg.caffe.NetParameter"))


def read_caffemodel(path):
    """Reads the weights of a Caffe network.

    Args:
        path: Path of a `.caffemodel` file, of the current or of the V1 format.

    Returns:
        `{layer name: [float32 arrays]}` in Caffe's layouts (kernels OIHW, of deconvolutions IOHW),
        layers without weights left out.

    Raises:
        InputError: The file holds no weights.
    """
    net = _net_parameter()()
    net.ParseFromString(Path(path).read_bytes())
    layers = {
        layer.name: [_array(blob) for blob in layer.blobs]
        for layer in (*net.layer, *net.layers)
        if layer.blobs
    }
    if not layers:
        raise InputError(f"{path} holds no layer with weights: not a .caffemodel file. Download it again.")
    return layers


def _array(blob):
    data = np.frombuffer(b"".join(blob.data), "<f4")
    if not data.size:
        data = np.frombuffer(b"".join(blob.double_data), "<f8").astype("float32")
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    return data.reshape(shape)
