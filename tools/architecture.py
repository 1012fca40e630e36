"""The drawing of the package's rooms and what each is for, from the imports and docstrings alone."""

import ast
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

PACKAGE = Path(__file__).parents[1] / "keras_seg"
WIDTH, HEIGHT, GAP = 124, 40, 28  # Pixels of a room, and between two.
MARGIN, FLOOR = 20, 92  # Pixels around all, and from one floor to the next.


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
    paths = [_path(room, below, level) for room, names in direct(imports).items() for below in names]
    rows = _ordered(imports, level, paths)
    width = max(_width(row) for row in rows) + 2 * MARGIN
    height = (len(rows) - 1) * FLOOR + HEIGHT + 2 * MARGIN
    places = {}
    for floor, row in enumerate(rows):
        left = (width - _width(row)) / 2
        for item in row:
            places[item] = (left + _width([item]) / 2, height - MARGIN - HEIGHT - floor * FLOOR)
            left += _width([item]) + GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="system-ui, sans-serif" font-size="15" role="img">',
            "<title>The rooms of keras_seg; each imports from rooms below it alone</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#f6f8fa"/>',
            *(_line(path, places) for path in paths),
            *(_room(room, *places[room]) for room in sorted(imports)),
            "</svg>\n",
        ]
    )


def _path(room, below, level):
    """A line from room to room; `(room, below, floor)` is where it passes between the rooms of a floor."""
    between = [(room, below, floor) for floor in range(level[room] - 1, level[below], -1)]
    return [room, *between, below]


def _ordered(imports, level, paths):
    """The rows, from the ground up; what is linked lies near (Sugiyama et al., 1981)."""
    rows = [
        sorted(room for room in imports if level[room] == floor) for floor in range(max(level.values()) + 1)
    ]
    links = {}
    for path in paths:
        for place in path[1:-1]:
            rows[place[2]].append(place)
        for above, below in pairwise(path):
            links.setdefault(above, []).append(below)
            links.setdefault(below, []).append(above)
    for step in range(8):
        down = step % 2 == 0
        for floor in range(len(rows) - 2, -1, -1) if down else range(1, len(rows)):
            near = rows[floor + 1 if down else floor - 1]
            middle = {item: (2 * index + 1) / len(near) for index, item in enumerate(near)}

            def place(item, middle=middle):
                found = [middle[link] for link in links.get(item, ()) if link in middle]
                return sum(found) / len(found) if found else 1.0

            rows[floor].sort(key=place)
    return rows


def _width(row):
    """Pixels that a row takes: rooms, and lines that pass between them."""
    return sum(WIDTH if isinstance(item, str) else 0 for item in row) + GAP * (len(row) - 1)


def _line(path, places):
    """A curve from the foot of a room, through the places between others, to the head of a room."""
    x, top = places[path[0]]
    y = top + HEIGHT
    curve = f"M{x:g} {y:g}"
    for item in path[1:]:
        to_x, to_y = places[item]
        bend = (to_y - y) / 2
        curve += f"C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"
        x, y = to_x, to_y
        if not isinstance(item, str):
            y += HEIGHT
            curve += f"V{y:g}"
    return f'<path d="{curve}" fill="none" stroke="#6e7781" stroke-width="1.5"/>'


def _room(room, middle, top):
    return (
        f"<g><title>{escape(purpose(room))}</title>"
        f'<rect x="{middle - WIDTH / 2:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        'fill="#fff" stroke="#0b5fa5"/>'
        f'<text x="{middle:g}" y="{top + 25:g}" text-anchor="middle" fill="#1b1f24">{room}</text></g>'
    )
