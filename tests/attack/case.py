"""What a kind of attack makes, and what comes of it."""

from typing import NamedTuple

ANSWERED, REFUSED = "answered", "refused"


class Case(NamedTuple):
    """One case, which a file with its contents reproduces.

    Attributes:
        title: What it is, for a person.
        contents: Bytes that are all of it.
        suffix: How the name of its file ends; some kinds tell by it what it is.
    """

    title: str
    contents: bytes
    suffix: str = ".bin"


def refusal(error):
    """Returns REFUSED for an InputError that is one line of text; raises AssertionError for another."""
    line = str(error)
    assert len(line.splitlines()) == 1, f"an error of {len(line.splitlines())} lines: {line[:200]!r}"
    assert len(line) < 3000, f"an error of {len(line)} characters: {line[:200]!r}"
    # Memory that a case asked for in vain is memory that it was not to ask for.
    assert "MemoryError" not in line and "Unable to allocate" not in line, line
    return REFUSED


def pick(random, items):
    """Draws one of a sequence."""
    return items[int(random.integers(len(items)))]
