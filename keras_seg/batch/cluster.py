"""Workers on this machine or a Ray cluster, and blocks of work for them by Ray Data."""

import logging
import math
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass

from keras_seg.errors import InputError
from keras_seg.memory import available_memory
from keras_seg.runs import CONFIG

BLOCK = 64  # Images that a worker takes at a time, and does again if it dies in between.
STORE = 256 << 20  # Bytes of Ray's object store on this machine beside the model: no image goes through it.
LEAST_MEMORY = 1 << 31  # Bytes for a worker, from which its number follows where none is given.
_SHARE = 0.8  # Of the memory that is free, for all workers of this machine.
_STARTS = 3  # Attempts on this machine: Ray waits 30 s for its own processes, too short for a busy one.


@dataclass(frozen=True)
class Workers:
    """Where a job's workers are.

    Attributes:
        address: Of a Ray cluster, as `ray.init` takes it; None: this machine, for the time of the job.
        count: How many; None: one for each GPU, else as many as cores and memory allow.
        cores: Cores of each.
    """

    address: str | None = None
    count: int | None = None
    cores: int = 1


class Cluster:
    """A connection to a cluster; made by `connected`.

    Attributes:
        count: Number of workers.
        memory: Bytes that each of them may take; None where the machines are others.
    """

    def __init__(self, ray, workers):
        self._ray, self._cores = ray, workers.cores
        have = ray.cluster_resources()
        cores, gpus = int(have.get("CPU", 1)), int(have.get("GPU", 0))
        if not 1 <= workers.cores <= cores:
            raise InputError(f"--cores must be 1 to {cores}, received {workers.cores}")
        most = cores // workers.cores
        free = _SHARE * available_memory()
        self.count = workers.count
        if self.count is None:
            by_memory = most if workers.address else max(1, int(free / LEAST_MEMORY))
            self.count = gpus or min(most, by_memory)
        if not 1 <= self.count <= max(most, gpus):
            raise InputError(f"--workers must be 1 to {most}, the cores there are, received {self.count}")
        self._gpus = min(1, gpus / self.count)
        self.memory = None if workers.address else max(1 << 30, int(free / self.count))

    def share(self, value):
        """Puts a value where all workers find it, as a list with a reference for `ray.get`."""
        return [self._ray.put(value)]

    def work(self, worker, settings, items):
        """Runs a worker on every item.

        A worker that dies is replaced, and its block is done again.

        Args:
            worker: Class, made with `settings` and `cores`, whose instances map a block
                `{"item": array}` to one.
            settings: Keyword arguments.
            items: List of strings or numbers.

        Yields:
            What became of each block, in the order of the items.

        Raises:
            InputError: One ended a worker.
        """
        import pyarrow as pa

        context = self._ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        # No more than a few blocks for each worker, that the last of them do not wait for one.
        size = max(1, min(BLOCK, math.ceil(len(items) / (4 * self.count))))
        blocks = [pa.table({"item": items[start : start + size]}) for start in range(0, len(items), size)]
        done = self._ray.data.from_arrow(blocks).map_batches(
            worker,
            fn_constructor_kwargs={**settings, "cores": self._cores},
            batch_size=None,
            compute=self._ray.data.ActorPoolStrategy(size=self.count),
            num_cpus=self._cores,
            num_gpus=self._gpus,
        )
        try:
            yield from done.iter_batches(batch_size=None)
        except Exception as error:
            raise _cause(error) from None


@contextmanager
def connected(workers, run):
    """Yields a `Cluster`; without an address one is started, and stopped after the block.

    Args:
        workers: `Workers`.
        run: `Run` whose model the workers will have.

    Raises:
        InputError: Ray is not installed or does not start, no cluster answers, or it has too few cores.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError("batch jobs need Ray; pip install 'keras-seg[batch]'") from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options = {"logging_level": logging.ERROR, "log_to_driver": False}
    if workers.address is None:
        store = STORE + 2 * run.best_path.stat().st_size
        options |= {"include_dashboard": False, "object_store_memory": store}
    if workers.address is None:
        _start(ray, options)
    else:
        _join(ray, workers.address, options)
    try:
        yield Cluster(ray, workers)
    finally:
        ray.shutdown()


def _start(ray, options):
    """Starts a cluster on this machine."""
    for attempt in range(1, _STARTS + 1):
        try:
            ray.init("local", **options)
            return
        except Exception as error:  # Ray has no exception of its own for it.
            ray.shutdown()
            if attempt == _STARTS:
                cure = "free some memory and cores and try again, or name a cluster by --address"
                line = f"Ray does not start on this machine ({_first_line(error)}); {cure}"
                raise InputError(line) from None


def _join(ray, address, options):
    """Connects to the cluster at an address."""
    try:
        _knock(address)
        ray.init(address, **options)
    except Exception as error:  # As above.
        cure = "start one with Ray's `ray start`, or leave --address out"
        raise InputError(f"{address}: no Ray cluster answers ({_first_line(error)}); {cure}") from None


def _first_line(error):
    return next(iter(str(error).splitlines()), type(error).__name__)


def _knock(address):
    """Raises OSError if nothing answers at HOST:PORT; Ray itself would wait for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def run_files(run):
    """{name: bytes} of the files of a run that a worker needs, so that no disk has to be shared.

    Raises:
        InputError: The run has no model.
    """
    if not run.best_path.is_file():
        raise InputError(f"{run.best_path}: missing; resume it with --resume {run.path}")
    return {name: (run.path / name).read_bytes() for name in (CONFIG, run.best_path.name)}


def _cause(error):
    """The `InputError` inside the error that Ray raises for a worker; otherwise that error."""
    seen = error
    while seen is not None:
        if isinstance(seen, InputError):
            return InputError(*seen.args)
        seen = getattr(seen, "cause", None) or seen.__cause__
    return error
