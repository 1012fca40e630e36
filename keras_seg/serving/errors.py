"""Errors between a client and TensorFlow Serving, each one line with a remedy."""

from contextlib import contextmanager

from keras_seg.errors import InputError

# Status codes of gRPC, and of HTTP where TensorFlow Serving translates them.
UNKNOWN, INVALID, TIMEOUT, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE = 2, 3, 4, 5, 8, 12, 14
WRONG = 15  # gRPC's DATA_LOSS: a response came, and is not one of the model.
FROM_HTTP = {
    400: INVALID,
    404: NOT_FOUND,
    408: TIMEOUT,
    413: EXHAUSTED,
    429: UNAVAILABLE,
    501: UNIMPLEMENTED,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: TIMEOUT,
}
_ADVICE = {
    INVALID: ("refuses the request", "see docs/reference/signatures.md for what each signature takes"),
    TIMEOUT: ("gave no answer in time", "allow more with --timeout, or send smaller images"),
    NOT_FOUND: ("does not have the model", "name it as HOST:PORT/MODEL, or wait until it is loaded"),
    EXHAUSTED: ("is out of memory for the request", "send smaller images or use `tiled`"),
    UNIMPLEMENTED: ("does not speak TensorFlow Serving's protocol", "check the host and port"),
    UNAVAILABLE: ("cannot be reached", "start it, or check the host and port"),
    WRONG: ("sent a wrong response", "check that it serves an export of keras_seg, and any proxy between"),
}
_OTHER = ("failed", "its log says more")
_WRONG_PORT = {
    "http1": "that is its REST port; write http://HOST:PORT",
    "grpc": "that is no REST port; write HOST:PORT for gRPC",
}


class ServerError(InputError):
    """A request that got no response, or a wrong one.

    Attributes:
        code: gRPC's status code; 3 (INVALID_ARGUMENT) where the request itself is at fault.
    """

    def __init__(self, address: str, code: int, reason: object, wrong_port: str | None = None) -> None:
        what, advice = _ADVICE.get(code, _OTHER)
        super().__init__(f"{address}: {what} ({_short(reason)}); {_WRONG_PORT.get(wrong_port or '', advice)}")
        self.code = code


@contextmanager
def blaming(address, what=""):
    """Turns a ValueError about a response, or about `what` in it, into a ServerError."""
    try:
        yield
    except ServerError:
        raise
    except ValueError as error:
        raise ServerError(address, WRONG, f"{what}{error}") from None


def _short(reason):
    """Returns the part of a message that is for a person: its first line, without the graph's names.

    Control characters are spelled out, since a terminal would obey a server's.
    """
    line = (str(reason).strip().splitlines() or ["no reason given"])[0]
    line = line.split("}} ", 1)[-1] if line.startswith("{{") else line
    line = line if len(line) <= 300 else f"{line[:297]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
