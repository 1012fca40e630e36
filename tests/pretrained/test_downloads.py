"""Downloads from a server that breaks off, ignores, lies and sends elsewhere."""

import hashlib
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from keras_seg.files import cache_folder
from keras_seg.pretrained import downloads
from keras_seg.pretrained.downloads import download
from keras_seg.rows import Published

CONTENT = bytes(range(256)) * 4000  # One megabyte


class Server(BaseHTTPRequestHandler):
    """Sends CONTENT in the way that the address asks for, and notes the ranges it was asked for."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        getattr(self, self.path.split("/")[1])()

    def answer(self, status, body, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", len(body) if length is None else length)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def wanted(self):
        return int((self.headers.get("Range") or "bytes=0-")[6:-1])

    def good(self, most=None, **lies):
        """All that is wanted, or its first bytes and the end of the connection."""
        start = self.wanted()
        if start >= len(CONTENT):
            return self.answer(416, b"")
        rest = CONTENT[start:]
        where = {"Content_Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
        self.answer(206 if start else 200, rest[:most], **({"length": len(rest)} | lies), **where)

    def breaks(self):
        self.good(most=400_000)

    def whole(self):
        """Ignores what is asked for, and breaks off the first time."""
        most = 400_000 if len(self.server.asked) == 1 else len(CONTENT)
        self.answer(200, CONTENT[:most], len(CONTENT))

    def always_breaks(self):
        self.answer(200, CONTENT[:400_000], len(CONTENT))

    def too_long(self):
        self.good(length=len(CONTENT) + 500)

    def too_short(self):
        self.good(length=len(CONTENT) - 500)

    def no_number(self):
        self.good(length="many")

    def shifted(self):
        """Says that it goes on elsewhere than it was asked to."""
        start = self.wanted()
        if not start:
            return self.breaks()
        self.answer(206, CONTENT[start + 7 :], Content_Range=f"bytes {start + 7}-9/10")

    def other(self):
        self.answer(200, CONTENT[::-1])

    def moved(self):
        self.answer(302, b"", Location="/breaks/file.h5")

    def circle(self):
        self.answer(302, b"", Location="/circle/file.h5")

    def local(self):
        self.answer(302, b"", Location=Path(__file__).as_uri())

    def missing(self):
        self.answer(404, b"not here")

    def slow(self):
        time.sleep(0.3)
        self.good()

    def chunks(self):
        """Says that a chunk has 400,000 bytes, and sends fewer."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n" % 400_000 + CONTENT[:100])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def published(server):
    server.asked = []
    digest = hashlib.sha256(CONTENT).hexdigest()[:8]
    return lambda way: Published(f"http://127.0.0.1:{server.server_port}/{way}/file.h5", "sha256", digest)


@contextmanager
def refused(folder, text, left=None):
    """An OSError with `text`, after which the folder holds nothing but the part that can be gone on with."""
    with pytest.raises(OSError, match=text):
        yield
    part = folder / "file.h5.part"
    assert {path.name for path in folder.iterdir()} - {".lock"} == (set() if left is None else {part.name})
    assert left is None or part.read_bytes() == CONTENT[:left]


def assert_whole(folder):
    assert {path.name for path in folder.iterdir()} - {".lock"} == {"file.h5"}
    assert (folder / "file.h5").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("way", "asked"),
    [
        ("good", [None]),
        ("breaks", [None, "bytes=400000-", "bytes=800000-"]),
        ("whole", [None, "bytes=400000-"]),
        ("moved", [None, None, *["bytes=400000-"] * 2, *["bytes=800000-"] * 2]),
        ("too_long", [None, "bytes=1024000-"]),
        ("no_number", [None]),
        ("slow", [None]),
    ],
)
def test_a_download_arrives_whole(tmp_path, server, published, way, asked):
    assert download(published(way), tmp_path / "made") == tmp_path / "made" / "file.h5"
    assert server.asked == asked
    assert_whole(tmp_path / "made")


def test_what_lies_there_of_an_earlier_download_is_not_asked_for_again(tmp_path, server, published):
    (tmp_path / "file.h5.part").write_bytes(CONTENT[:777_777])
    download(published("good"), tmp_path)
    assert server.asked == ["bytes=777777-"]
    assert_whole(tmp_path)


def test_a_part_that_was_complete_is_taken(tmp_path, published):
    (tmp_path / "file.h5.part").write_bytes(CONTENT)
    download(published("good"), tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("part", [CONTENT[:500_000][::-1], CONTENT + b"more"], ids=["altered", "longer"])
def test_a_part_of_another_file_is_recognized_and_dropped(tmp_path, published, part):
    (tmp_path / "file.h5.part").write_bytes(part)
    with refused(tmp_path, r"its sha256 is \w{64}, not \w{8}"):
        download(published("good"), tmp_path)
    download(published("good"), tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("way", ["other", "too_short", "shifted"])
def test_what_has_another_checksum_is_dropped(tmp_path, published, way):
    with refused(tmp_path, "its sha256 is"):
        download(published(way), tmp_path)


def test_a_transfer_that_never_gets_further_is_given_up_and_its_part_kept(tmp_path, server, published):
    with refused(tmp_path, "ended after 400000 of 1024000 bytes", left=400_000):
        download(published("always_breaks"), tmp_path)
    assert len(server.asked) == 2
    download(published("good"), tmp_path)
    assert_whole(tmp_path)


def test_a_chunk_that_breaks_off_is_an_error(tmp_path, published):
    with refused(tmp_path, "broke off: IncompleteRead", left=0):
        download(published("chunks"), tmp_path)


@pytest.mark.parametrize(
    ("way", "text"), [("missing", "404"), ("circle", "infinite loop"), ("local", "not allowed")]
)
def test_an_address_that_leads_nowhere_leaves_nothing(tmp_path, published, way, text):
    with refused(tmp_path, text):
        download(published(way), tmp_path)


def test_a_server_that_never_ends_is_cut_short(tmp_path, published, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 0)
    with refused(tmp_path, "which no published file has"):
        download(published("good"), tmp_path)


def test_processes_that_want_the_same_file_share_one_download(tmp_path, server, published):
    threads = [threading.Thread(target=download, args=(published("slow"), tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [None]
    assert_whole(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, published):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        download(published("good"), tmp_path / "file" / "folder")


def test_a_name_that_is_never_looked_up_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(downloads.urllib.request, "urlopen", lambda url, timeout: time.sleep(2))
    start = time.perf_counter()
    with pytest.raises(OSError, match=r"no answer within 0\.1 seconds"):
        download(Published("https://example.org/file.h5", "md5", ""), tmp_path)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "~/.cache/keras_seg"),
        ("linux", {"XDG_CACHE_HOME": "/fast"}, "/fast/keras_seg"),
        ("darwin", {}, "~/Library/Caches/keras_seg"),
        ("win32", {"LOCALAPPDATA": "/users/me/local"}, "/users/me/local/keras_seg"),
        ("linux", {"KERAS_SEG_CACHE": "/mine", "XDG_CACHE_HOME": "/fast"}, "/mine"),
    ],
)
def test_the_cache_lies_where_the_platform_keeps_caches(monkeypatch, platform, environment, folder):
    for name in ("KERAS_SEG_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(folder).expanduser()


def test_a_user_without_a_home_is_told_to_name_a_folder(monkeypatch):
    monkeypatch.delenv("KERAS_SEG_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")

    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(OSError, match="KERAS_SEG_CACHE"):
        cache_folder()
