"""Downloads of published files: resumed where they broke off, checked at the end, in one folder for all."""

import hashlib
import queue
import threading
import urllib.request
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from tqdm import tqdm

try:
    import fcntl
except ImportError:  # On Windows nothing is locked.
    fcntl = None  # type: ignore[assignment]

ANSWER_SECONDS = 6  # Without a network, a name's look-up alone can take half a minute.
TRIES = 20
LARGEST = 1 << 31  # Bytes; the largest published file has 0.6 GB.
_BLOCK = 1 << 20


def download(file, folder):
    """Downloads a published file, whole and with its checksum, or not at all.

    What arrives lies in `NAME.part` until it is complete. A transfer that breaks off resumes from there, at
    once or when it is asked for again; one process at a time downloads to a folder.

    Args:
        file: `Published`.
        folder: Where it goes; made if it is missing.

    Returns:
        Its path.

    Raises:
        OSError: No answer within a few seconds, a broken transfer, another checksum, or an unwritable folder.
    """
    target = Path(folder) / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent):
        if target.is_file():  # Another process brought it, while this one waited.
            return target
        part = target.with_name(f"{target.name}.part")
        _transfer(file.url, part)
        found = other_checksum(file, part)
        if found:
            part.unlink()
            raise OSError(f"its {file.algorithm} is {found}, not {file.digest}")
        part.replace(target)
    return target


def other_checksum(file, path):
    """Returns a file's checksum if it is not that of `file`, a `Published`; else, or if it has none, None."""
    if not file.digest:
        return None
    digest = hashlib.new(file.algorithm, usedforsecurity=False)
    with Path(path).open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    found = digest.hexdigest()
    return None if found.startswith(file.digest) else found


def _transfer(url, part):
    """Asks for what is missing of `part` as long as each try brings more of it."""
    for _ in range(TRIES):
        before = _size(part)
        try:
            return _receive(url, part, before)
        except HTTPException as error:
            failure = OSError(f"the transfer broke off: {type(error).__name__}: {error}")
        except OSError as error:
            failure = error
        if _size(part) > LARGEST:
            part.unlink()
        if _size(part) <= before:
            break
    raise failure


def _receive(url, part, start):
    headers = {"User-Agent": "keras_seg"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = _open(urllib.request.Request(url, headers=headers))
    except HTTPError as error:
        if error.code == 416 and start:  # Nothing is left to be sent; the checksum tells whether that is so.
            return
        raise
    with response:
        place = response.headers.get("Content-Range") or ""
        if response.status != 206 or not place.startswith(f"bytes {start}-"):
            start = 0  # The server sends the whole file again.
        length = response.headers.get("Content-Length") or ""
        total = start + int(length) if length.isdecimal() else None
        with (
            part.open("ab" if start else "wb") as output,
            tqdm(initial=start, total=total, unit="B", unit_scale=True, desc=part.stem) as bar,
        ):
            while block := response.read(_BLOCK):
                output.write(block)
                bar.update(len(block))
                if output.tell() > LARGEST:
                    raise OSError(f"more than {LARGEST >> 30} GiB arrived, which no published file has")
            if total and output.tell() < total:
                raise OSError(f"the transfer ended after {output.tell()} of {total} bytes")


def _size(path):
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _locked(folder):
    """Holds a folder's lock, or waits for it; one that is killed leaves none."""
    if fcntl is None:
        yield
        return
    with (folder / ".lock").open("a") as file:
        with suppress(OSError):  # A file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(request):
    """Opens an address, or raises an OSError after a few seconds; in a thread, as look-ups have no limit."""
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def ask():
        try:
            answers.put(urllib.request.urlopen(request, timeout=ANSWER_SECONDS))
        except Exception as error:  # Whatever it is, it belongs to the thread that waits.
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {ANSWER_SECONDS} seconds") from None
    if isinstance(answer, OSError):
        raise answer
    if isinstance(answer, Exception):
        raise OSError(str(answer)) from answer
    return answer
