"""The run folder: everything that one training leaves behind, and what every later command reads."""

import os
from dataclasses import dataclass
from pathlib import Path

from keras_seg.errors import InputError
from keras_seg.files import regular_file
from keras_seg.run_config import check_config
from keras_seg.texts import parse_json

CONFIG = "config.json"


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
        config: What `config.json` says: every setting, versions, class names and colors.
    """

    path: Path
    config: dict

    @classmethod
    def open(cls, folder):
        """Reads a run folder's `config.json`.

        Raises:
            InputError: There is no such folder, it is no run, or its `config.json` cannot be read or holds
                what no run has.
        """
        path = Path(folder)
        _refuse_part_of_a_run(path)
        if path.is_file():
            raise InputError(f"{path}: is a file; name a run folder, which train.py wrote")
        if not path.is_dir():
            raise InputError(f"{path}: no such run folder; train one with train.py --output {path}")
        try:
            text = regular_file(path / CONFIG).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(
                f"{path}: not a run folder, it holds no {CONFIG}; name a folder that train.py wrote"
            ) from None
        except OSError as error:
            raise InputError(
                f"{path / CONFIG}: cannot be read ({error.strerror or error}); see to its permissions"
            ) from None
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path / CONFIG}: cannot be read ({error}); mend it, or train the run again"
            ) from None
        config = parse_json(path / CONFIG, text)
        check_config(path / CONFIG, config)
        return cls(path, config)

    @property
    def best_path(self):
        """The weights with the best validation mean IoU, a whole Keras model."""
        return self.path / "best.keras"

    @property
    def export_path(self):
        """The SavedModel's folder of versions."""
        return self.path / "export"

    @property
    def classes(self):
        """Class names in id order."""
        return tuple(self.config["classes"])

    @property
    def colors(self):
        """RGB in 0..255 of each class."""
        return tuple(tuple(color) for color in self.config["colors"])

    @property
    def threshold(self):
        """The probability from which a pixel is foreground; None where the most probable class wins."""
        return self.config.get("threshold")

    @property
    def images(self):
        """What images it takes, an `ImageKind`."""
        # Imports TensorFlow, which listing runs does without.
        from keras_seg.data.samples import RGB, ImageKind

        return ImageKind(self.config.get("channels") or RGB.channels, self.config.get("depth") or RGB.depth)

    @property
    def data_options(self):
        """Keyword arguments of `load_dataset` that give the masks of a data set the run's meaning."""
        return {
            "seed": self.config.get("seed", 0),
            "val_seed": self.config.get("val_seed"),
            "val_fraction": self.config.get("val_fraction", 0.2),
            "ignore_label": self.config.get("ignore_label"),
            "mask_colors": self.config.get("mask_colors"),
            "reduce_zero_label": self.config.get("reduce_zero_label") or None,
            "binary": self.config.get("binary") or None,
            "channels": self.config.get("channels"),
        }

    def load_model(self):
        """Loads the best model, ready to predict.

        Raises:
            InputError: The run has no `best.keras`, or it cannot be read.
        """
        # Keras and TensorFlow take seconds to import, and listing runs needs neither.
        from keras_seg.pretrained import load_model

        if not self.best_path.is_file():
            raise InputError(
                f"{self.best_path}: missing, the training wrote no model yet; go on with --resume {self.path}"
            )
        return load_model(self.best_path, "if nothing newer wrote it, train the run again")


def _refuse_part_of_a_run(path):
    """Names the run of RUN/config.json, RUN/best.keras or RUN/export/1."""
    # These do not raise where they may not look.
    if os.path.exists(path) and not os.path.exists(path / CONFIG):  # noqa: PTH110
        for above in path.absolute().parents[:2]:
            if os.path.isfile(above / CONFIG):  # noqa: PTH113
                raise InputError(f"{path}: lies in the run {above}, and is none itself; name {above}")
