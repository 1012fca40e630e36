"""The errors that keras_seg reports to a person instead of raising a traceback."""

import re
from shlex import quote

# Line breaks, what a terminal obeys, and what turns the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def spelled_out(text):
    """Returns a text as one line in which control characters are escaped, since file names may hold them."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), str(text))


def nearest(word, known, most=3):
    """Asks whether one of the names that are spelled alike was meant.

    Args:
        word: What was given.
        known: What there is.
        most: Names at most.

    Returns:
        `"; is it unet?"`, `"; is it fcn8 or fcn16?"`, or nothing.
    """
    # Imported here, since few commands go wrong.
    from difflib import get_close_matches

    plain = {str(name).lower(): str(name) for name in known}
    found = [plain[name] for name in get_close_matches(str(word).lower(), plain, most, cutoff=0.7)]
    if len(found) > 1:
        found = [", ".join(found[:-1]), found[-1]]
    return f"; is it {' or '.join(found)}?" if found else ""


def fix_command(folder=None):
    """The command that writes a dataset.json for masks which would be misread."""
    return f"`python -m keras_seg doctor {quote(str(folder)) if folder else 'FOLDER'} --fix`"


class InputError(ValueError):
    """Wrong use or wrong input: one line that names the file, the value found and the way out.

    The command line prints the message as `error: ...` and ends with exit status 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(spelled_out(message))

    @property
    def command_line(self) -> str:
        """The line as the command line prints it."""
        return str(self)
