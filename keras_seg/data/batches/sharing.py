"""The parts of each batch that the replicas of a distributed training take; none of them is empty."""

import itertools
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Share:
    """Whose parts of each batch a stream holds.

    Attributes:
        first: the first replica, from 0.
        count: of replicas, from that one on; their parts follow one another.
        total: of all replicas.
    """

    first: int = 0
    count: int = 1
    total: int = 1

    @property
    def replicas(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.count)


WHOLE = Share()


def parts_of_batches(share, sizes):
    """Divides each batch among the replicas: k of n has the samples from `k size // n` on, as many as others.

    Args:
        share: a Share.
        sizes: of the batches in samples, each at least the number of replicas.

    Returns:
        `(chosen, parts)`: whether each sample is in the share, and the sizes of the share's parts.
    """
    chosen, parts = [], []
    for size in sizes:
        bounds = [replica * size // share.total for replica in (*share.replicas, share.replicas.stop)]
        chosen += [bounds[0] <= place < bounds[-1] for place in range(size)]
        parts += [end - start for start, end in itertools.pairwise(bounds)]
    return chosen, parts


def turns_of_batches(share, sizes):
    """Gives the replicas batches in turn; where the number of batches does not divide, large ones are split.

    Args:
        share: a Share.
        sizes: of the batches in samples.

    Returns:
        `(chosen, parts, missing)`: whether each sample is in the share, the sizes of the share's batches, and
        for how many of its replicas there is none left in the last turn.
    """
    sizes = list(sizes)
    while len(sizes) % share.total and max(sizes) > 1:
        place = sizes.index(max(sizes))
        sizes[place : place + 1] = (sizes[place] + 1) // 2, sizes[place] // 2
    turns = range(-(-len(sizes) // share.total))
    own = [turn * share.total + replica for turn in turns for replica in share.replicas]
    ours = set(own)
    chosen = [index in ours for index, size in enumerate(sizes) for _ in range(size)]
    parts = [sizes[index] for index in own if index < len(sizes)]
    return chosen, parts, len(own) - len(parts)


def select(stream, chosen):
    """The numbered elements, `(number, element)`, of a stream that are chosen; `chosen` repeats."""
    if all(chosen):
        return stream
    table = tf.constant(chosen)

    @tf.autograph.experimental.do_not_convert
    def is_chosen(number, _):
        return table[number % len(chosen)]

    return stream.filter(is_chosen)
