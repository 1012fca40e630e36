"""The run folder: everything that one training leaves behind, and what every later command reads."""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_seg.errors import InputError
from keras_seg.files import regular_file
from keras_seg.hints import PathLike
from keras_seg.run_config import check_config
from keras_seg.texts import parse_json

if TYPE_CHECKING:  # Each would import TensorFlow.
    import keras

    from keras_seg.data.samples import Dataset, ImageKind
    from keras_seg.inference import Predictor

CONFIG = "config.json"


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
        config: The content of `config.json`: every setting, versions, class names and colors.
    """

    path: Path
    config: dict

    @classmethod
    def open(cls, folder: PathLike) -> "Run":
        """Reads a run folder's `config.json`.

        Raises:
            InputError: There is no such folder, it is no run, or its `config.json` cannot be read or holds
                what runs do not have.
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
                f"{path / CONFIG}: cannot be read ({error.strerror or error}); check its permissions"
            ) from None
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path / CONFIG}: cannot be read ({error}); repair it, or train the run again"
            ) from None
        config = parse_json(path / CONFIG, text)
        check_config(path / CONFIG, config)
        return cls(path, config)

    @property
    def best_path(self) -> Path:
        """The weights with the best validation mean IoU, a whole Keras model."""
        return self.path / "best.keras"

    @property
    def export_path(self) -> Path:
        """The SavedModel's folder of versions."""
        return self.path / "export"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in id order."""
        return tuple(self.config["classes"])

    @property
    def colors(self) -> tuple[tuple[int, ...], ...]:
        """RGB in 0..255 of each class."""
        return tuple(tuple(color) for color in self.config["colors"])

    @property
    def threshold(self) -> float | None:
        """The probability from which a pixel is foreground; None if the most probable class wins."""
        return self.config.get("threshold")

    @property
    def images(self) -> "ImageKind":
        """The `ImageKind` of the images that it takes."""
        # Imports TensorFlow, which listing runs does without.
        from keras_seg.data.samples import RGB, ImageKind

        return ImageKind(self.config.get("channels") or RGB.channels, self.config.get("depth") or RGB.depth)

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the arguments that were given as Python objects, which no file holds."""
        return tuple(self.config.get("objects") or ())

    def dataset(
        self,
        data: PathLike | None = None,
        *,
        split: str | None = None,
        ignore_label: int | None = None,
        mask_colors: str | None = None,
        reduce_zero_label: bool | None = None,
    ) -> "Dataset":
        """The data set that it was trained on, or another one with the same classes.

        Args:
            data: Data folder, or "shapes"; None for what it was trained on.
            split: The one that is needed, as for `load_dataset`; None: all.
            ignore_label: A mask value that is ignored besides 255; None for what it was trained with.
            mask_colors: What masks mean, as for `load_dataset`; where neither this nor the next is given,
                what they meant in the training.
            reduce_zero_label: The same.

        Returns:
            `keras_seg.data.Dataset`.

        Raises:
            InputError: It is not right, has other classes than the run, or was given to the training as an
                object, which no file holds.
        """
        # Imports TensorFlow, as above.
        from keras_seg.data.folders.dataset import dataset_of_settings

        if data is None and "dataset" in self.objects:
            raise InputError(
                f"{self.path}: was trained on a dataset given in Python; name a folder with --data"
            )
        meant: dict[str, Any] = {"mask_colors": mask_colors, "reduce_zero_label": reduce_zero_label}
        if all(value is None for value in meant.values()):  # Else they may contradict what was recorded.
            meant = {}
        if ignore_label is not None:
            meant["ignore_label"] = ignore_label
        meant["split"] = split
        dataset = dataset_of_settings(self.config, data, **meant)
        is_named = dataset.is_named
        # Masks alone do not name a class that is in none of them, nor the one beside the background.
        is_short = dataset.mask_values is None and dataset.num_classes < len(self.classes)
        if not is_named and (is_short or dataset.is_binary):
            dataset = dataset_of_settings(self.config, data, **meant, classes=self.classes)
        source = data or self.config.get("data") or dataset.name
        if dataset.images != self.images:
            raise InputError(
                f"{source}: holds {dataset.images}, but {self.path} was trained on {self.images}; "
                "convert them, or evaluate on others"
            )
        if dataset.num_classes != len(self.classes) or (is_named and tuple(dataset.classes) != self.classes):
            raise InputError(
                f"{source}: has the classes {', '.join(dataset.classes)}, but {self.path} was trained on "
                f"{', '.join(self.classes)}; evaluate on the same classes in the same order"
            )
        return dataset

    def predictor(self, **options: Any) -> "Predictor":
        """A `keras_seg.Predictor` of the best model; the options are its own."""
        return _door("keras_seg.inference", "Predictor")(self, **options)

    def evaluate(self, data: PathLike | None = None, split: str = "val", **options: Any) -> dict[str, Any]:
        """Measures the best model on a split of a data set.

        Args:
            data: Data folder, or "shapes"; None for what it was trained on.
            split: "train", "val" or "test".
            **options: Of `keras_seg.evaluation.evaluate_run`.

        Returns:
            dict of metrics, as of `keras_seg.evaluation.evaluate`.

        Raises:
            InputError: As `dataset`, or there is no such split.
        """
        return _door("keras_seg.evaluation", "evaluate_run")(self, data, split, **options)

    def export(
        self, folder: PathLike | None = None, format: str = "saved_model", **options: Any
    ) -> list[Path]:
        """Writes the best model for other programs.

        Args:
            folder: Version folder to write; the next one of `export` by default. For ONNX and LiteRT the
                folder to write into, `export` by default.
            format: "saved_model", "onnx" or "litert".
            **options: Of `keras_seg.serving.export_saved_model`, and of `export_onnx` and `export_litert` in
                `keras_seg.serving.formats`.

        Returns:
            List of the paths that were written.

        Raises:
            InputError: The format is none of them, or as those functions.
        """
        if format == "saved_model":
            folder = folder or _door("keras_seg.serving.export", "next_version")(self.export_path)
            told = {"classes": self.classes, "colors": self.colors, "threshold": self.threshold}
            export = _door("keras_seg.serving.export", "export_saved_model")
            return [export(self.load_model(), folder, **{**told, "depth": self.images.depth, **options})]
        if format not in ("onnx", "litert"):
            raise InputError(f"format must be saved_model, onnx or litert; received {format!r}")
        export = _door("keras_seg.serving.formats", f"export_{format}")
        return [path for path, _ in export(self, folder or self.export_path, **options)]

    def _repr_html_(self):
        # Imports OpenCV, which listing runs does without.
        import cv2

        from keras_seg.notebook import image_html, table_html

        shown = ("model", "data", "epochs", "learning_rate", "optimizer", "loss", "image_size", "batch_size")
        rows = {name: self.config[name] for name in shown if self.config.get(name) is not None}
        metrics = self.path / "metrics.json"
        if metrics.is_file():
            found = parse_json(metrics, regular_file(metrics).read_text(encoding="utf-8"))
            rows |= {name: found.get(name) for name in ("mean_iou", "pixel_accuracy")}
        html = table_html(rows, str(self.path))
        samples = (
            cv2.imread(str(self.path / "samples.png")) if (self.path / "samples.png").is_file() else None
        )
        return html if samples is None else html + image_html(samples[..., ::-1], "samples.png")

    def load_model(self) -> "keras.Model":
        """Loads the best model, ready to predict.

        Raises:
            InputError: The run has no `best.keras`, or it cannot be read.
        """
        # Keras and TensorFlow take seconds to import, and listing runs needs neither.
        from keras_seg.pretrained import load_model

        if not self.best_path.is_file():
            raise InputError(
                f"{self.best_path}: missing, the training has not written a model yet; "
                f"resume it with --resume {self.path}"
            )
        if "model" in self.objects:  # Of somebody's own, which may hold what ours never do.
            return _load_with_keras(self.best_path)
        return load_model(self.best_path, "if nothing newer wrote it, train the run again")


def _door(module, name):
    """A name of a room above, imported on first use, since those rooms import this one."""
    return getattr(importlib.import_module(module), name)


def _load_with_keras(path):
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{path}: Keras cannot load it ({reason}); import the module of its layers first, and register "
            "them with keras.saving.register_keras_serializable"
        ) from None


def _refuse_part_of_a_run(path):
    """Names the run of RUN/config.json, RUN/best.keras or RUN/export/1."""
    # These do not raise where they may not look.
    if os.path.exists(path) and not os.path.exists(path / CONFIG):  # noqa: PTH110
        for above in path.absolute().parents[:2]:
            if os.path.isfile(above / CONFIG):  # noqa: PTH113
                raise InputError(f"{path}: is inside the run {above} and is not a run itself; name {above}")
