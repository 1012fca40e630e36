"""Images that are there twice: by the bytes of their files, and by a print that similar images share.

The print is a difference hash (N. Krawetz, "Kind of Like That", 2013), confirmed on thumbnails.
"""

from collections import defaultdict
from itertools import combinations

import numpy as np

from keras_seg.data.folders.inspection import Facts, Problem

DOUBLED = ("leak", "contradiction", "duplicate")
_BANDS = 4  # Prints that differ in at most three bits agree in one of four bands of 16 bits.
_MOST_BITS = _BANDS - 1
# Mean difference of the thumbnails, of 255. Encoded anew at quality 50 a CamVid frame is 0.3 off; the frames
# before and after, a fifteenth of a second away, are 1.3 or more.
_MOST_LEVELS = 0.75
_MOST_IN_BAND = 200  # A band that so many share, as flat images do, tells nothing.


def doubled_images(facts: dict[str, list[Facts]]) -> list[Problem]:
    """Returns a problem for each image whose very bytes were there before.

    It is a `leak` where that was in another split, a `contradiction` where it has another mask, and else a
    `duplicate`.
    """
    problems = []
    for group in _by_digest(facts):
        first_of: dict[str, Facts] = {}
        for split, other in group:
            if split in first_of:
                problems.append(_double(split, first_of[split], other))
            elif first_of:
                problems.append(_leak(*next(iter(first_of.items())), split, other))
            first_of.setdefault(split, other)
    return sorted(problems, key=lambda problem: DOUBLED.index(problem.kind))


def _leak(first_split, first, split, other):
    text = (
        f"{first.image}: {_same(other, first)}, in the splits {first_split} and {split}"
        f"{', with another mask' if _differ(first, other) else ''}; take it out of one, or the metrics of"
        f" {split} mean nothing."
    )
    return Problem("leak", text)


def _double(split, first, other):
    if _differ(first, other):
        text = (
            f"{other.mask}: labels the same image as {first.mask} and differs from it;"
            " one of them is wrong: keep the pair that is right."
        )
        return Problem("contradiction", text)
    text = (
        f"{other.image}: {_same(first, other)}, with the same mask; keep one, unless it should count twice"
        f" in {split}."
    )
    return Problem("duplicate", text)


def _differ(one, other):
    return bool(one.counts and other.counts) and one.labels != other.labels


def _same(one, other):
    return "is listed twice" if one.image == other.image else f"the same file as {one.image}"


def similar_images(facts: dict[str, list[Facts]]) -> list[Problem]:
    """Returns a problem for each two images that are not the same file but look the same."""
    every = [(split, fact) for split, found in facts.items() for fact in found if fact.thumbnail]
    problems = []
    for one, two in sorted(_near_prints([fact.print for _, fact in every])):
        (split, first), (other_split, other) = every[one], every[two]
        grey, other_grey = (np.frombuffer(fact.thumbnail, np.uint8).astype(int) for fact in (first, other))
        levels = np.abs(grey - other_grey).mean()
        if first.digest == other.digest or levels > _MOST_LEVELS:
            continue
        where = f"both are in {split}" if split == other_split else f"they are in {split} and {other_split}"
        cure = "keep one" if split == other_split else "put both into one split"
        problems.append(
            Problem(
                "similar", f"{other.image}: looks like {first.image}, and {where}; {cure} if it is the same."
            )
        )
    return problems


def _by_digest(facts):
    places = defaultdict(list)
    for split, found in facts.items():
        for fact in found:
            if fact.digest:
                places[fact.digest].append((split, fact))
    return [group for group in places.values() if len(group) > 1]


def _near_prints(prints):
    near = set()
    for band in range(_BANDS):
        buckets = defaultdict(list)
        for index, value in enumerate(prints):
            buckets[value >> (16 * band) & 0xFFFF].append(index)
        for members in buckets.values():
            if len(members) <= _MOST_IN_BAND:
                near |= {
                    (one, two)
                    for one, two in combinations(members, 2)
                    if (prints[one] ^ prints[two]).bit_count() <= _MOST_BITS
                }
    return near
