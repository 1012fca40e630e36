"""The README's table: the networks of each paper, what they are compared with, and what they learned."""

import re

from keras_seg.models.summary import rows as network_rows
from keras_seg.texts import markdown_table
from tools.networks_page import DOCS

ACCURACY = DOCS / "measurements" / "accuracy.md"
_LEARNT = re.compile(r"(?m)^\| `(\w+)` \| [\d,]+ \| (\d\.\d+) \|")


def mean_ious():
    """Returns `{network: mean IoU}` of the first table of the page of accuracy, all networks alike."""
    found = {}
    for name, value in _LEARNT.findall(ACCURACY.read_text(encoding="utf-8")):
        found.setdefault(name, float(value))
    return found


def format_table():
    """Returns a row for each paper, in the order of the networks."""
    learned, papers = mean_ious(), {}
    for row in network_rows():
        papers.setdefault(row.paper, []).append(row)
    lines = []
    for paper, rows in papers.items():
        names = f"`{rows[0].network}`" + (f" and {len(rows) - 1} more forms" if len(rows) > 1 else "")
        link = f"[{paper}](https://arxiv.org/abs/{paper})" if paper else ""
        references = ", ".join(dict.fromkeys(row.reference for row in rows if row.reference))
        errors = [row.parity_error for row in rows if row.parity_error is not None]
        ious = [learned[row.network] for row in rows if row.network in learned]
        error = f"{max(errors):.1e}" if errors else "-"
        lines.append((names, link, references, error, _range(ious)))
    titles = ("network", "paper", "compared with", "error", "mean IoU")
    return markdown_table(titles, lines, right=("error", "mean IoU"))


def _range(values):
    if not values:
        return "-"
    least, most = f"{min(values):.2f}", f"{max(values):.2f}"
    return most if least == most else f"{least} to {most}"
