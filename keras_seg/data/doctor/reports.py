"""The doctor's report as text, JSON and a contact sheet."""

import json
from collections import Counter
from itertools import compress
from operator import not_

import numpy as np

from keras_seg.data.doctor.examination import Report
from keras_seg.data.folders.binary import binary_line
from keras_seg.data.folders.writing import format_description
from keras_seg.data.formats.reading import read_sample
from keras_seg.data.labels import NO_CLASS
from keras_seg.errors import InputError, spelled_out
from keras_seg.sheets import Overlay, contact_sheet

_MOST_LINES = 10  # Problems of one kind that the text lists
_MOST_SIZES = 5
_NO_CLASS_COLOR = (255, 0, 255)


def format_report(report: Report) -> str:
    """Returns the report as lines for a reader."""
    pairs = ", ".join(f"{name} {count}" for name, count in report.pairs.items())
    lines = [f"{report.root}", f"pairs    {pairs}", f"images   {_sizes(report.sizes)}"]
    kinds = (
        f"{image} with {mask or 'unreadable'} masks ({n})"
        for (image, mask), n in report.formats.most_common()
    )
    lines.append(f"formats  {', '.join(kinds) or 'in memory'}")
    if report.moments is not None:
        lines += [
            f"channels mean {_numbers(report.moments.mean)}",
            f"         deviation {_numbers(report.moments.deviation)}",
        ]
    if report.dataset is not None and report.dataset.is_binary:
        lines.append(f"classes  {binary_line(report.dataset)}")
    if report.dataset is not None:
        lines += ["", *_class_table(report)]
    for title, problems in (("errors", report.errors), ("warnings", report.warnings)):
        lines += ["", f"{title}: {len(problems) or 'none'}", *_problem_lines(problems)]
    if report.weights:
        lines += ["", "class weights (median frequency):", f"  {json.dumps(report.weights)}"]
    lines += ["", "dataset.json for this folder:", format_description(report.suggestion)]
    return "\n".join(lines)


def as_json(report: Report) -> dict:
    """Returns the whole report as what JSON can hold."""
    classes = report.dataset.classes if report.dataset else ()
    return {
        "root": str(report.root),
        "status": report.status,
        "pairs": report.pairs,
        "sizes": [{"width": w, "height": h, "images": n} for (w, h), n in report.sizes.most_common()],
        "formats": [{"image": i, "mask": m, "pairs": n} for (i, m), n in report.formats.most_common()],
        "channels": [
            {"mean": float(mean), "deviation": float(deviation)}
            for mean, deviation in zip(report.moments.mean, report.moments.deviation, strict=True)
        ]
        if report.moments
        else [],
        "classes": [
            {
                "name": name,
                "pixels": {split: int(report.pixels[split][index]) for split in report.pixels},
                "images": {split: int(report.images[split][index]) for split in report.images},
                "weight": report.weights[index] if report.weights else None,
            }
            for index, name in enumerate(classes)
        ],
        "ignored": report.ignored,
        "errors": [{"kind": problem.kind, "text": problem.text} for problem in report.errors],
        "warnings": [{"kind": problem.kind, "text": problem.text} for problem in report.warnings],
        "dataset_json": report.suggestion,
    }


def draw_sheet(report, count=6):
    """Draws pairs from all over the data set, up to half of them such as have problems: image, mask and both.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        InputError: no pair can be drawn.
    """
    dataset = report.dataset
    samples = [sample for split in dataset.splits.values() for sample in split] if dataset else []
    samples = [samples[index] for index in np.random.default_rng(0).permutation(len(samples))]
    named = {spelled_out(problem.text.split(": ")[0]) for problem in (*report.errors, *report.warnings)}
    is_bad = [bool(named & {spelled_out(sample.image), spelled_out(sample.mask)}) for sample in samples]
    rows = _rows(compress(samples, is_bad), dataset, count // 2)
    rows += _rows(compress(samples, map(not_, is_bad)), dataset, count - len(rows))
    if not rows:
        raise InputError(f"{report.root}: no pair can be drawn; fix the errors first.")
    classes, colors = _with_no_class(dataset)
    return contact_sheet(rows, ("image", "mask", "both"), classes, colors)


def _with_no_class(dataset):
    """Returns names and colors of all ids, with one for the values that are no class."""
    unused = NO_CLASS - dataset.num_classes
    colors = (*dataset.colors, *[_NO_CLASS_COLOR] * (unused + 1))
    return (*dataset.classes, *[""] * unused, "no class"), colors


def _rows(samples, dataset, most):
    """Returns image, mask and both of the first `most` samples that can be drawn."""
    rows = []
    for sample in samples:
        if len(rows) == most:
            break
        try:
            image, mask = read_sample(sample, dataset)
        except (InputError, IndexError):  # An index is missing where a mask holds colors; told in the report.
            continue
        if mask.shape == image.shape[:2]:
            rows.append((image, mask, Overlay(image, mask)))
    return rows


def _numbers(values):
    return ", ".join(f"{value:.4g}" for value in values)


def _sizes(sizes):
    if not sizes:
        return "none can be read"
    shown = [f"{width} x {height} ({n})" for (width, height), n in sizes.most_common(_MOST_SIZES)]
    rest = len(sizes) - len(shown)
    return ", ".join(shown) + (f", and {rest} other sizes" if rest else "")


def _class_table(report):
    splits, names = list(report.pixels), report.dataset.classes
    width = max(len("ignored"), *(len(name) for name in names))
    labeled = {split: max(1, int(pixels.sum())) for split, pixels in report.pixels.items()}
    head = "".join(f"{split:>9}  {'images':>7}" for split in splits)
    lines = [f" id  {'class':{width}}{head}   weight"]
    for index, name in enumerate(names):
        cells = "".join(
            f"{report.pixels[split][index] / labeled[split]:9.2%}  {report.images[split][index]:7d}"
            for split in splits
        )
        weight = report.weights[index] if report.weights else None
        lines.append(f"{index:3d}  {name:{width}}{cells}{weight if weight is not None else '-':>9}")
    cells = "".join(
        f"{report.ignored[split] / max(1, labeled[split] + report.ignored[split]):9.2%}{'':9}"
        for split in splits
    )
    return [*lines, f"     {'ignored':{width}}{cells}".rstrip()]


def _problem_lines(problems):
    lines, seen = [], Counter()
    for problem in problems:
        seen[problem.kind] += 1
        if seen[problem.kind] <= _MOST_LINES:
            lines.append(f"  [{problem.kind}] {spelled_out(problem.text)}")
    more = (f"  [{kind}] and {n - _MOST_LINES} more (--json lists all)" for kind, n in seen.items())
    return lines + [line for line, n in zip(more, seen.values(), strict=True) if n > _MOST_LINES]
