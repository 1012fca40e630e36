"""The sizes of a GIF's frames, from its blocks alone: GIF89a, sections 18 to 24."""

_FRAME, _EXTENSION = 0x2C, 0x21
_HEADER, _DESCRIPTOR = 13, 10  # Bytes
_HAS_TABLE = 0x80  # In the flags before a table of colors


def frame_sizes(contents):
    """Yields `(height, width)` of each frame, as far as the blocks go.

    Args:
        contents: Bytes of the file.
    """
    try:
        at = _HEADER + _table_bytes(contents[10])
        while contents[at] in (_FRAME, _EXTENSION):
            if contents[at] == _FRAME:
                width, height = (int.from_bytes(contents[at + 5 + k : at + 7 + k], "little") for k in (0, 2))
                yield height, width
                at += _DESCRIPTOR + _table_bytes(contents[at + 9]) + 1
            else:
                at += 2
            while contents[at]:  # A block of so many bytes; none ends it.
                at += 1 + contents[at]
            at += 1
    except IndexError:  # The file ends before.
        return


def _table_bytes(flags):
    return 3 * 2 ** (flags % 8 + 1) if flags & _HAS_TABLE else 0
