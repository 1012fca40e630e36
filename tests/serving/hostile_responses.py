"""What a broken or hostile server may send for one small image, by REST and by gRPC."""

import gzip
import itertools
import struct
import zlib
from base64 import b64encode

import cv2
import grpc
import numpy as np

from tests.serving.helpers import lossy_webp, png_bomb
from tests.serving.hostile_servers import HEIGHT, MASK, NUM_CLASSES, WIDTH, drip, http, json_of, message_of

IDS = cv2.imdecode(np.frombuffer(MASK, np.uint8), cv2.IMREAD_UNCHANGED)


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(header=(WIDTH, HEIGHT, 8, 0, 0, 0, 0), before=b"", rows=bytes(HEIGHT * (WIDTH + 1))):
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
    return head + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_value(value):
    pixels = IDS.copy()
    pixels[3, 4] = value
    return png(pixels)


def damaged(at):
    contents = bytearray(MASK)
    contents[at] ^= 255
    return bytes(contents)


# What is sent for a mask of 10 x 12 pixels and 5 classes.
FILES = {
    "no bytes": b"",
    "HTML": b"<html>gateway</html>",
    "text": b"mask",
    "signature alone": MASK[:8],
    "header alone": MASK[:33],
    **{f"cut to {size} bytes": MASK[:size] for size in (1, 20, 30, 45, len(MASK) // 2, len(MASK) - 4)},
    "damaged signature": damaged(1),
    "damaged header": damaged(30),
    "damaged pixels": damaged(60),
    "one row more": png(np.zeros((HEIGHT + 1, WIDTH), np.uint8)),
    "one column less": png(np.zeros((HEIGHT, WIDTH - 1), np.uint8)),
    "on its side": png(IDS.T),
    "one pixel": png(IDS[:1, :1]),
    "16 bits": png(IDS.astype(np.uint16)),
    "RGB": png(np.dstack([IDS] * 3)),
    "RGBA": png(np.dstack([IDS] * 4)),
    **{f"{bits} bits": raw_png((WIDTH, HEIGHT, bits, 0, 0, 0, 0)) for bits in (1, 2, 4)},
    "a palette": raw_png((WIDTH, HEIGHT, 8, 3, 0, 0, 0), chunk(b"PLTE", bytes(768))),
    "grey and alpha": raw_png((WIDTH, HEIGHT, 8, 4, 0, 0, 0), rows=bytes(HEIGHT * (2 * WIDTH + 1))),
    "unknown color type": raw_png((WIDTH, HEIGHT, 8, 9, 0, 0, 0)),
    "no rows claimed": raw_png((WIDTH, 0, 8, 0, 0, 0, 0)),
    "2^31 pixels a side claimed": raw_png((2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)),
    "2^32 pixels a side claimed": raw_png((2**32 - 1, 2**32 - 1, 8, 0, 0, 0, 0)),
    "a bomb of 8192 x 8192": png_bomb(8192, 8192),
    "a bomb of text": raw_png(before=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26)))),
    "a chunk without an end": MASK[:33] + struct.pack(">I", 2**31 - 1) + b"tEXt" + MASK[33:],
    "JPEG": cv2.imencode(".jpg", IDS)[1].tobytes(),
    "BMP": cv2.imencode(".bmp", IDS)[1].tobytes(),
    "WebP": lossy_webp(np.dstack([IDS] * 3)),
    **{f"class {value}": with_value(value) for value in (NUM_CLASSES, 200, 255)},
}
ENCODED = b64encode(MASK).decode()
# What is sent as JSON for `mask_bytes`, and the lists, numbers and texts that are no JSON of it.
TEXTS = {
    "null": "null",
    "a number": "5",
    "a text": '"mask"',
    "a list": "[]",
    "an object": "{}",
    "half of itself": '{"outputs": [{"b64": "',
    "more than itself": json_of(mask_bytes=MASK).decode() + "]",
    "two objects": "{}{}",
    "thousands of digits": '{"outputs": [' + "9" * 5000 + "]}",
    "deep lists": '{"outputs": ' + "[" * 100_000,
    "lists as deep as they may be many": '{"outputs": ' + "[" * 1000,
    "deep lists with an end": '{"outputs": ' + "[" * 900 + "]" * 900 + "}",
    "deep objects": '{"a":' * 100_000,
    "many lists": '{"outputs": [' + "[]," * 300_000 + "[]]}",
    "many objects": '{"outputs": [' + "{}," * 300_000 + "{}]}",
    "half of a character": '{"error": "\\ud800"}',
    "an error of no text": '{"error": {"error": [1]}}',
    "an error that a terminal obeys": '{"error": "\\u001b[2J\\u001b]0;owned\\u0007 \\u202egnp"}',
    **{
        f"outputs: {value[:20]}": f'{{"outputs": {value}}}'
        for value in (
            *(
                "null",
                "true",
                "0",
                '"mask"',
                "[]",
                "{}",
                "[[]]",
                "[[[]]]",
                "[{}]",
                "[null]",
                "[true]",
                "[1, 2]",
            ),
            *(
                "[0.5]",
                "[NaN]",
                "[Infinity]",
                "[-Infinity]",
                "[1e999]",
                "[-1]",
                "[1, [2, 3]]",
                "[[1], [2, 3]]",
            ),
            *('["text"]', '[{"b64": null}]', '[{"b64": 5}]', '[{"b64": "?"}]', '[{"b64": "AAA"}]'),
            *(
                '[{"b64": ""}]',
                '[{"b64": ["AAAA"]}]',
                '[{"b64": {"b64": "AAAA"}}]',
                '[{"b65": "AAAA"}]',
                '["\\ud800"]',
            ),
            *('{"confidence_bytes": []}', '{"mask_bytes": null}', '{"mask_bytes": {}}', '{"b64": "AAAA"}'),
            f'[{{"b64": "{ENCODED}"}}, {{"b64": "{ENCODED}"}}]',
            f'[[{{"b64": "{ENCODED}"}}]]',
            f'{{"b64": "{ENCODED}"}}',
            f'["{ENCODED}"]',
        )
    },
}
RIGHT = json_of(mask_bytes=MASK)
TERMINAL = b'{"error": "\\u001b[2J\\u001b]0;owned\\u0007"}'
STATUSES = (
    *(
        "201 Created",
        "204 No Content",
        "206 Partial Content",
        "300 Choices",
        "301 Moved",
        "302 Found",
        "304 Same",
    ),
    *("400 Bad", "401 Who", "403 No", "404 Gone", "408 Slow", "413 Large", "418 Tea", "429 Busy", "451 Law"),
    *("500 Broken", "501 What", "502 Gateway", "503 Busy", "504 Late", "599 Odd", "999 Odd"),
)
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = HEAD + b"Content-Length: %d\r\n\r\n"
RESPONSES = {
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status line of noise": bytes(range(128, 256)) + b"\r\n\r\n",
    "a status of no number": b"HTTP/1.1 OK OK\r\n\r\n",
    "a status of 1": b"HTTP/1.1 1 A\r\n\r\n",
    "half a status line": b"HTTP/1.1 2",
    "half the headers": HEAD + b"Content-Le",
    "a header without a colon": HEAD + b"nothing\r\n\r\n",
    "a header of 100,000 bytes": HEAD + b"A: " + b"a" * 100_000 + b"\r\n\r\n",
    "a thousand headers": HEAD + b"A: a\r\n" * 1000 + b"\r\n",
    "100 Continue without an end": b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
    "a length that is too small": LENGTH % (len(RIGHT) - 9) + RIGHT,
    "a length that is too large": LENGTH % (len(RIGHT) + 9) + RIGHT,
    "a length of 2^63": LENGTH % 2**63 + RIGHT[:-1],
    "a negative length": LENGTH % -5 + RIGHT[:-1],
    "a length of no number": HEAD + b"Content-Length: many\r\n\r\n" + RIGHT[:-1],
    "a chunk of no number": CHUNKED + b"zz\r\n" + RIGHT,
    "a chunk of -1 bytes": CHUNKED + b"-1\r\n" + RIGHT[:-1],
    "a chunk of -5 bytes": CHUNKED + b"-5\r\n" + RIGHT,
    "a chunk of 2^64 bytes": CHUNKED + b"FFFFFFFFFFFFFFFF\r\n" + RIGHT[:-1],
    "half a chunk": CHUNKED + b"FF\r\n" + RIGHT[:9],
    "no last chunk": CHUNKED + b"3\r\nabc\r\n",
    "a body that is too large": http(RIGHT + b" " * (4 << 20)),
    "a packed body": http(gzip.compress(RIGHT), "200 OK", "Content-Encoding: gzip"),
    "a packed bomb": http(gzip.compress(bytes(1 << 26)), "200 OK", "Content-Encoding: gzip"),
    "no text": http(bytes(range(256))),
    "a body of nothing": http(b""),
    "a page": http(b"<html>gateway</html>", "200 OK", "Content-Type: text/html"),
    "a page by another name": http(b"<html>gateway</html>", "200 OK", "Content-Type: application/json"),
    "a page in chunks": CHUNKED + b"14\r\n<html>gateway</html>\r\n0\r\n\r\n",
    "a way to itself": http(b"", "307 There", "Location: /v1/models/m:predict"),
    "a way to a file": http(b"", "302 There", "Location: file:///etc/passwd"),
    **{f"{status} and a page": http(b"<html>\x1b[2J</html>", status) for status in STATUSES},
    **{f"{status} and an error": http(TERMINAL, status) for status in STATUSES},
    **{f"{status} and a mask": http(RIGHT, status) for status in STATUSES if not status.startswith("20")},
    **{f"file: {name}": http(json_of(mask_bytes=contents)) for name, contents in FILES.items()},
    **{f"JSON: {name}": http(text.encode()) for name, text in TEXTS.items()},
}
SLOW = {
    "never": lambda: drip(b"", b""),
    "a status line": lambda: drip(b"HTTP/1.1 ", b"2"),
    "headers": lambda: drip(HEAD, b"A: a\r\n"),
    "a body": lambda: drip(LENGTH % 9999, b"a"),
    "a body without a length": lambda: drip(HEAD + b"\r\n", b"a"),
    "chunks": lambda: drip(CHUNKED, b"1\r\na\r\n"),
    "half a chunk": lambda: drip(CHUNKED + b"FFFF\r\n", b"a"),
    "trailers": lambda: drip(CHUNKED + b"0\r\n", b"A: a\r\n"),
    "100 Continue": lambda: drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
ENDLESS = {
    "a body": lambda: itertools.chain([HEAD + b"\r\n"], itertools.repeat(b"a" * 65536)),
    "chunks": lambda: itertools.chain([CHUNKED], itertools.repeat(b"FFFF\r\n" + b"a" * 65535 + b"\r\n")),
    "one chunk": lambda: itertools.chain([CHUNKED + b"-1\r\n"], itertools.repeat(b"a" * 65536)),
    "headers": lambda: itertools.chain([HEAD], itertools.repeat(b"A: a\r\n" * 99)),
    "100 Continue": lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 999),
}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, contents):
    return varint(number << 3 | 2) + varint(len(contents)) + contents


def tensor(dtype=7, shape=(1,), strings=(), rest=b""):
    """The bytes of a TensorProto; a negative length is a varint of ten bytes."""
    dims = b"".join(field(2, b"\x08" + varint(length % 2**64)) for length in shape)
    parts = [b"\x08" + varint(dtype % 2**64), field(2, dims), *(field(8, string) for string in strings), rest]
    return b"".join(parts)


def response(contents, name=b"mask_bytes"):
    return field(1, field(1, name) + field(2, contents))


RIGHT_MESSAGE = message_of(mask_bytes=MASK)
MESSAGES = {
    "nothing": b"",
    "a page": b"<html>gateway</html>",
    "noise": bytes(range(256)),
    "half of itself": RIGHT_MESSAGE[: len(RIGHT_MESSAGE) // 2],
    "a varint without an end": b"\x0a" + b"\x80" * 3,
    "a varint of 11 bytes": b"\x08" + b"\xff" * 10 + b"\x01",
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x07",
    "field 0": b"\x00\x00",
    **{f"wire type {kind}": bytes([1 << 3 | kind]) + bytes(8) for kind in (0, 1, 3, 4, 5, 6, 7)},
    "deep groups": b"\x0b" * 100_000,
    "another output": response(tensor(strings=[MASK]), b"other"),
    "an output without a name": response(tensor(strings=[MASK]), b""),
    "a name that is no text": response(tensor(strings=[MASK]), b"\xff\xfe"),
    "an output without a tensor": response(b""),
    "a tensor that is none": response(b"\xff\xff"),
    **{
        f"type {dtype}": response(tensor(dtype, strings=[MASK]))
        for dtype in (0, 1, 2, 3, 4, 9, 10, 14, 99, -1)
    },
    **{
        f"shape {shape}": response(tensor(shape=shape, strings=[MASK]))
        for shape in (
            *((), (0,), (2,), (1, 1), (-1,), (-(2**63),), (2**31,), (2**40,), (2**62,), (2**63 - 1,)),
            *((2**32, 2**32), (2**40, 0), (0, 2**40), (1,) * 9, (1,) * 300, (2**62,) * 10_000),
        )
    },
    "no string": response(tensor()),
    "two strings": response(tensor(strings=[MASK, MASK])),
    "a string as it lies in memory": response(tensor(rest=field(4, MASK))),
    "too many bytes": RIGHT_MESSAGE + field(99, bytes(4 << 20)),
    "many strings": response(tensor(strings=[b""] * 500_000)),
    **{f"file: {name}": message_of(mask_bytes=contents) for name, contents in FILES.items()},
}


def aborted(code):
    return lambda context: context.abort(code, "\x1b[2J\x1b]0;owned\x07 \u202egnp")


def packed(context):
    context.set_compression(grpc.Compression.Gzip)
    return RIGHT_MESSAGE + field(99, bytes(1 << 18))


CALLS = {
    **{f"status {code.name}": aborted(code) for code in grpc.StatusCode if code is not grpc.StatusCode.OK},
    "a broken service": lambda context: 1 / 0,
    "a packed message": packed,
}
