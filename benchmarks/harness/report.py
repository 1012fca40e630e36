"""Timings as a table: medians, their spread, ratios, and the share of what the machine gives."""

import json

from keras_seg.files import replacing
from keras_seg.texts import markdown_table

MATRIX = "matrix product"


def summarize(timings, operations):
    """Turns timings of one case into figures.

    Args:
        timings: `Timing`s; the first is the one that the others are compared with.
        operations: Floating-point operations of a step (of a batch, where a contender's step has several).

    Returns:
        A list of dicts, in the same order: `name`, and `skipped` or `seconds`, `fastest`, `slowest`, `ratio`
        (its median over the first one's), `gflops`, `share` (of the matrix product in float32), `peak_mib`
        and `start_seconds`.
    """
    rows = [_row(timing, operations) for timing in timings]
    first = rows[0].get("seconds")
    limits = [row["gflops"] for row in rows if row["name"].startswith(MATRIX) and "gflops" in row]
    for row in rows:
        if "seconds" not in row:
            continue
        is_network = row.pop("is_network")
        row["ratio"] = row["seconds"] / first if is_network and first else None
        row["share"] = row["gflops"] / limits[0] if is_network and limits else None
    return rows


def format_machine(machine):
    """Returns the lines on what was measured where, from `describe_machine`'s dict."""
    hardware = ", ".join([machine["processor"], f"{machine['cores']} cores", *machine["accelerators"]])
    versions = [f"{name} {version}" for name, version in machine["packages"].items()]
    lines = [hardware, f"Python {', '.join([machine['python'], *versions])}"]
    environment = " ".join(f"{name}={value}" for name, value in machine["environment"].items())
    return "\n".join([*lines, environment] if environment else lines)


def write_figures(path, **figures):
    """Writes figures as JSON, if there is a path."""
    if path is None:
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _row(timing, operations):
    if timing.skipped:
        return {"name": timing.name, "skipped": timing.skipped}
    facts = timing.facts
    steps = facts.get("steps", 1)
    seconds = [figure / steps for figure in timing.seconds]
    median = timing.median / steps
    row = {"name": timing.name, "seconds": median, "fastest": min(seconds), "slowest": max(seconds)}
    row["is_network"] = "bytes" not in facts and "operations" not in facts
    if "bytes" in facts:
        row.update(gflops=None, gigabytes_per_second=facts["bytes"] / median / 1e9)
    else:
        row["gflops"] = facts.get("operations", operations) / median / 1e9
    row.update(peak_mib=timing.peak_mib, start_seconds=timing.start_seconds)
    return row


def format_table(rows):
    """Returns a Markdown table of `summarize`'s rows."""
    figures = "seconds", "fastest to slowest", "times the first", "speed", "of the limit", "peak MiB"
    lines = []
    for row in rows:
        if "skipped" in row:
            lines.append((row["name"], f"skipped: {row['skipped']}", *[""] * 5))
            continue
        speed = f"{row['gflops']:.0f} GFLOP/s" if row["gflops"] else f"{row['gigabytes_per_second']:.1f} GB/s"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        share = "" if row["share"] is None else f"{row['share']:.0%}"
        spread = f"{row['fastest']:.3f} to {row['slowest']:.3f}"
        peak = f"{row['peak_mib']:.0f}"
        lines.append((row["name"], f"{row['seconds']:.3f}", spread, ratio, speed, share, peak))
    return markdown_table(("contender", *figures), lines, right=figures)
