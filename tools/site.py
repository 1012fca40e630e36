"""`python -m tools.site`: the documentation as a site, in the folder site.

First the pages that are made from the code are compared with it (`--write` writes them), then public names
without a docstring and commands that no test runs are looked for, then MkDocs builds the site, strictly. Each
problem is a line; with one the exit status is 1.
"""

import argparse
import logging
import sys
from pathlib import Path

from tools import (
    architecture,
    blocks,
    commands_page,
    library_page,
    networks_page,
    parts,
    settings_page,
    weights_page,
)

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"


def generated():
    """Yields `(path, text)` of each page that is made from the code, wholly or in parts."""
    yield DOCS / "reference" / "commands.md", commands_page.format_page()
    yield DOCS / "reference" / "library.md", library_page.format_page()
    yield DOCS / "reference" / "settings.md", settings_page.format_page()
    yield DOCS / "reference" / "networks.md", networks_page.format_page()
    yield DOCS / "reference" / "weights.md", weights_page.format_weights()
    yield DOCS / "explanation" / "architecture.svg", architecture.draw()
    for path in (PROJECT / "README.md", *sorted(DOCS.rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        if "<!-- part: " in text:
            yield path, parts.fill(text)


def problems():
    """Returns a line for each page that is not current, public name without a docstring and unrun command."""
    found = [
        f"{path.relative_to(PROJECT)} is not what the code says; python -m tools.site --write"
        for path, text in generated()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    found += [f"{name} has no docstring" for name in library_page.without_docstrings()]
    return found + blocks.problems()


def build(folder, config=PROJECT / "mkdocs.yml"):
    """Builds the site with MkDocs; returns its warnings, each of which is an error."""
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(record.getMessage())

    handler = Handler(logging.WARNING)
    logger = logging.getLogger("mkdocs")
    logger.addHandler(handler)
    try:
        build_site(load_config(str(config), site_dir=str(folder)))
    finally:
        logger.removeHandler(handler)
    return found


def main(argv=None):
    """Builds the site and prints what is wrong; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__.partition(": ")[2])
    parser.add_argument("--write", action="store_true", help="write the pages that are made from the code")
    parser.add_argument(
        "--output", type=Path, default=PROJECT / "site", metavar="FOLDER", help="default: site"
    )
    arguments = parser.parse_args(argv)
    if arguments.write:
        for path, text in generated():
            path.write_text(text, encoding="utf-8")
    found = problems() + build(arguments.output)
    print(*found, sep="\n", file=sys.stderr, end="\n" if found else "")
    if not found:
        print(f"{arguments.output}/index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
