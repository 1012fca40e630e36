"""What the cases of an attack are put to: a model server, a run folder, and a folder for files."""

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.data.helpers import encode, picture, write_folder
from tests.serving.helpers import CLASSES, COLORS, tiny_network

CONFIG = {
    "model": "unet",
    "num_classes": len(CLASSES),
    "classes": list(CLASSES),
    "colors": [list(color) for color in COLORS],
    "image_size": [16, 16],
    "seed": 0,
    "epochs": 2,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "loss": "ce",
    "optimizer": "adam",
    "precision": "float32",
}
HISTORY = (
    "epoch,loss,val_mean_iou,val_pixel_accuracy,learning_rate\n1,1.5,0.25,0.5,0.001\n2,1.25,0.5,0.75,0.001\n"
)


@dataclass(frozen=True)
class Place:
    """Where an attack takes place.

    Attributes:
        scratch: Folder that is gone afterwards.
        grpc: Address of the model server's gRPC port.
        rest: Of its REST port.
        pid: Of the server's process.
    """

    scratch: str
    grpc: str = ""
    rest: str = ""
    pid: int = 0

    @functools.cached_property
    def data(self):
        """A data folder of four images to train on and two others: 12 x 16 pixels and three classes."""
        folder = Path(self.scratch, "data")
        if not folder.exists():
            for split, count in (("train", 4), ("val", 2)):
                masks = np.arange(12 * 16).reshape(12, 16) % 3
                write_folder(folder, count, masks=masks, images=f"images/{split}", labels=f"masks/{split}")
            for path in (folder / "images" / "val").iterdir():
                path.write_bytes(encode(picture(12, 16, seed=int(path.stem) + 10), ".jpg"))
            (folder / "dataset.json").write_text(json.dumps({"classes": list(CLASSES)}))
        return folder

    @functools.cached_property
    def run(self):
        """A run folder as a training leaves it, but for its checkpoints: of a network of a few channels."""
        folder = Path(self.scratch, "run")
        if not folder.exists():
            folder.mkdir()
            tiny_network().save(folder / "best.keras")
            (folder / "config.json").write_text(json.dumps({**CONFIG, "data": str(self.data)}))
            (folder / "history.csv").write_text(HISTORY)
            (folder / "metrics.json").write_text(json.dumps({"mean_iou": 0.5, "classes": []}))
        return folder

    def server_memory(self):
        """Bytes that the server has; 0 where it is gone."""
        path = Path("/proc", str(self.pid), "status")
        lines = path.read_text().splitlines() if path.exists() else []
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))

    def described(self):
        """The place for a process of its own, as JSON."""
        return asdict(self)
