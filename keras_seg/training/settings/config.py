"""The settings of a training: what was given, and what follows from it."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from keras_seg.augmentation import Augmentation
from keras_seg.errors import InputError, nearest
from keras_seg.settings import of_kind, plain, settings_of
from keras_seg.training.settings.names import flag_of, python_names
from keras_seg.training.settings.subjects import (
    PLATEAU_EPOCHS,
    AugmentationSettings,
    DataSettings,
    NetworkSettings,
    OptimizerSettings,
    RecipeSettings,
    RunSettings,
    ScheduleSettings,
)

AUGMENTATION = tuple(settings_of(Augmentation))


@dataclass(frozen=True)
class _Config(
    RunSettings,  # The fields of the last one come first.
    AugmentationSettings,
    ScheduleSettings,
    OptimizerSettings,
    RecipeSettings,
    DataSettings,
    NetworkSettings,
):
    """All settings in one flat object."""

    def __post_init__(self):
        with python_names():
            for name, known in settings_of(_Config).items():
                if getattr(self, name) is not None and name not in getattr(self, "objects", ()):
                    value = _converted(getattr(self, name), known)
                    known.check(value, flag_of(name))
                    object.__setattr__(self, name, value)

    def settings(self):
        """The settings that are not None, by name."""
        values = {name: getattr(self, name) for name in settings_of(_Config)}
        return {name: value for name, value in values.items() if value is not None}

    def to_dict(self):
        """The settings as JSON can hold them."""
        return plain(asdict(self))

    def replace(self, **settings):
        """Returns the same settings with these changes."""
        return replace(self, **settings)

    @property
    def is_shapes(self):
        """Whether the built-in data set is trained on."""
        return self.data in (None, "shapes")

    def run_name(self):
        """`fcn8-shapes`, `fcn8-camvid`."""
        data = "shapes" if self.data is None or self.is_shapes else Path(self.data).resolve().name
        return f"{self.model or 'fcn8'}-{data}"


SETTINGS = tuple(settings_of(_Config))


def _told(cls):
    """Adds the settings to a dataclass's docstring, and lets it tell which one a misspelled name may mean."""
    lines = (f"        {name}: {known.help}." for name, known in settings_of(cls).items())
    cls.__doc__ = "\n".join([cls.__doc__.rstrip(), "", "    Attributes:", *lines])
    original = cls.__init__

    @functools.wraps(original)
    def init(self, *values, **settings):
        for name in settings:
            if name not in cls.__dataclass_fields__:
                raise InputError(unknown_setting(name))
        original(self, *values, **settings)

    cls.__init__ = init
    return cls


def changed_settings(recorded):
    """Returns the settings of a run's `config.json` that differ from what they are by default.

    Args:
        recorded: As of `json.loads`.

    Returns:
        `{name: value}`, as JSON has them; where the network or the data are other ones than the default, the
        defaults are those of that network and those data.
    """
    subject = {name: recorded.get(name) for name in ("model", "data") if recorded.get(name)}
    known = settings_of(_Config)
    try:
        defaults = plain(_resolved(subject))
    except (InputError, KeyError):  # A network of a package that is not installed here.
        defaults = {name: each.default for name, each in known.items()}
    return {
        name: recorded[name]
        for name in known
        if name in recorded and name != "output" and (name in subject or recorded[name] != defaults.get(name))
        if recorded[name] is not None
    }


def unknown_setting(name, more=()):
    """The text of the error for a name that no setting has; `more` are other names that are taken."""
    near = nearest(name, [*settings_of(_Config), *more])
    return f"{name} is not a setting" + (near or "; docs/reference/settings.md lists them")


@_told
@dataclass(frozen=True)
class TrainConfig(_Config):
    """The settings that are given to a training, all optional; docs/reference/settings.md lists them.

    Paths are taken for text, lists for tuples, and NumPy's numbers for Python's. What is left out stays None
    here; `resolve` says what it will be.

    Raises:
        InputError: A name is no setting, or a value is of another kind, out of range, or has no effect beside
            the others.
    """

    def __post_init__(self):
        super().__post_init__()
        # Imports Keras, which the flags of the command line do without.
        from keras_seg.training.settings.checks import check_effects, check_settings

        with python_names():
            given = self.settings()
            check_settings(given)
            resolved = self.resolve().settings()
            check_settings(resolved)
            check_effects(given, resolved)

    def resolve(self) -> "ResolvedConfig":
        """Returns the `ResolvedConfig` that a training goes by, as far as it follows from the settings."""
        given = self.settings()
        return ResolvedConfig(**_resolved(given), given=tuple(given))

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any], **changes: Any) -> "TrainConfig":
        """Takes the settings of a run's `config.json`; its other keys are ignored.

        What was not asked for, and is what it would be now, counts as left out: it follows from `changes`.

        Args:
            recorded: As of `json.loads`.
            **changes: Settings that are to be others.
        """
        with python_names():
            if recorded.get("objects"):
                raise InputError(
                    f"the run was trained with {' and '.join(recorded['objects'])} given in Python; train it "
                    "again from there"
                )
            settings = _read(recorded)
        names = recorded.get("given", ("model", "data", "recipe", "init_from"))
        given = {name: settings[name] for name in names if name in settings}
        follows = _resolved(given)
        # Decided by the machine or the data set, or changed in the file.
        told = {name: value for name, value in settings.items() if value != follows.get(name)}
        if "data" in changes:
            told = {name: value for name, value in told.items() if name not in settings_of(DataSettings)}
        return cls(**{**told, **given, **changes})


@dataclass(frozen=True)
class ResolvedConfig(_Config):
    """The resolved settings of a training: every setting as it is used, None where there is nothing to set.

    Attributes:
        given: Names of the settings that were asked for.
        objects: Names of what was given as objects, which no file can hold: of settings, whose values are
            then what the objects are called, and `dataset` and `callbacks`.
    """

    given: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "given", tuple(self.given))
        object.__setattr__(self, "objects", tuple(self.objects))

    def resolve(self):
        return self

    @classmethod
    def from_dict(cls, recorded):
        """Reads the settings of a run's `config.json`, of an earlier version too.

        Raises:
            InputError: One is of another kind or out of range.
        """
        with python_names():
            settings = _read(recorded)
            for name, known in settings_of(_Config).items():
                if name in settings and recorded.get(name, "") is None:
                    known.check(None, flag_of(name))
        objects = recorded.get("objects") or ()
        settings |= {name: recorded[name] for name in objects if name in settings}
        return cls(**settings, given=recorded.get("given") or (), objects=objects)

    @property
    def augmentation(self):
        """The `keras_seg.data.Augmentation`, or False."""
        return self.augment and Augmentation(**{name: getattr(self, name) for name in AUGMENTATION})


def _converted(value, known):
    """A value as the setting has it: of JSON's kinds, but tuples."""
    value = plain(value)
    if known.name == "class_weights" and isinstance(value, list):
        return ",".join(map(str, value))
    return of_kind(value, known.kind)


def _read(recorded):
    """All settings of a `config.json`, of an earlier version too, by name."""
    # Imports Keras, as above.
    from keras_seg.training.settings.checks import check_settings

    names = settings_of(_Config).keys() - set(recorded.get("objects") or ())
    settings = _Config(**{name: recorded.get(name) for name in names}).settings()
    check_settings(settings)
    return _resolved(settings)


def _resolved(given):
    """All settings, from those that were given; a recipe's options are added to the network's."""
    # Imports Keras, as above.
    from keras_seg.registry import networks
    from keras_seg.training.settings.recipes import recipe_settings

    known = settings_of(_Config)
    is_shapes = given.get("data") in (None, "shapes")
    settings = {
        name: each.on_shapes if is_shapes and each.on_shapes is not None else each.default
        for name, each in known.items()
        if each.default is not None and name not in AUGMENTATION
    }
    model = given.get("model", settings["model"])
    recipe = recipe_settings(given["recipe"], model) if "recipe" in given else {}
    rates = networks()[model].learning_rate
    rate = rates.shapes if is_shapes else rates.adam
    settings["learning_rate"] = (
        rates.sgd if given.get("optimizer", recipe.get("optimizer")) == "sgd" else rate
    )
    settings |= recipe
    if "init_from" in given:
        settings["weights"] = "none"
    if given.keys() & set(AUGMENTATION):
        settings["augment"] = True
    settings |= given
    if settings["augment"]:
        settings = {**asdict(Augmentation()), **settings}
    else:
        settings = {name: value for name, value in settings.items() if name not in AUGMENTATION}
    if settings["schedule"] == "step":
        settings.setdefault("drop_epochs", max(1, settings["epochs"] // 3))
    elif settings["schedule"] == "plateau":
        settings.setdefault("drop_epochs", PLATEAU_EPOCHS)
    settings["model_options"] = {**recipe.get("model_options", {}), **given.get("model_options", {})}
    return settings
