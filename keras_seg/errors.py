"""The errors that keras_seg reports to a person instead of raising a traceback."""

import re

# Line breaks, what a terminal obeys, and what turns the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def spelled_out(text):
    """Returns a text as one line in which control characters are escaped, since file names may hold them."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), str(text))


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
