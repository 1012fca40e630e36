"""keras_seg's own ONNX file and SavedModel, written by a process of their own and gone once they are read.

In a process of its own, so that TensorFlow's memory is not counted.
"""

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exported(form, network, num_classes):
    """A network's export, as long as it is read.

    Args:
        form: `"onnx"` or `"saved_model"`.
        network: Key of `MODELS`.
        num_classes: Classes C.

    Yields:
        Path of the file or folder.

    Raises:
        ImportError: It cannot be written; with the last line of what was said.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "1")
        command = [sys.executable, "-m", __spec__.name, form, network, str(num_classes), path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImportError(f"no export: {done.stderr.strip().splitlines()[-1]}")
        yield path


def write(form, network, num_classes, path):
    """Writes an export of a network with new weights."""
    import keras  # With TensorFlow, which the reader does not need.

    from keras_seg.models import build_model
    from keras_seg.palette import default_colors
    from keras_seg.serving.export import export_saved_model
    from keras_seg.serving.onnx_export import write_onnx

    keras.utils.set_random_seed(0)
    names = [f"class {index}" for index in range(num_classes)]
    labels = {"classes": names, "colors": default_colors(num_classes)}
    export = {"onnx": write_onnx, "saved_model": export_saved_model}[form]
    export(build_model(network, num_classes), path, **labels)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
