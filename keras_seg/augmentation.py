"""The settings of random augmentation, which `keras_seg.data` applies."""

from dataclasses import dataclass

from keras_seg.errors import InputError
from keras_seg.settings import of_kind, plain, setting, settings_of


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images at random.

    Its attributes are the settings of augmentation in docs/reference/settings.md.

    Raises:
        InputError: A value is out of range.
    """

    flip: bool = setting(True, help="mirror left and right, half of the time")
    scales: tuple[float, float] = setting(
        (0.5, 2.0), above=0, unit=("LEAST", "MOST"), help="factor of the size, drawn between the two"
    )
    color_factors: tuple[float, float] = setting(
        (0.75, 1.25),
        above=0,
        unit=("LEAST", "MOST"),
        help="factor of brightness, contrast and saturation, of RGB images of 8 bits",
    )
    rotation: float = setting(0.0, least=0, most=180, unit="DEGREES", help="most degrees to turn, either way")
    blur: float = setting(
        0.0,
        least=0,
        most=20,
        unit="PIXELS",
        help="most standard deviation of a Gaussian; drawn for each image",
    )
    elastic: float = setting(
        0.0,
        least=0,
        most=1000,
        unit="PIXELS",
        help="standard deviation of the displacements of a 3 x 3 grid; U-Net takes 10",
    )
    max_class_share: float = setting(
        1.0,
        above=0,
        most=1,
        unit="FRACTION",
        help="most of a crop's labeled pixels that one class should have; up to ten crops are drawn for it",
    )

    def __post_init__(self):
        for name, known in settings_of(Augmentation).items():
            value = of_kind(plain(getattr(self, name)), known.kind)
            known.check(value)
            object.__setattr__(self, name, value)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise InputError(
                    f"{name} must be two factors, the lower first, received {value[0]} and {value[1]}"
                )
