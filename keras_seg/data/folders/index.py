"""The index: facts about each file of a data set, computed in parallel and kept between starts.

It is a table of SQLite in the folder for caches: a row for each file and way to read it, which counts as long
as the file's size and time are the same. It may be removed at any time; where it cannot be written, each
process reads the files again.
"""

import itertools
import json
import os
import sqlite3
import time
import zlib
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_seg.data.folders.inspection import (
    BANDS,
    COLORS,
    IMAGE,
    VALUES,
    Facts,
    ImageFacts,
    MaskFacts,
    Problem,
    header_of,
    inspect_arrays,
    inspect_file,
    pair_facts,
)
from keras_seg.data.formats.bands import Moments
from keras_seg.data.formats.headers import PngKind
from keras_seg.data.formats.reading import Header, parallel_map, read_header
from keras_seg.data.samples import RGB, ArraySample, Dataset, ImageKind
from keras_seg.data.streams import Stream
from keras_seg.files import cache_folder

VERSION = 1  # Raised whenever other things are found in a file, or they are written in another way.
_LARGEST = 1 << 30  # Bytes; a larger index is of data sets of former times, and is made anew.
_SETTLED = 2_000_000_000  # Nanoseconds: FAT's clock stands still so long, while a file may change again.
_AT_ONCE = 1024  # Files between two writes, which a reader who stops early has for next time
_SECONDS_TO_WAIT = 5  # For another process that writes
_BAR_AFTER = 1  # Second
_TABLE = (
    "CREATE TABLE IF NOT EXISTS files (path BLOB, reading TEXT, size INTEGER, time INTEGER, facts BLOB,"
    " checksum INTEGER, PRIMARY KEY (path, reading)) WITHOUT ROWID"
)
_FIND = "SELECT facts, checksum FROM files WHERE path = ? AND reading = ? AND size = ? AND time = ?"

_known: dict[Any, Any] = {}  # What this process knows: `_key` to (size, time) and facts.


def index_path() -> Path:
    """Returns the file of the index; raises OSError where the user has no home folder."""
    return cache_folder() / f"index-{VERSION}.sqlite"


def facts_of(samples: Any, kind: ImageKind = RGB, by_color: bool = False) -> list[Facts]:
    """Returns the facts about samples; reads the files that are not in the index, each once.

    Args:
        samples: Samples or ArraySamples.
        kind: what the images have to be.
        by_color: whether the masks' colors count, and not their values.
    """
    files = [file for sample in samples for file in _files_of(sample, kind, by_color)]
    known = _look_up(files, read=True)

    def facts(sample):
        if isinstance(sample, ArraySample):
            return inspect_arrays(sample)
        image, mask = _files_of(sample, kind, by_color)
        return pair_facts(sample, known[image], known[mask], kind)

    return [facts(sample) for sample in samples]


def facts_of_splits(dataset: Dataset, splits: Any = None) -> dict[str, list[Facts]]:
    """Returns the facts about the samples of the named splits, or of all."""
    wanted = {name: each for name, each in dataset.splits.items() if splits is None or name in splits}
    streams: dict[str, Any] = {name: each for name, each in wanted.items() if isinstance(each, Stream)}
    samples = [sample for name, each in wanted.items() if name not in streams for sample in each]
    found = iter(facts_of(samples, dataset.images, dataset.mask_colors is not None))
    return {
        name: [inspect_arrays(sample) for sample in streams[name]]
        if name in streams
        else list(itertools.islice(found, len(each)))
        for name, each in wanted.items()
    }


def facts_of_masks(masks: list[Path]) -> list[MaskFacts]:
    """Returns the facts about masks alone, read by their values."""
    known = _look_up([(mask, VALUES) for mask in masks], read=True)
    return [known[mask, VALUES] for mask in masks]


def facts_of_bands(image: Path) -> ImageFacts:
    """Returns the facts about an image as it is stored."""
    return _look_up([(image, BANDS)], read=True)[image, BANDS]


def headers_of(samples: Any, dataset: Dataset) -> list[Header]:
    """Returns the Header of each sample; of files that are not in the index the start is read."""
    if isinstance(samples, Stream):
        return [Header(size, "stream") for size in samples.sizes]
    files = [_files_of(sample, dataset.images, dataset.mask_colors is not None) for sample in samples]
    known = _look_up(list(itertools.chain.from_iterable(files)), read=False)

    def is_known(pair):
        return pair and all(file in known and not known[file].problem for file in pair)

    headers = [header_of(*(known[file] for file in pair)) if is_known(pair) else None for pair in files]
    others = [sample for sample, header in zip(samples, headers, strict=True) if header is None]
    read = parallel_map(partial(read_header, kind=dataset.images), others)
    return [header or next(read) for header in headers]


def _files_of(sample, kind, by_color):
    """The two files of a sample, as `(path, reading)`."""
    if isinstance(sample, ArraySample):
        return ()
    return (sample.image, IMAGE if kind.is_rgb else BANDS), (sample.mask, COLORS if by_color else VALUES)


def _key(file):
    """The same file, whichever folder the process is in; links are left as they are."""
    return os.fsencode(os.path.abspath(file[0])), file[1]  # noqa: PTH100


def _look_up(files, read):
    """Returns {(path, reading): facts} from the index and, if `read`, of all other files too."""
    known, unknown, missing = {}, {}, {}
    for file in dict.fromkeys(files):
        state, kept = _state(file[0]), _known.get(_key(file))
        if kept and kept[0] == state:
            known[file] = kept[1]
        else:
            unknown[file] = state
    if not unknown:
        return known
    with _store() as store:
        for file, state in unknown.items():
            facts = store.find(_key(file), state) if state else None
            if facts is None:
                missing[file] = state
            else:
                known[file] = facts
                _known[_key(file)] = state, facts
        if read and missing:
            known |= _read(missing, store)
    return known


def _read(missing, store):
    """Reads files, with a progress bar if it takes long; returns their facts and stores them."""
    known, left = {}, iter(missing)
    # Where standard error is no terminal there is no bar.
    bar = tqdm(desc="reading the data", total=len(missing), unit="file", delay=_BAR_AFTER, disable=None)
    while some := list(itertools.islice(left, _AT_ONCE)):
        settled = time.time_ns() - _SETTLED
        rows = []
        for (path, reading), facts in zip(some, parallel_map(_inspect, some), strict=True):
            bar.update()
            state = missing[path, reading]
            known[path, reading] = facts[reading]
            for other, each in facts.items():
                # What cannot be read may be readable tomorrow: by other rights, or another package.
                is_kept = not each.problem or each.problem.kind != "unreadable"
                if is_kept and state and state[1] < settled:
                    key = _key((path, other))
                    _known[key] = state, each
                    rows.append((key, state, each))
        store.keep(rows)
    bar.close()
    return known


def _inspect(file):
    return inspect_file(*file)


def _state(path):
    """A file's size and time of its last change; None where there is none."""
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat
        return status.st_size, status.st_mtime_ns
    return None


@contextmanager
def _store():
    store = _Store()
    try:
        yield store
    finally:
        store.close()


class _Store:
    """The file of the index. Whatever is wrong with it, the program continues; it only reads more files."""

    def __init__(self):
        self.connection = None
        with suppress(OSError):
            path = index_path()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open(path)

    def _open(self, path):
        if path.exists() and path.stat().st_size > _LARGEST:
            path.unlink()
        for _ in range(2):  # A damaged index is removed, and another one made.
            with self._guarded():
                self.connection = sqlite3.connect(path, timeout=_SECONDS_TO_WAIT)
                self.connection.execute(_TABLE)
                return

    @contextmanager
    def _guarded(self):
        """Continues without an index that cannot be used, and removes one that is damaged."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self.close()
            if not isinstance(error, sqlite3.OperationalError) or "no such" in str(error):
                with suppress(OSError):
                    index_path().unlink()  # The next one to open it makes another.

    def find(self, file, state):
        """Returns the facts of a file of that state, or None."""
        row = None
        if self.connection is not None:
            with self._guarded():
                row = self.connection.execute(_FIND, (*file, *state)).fetchone()
        if row is not None and isinstance(row[0], bytes) and row[1] == _checksum(file[0], row[0]):
            return _from_text(row[0], file[1])
        return None

    def keep(self, rows):
        """Writes rows of (path, reading), state and facts: all or none."""
        values = []
        for (path, reading), state, facts in rows:
            text = _to_text(facts)
            values.append((path, reading, *state, text, _checksum(path, text)))
        if self.connection is not None:
            with self._guarded(), self.connection:
                self.connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", values)

    def close(self):
        """Leaves the file."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def _checksum(path, text):
    return zlib.crc32(text, zlib.crc32(path))


def _to_text(facts):
    values = facts._asdict()
    if isinstance(facts, ImageFacts):
        moments = facts.moments
        values |= {"digest": facts.digest.hex(), "thumbnail": facts.thumbnail.hex()}
        values["moments"] = [moments.count, moments.mean.tolist(), moments.squares.tolist()]
    return json.dumps(values, separators=(",", ":")).encode()


def _from_text(text, reading):
    values = json.loads(text)
    values["size"] = tuple(values["size"])
    if reading in (IMAGE, BANDS):
        count, mean, squares = values["moments"]
        values |= {name: bytes.fromhex(values[name]) for name in ("digest", "thumbnail")}
        values["moments"] = Moments(count, np.array(mean), np.array(squares))
        values["kind"] = ImageKind(*values["kind"])
        return ImageFacts(**values)
    for name in ("counts", "palette", "colors"):
        if values[name] is not None:
            values[name] = {int(key): value for key, value in values[name].items()}
    if values["palette"] is not None:
        values["palette"] = {key: tuple(color) for key, color in values["palette"].items()}
    values["png"] = values["png"] and PngKind(*values["png"])
    values["problem"] = values["problem"] and Problem(*values["problem"])
    return MaskFacts(**values)
