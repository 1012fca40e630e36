"""Batch jobs: which images are meant, what is written, and what an interrupted job goes on with."""

import json
import subprocess
import sys
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

from keras_seg import Predictor
from keras_seg.cli import main
from keras_seg.errors import InputError
from tests.data.helpers import encode

pytest.importorskip("pyarrow")
pytest.importorskip("ray")
pytest.importorskip("fsspec")

import pyarrow as pa
from pyarrow import parquet
from ray import cloudpickle

from keras_seg.batch import manifest, sources
from keras_seg.batch.targets import Target, target_name
from keras_seg.data import read_image

SIZES = ((24, 32), (32, 24), (17, 19))


def image_bytes(height, width, seed=0):
    return encode(np.random.default_rng(seed).integers(0, 256, (height, width, 3)))


def write_images(folder, count):
    """Images of three sizes in two folders, of which two share a name."""
    paths = []
    for index in range(count):
        path = folder / ("a", "b")[index % 2] / f"{index // 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(*SIZES[index % 3], seed=index))
        paths.append(str(path))
    return sorted(paths)


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", 4)


def test_a_folder_gives_all_images_below_it(tmp_path, images):
    (tmp_path / "images" / "notes.txt").write_text("none")
    (tmp_path / "images" / ".hidden.png").write_bytes(b"")
    assert sources.find_images([tmp_path / "images"]) == images


def test_patterns_files_and_repetitions(tmp_path, images):
    assert sources.find_images([f"{tmp_path}/images/a/*.png", images[0]]) == images[:2]


def test_a_list_is_relative_to_its_own_folder(tmp_path, images):
    listed = tmp_path / "list.txt"
    listed.write_text(f"images/b/0.png\n\n{images[0]}\ns3://bucket/far.jpg\n")
    assert sources.find_images([listed]) == [images[2], images[0], "s3://bucket/far.jpg"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_names_images_in_a_column(tmp_path, images, suffix):
    path = tmp_path / f"wanted{suffix}"
    columns = {"id": ["1", "2"], "photo": ["images/a/0.png", images[3]]}
    if suffix == ".csv":
        path.write_text("id,photo\n" + "\n".join(map(",".join, zip(*columns.values(), strict=True))))
    else:
        parquet.write_table(pa.table(columns), path)
    assert sources.find_images([path], column="photo") == [images[0], images[3]]
    with pytest.raises(
        InputError, match="no column path or uri or image; name one of id, photo with --column"
    ):
        sources.find_images([path])


def test_images_in_an_object_store():
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/batch/x/1.png", image_bytes(4, 4))
    store.pipe_file("/batch/2.jpg", b"")
    assert sources.find_images(["memory://batch"]) == ["memory:///batch/2.jpg", "memory:///batch/x/1.png"]
    target = Target("memory://masks")
    target.write("parts/1.parquet", b"1")
    assert target.read("parts/1.parquet") == b"1"
    assert target.names("parts") == ["parts/1.parquet"]
    assert target.holds("memory://masks/a.png") and not target.holds("memory://batch/2.jpg")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nowhere", "nowhere: no such file or folder; check the name"),
        ("empty", "empty: holds no image; images end in"),
        ("damaged.parquet", r"damaged.parquet: cannot be read \("),
        ("ftpx://host/a.png", r"ftpx://host/a.png: cannot be opened \("),
    ],
)
def test_sources_that_give_nothing(tmp_path, monkeypatch, name, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=line):
        sources.find_images([name])


def test_names_of_masks_follow_from_the_whole_address():
    first, second = target_name("/a/street.png"), target_name("/b/street.png")
    assert first == target_name("/a/street.png") != second
    assert first.endswith("-street") and first[:2] == first[3:5]
    assert len(target_name("/" + "x" * 300 + ".png")) < 100


def _row(path, status, **others):
    empty = dict.fromkeys(manifest.SCHEMA.names)
    return {**empty, "path": path, "status": status, **others}


def test_the_manifest_has_one_row_an_image_and_done_wins(tmp_path):
    target = Target(tmp_path)
    manifest.write_part(target, [_row("a", manifest.DONE), _row("b", manifest.FAILED, error="b: bad")])
    manifest.write_part(target, [_row("a", manifest.FAILED, error="late"), _row("c", manifest.DONE)])
    manifest.write_part(target, [_row("b", manifest.DONE, pixels=[1, 2])])
    table = manifest.finish_manifest(target)
    assert sorted(zip(*(table[name].to_pylist() for name in ("path", "status")), strict=True)) == [
        ("a", "done"), ("b", "done"), ("c", "done"),
    ]  # fmt: skip
    assert [path.name for path in tmp_path.rglob("*.parquet")] == ["manifest.parquet"]
    assert manifest.read_manifest(target) == table
    (tmp_path / "manifest.parquet").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"manifest\.parquet: is damaged"):
        manifest.read_manifest(target)


class ThisProcess:
    """Stands in for a `Cluster`: does the work of its only worker here, block by block."""

    memory = None

    def __init__(self):
        self.shared = []

    def share(self, value):
        self.shared.append(value)
        return [len(self.shared) - 1]

    def work(self, worker, settings, items):
        assert "tensorflow" not in modules_of_a_worker(worker, settings)
        labeler = worker(**settings, cores=None)
        for start in range(0, len(items), 5):
            yield labeler({"item": np.array(items[start : start + 5])})


BEGIN = """
import pickle, sys
worker, settings = pickle.load(sys.stdin.buffer)
def load_predictor(*_):
    print(*sys.modules)
    sys.exit()
sys.modules[worker.__module__].load_predictor = load_predictor
worker(**settings, cores=1)
"""


def modules_of_a_worker(worker, settings):
    """What a process that was sent a worker and its settings has imported as it begins to load the model."""
    sent = cloudpickle.dumps((worker, settings))
    done = subprocess.run([sys.executable, "-c", BEGIN], input=sent, capture_output=True, check=True)
    return done.stdout.decode().split()


@pytest.fixture(params=["here", pytest.param("ray", marks=pytest.mark.long)])
def engine(request, monkeypatch):
    """Where a job's work is done. Ray's processes take a minute to start on a busy machine."""
    if request.param == "here":
        cluster = ThisProcess()
        monkeypatch.setattr("keras_seg.batch.job.connected", lambda *_: nullcontext(cluster))
        monkeypatch.setattr("ray.get", lambda index: cluster.shared[index])
    return request.param


def test_a_job_labels_as_the_predictor_does_and_goes_on(tmp_path, run, engine, capsys):
    images = write_images(tmp_path / "images", 12)
    (tmp_path / "images" / "a" / "zz.jpg").write_bytes(b"no image")
    output = tmp_path / "labeled"
    command = ["batch", str(tmp_path / "images"), "--run", str(run.path), "--output", str(output)]
    flags = ["--workers", "1", "--confidence"]
    assert main([*command, *flags]) == 2
    captured = capsys.readouterr()
    assert "12 of 13 images labeled" in captured.out
    assert "zz.jpg: is not an image that can be read here" in captured.err

    rows = {row["path"]: row for row in parquet.read_table(output / "manifest.parquet").to_pylist()}
    assert len(rows) == 13
    predictor = Predictor(run)
    for path in images:
        expected, row = predictor.predict(read_image(path)), rows[path]
        mask = cv2.imread(str(output / row["mask"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, expected.mask)
        assert (row["height"], row["width"]) == mask.shape
        assert row["pixels"] == [np.count_nonzero(mask == index) for index in range(predictor.num_classes)]
        assert row["mean_confidence"] == pytest.approx(expected.confidence.mean(), abs=1e-5)
    assert len(list((output / "masks").rglob("*.png"))) == 12
    assert len(list((output / "confidence").rglob("*.png"))) == 12

    # Started again, it does what is new and nothing twice.
    times = {path: path.stat().st_mtime_ns for path in (output / "masks").rglob("*.png")}
    (tmp_path / "images" / "new.png").write_bytes(image_bytes(8, 9))
    main([*command, *flags])
    assert "13 of 14 images labeled" in (out := capsys.readouterr().out) and "13 of them before" in out
    assert {path: path.stat().st_mtime_ns for path in times} == times

    # Another job has no place there, nor has a target among the images.
    assert main(command) == 2
    assert "holds a job with other outputs; name another --output" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path)]) == 2
    assert "is inside the target" in capsys.readouterr().err
    assert json.loads((output / "job.json").read_text())["classes"] == list(run.classes)


@pytest.mark.long
def test_workers_count_what_one_process_counts(tmp_path, run):
    found = []
    for engine in ("here", "ray"):
        output = tmp_path / f"{engine}.json"
        words = ["evaluate", "--run", str(run.path), "--output", str(output), "--engine", engine]
        # Each in a fresh process, as the command takes other kernels than these tests.
        subprocess.run([sys.executable, "-m", "keras_seg", *words, "--workers", "1"], check=True)
        found.append(json.loads(output.read_text()))
    assert found[0]["num_images"] == 3 and found[0]["num_pixels"] > 1000
    assert found[1] == found[0]


def test_a_report_needs_the_images(run, capsys):
    assert main(["evaluate", "--run", str(run.path), "--engine", "ray", "--report"]) == 2
    assert "--report shows the images" in capsys.readouterr().err


def test_no_cluster_at_an_address_is_one_line(tmp_path, run, images, capsys):
    words = ["--run", str(run.path), "--output", str(tmp_path / "out"), "--address", "127.0.0.1:1"]
    assert main(["batch", images[0], *words]) == 2
    assert (
        "127.0.0.1:1: no Ray cluster answers" in (line := capsys.readouterr().err) and line.count("\n") == 1
    )


def test_ray_that_does_not_start_is_tried_again_then_one_line(tmp_path, run, images, monkeypatch, capsys):
    starts = []

    def fail(address, **options):
        starts.append(address)
        raise Exception("The current node timed out during startup.\nMore of it.")  # As Ray does after 30 s.

    monkeypatch.setattr("ray.init", fail)
    words = ["--run", str(run.path), "--output", str(tmp_path / "out")]
    assert main(["batch", images[0], *words]) == 2
    line = "error: Ray does not start on this machine (The current node timed out during startup.); "
    assert (said := capsys.readouterr().err).startswith(line) and said.count("\n") == 1
    assert starts == ["local"] * 3


def test_without_ray_the_extra_is_named(tmp_path, run, images):
    code = (
        "import sys; sys.modules['ray'] = None; from keras_seg.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["batch", images[0], "--run", str(run.path), "--output", str(tmp_path / "out")]
    command = [sys.executable, "-c", code, *words]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "batch jobs need Ray; pip install 'keras-seg[batch]'" in answer.stderr
