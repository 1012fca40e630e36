"""What setup.cfg promises of versions, and the oldest of them as constraints for pip."""

import configparser
import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?(?P<range>.*)")


def read_options():
    """Returns the parsed setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(options):
    """Returns `{package: its range}` of what the package and all extras require, but for itself."""
    lines = options["options"]["install_requires"].split()
    for extra in options["options.extras_require"].values():
        lines += extra.split()
    found = [_REQUIREMENT.fullmatch(line) for line in lines]
    return {match["name"]: match["range"] for match in found if match["name"] != "keras-seg"}


def oldest_constraints(options):
    """Returns lines of pip's constraints, which hold each package to the oldest version that is promised.

    Of a promise such as `numpy>=1.26` that is the last patch of 1.26; of `keras>=3.12.4` it is 3.12.4.
    """
    lines = []
    for name, ranges in requirements(options).items():
        floor = re.search(r">=([\d.]+)", ranges)[1]
        floor += "" if "." in floor else ".0"
        lines.append(f"{name}=={floor}" + ("" if floor.count(".") == 2 else ".*"))
    return lines


def pythons(options):
    """Returns the oldest and the newest Python that are promised, as `"3.10"`."""
    least, beyond = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", options["options"]["python_requires"]).groups()
    return f"3.{least}", f"3.{int(beyond) - 1}"
