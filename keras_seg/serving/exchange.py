"""One request and its response over HTTP, within one time and of a bounded size.

`http.client` alone has a time for each read, which a body of one byte a second outlasts for ever, and reads
whatever a server announces.
"""

import http.client
import io
import time

_PIECE = 1 << 20  # Bytes


def exchange(connection, method, path, body, timeout, limit):
    """Sends a request and reads the whole response.

    Args:
        connection: http.client.HTTPConnection, open or not.
        method: "GET" or "POST".
        path: of the URL.
        body: bytes, or None.
        timeout: seconds for all of it: connecting, sending and reading to the end.
        limit: bytes that the response may have, with its headers.

    Returns:
        `(status, content)`.

    Raises:
        TimeoutError: it took longer.
        ValueError: the response is larger.
        OSError, http.client.HTTPException: there is none, or not all of it.
    """
    end = time.monotonic() + timeout
    connection.timeout = _left(end)
    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(_left(end))
    connection.response_class = lambda sock, **options: http.client.HTTPResponse(
        _Socket(sock, end, limit), **options
    )
    connection.request(method, path, body)
    response = connection.getresponse()
    content = bytearray()
    while piece := response.read(_PIECE):
        content += piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return response.status, content


def _left(end):
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Socket(io.RawIOBase):
    """What a socket receives until a point in time, and up to a number of bytes."""

    def __init__(self, sock, end, limit):
        self._sock, self._file = sock, sock.makefile("rb", buffering=0)
        self._end, self._limit, self._received = end, limit, 0

    def makefile(self, _mode):
        """Returns the file that an HTTPResponse reads."""
        return io.BufferedReader(self)

    def readable(self):
        return True

    def readinto(self, buffer):
        self._sock.settimeout(_left(self._end))
        count = self._file.readinto(buffer)
        self._received += count
        if self._received > self._limit:
            raise ValueError(f"the response is longer than {self._limit:,} bytes")
        return count

    def close(self):
        self._file.close()
        super().close()
