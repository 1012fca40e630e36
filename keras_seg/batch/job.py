"""`label_images`: a job from its images to its manifest, by Ray Data."""

import hashlib
import json
import logging
import math
import os
from contextlib import contextmanager
from typing import NamedTuple

from keras_seg.batch.manifest import DONE, FAILED, finish_manifest, read_manifest
from keras_seg.batch.sources import find_images
from keras_seg.batch.targets import Target
from keras_seg.batch.workers import Worker
from keras_seg.errors import InputError
from keras_seg.memory import available_memory
from keras_seg.runs import CONFIG, Run

JOB = "job.json"
BLOCK = 64  # Images that a worker takes at a time, and labels again if it dies in between.
STORE = 256 << 20  # Bytes of Ray's object store on this machine beside the model: no image goes through it.
_SHARE = 0.8  # Of the memory that is free, for all workers of this machine.


class Summary(NamedTuple):
    """What became of a job.

    Attributes:
        images: Number of images that were asked for.
        done: Of them, those whose mask is there.
        before: Of these, those that an earlier start of the job had done.
        failed: One line for each image that failed.
    """

    images: int
    done: int
    before: int
    failed: list[str]


def label_images(
    run,
    sources,
    output,
    *,
    address=None,
    workers=None,
    cores=1,
    column=None,
    confidence=False,
    overlay=False,
    retry=False,
    progress=None,
    **options,
):
    """Labels every image of the sources, on this machine or a Ray cluster.

    What an earlier start of the same job has done is not done again. A worker that dies is replaced; an
    image that cannot be read or labeled is a row of the manifest.

    Args:
        run: Run folder, or `Run`.
        sources: Images, folders, patterns, lists and manifests, as `find_images` takes them.
        output: Address of the target folder: `masks/`, `manifest.parquet`, `job.json`.
        address: Of a Ray cluster, as `ray.init` takes it; None: this machine, for the time of the job.
        workers: How many; by default one for each GPU, else as many as cores and memory allow.
        cores: Cores of each.
        column: Column of the manifests, as `find_images` takes it.
        confidence: Whether to write `confidence/` too, grey PNG, 255 is certain.
        overlay: Whether to write `overlays/` too.
        retry: Whether images that failed before are tried again.
        progress: Wraps what is iterated, as `tqdm.tqdm` does with `total`, `initial` and `unit`.
        **options: Keyword arguments of `Predictor`; `memory` is that of one worker.

    Returns:
        `Summary`.

    Raises:
        InputError: A source gives nothing, the target holds another job or lies among the images, no cluster
            answers, Ray is not installed, or a file cannot be written. What was written before is whole.
    """
    ray = _import_ray()
    run = run if isinstance(run, Run) else Run.open(run)
    target, images = Target(output), find_images(sources, column)
    for image in images:
        if target.holds(image):
            raise InputError(f"{image}: lies in the target {output}; name another --output, or other sources")
    wanted = [name for name, is_wanted in (("confidence", confidence), ("overlay", overlay)) if is_wanted]
    version = _claim(target, run, wanted, options)
    known = read_manifest(target).select(["path", "status"]).to_pylist()
    finished = {row["path"] for row in known if row["status"] == DONE or not retry}
    left = [image for image in images if image not in finished]
    if left:
        files = {name: (run.path / name).read_bytes() for name in (CONFIG, run.best_path.name)}
        with _cluster(ray, address, STORE + 2 * sum(map(len, files.values()))):
            count, gpus = _workers(ray, workers, cores, address)
            if address is None:
                options.setdefault("memory", max(1 << 30, int(_SHARE * available_memory() / count)))
            settings = {
                "run": [ray.put(files)],
                "target": str(output) if not target.is_local else target.root,
                "version": version,
                "cores": cores,
                "options": options,
                "wanted": wanted,
            }
            _work(ray, left, settings, count, cores, gpus, progress, len(images))
    return _summary(finish_manifest(target), images, len(images) - len(left))


def _summary(table, images, before):
    asked = set(images)
    rows = [row for row in table.select(["path", "status", "error"]).to_pylist() if row["path"] in asked]
    failed = [row["error"] for row in rows if row["status"] == FAILED]
    return Summary(len(images), len(rows) - len(failed), before, failed)


def _import_ray():
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError("batch jobs need Ray; pip install 'keras-seg[batch]'") from None
    return ray


def _claim(target, run, wanted, options):
    """Writes `job.json`, or makes sure that it is of this job; returns the version of the model."""
    if not run.best_path.is_file():
        raise InputError(f"{run.best_path}: missing; go on with --resume {run.path}")
    version = hashlib.sha256(run.best_path.read_bytes()).hexdigest()[:16]
    job = {
        "model": run.config["model"],
        "model_version": version,
        "classes": list(run.classes),
        "colors": [list(color) for color in run.colors],
        "outputs": ["masks", *wanted],
        "options": {name: str(value) for name, value in sorted(options.items()) if name != "memory"},
    }
    contents = target.read(JOB)
    if contents is None:
        target.write(JOB, json.dumps(job, indent=2).encode())
        return version
    try:
        earlier = json.loads(contents)
        different = [name for name in job if earlier.get(name) != job[name]]
    except (ValueError, AttributeError):
        raise InputError(f"{target.address}/{JOB}: is damaged; remove it, or name another --output") from None
    if different:
        raise InputError(
            f"{target.address}: holds a job with other {' and '.join(different)}; name another --output"
        )
    return version


@contextmanager
def _cluster(ray, address, store):
    """A connection to the cluster; without an address one is started, and ends with the job."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": store}
    try:
        ray.init(address or "local", **options)
    except Exception as error:  # Ray has no exception of its own for it.
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{address}: no Ray cluster answers ({line}); start one with `ray start --head`, or leave "
            "--address out"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _workers(ray, workers, cores, address):
    """Returns the number of workers, and the GPUs of each."""
    have = ray.cluster_resources()
    if cores < 1 or cores > have.get("CPU", 1):
        raise InputError(f"--cores must be 1 to {have.get('CPU', 1):.0f}, received {cores}")
    gpus = int(have.get("GPU", 0))
    most = int(have.get("CPU", 1)) // cores
    if workers is None:
        by_memory = most if address else max(1, int(_SHARE * available_memory() / (1 << 31)))
        return (gpus, 1) if gpus else (min(most, by_memory), 0)
    if not 1 <= workers <= most:
        raise InputError(f"--workers must be 1 to {most}, the cores there are, received {workers}")
    return workers, min(1, gpus / workers)


def _work(ray, left, settings, count, cores, gpus, progress, total):
    """Lets the workers label what is left."""
    import pyarrow as pa

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # No more than a few blocks for each worker, that the last of them do not wait for one.
    size = max(1, min(BLOCK, math.ceil(len(left) / (4 * count))))
    blocks = [pa.table({"path": left[start : start + size]}) for start in range(0, len(left), size)]
    labeled = ray.data.from_arrow(blocks).map_batches(
        Worker,
        fn_constructor_kwargs=settings,
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=cores,
        num_gpus=gpus,
    )
    bar = progress(total=total, initial=total - len(left), unit="image", desc="batch") if progress else None
    try:
        for block in labeled.iter_batches(batch_size=None):
            if bar is not None:
                bar.update(len(block["status"]))
    except Exception as error:
        raise _cause(error) from None
    finally:
        if bar is not None:
            bar.close()


def _cause(error):
    """The `InputError` that ended a worker, as Ray wraps it; else the error itself."""
    seen = error
    while seen is not None:
        if isinstance(seen, InputError):
            return InputError(*seen.args)
        seen = getattr(seen, "cause", None) or seen.__cause__
    return error
