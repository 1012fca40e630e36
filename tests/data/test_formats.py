"""The table of formats against their tests, in docs/reference/formats.md, names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/reference/formats.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    existing = set()
    for path in TESTS.rglob("test_*.py"):
        existing |= set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(named) > 30
    assert named <= existing


def test_every_format_of_the_page_is_proved():
    *_, table = PAGE.split("## ")
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert all("`test_" in row for row in rows)
    for word in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WebP", "labelme", "COCO", "Cityscapes", "VOC", "CSV"):
        assert any(word in row.split("|")[1] for row in rows), word
