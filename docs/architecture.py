"""Draws docs/architecture.svg, the rooms of the code and their imports: python docs/architecture.py [--check]

The rooms and arrows are ``ROOMS`` of tests/test_arrows.py, which that test compares with the code. The text in a box is
the first sentence of the room's docstring. With ``--check``, nothing is written: exits with 1 if the picture is stale.
"""

import ast
import re
import sys
import textwrap
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path as Curve

from reports.figures import style

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
COLOURS = {
    "models": style.LEVELS[2],
    "baselines": style.LEVELS[2],
    "study": style.LEVELS[0],
    "reports": style.LEVELS[1],
}
TITLE = "The rooms of the code"
NOTE = (
    "Read it upwards: each room builds on the rooms below it. A box is a folder or a module, with the first sentence "
    "of its docstring.\nAn arrow points to what a room imports. A room may also import whatever its arrows lead to; "
    "those arrows are left out."
)
Rooms = dict[str, set[str]]

# Sizes in points.
LANES = {"study": (10.0, 520.0), "reports": (552.0, 238.0)}
"""The left edge and the width of the two lanes: the report's rooms, and all others."""
NAME, LINE = 23.0, 9.6
"""The height of a box without its text, and of a line of the text."""
ACROSS, BETWEEN = 16.0, 25.0
"""The space between the boxes of a row, and between rows."""
HEAD, EDGE = 58.0, 12.0
"""The height of the title, and the margin at the bottom."""


def rooms() -> Rooms:
    """The rooms and what each imports, without the package's own two modules."""
    tree = ast.parse((ROOT / "tests" / "test_arrows.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["ROOMS"]
    )
    listed: dict[str, str] = ast.literal_eval(value)
    return {room: set(imports.split()) for room, imports in listed.items() if not room.endswith("__")}


def reduced(rooms: Rooms) -> Rooms:
    """The transitive reduction: without imports that other imports imply."""

    def reached(room: str) -> set[str]:
        return rooms[room].union(*(reached(other) for other in rooms[room]))

    return {room: others.difference(*(reached(other) for other in others)) for room, others in rooms.items()}


def rows(rooms: Rooms) -> list[list[str]]:
    """The rooms in rows from the bottom up. Each is as high as it can be while everything it imports is below it."""
    importers = {room: [other for other in rooms if room in rooms[other]] for room in rooms}

    def depth(room: str) -> int:
        return 1 + max(map(depth, importers[room]), default=-1)

    depths = {room: depth(room) for room in rooms}
    return [[room for room in rooms if depths[room] == row] for row in range(max(depths.values()), -1, -1)]


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    package = ROOT / room / "__init__.py"
    file = package if package.is_file() else ROOT / f"{room}.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.])\s", " ".join(text.replace("`", "").split()), maxsplit=1)[0]


@dataclass
class Box:
    """A place in a row, in points: a room, or (with a width of 0) a long arrow's way past the row."""

    left: float
    width: float
    lines: list[str]
    base: float = 0.0
    height: float = 0.0

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    @property
    def ends(self) -> tuple[float, float]:
        """Where the outermost arrows may touch the box."""
        inset = min(14.0, self.width / 2)
        return self.left + inset, self.left + self.width - inset


def ports(upper: Box, lower: Box) -> tuple[float, float]:
    """The x positions of an arrow's ends: straight down the middle of what both boxes cover, if they overlap."""
    (left, right), (low, high) = upper.ends, lower.ends
    if max(left, low) <= min(right, high):
        return ((max(left, low) + min(right, high)) / 2,) * 2
    return (right, low) if right < low else (left, high)


def lane(place: str) -> str:
    """The lane of a room, or of an arrow that starts there."""
    return "reports" if place.startswith("reports") else "study"


def placed(layers: list[list[str]], arrows: Rooms) -> tuple[dict[str, Box], list[list[str]], float]:
    """The box of each place, the arrows as the places that they pass from top to bottom, and the total height.

    A long arrow gets a place of its own in each row that it crosses. Places are ordered by what is above them.
    """
    level = {room: row for row, layer in enumerate(layers) for room in layer}
    layers = [list(layer) for layer in layers]
    paths = []
    for room, others in arrows.items():
        for other in sorted(others):
            crossed = [f"{room} > {other} {row}" for row in range(level[room] - 1, level[other], -1)]
            for row, place in zip(range(level[room] - 1, level[other], -1), crossed, strict=True):
                layers[row].append(place)
            paths.append([room, *crossed, other])
    above: dict[str, list[str]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            above.setdefault(lower, []).append(upper)

    boxes: dict[str, Box] = {}
    for layer in reversed(layers):
        for name, (left, total) in LANES.items():
            own = [place for place in layer if lane(place) == name]
            centres = {place: [boxes[other].middle for other in above.get(place, [])] for place in own}
            own.sort(key=lambda place: (sum(centres[place]) / max(len(centres[place]), 1), place))
            count = sum(place in level for place in own)
            width = (total - ACROSS * (len(own) - 1)) / count if count else 0.0
            for place in own:
                if place in level:
                    lines = textwrap.wrap(purpose(place), int((width - 14) / 4), max_lines=3, placeholder=" …")
                    boxes[place] = Box(left, width, lines)
                else:
                    boxes[place] = Box(left if count else left + total / 2, 0.0, [])
                left += boxes[place].width + ACROSS
    base = EDGE
    for layer in layers:
        height = NAME + LINE * max(len(boxes[place].lines) for place in layer)
        for place in layer:
            boxes[place].base, boxes[place].height = base, height
        base += height + BETWEEN
    return boxes, paths, base - BETWEEN + HEAD


def draw(rooms: Rooms) -> Figure:
    """The picture."""
    layers = rows(rooms)
    boxes, paths, height = placed(layers, reduced(rooms))
    width = sum(LANES["reports"]) + 10.0
    with style.styled():
        fig = style.figure(width / 72, height / 72)
        fig.set_layout_engine("none")
        axes = fig.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
        axes.set_axis_off()
        axes.add_patch(Rectangle((0, 0), width, height, facecolor="white"))
        axes.text(10, height - 16, TITLE, fontsize=13, weight="bold", va="center")
        axes.text(10, height - 37, NOTE, fontsize=7.5, va="center", color=style.MUTED)
        for path in paths:
            _arrow(axes, [boxes[place] for place in path])
        for room in rooms:
            _box(axes, room, boxes[room])
    return fig


def _arrow(axes: Axes, boxes: list[Box]) -> None:
    """Draws an arrow from the first box to the last, through the places between them."""
    vertices: list[tuple[float, float]] = []
    codes: list[Any] = []
    for upper, lower in pairwise(boxes):
        (x, to_x), y, to_y = ports(upper, lower), upper.base, lower.base + lower.height + (lower is boxes[-1])
        middle = (y + to_y) / 2
        vertices += [(x, y), (x, middle), (to_x, middle), (to_x, to_y)]
        codes += [Curve.LINETO if codes else Curve.MOVETO, *[Curve.CURVE4] * 3]
    look: dict[str, Any] = {"arrowstyle": "-|>,head_length=4,head_width=2.2", "color": style.MUTED, "linewidth": 1.1}
    axes.add_patch(FancyArrowPatch(path=Curve(vertices, codes), shrinkA=0, shrinkB=0, **look))


def _box(axes: Axes, room: str, box: Box) -> None:
    """Draws a room: its name, and its purpose in at most three lines."""
    shade = COLOURS[room.partition("/")[0]]
    look: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=5", "linewidth": 1.2, "edgecolor": shade}
    look["facecolor"] = "white"
    axes.add_patch(FancyBboxPatch((box.left, box.base), box.width, box.height, **look))
    axes.add_patch(FancyBboxPatch((box.left, box.base), box.width, box.height, **look | {"facecolor": (shade, 0.1)}))
    name = f"{room}/" if (ROOT / room).is_dir() else f"{room}.py"
    top = box.base + box.height
    axes.text(box.left + 8, top - 11, name, fontsize=8.5, weight="bold", va="center", color=shade)
    for number, line in enumerate(box.lines):
        axes.text(box.left + 8, top - 23 - LINE * number, line, fontsize=7, va="center")


def main(arguments: list[str]) -> int:
    """Writes the picture, or checks it. Returns the exit code."""
    picture = style.svg(draw(rooms()))
    if arguments == ["--check"]:
        if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == picture:
            return 0
        print(f"{PICTURE.relative_to(ROOT)} is stale: run python docs/architecture.py", file=sys.stderr)
        return 1
    if arguments:
        print("usage: python docs/architecture.py [--check]", file=sys.stderr)
        return 2
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
