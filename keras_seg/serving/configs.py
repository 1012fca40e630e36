"""What TensorFlow Serving is told beside the model: `models.config` and `batching.config`."""

from pathlib import Path

from keras_seg.files import replacing

_MODELS = """\
# tensorflow_model_server --model_config_file=/models/{name}/models.config
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""
_BATCHING = """\
# tensorflow_model_server --enable_batching --batching_parameters_file=/models/{name}/batching.config
# Requests that wait at the same time are answered as one. Arrays of one request must then have the size of
# the others': {arrays}. Encoded images may differ in size.
max_batch_size {{ value: {most} }}
batch_timeout_micros {{ value: 5000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
{sizes}
"""
BATCH_SIZES = (1, 2, 4, 8)


def write_configs(folder, name, array_size=None):
    """Writes both files into the folder of versions; files that are there stay as they are.

    Args:
        folder: the folder that TensorFlow Serving sees as `/models/NAME`.
        name: the model's name at the server.
        array_size: the (height, width) that the endpoints of arrays are held to, if they are.

    Returns:
        Paths of the files that were written.

    Raises:
        InputError: they cannot be written.
    """
    arrays = "here {} x {} pixels".format(*array_size) if array_size else "export with --fixed-size H W"
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
    contents = {
        "models.config": _MODELS.format(name=name),
        "batching.config": _BATCHING.format(name=name, arrays=arrays, most=BATCH_SIZES[-1], sizes=sizes),
    }
    written = []
    for file, text in contents.items():
        path = Path(folder, file)
        if not path.exists():
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(path)
    return written
