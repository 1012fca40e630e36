"""One network on several devices, through `tf.distribute`: which devices, and what they tell each other."""

import functools
import os
from contextlib import contextmanager, nullcontext

import numpy as np
import tensorflow as tf

from keras_seg.data import Share
from keras_seg.errors import InputError
from keras_seg.training.distributed.cluster import read_cluster

# What an operation ends with that waits for a worker which is gone.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Replicas:
    """The copies of a network that are trained together; one, and no strategy, where nothing is distributed.

    Args:
        strategy: A `tf.distribute.Strategy`, or None.
        worker: Number of this process among those that train together.
        workers: How many they are.

    Attributes:
        count: Number of replicas, over all workers.
        is_chief: Whether this process is the one that writes and reports.
    """

    def __init__(self, strategy=None, worker=0, workers=1):
        self.strategy, self.worker, self.workers = strategy, worker, workers
        self.count = strategy.num_replicas_in_sync if strategy else 1
        self.is_chief = worker == 0

    def scope(self):
        """The context in which variables have a copy on every replica."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def distribute(self, make):
        """Makes what `fit` takes of batches.

        Args:
            make: Function of a `Share` that gives a `tf.data.Dataset`.

        Returns:
            The `tf.data.Dataset` of whole batches, or the one that gives every replica its part.
        """
        if self.strategy is None:
            return make(Share())
        local = self.count // self.workers
        return self.strategy.distribute_datasets_from_function(
            lambda context: make(Share(context.input_pipeline_id * local, local, self.count))
        )

    def steps(self, batches):
        """How many times all replicas take their part of what `distribute` made; None where Keras knows."""
        return None if self.strategy is None else int(batches.cardinality) // (self.count // self.workers)

    def gather(self, number):
        """The integer of each worker, in order; a call that all of them must make."""
        if self.workers == 1:
            return [number]
        row = np.zeros(self.workers, np.int64)
        row[self.worker] = number
        return (self._total(tf.constant(row)).numpy() // (self.count // self.workers)).tolist()

    def any(self, flag):
        """Whether it is true of any worker; a call that all of them must make."""
        return any(self.gather(int(flag)))

    @tf.function(autograph=False)
    def _total(self, row):
        # An argument itself lies on no device, and could not be added up.
        totals = self.strategy.run(lambda: replica_sum(tf.identity(row)))
        return self.strategy.experimental_local_results(totals)[0]

    @contextmanager
    def together(self):
        """Ends all workers where one of them raises `InputError` in this block."""
        error = None
        try:
            yield
        except InputError as raised:
            error = raised
        failed = [worker for worker, fails in enumerate(self.gather(int(error is not None))) if fails]
        if error is not None:
            raise error
        if failed:
            raise InputError(f"worker {failed[0]} cannot start, see what it says")

    def assign(self, variables, values):
        """Gives metrics' variables, which are sums over the replicas, their values."""

        def assign_here():
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, 0)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(tf.where(is_first, value, np.zeros_like(value)))

        if self.strategy is None:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        else:
            self.strategy.run(assign_here)

    def wait(self):
        """Until all workers are here."""
        self.gather(0)

    def check_same(self, what, number):
        """Refuses workers that differ in a number; a call that all of them must make."""
        numbers = self.gather(number)
        if len(set(numbers)) > 1:
            raise InputError(
                f"the workers have {', '.join(map(str, numbers))} {what}; all of them must see the same data "
                "folder and the same run folder, on a file system that they share"
            )

    def check_batches(self, samples, batch_size):
        """Refuses a batch with fewer samples than there are replicas: each of them must have one.

        TensorFlow's convolutions on a CPU give an empty batch a wrong shape.
        """
        last = samples % batch_size or batch_size
        if min(last, batch_size, samples) < self.count:
            fitting = next(
                (size for size in range(max(batch_size, self.count), samples + 1)
                 if (samples % size or size) >= self.count),
                None,
            )  # fmt: skip
            way_out = f"take --batch-size {fitting}" if fitting else "take fewer devices"
            raise InputError(
                f"--batch-size {batch_size}: {samples} images make a batch of {min(last, samples)}, fewer "
                f"than there are replicas, {self.count}; {way_out}"
            )

    def describe(self):
        """`, 2 replicas of 2 workers`, for the reader; nothing where there is no strategy."""
        if self.strategy is None:
            return ""
        workers = f" of {self.workers} workers" if self.workers > 1 else ""
        return f", {self.count} replica{'s' if self.count > 1 else ''}{workers}"


def replica_sum(tensor):
    """Adds up a tensor over the replicas, with a gradient; itself where there is only one."""
    context = tf.distribute.get_replica_context()
    return tensor if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def make_replicas(distribute, report):
    """Makes the replicas of a training, before TensorFlow does anything else.

    Args:
        distribute: The setting of that name.
        report: Function that is given each line for the reader.

    Returns:
        `Replicas`.

    Raises:
        InputError: `TF_CONFIG` is missing or wrong, or TensorFlow cannot make the cluster.
    """
    if distribute == "none":
        return Replicas()
    if distribute == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Replicas(_mirrored(tuple(device.name for device in devices)))
    worker, workers = read_cluster(os.environ.get("TF_CONFIG"))
    if worker == 0 and workers > 1:
        report(f"waiting for {workers - 1} other worker{'s' if workers > 2 else ''}")
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"--distribute multiworker: the cluster of TF_CONFIG cannot be made ({reason}); start all "
            "workers anew, each as a process of its own"
        ) from None
    return Replicas(strategy, worker, workers)


@functools.cache
def _mirrored(devices):
    """One for all trainings of a process: the sums of a second one would be mistaken for the first's."""
    return tf.distribute.MirroredStrategy(devices)


@contextmanager
def lost_workers(replicas, folder):
    """Turns what TensorFlow raises when another worker is gone into one line.

    Args:
        replicas: `Replicas`.
        folder: Of the run.

    Raises:
        InputError: One is gone.
    """
    try:
        yield
    except LOST as error:
        if replicas.workers == 1:
            raise
        raise InputError(
            f"another worker is gone ({type(error).__name__}); start all of them again with --resume {folder}"
        ) from None
