"""`label_images`: a job from its images to its manifest."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from keras_seg.batch.cluster import Workers, connected, run_files
from keras_seg.batch.manifest import DONE, FAILED, finish_manifest, read_manifest
from keras_seg.batch.sources import find_images
from keras_seg.batch.targets import Target
from keras_seg.batch.workers import Labeler
from keras_seg.errors import InputError
from keras_seg.hints import PathLike
from keras_seg.runs import Run

JOB = "job.json"


class Summary(NamedTuple):
    """The outcome of a job.

    Attributes:
        images: Number of images that were asked for.
        done: Images whose mask is there.
        before: Images that an earlier start of the job had processed.
        failed: One line for each image that failed.
    """

    images: int
    done: int
    before: int
    failed: list[str]


def label_images(
    run: Run,
    sources: Iterable[PathLike],
    output: PathLike,
    *,
    workers: Workers | None = None,
    column: str | None = None,
    confidence: bool = False,
    overlay: bool = False,
    retry: bool = False,
    progress: Callable[..., Any] | None = None,
    **options: Any,
) -> Summary:
    """Labels every image of the sources, on this machine or a Ray cluster.

    What an earlier start of the same job has done is not done again. A worker that dies is replaced; an
    image that cannot be read or labeled is a row of the manifest.

    Args:
        run: Run folder, or `Run`.
        sources: Images, folders, patterns, lists and manifests, as `find_images` takes them.
        output: Address of the target folder: `masks/`, `manifest.parquet`, `job.json`.
        workers: `Workers`; by default as many as suit this machine.
        column: Column of the manifests, as `find_images` takes it.
        confidence: Whether to write `confidence/` too, grey PNG, 255 is certain.
        overlay: Whether to write `overlays/` too.
        retry: Whether images that failed before are tried again.
        progress: Makes a progress bar, as `tqdm.tqdm` does of `total`, `initial` and `unit`.
        **options: Keyword arguments of `Predictor`; `memory` is that of one worker.

    Returns:
        `Summary`.

    Raises:
        InputError: A source gives nothing, the target holds another job or lies among the images, no cluster
            answers, Ray is not installed, or a file cannot be written. What was written before is whole.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    files, target, images = run_files(run), Target(output), find_images(sources, column)
    for image in images:
        if target.holds(image):
            raise InputError(
                f"{image}: is inside the target {output}; name another --output, or other sources"
            )
    wanted = [name for name, is_wanted in (("confidence", confidence), ("overlay", overlay)) if is_wanted]
    version = hashlib.sha256(files[run.best_path.name]).hexdigest()[:16]
    _claim(target, run, version, wanted, options)
    known = read_manifest(target).select(["path", "status"]).to_pylist()
    finished = {row["path"] for row in known if row["status"] == DONE or not retry}
    left = [image for image in images if image not in finished]
    if left:
        with connected(workers or Workers(), run) as cluster:
            settings = {
                "run": cluster.share(files),
                "options": cluster.share({"memory": cluster.memory, **options}),
                "target": target.root if target.is_local else target.address,
                "version": version,
                "wanted": wanted,
            }
            bar = progress and progress(total=len(images), initial=len(images) - len(left), unit="image")
            for block in cluster.work(Labeler, settings, left):
                if bar:
                    bar.update(len(block["item"]))
            if bar:
                bar.close()
    return _summary(finish_manifest(target), images, len(images) - len(left))


def _summary(table, images, before):
    asked = set(images)
    rows = [row for row in table.select(["path", "status", "error"]).to_pylist() if row["path"] in asked]
    failed = [row["error"] for row in rows if row["status"] == FAILED]
    return Summary(len(images), len(rows) - len(failed), before, failed)


def _claim(target, run, version, wanted, options):
    """Writes `job.json`, or checks that the existing one belongs to this job."""
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
        return
    try:
        earlier = json.loads(contents)
        different = [name for name in job if earlier.get(name) != job[name]]
    except (ValueError, AttributeError):
        raise InputError(f"{target.address}/{JOB}: is damaged; remove it, or name another --output") from None
    if different:
        raise InputError(
            f"{target.address}: holds a job with other {' and '.join(different)}; name another --output"
        )
