"""The errors that keras_seg reports to a person instead of raising a traceback."""


class InputError(ValueError):
    """Wrong use or wrong input: one line that names the file, the value found and the way out.

    The command line prints the message as `error: ...` and ends with exit status 2.
    """
