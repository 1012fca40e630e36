"""Reads XML that declares nothing: no entity can grow in it, and none can name a file."""

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from keras_seg.errors import InputError


def parse_xml(path: Path, contents: bytes) -> ElementTree.Element:
    """Returns the root of an XML document.

    Raises:
        InputError: It is no XML, or has a document type, in which entities are declared.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_):
        raise InputError(f"{path}: declares a document type, which no annotation needs; export it again.")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(contents, True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: is not XML: {error}; export it again.") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not XML: {error}; export it again.") from None
    return builder.close()
