"""The index: each file of a data set is opened once, and known in the next process."""

import io
import os
import sqlite3
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from tqdm import tqdm

from keras_seg import InputError, TrainConfig, train
from keras_seg.data import check_dataset, load_dataset
from keras_seg.data.folders import index
from keras_seg.data.folders.index import facts_of, facts_of_splits, headers_of, index_path
from keras_seg.data.formats.reading import read_header, read_image, read_mask
from keras_seg.data.samples import ImageKind, Sample
from tests.data.helpers import PALETTE, encode, picture, png, write_folder

IDS = np.arange(12 * 16).reshape(12, 16) % 3
COLORS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]])
_listeners = []


def _hear(event, arguments):
    if _listeners and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        for opened in _listeners:
            opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hear)  # It stays for the process, as Python has no way to take one back.


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_SEG_CACHE", str(tmp_path / "cache"))
    _forget()


def _forget():
    """Makes this process know no more than a new one."""
    index._known.clear()


def _write(root, count=6, **options):
    """Writes a data folder whose files did not change a moment ago."""
    return _age(write_folder(root, count, **options))


def _age(root):
    for path in (root, *root.rglob("*")):
        os.utime(path, ns=(10**18, 10**18))
    return root


def _files(root):
    return [path for kind in ("images", "masks") for path in sorted((root / kind).rglob("*.*"))]


def _opened(call, *arguments):
    """The files that Python opens for a call."""
    opened = []
    _listeners.append(opened)
    try:
        call(*arguments)
    finally:
        _listeners.remove(opened)
    return opened


class _FirstStepError(Exception):
    pass


def test_a_training_opens_each_file_once_and_the_next_one_none_before_its_first_step(tmp_path, monkeypatch):
    root = _write(tmp_path / "data", 6, masks=IDS)

    def fit(*_, **__):
        raise _FirstStepError

    def start(name):
        options = {"widths": (2, 2), "decoder_widths": (2,)}
        config = TrainConfig(
            model="unet", model_options=options, weights="none", data=str(root), image_size=(8, 8),
            class_weights="balanced", epochs=1, output=str(tmp_path / name),
        )  # fmt: skip
        with pytest.raises(_FirstStepError):
            train(config, report=lambda line: None)
        _forget()

    monkeypatch.setattr(keras.Model, "fit", fit)
    files = [str(path) for path in _files(root)]
    opened = [path for path in _opened(start, "first") if path in files]
    assert sorted(opened) == sorted(files) and len(files) == 12
    for path in _files(root):  # TensorFlow opens files without Python: here it would find nothing in them.
        path.write_bytes(bytes(path.stat().st_size))
    _age(root)
    assert not [path for path in _opened(start, "second") if path in files]


def test_what_is_kept_is_what_was_read(tmp_path):
    root = tmp_path
    noise = np.random.default_rng(0).integers(0, 1 << 16, (5, 7, 4)).astype(np.uint16)
    np.save(root / "bands.npy", noise)
    files = {"image.png": encode(picture(12, 16)), "image.jpg": encode(picture(12, 16), ".jpg")}
    files |= {"palette.png": png(IDS, PALETTE, 8, COLORS), "colors.png": encode(COLORS[IDS])}
    files["deep.png"] = png(IDS * 300, depth=16)
    for name, content in files.items():
        (root / name).write_bytes(content)
    _age(root)
    pairs = [("image.jpg", "palette.png"), ("image.png", "colors.png"), ("image.png", "deep.png")]
    samples = [Sample(root / image, root / mask) for image, mask in pairs]
    bands = [Sample(root / "bands.npy", root / "palette.png")]

    def look():
        found = facts_of(samples) + facts_of(samples, by_color=True)
        return found + facts_of(bands, ImageKind(4, "uint16"))

    first = look()
    _forget()
    kept = []
    assert not [path for path in _opened(lambda: kept.extend(look())) if "cache" not in path]
    for one, other in zip(first, kept, strict=True):
        for name in one.__slots__:
            before, after = getattr(one, name), getattr(other, name)
            if name == "moments":
                assert before.count == after.count
                np.testing.assert_array_equal(before.mean, after.mean)
                np.testing.assert_array_equal(before.squares, after.squares)
            else:
                assert before == after and type(before) is type(after), name
    assert kept[0].counts == {value: int((value == IDS).sum()) for value in range(3)}
    assert kept[0].palette == {value: tuple(color) for value, color in enumerate(COLORS.tolist())}
    assert kept[4].counts == {0: 64, 128 << 16: 64, 128 << 8: 64}
    assert kept[2].counts == {0: 64, 300: 64, 600: 64}
    np.testing.assert_allclose(kept[6].moments.mean, noise.reshape(-1, 4).mean(axis=0), rtol=1e-12)
    assert kept[6].problem.kind == "size"


def test_a_bar_counts_the_files_and_whoever_stops_early_keeps_what_was_read(tmp_path, monkeypatch):
    root = _write(tmp_path / "data", 6)
    shown = io.StringIO()
    options = {"disable": False, "delay": 0, "mininterval": 0, "file": shown}
    monkeypatch.setattr(index, "tqdm", lambda *values, **given: tqdm(*values, **{**given, **options}))
    monkeypatch.setattr(index, "_AT_ONCE", 5)
    inspect, looked_at = index.inspect_file, []

    def stop(path, reading):
        looked_at.append(path)
        if len(looked_at) == 8:
            raise KeyboardInterrupt
        return inspect(path, reading)

    monkeypatch.setattr(index, "inspect_file", stop)
    with pytest.raises(KeyboardInterrupt):
        load_dataset(root)
        check_dataset(load_dataset(root))
    _forget()
    monkeypatch.setattr(index, "inspect_file", inspect)
    dataset = load_dataset(root)
    opened = [path for path in _opened(check_dataset, dataset) if path.startswith(str(root))]
    assert "6/6" in shown.getvalue() and 0 < len(opened) <= 7


def test_headers_from_the_index_are_those_of_the_files(tmp_path):
    root = _write(tmp_path / "data", 3)
    dataset = load_dataset(root, num_classes=3)
    samples = [sample for split in dataset.splits.values() for sample in split]
    read = headers_of(samples, dataset)  # Of a data set that nobody looked at
    check_dataset(dataset)
    assert not _opened(headers_of, samples, dataset)
    assert headers_of(samples, dataset) == read == [read_header(sample) for sample in samples]


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changed_is_read_again(tmp_path, change):
    root = _write(tmp_path / "data", 6, masks=IDS)
    assert load_dataset(root).num_classes == 3
    for path in (root / "masks").iterdir():
        content = path.read_bytes()
        path.write_bytes(png(IDS * 2) + (b"" if change == "time" else b"more"))
        os.utime(path, ns=(10**18, 10**18 + (change == "time")))
        assert change == "size" or len(content) <= path.stat().st_size
    _forget()
    assert load_dataset(root).num_classes == 5


def test_a_file_may_change_again_right_after_it_was_read(tmp_path):
    root = write_folder(tmp_path / "data", 6, masks=IDS)
    times = {path: path.stat().st_mtime_ns for path in _files(root)}
    assert load_dataset(root).num_classes == 3
    for path in (root / "masks").iterdir():
        size = path.stat().st_size
        path.write_bytes(png((IDS > 0) * 1).ljust(size, b"\0")[:size])
        os.utime(path, ns=(times[path], times[path]))
    assert load_dataset(root).num_classes == 2


def test_what_cannot_be_read_is_tried_again(tmp_path):
    root = _write(tmp_path / "data", 6)
    path = root / "images" / "3.jpg"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    _age(root)
    for _ in range(2):
        with pytest.raises(InputError, match=r"3\.jpg: is not an image"):
            check_dataset(load_dataset(root))
    path.write_bytes(content)
    _age(root)
    check_dataset(load_dataset(root))


def _damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "values":
        place = content.index(b'"counts":{"0":') + 14
        content[place] = ord("9") if content[place] != ord("9") else ord("8")
    elif how == "middle":
        content[100:] = bytes(len(content) - 100)
    elif how == "schema":  # SQLite's message then holds a byte that Python cannot read as text.
        content = content.replace(b"CREATE TABLE files", b"CREATE TABLE \xafiles")
    elif how == "column":
        content = content.replace(b"checksum INTEGER", b"checkxxx INTEGER")
    path.write_bytes({"empty": b"", "text": b"no table\n" * 999}.get(how, content))


@pytest.mark.parametrize("how", ["empty", "text", "values", "middle", "schema", "column"])
def test_a_damaged_index_is_made_anew(tmp_path, how):
    root = _write(tmp_path / "data", 6)
    expected = facts_of_splits(load_dataset(root))
    _damage(index_path(), how)
    for _ in range(3):  # The damage may be found when the table is opened, or later.
        _forget()
        found = facts_of_splits(load_dataset(root))
        assert [fact.counts for fact in found["train"]] == [fact.counts for fact in expected["train"]]
    _forget()
    assert not [path for path in _opened(check_dataset, load_dataset(root)) if str(root) in path]
    with sqlite3.connect(index_path()) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("place", ["below a file", "a folder", "no home"])
def test_without_a_cache_each_process_reads_the_files(tmp_path, monkeypatch, place):
    root = _write(tmp_path / "data", 6)
    if place == "below a file":
        monkeypatch.setenv("KERAS_SEG_CACHE", str(root / "images" / "0.jpg" / "cache"))
    elif place == "a folder":
        index_path().mkdir(parents=True)
    else:
        monkeypatch.setattr(index, "cache_folder", lambda: (_ for _ in ()).throw(OSError("no home")))
    files = [str(path) for path in _files(root)]
    for _ in range(2):
        opened = _opened(lambda: [check_dataset(load_dataset(root)) for _ in range(2)])
        assert sorted(path for path in opened if path in files) == sorted(files)
        _forget()


def test_a_set_is_known_by_its_place_and_not_by_the_way_to_it(tmp_path, monkeypatch):
    root = _write(tmp_path / "data", 6)
    check_dataset(load_dataset(root))
    _forget()
    monkeypatch.chdir(tmp_path)
    dataset = load_dataset("data")
    assert not [path for path in _opened(check_dataset, dataset) if path.endswith("g")]
    other = _write(tmp_path / "elsewhere" / "data", 6, masks=(IDS > 1) * 1)
    monkeypatch.chdir(other.parent)
    assert load_dataset("data").num_classes == 2


def test_sums_and_counts_are_those_of_the_pixels(tmp_path):
    root = _write(tmp_path / "data", 4, size=(9, 11))
    for fact in facts_of_splits(load_dataset(root))["train"]:
        values, counts = np.unique(read_mask(fact.mask), return_counts=True)
        assert fact.counts == dict(zip(values.tolist(), counts.tolist(), strict=True))
        image = read_image(Path(fact.image)).reshape(-1, 3)
        np.testing.assert_allclose(fact.moments.mean, image.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(fact.moments.deviation, image.std(axis=0), rtol=1e-9)
