"""The site: current, whole, and every link in it leads somewhere; what is wrong is named."""

import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.test_architecture import FLOORS
from tools import architecture, blocks, library_page, site

pytest.importorskip("mkdocs", reason="the extra docs is not installed")


class Page(HTMLParser):
    """Links, what is loaded, and the places that a page has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.places, self.images_without_words = [], [], {""}, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.places |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        self.images_without_words += tag == "img" and not attrs.get("alt")
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        elif tag in ("img", "script", "source", "iframe") and attrs.get("src"):
            self.loaded.append(attrs["src"])
        elif tag == "link" and attrs.get("rel") != "canonical":
            self.loaded.append(attrs["href"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """`{path: Page}` of the whole site."""
    folder = tmp_path_factory.mktemp("site")
    assert site.build(folder) == []
    return {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}


def test_every_link_leads_to_a_page_and_a_place_in_it(pages):
    dead = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or path.name == "404.html":  # Its links are of the root of a server.
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (
                target in pages and unquote(parts.fragment) not in pages[target].places
            ):
                dead.append(f"{path.name}: {link}")
    assert dead == []
    assert len(pages) > 35 and sum(len(page.links) for page in pages.values()) > 1000


def test_nothing_is_loaded_from_elsewhere_and_every_image_has_words(pages):
    assert [src for page in pages.values() for src in page.loaded if urlsplit(src).netloc] == []
    assert [path.name for path, page in pages.items() if page.images_without_words] == []


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "weights/README.md"]
)
def test_links_of_pages_outside_of_the_site_lead_to_files(name):
    page = site.PROJECT / name
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img src=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
    paths = [link or src for link, src in links if not (link or src).startswith("https://")]
    assert [path for path in paths if not (page.parent / path).exists()] == []


def test_pages_are_what_the_code_says_and_nothing_is_missing():
    assert site.problems() == []


def test_a_dead_link_a_dead_place_and_a_page_outside_the_order_are_named(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(site.DOCS / "site.css", docs)
    (docs / "index.md").write_text("[a](nowhere.md) [b](other.md#no-place) ![c](no.png)\n")
    (docs / "other.md").write_text("# Other\n")
    (docs / "lost.md").write_text("# Lost\n")
    config = f"INHERIT: {site.PROJECT / 'mkdocs.yml'}\ndocs_dir: {docs}\nnav: [index.md, other.md]\n"
    (tmp_path / "mkdocs.yml").write_text(config + "plugins: []\n")
    found = "\n".join(site.build(tmp_path / "site", tmp_path / "mkdocs.yml"))
    for name in ("nowhere.md", "no-place", "no.png", "lost.md"):
        assert name in found


def test_a_public_name_without_a_docstring_is_named():
    class Half:
        """Described."""

        def method(self):
            pass

        def _own(self):
            pass

    def bare():
        pass

    objects = [("room", "Half", Half), ("room", "bare", bare)]
    assert library_page.without_docstrings(objects) == ["room.Half.method", "room.bare"]


def test_a_command_that_no_test_runs_is_named(tmp_path):
    (tmp_path / "guides").mkdir()
    (tmp_path / "index.md").write_text("```\npython a.py\n```\n")
    (tmp_path / "guides" / "a.md").write_text("words\n\n    python train.py --model fcn8\n")
    assert [line.partition(": ")[0] for line in blocks.problems(tmp_path)] == [
        "docs/index.md:1",
        "docs/guides/a.md:3",
    ]


def test_a_block_is_run_unless_a_reason_stands_before_it(tmp_path):
    page = tmp_path / "a.md"
    page.write_text(
        "```sh\nls\n```\n\n<!-- not run: needs a ship -->\n```sh\nsail\n```\n\n```json\n{}\n```\n"
    )
    found = [(block.line, block.text, block.reason) for block in blocks.blocks(page, tmp_path)]
    assert found == [(1, "ls\n", None), (5, "sail\n", "needs a ship")]


def test_the_drawing_has_each_room_above_those_that_it_imports():
    rooms = architecture.rooms()
    floors = architecture.floors(rooms)
    assert floors["cli"] == max(floors.values()) and "layers" in rooms["encoders"]
    for room, below in rooms.items():
        assert all(floors[room] > floors[name] and FLOORS[room] > FLOORS[name] for name in below)


def test_what_follows_from_other_imports_is_not_drawn():
    imports = {"a": ["b", "c"], "b": ["c"], "c": []}
    assert architecture.direct(imports) == {"a": ["b"], "b": ["c"], "c": []}


def test_rooms_in_a_circle_are_named():
    with pytest.raises(ValueError, match="a -> b -> a"):
        architecture.floors({"a": ["b"], "b": ["a"]})
