"""Odd data sets: names, links, pipes, sizes and a `dataset.json` of every wrong type."""

import functools
import json
import os
from pathlib import Path

import numpy as np

from keras_seg.data import check_dataset, eval_batches, load_dataset
from keras_seg.errors import InputError
from tests.attack import commands, folders
from tests.attack.case import ANSWERED, REFUSED, Case, pick, refusal
from tests.attack.folders import PIPE, Link
from tests.attack.mutations import mutated, mutated_json
from tests.data.helpers import RGB, encode, picture, png

IN_CHILD, NEEDS_SERVER, COUNT, SECONDS = True, False, 600, 60.0
MOST_MEMORY = 1 << 30  # Bytes
_SIZE = (12, 16)
_DESCRIPTION = {
    "classes": ["sky", "road", "Fußgänger"],
    "colors": [[0, 0, 0], [10, 20, 30], [255, 0, 0]],
    "ignore_label": 77,
    "mask_values": [0, 1, 2],
    "splits": {name: {"images": f"images/{name}", "masks": f"masks/{name}"} for name in ("train", "val")},
    "ignore_labels": [78, 79],
}
_STEMS = ("train/0", "train/1", "train/2", "val/0", "val/1")
_NAMES = (
    *("a\nb", "a\rb", "a\tb", "=1+1", "+a", "-rf", "@x", " ", "a ", ".hidden", "..a", "a,b", 'a"b'),
    *("%s", "{}", "$(ls)", "`ls`", "a;b", "\u202egnp", "\u00e9", "e\u0301", "\U0001f600", "x" * 250, "~"),
    *(os.fsdecode(b"\xff\xfe"), os.fsdecode(b"a\x80"), "\x1b[2J", "CON", "a:b", "a\\b", "[a]", "<b>", "#"),
    *("0", "*", "a'b"),
)  # fmt: skip


@functools.cache
def _sound():
    """The files of a sound data set, `{name: bytes}`."""
    mask = np.arange(_SIZE[0] * _SIZE[1]).reshape(_SIZE) % 3
    files = {"dataset.json": json.dumps(_DESCRIPTION).encode()}
    for index, stem in enumerate(_STEMS):
        files[f"images/{stem}.jpg"] = encode(picture(*_SIZE, seed=index), ".jpg")
        files[f"masks/{stem}.png"] = png(np.roll(mask, index))
    return files


def case(random, number):
    """Sound, then with one to three oddities."""
    files = dict(_sound())
    told = []
    for _ in range(int(random.integers(1, 4)) if number else 0):
        change = pick(random, _CHANGES)
        told.append(change.__name__.strip("_"))
        change(files, random)
    return Case(", ".join(told) or "sound", folders.pack(files), ".tar")


def _file(files, random):
    names = list(files)
    return pick(random, names) if names else ""


def _rename(files, random):
    name = _file(files, random)
    if files[name] is not None:
        new = f"{Path(name).parent}/{pick(random, _NAMES)}{Path(name).suffix}"
        files[new] = files.pop(name)


def _rename_pair(files, random):
    stem, name = pick(random, _STEMS), pick(random, _NAMES)
    for old in (f"images/{stem}.jpg", f"masks/{stem}.png"):
        new = f"{Path(old).parent}/{name}{Path(old).suffix}"
        if old in files:
            files[new] = files.pop(old)


def _pipe(files, random):
    files[_file(files, random)] = PIPE


def _link(files, random):
    name = _file(files, random)
    targets = (
        "/dev/zero",
        "/dev/null",
        "/dev/stdin",
        "gone",
        Path(name).name,
        "..",
        "/",
        "/etc/passwd",
        "/proc/self/mem",
    )
    files[name] = Link(pick(random, targets))


def _circle(files, random):
    files[f"{pick(random, ('images', 'masks', 'images/more'))}/around"] = Link(
        pick(random, ("..", ".", "../images"))
    )


def _folder(files, random):
    files[_file(files, random)] = None


def _empty(files, random):
    start = pick(random, ("images/", "masks/", "images/val/", ""))
    for name in [name for name in files if name.startswith(start)]:
        del files[name]
    files[start or "images"] = None


def _gone(files, random):
    files.pop(_file(files, random))


def _deep(files, random):
    name = _file(files, random)
    files[f"images/{'d/' * int(random.integers(1, 60))}{Path(name).name}"] = files[name]


def _damaged(files, random):
    name = _file(files, random)
    if isinstance(files[name], bytes) and not isinstance(files[name], str):
        files[name] = mutated(files[name], random)


def _mask(files, random):
    shape = pick(random, (_SIZE, _SIZE[::-1], (1, 1), (12, 17), (11, 16), (200, 3)))
    values = random.integers(0, pick(random, (1, 2, 3, 4, 256)), shape)
    depth = pick(random, (8, 8, 8, 16))
    contents = png(values * (257 if depth == 16 else 1), depth=depth)
    if random.random() < 0.2:
        contents = png(random.integers(0, 256, (*shape, 3)), RGB)
    files[f"masks/{pick(random, _STEMS)}.png"] = contents


def _image(files, random):
    size = pick(random, ((1, 1), (1, 400), (400, 1), (13, 16), (12, 16)))
    files[f"images/{pick(random, _STEMS)}.jpg"] = encode(
        picture(*size), pick(random, (".png", ".bmp", ".webp"))
    )


def _description(files, random):
    files["dataset.json"] = json.dumps(mutated_json(_DESCRIPTION, random)).encode()


def _text(files, random):
    text = pick(
        random,
        (b"", b"[" * 100_000, b"\xff\xfe{}", b"{}" * 2, b'{"classes": [' + b"9" * 5000 + b"]}", b"null"),
    )
    files["dataset.json"] = (
        text if random.random() < 0.3 else mutated(json.dumps(_DESCRIPTION).encode(), random)
    )


def _list(files, random):
    pairs = "".join(f"images/{stem}.jpg,masks/{stem}.png\n" for stem in _STEMS).encode()
    files.pop("dataset.json", None)
    files[pick(random, ("train.csv", "val.csv", "train.txt"))] = mutated(pairs, random)


_CHANGES = (
    *(_rename, _rename_pair, _pipe, _link, _circle, _folder, _empty, _gone, _deep, _damaged, _mask, _image),
    *(_description, _description, _description, _text, _list),
)  # fmt: skip


def ask(case, place):
    """Examines the folder, starts a training on it as far as its batches, and at times evaluates."""
    folder = Path(place.scratch, "set")
    folders.unpack(case.contents, folder)
    more = ("--json",) if len(case.contents) % 2 else ()
    outcomes = {commands.run("doctor", folder, *more), _start(folder)}
    if sum(case.contents) % 5 == 0:
        outcomes.add(commands.run("evaluate", "--run", place.run, "--data", folder))
    return ANSWERED if ANSWERED in outcomes else REFUSED


def _start(folder):
    """What a training does before its first step, and that every batch comes that the check promises."""
    try:
        dataset = load_dataset(str(folder), seed=0)
        check_dataset(dataset)
    except InputError as error:
        return refusal(error)
    for split in dataset.splits:
        for images, masks in eval_batches(dataset, split):
            assert images.shape[:3] == masks.shape, (images.shape, masks.shape)
    return ANSWERED
