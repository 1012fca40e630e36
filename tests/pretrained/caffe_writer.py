"""Writes `.caffemodel` files, with Caffe's own field types."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def caffe_classes():
    """Caffe's messages with their own types, packed floats among them, as `{name: class}`."""
    field_type = descriptor_pb2.FieldDescriptorProto
    messages = {
        "BlobShape": [("dim", 1, field_type.TYPE_INT64, True)],
        "BlobProto": [
            ("num", 1, field_type.TYPE_INT32, False),
            ("channels", 2, field_type.TYPE_INT32, False),
            ("height", 3, field_type.TYPE_INT32, False),
            ("width", 4, field_type.TYPE_INT32, False),
            ("data", 5, field_type.TYPE_FLOAT, True),
            ("diff", 6, field_type.TYPE_FLOAT, True),
            ("shape", 7, "BlobShape", False),
        ],
        "V1LayerParameter": [
            ("bottom", 2, field_type.TYPE_STRING, True),
            ("name", 4, field_type.TYPE_STRING, False),
            ("blobs", 6, "BlobProto", True),
        ],
        "LayerParameter": [
            ("name", 1, field_type.TYPE_STRING, False),
            ("type", 2, field_type.TYPE_STRING, False),
            ("blobs", 7, "BlobProto", True),
        ],
        "NetParameter": [
            ("name", 1, field_type.TYPE_STRING, False),
            ("layers", 2, "V1LayerParameter", True),
            ("layer", 100, "LayerParameter", True),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, fields in messages.items():
        descriptor = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            field = descriptor.field.add(name=name, number=number)
            field.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                field.type = kind
                field.options.packed = kind in (field_type.TYPE_FLOAT, field_type.TYPE_INT64) and repeated
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))
        for name in messages
    }


def write_caffemodel(path, blobs, v1=False):
    """Writes `{layer name: [arrays]}`, in the V1 format of Caffe's first years or in the current one."""
    net = caffe_classes()["NetParameter"](name="FCN")
    for name, arrays in {"data": [], **blobs}.items():
        layer = (net.layers if v1 else net.layer).add(name=name)
        for array in arrays:
            blob = layer.blobs.add(data=array.ravel().tolist())
            if v1:
                sizes = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sizes
            else:
                blob.shape.dim.extend(array.shape)
    path.write_bytes(net.SerializeToString())
