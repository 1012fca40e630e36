"""The drawing of the package's rooms and what each is for, from the imports and docstrings alone."""

import ast
from pathlib import Path
from xml.sax.saxutils import escape

PACKAGE = Path(__file__).parents[1] / "keras_seg"
WIDTH, HEIGHT, GAP = 132, 50, 28  # Pixels of a room, and between two.
MARGIN, FLOOR = 20, 104  # Pixels around all, and from one floor to the next.


def rooms():
    """Returns `{room: the rooms that its files import}` of the package's folders."""
    names = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    return {name: sorted(_imports(PACKAGE / name) & set(names) - {name}) for name in names}


def _imports(folder):
    """The first names behind `keras_seg.` of what the files of a folder import."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            found |= {name.split(".")[1] for name in names if name.startswith("keras_seg.")}
    return found


def floors(imports):
    """Returns `{room: its floor}`: one above the highest room that it imports, from 0 on.

    Raises:
        ValueError: Rooms import one another in a circle.
    """
    found = {}

    def floor(room, above=()):
        if room in above:
            raise ValueError(f"rooms import one another in a circle: {' -> '.join((*above, room))}")
        if room not in found:
            found[room] = 1 + max((floor(below, (*above, room)) for below in imports[room]), default=-1)
        return found[room]

    for room in imports:
        floor(room)
    return found


def direct(imports):
    """Returns the imports that do not follow from others: of A -> B -> C and A -> C, the last is left out."""

    def reached(room):
        return {below for next_room in imports[room] for below in (next_room, *reached(next_room))}

    return {
        room: [below for below in names if not any(below in reached(other) for other in names)]
        for room, names in imports.items()
    }


def purpose(room):
    """The first line of a room's docstring."""
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0].partition(" docs/")[0].rstrip(".;:") + "."


def format_table():
    """Returns a table of the rooms, from the top floor down."""
    imports = rooms()
    lines = ["| floor | room | what it is | imports |", "| ---: | --- | --- | --- |"]
    for room, floor in sorted(floors(imports).items(), key=lambda item: (-item[1], item[0])):
        below = ", ".join(f"`{name}`" for name in imports[room]) or "no room"
        lines.append(f"| {floor} | `{room}` | {purpose(room)} | {below} |")
    return "\n".join(lines)


def draw():
    """Returns the drawing as SVG: a row for each floor, a line for each import that follows from no other."""
    imports = rooms()
    level = floors(imports)
    rows = [
        sorted(room for room in imports if level[room] == floor) for floor in range(max(level.values()) + 1)
    ]
    widest = max(map(len, rows))
    width = widest * (WIDTH + GAP) - GAP + 2 * MARGIN
    height = (len(rows) - 1) * FLOOR + HEIGHT + 2 * MARGIN
    places = {}
    for floor, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for index, room in enumerate(row):
            places[room] = (left + index * (WIDTH + GAP), height - MARGIN - HEIGHT - floor * FLOOR)
    lines = [_line(places[room], places[below]) for room, names in direct(imports).items() for below in names]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="system-ui, sans-serif" font-size="15" role="img">',
            "<title>The rooms of keras_seg; each imports from rooms below it alone</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#f6f8fa"/>',
            *lines,
            *(_room(room, *place) for room, place in sorted(places.items())),
            "</svg>\n",
        ]
    )


def _line(start, end):
    (left, top), (below_left, below_top) = start, end
    x, y, to_x, to_y = left + WIDTH / 2, top + HEIGHT, below_left + WIDTH / 2, below_top
    bend = (to_y - y) / 2
    path = f"M{x:g} {y:g}C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"
    return f'<path d="{path}" fill="none" stroke="#6e7781" stroke-width="1.5"/>'


def _room(room, left, top):
    files = len(list((PACKAGE / room).rglob("*.py")))
    middle, text = left + WIDTH / 2, 'text-anchor="middle"'
    return (
        f"<g><title>{escape(purpose(room))}</title>"
        f'<rect x="{left:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        'fill="#fff" stroke="#0b5fa5"/>'
        f'<text x="{middle:g}" y="{top + 22:g}" {text} fill="#1b1f24" font-weight="600">{room}</text>'
        f'<text x="{middle:g}" y="{top + 39:g}" {text} fill="#57606a" font-size="12">'
        f"{files} files</text></g>"
    )
