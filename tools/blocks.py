"""The commands and code blocks of the guides; `python -m tools.blocks` lists them, and which a test runs."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
RUN = ("sh", "python")  # Blocks in other languages are read, not typed.
_FENCE = re.compile(
    r"(?m)^(?P<marker><!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL,
)
_COMMAND = re.compile(r"(?m)^(?:    |\t)(?:python3? |pip |keras-seg |docker |curl )")


class Block(NamedTuple):
    """A block of a page.

    Attributes:
        page: Path of the page, below docs.
        line: Where it begins, from 1 on.
        language: What stands behind its fence.
        text: What is in it.
        reason: Why no test runs it; None where one does.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def place(self):
        return f"docs/{self.page}:{self.line}"


def guides(docs=DOCS):
    """Returns the guides, which hold what a person types, in the order of their names."""
    return [docs / "index.md", *sorted((docs / "guides").glob("*.md"))]


def blocks(page, docs=DOCS):
    """Returns the blocks of a page that a person types, in the printed order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page.relative_to(docs).as_posix(),
            text.count("\n", 0, match.start()) + 1,
            match["language"],
            match["text"],
            match["reason"],
        )
        for match in _FENCE.finditer(text)
        if match["language"] in RUN
    ]


def problems(docs=DOCS):
    """Returns a line for each block that no test would see: without a language, or not fenced."""
    found = []
    for page in guides(docs):
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(docs).as_posix()
        for match in _FENCE.finditer(text):
            if not match["language"]:
                found.append(
                    f"docs/{name}:{text.count(chr(10), 0, match.start()) + 1}: the block names no language"
                )
        outside = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
        for match in _COMMAND.finditer(outside):
            line = outside.count("\n", 0, match.start()) + 1
            found.append(f"docs/{name}:{line}: the command is not in a ```sh block, so no test runs it")
    return found


def main():
    """Prints a line for each block: where it is, its first line, and why no test runs it."""
    found = [block for page in guides() for block in blocks(page)]
    for block in found:
        first = block.text.splitlines()[0]
        print(
            f"{block.place:32} {first[:70]:70} {f'not run: {block.reason}' if block.reason else ''}".rstrip()
        )
    print(f"{sum(block.reason is None for block in found)} of {len(found)} blocks are run")


if __name__ == "__main__":
    main()
