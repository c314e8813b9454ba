"""Portraits drawn from a seed, for studies that need no download.

A network learns from them in seconds: the middle of a face has contrast, and its surroundings determine it. The skin
is visible at chin and neck; the tilt, in chin, hair and hat; the light, in the background and on the neck. The
hairstyle determines the fringe, the cord the glasses, and the clothes the eyes and lips.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from study.data import packed
from study.data.base import Count, DataSet, Report
from study.data.portraits.canvas import Canvas, Colour, Frame, arc, box, ellipse, half_plane
from study.processes import processors
from study.seeds import numpy_rng


class Faces(DataSet):
    """Portraits. Image i of a part depends on (seed, part, i) alone, so a longer set begins with the shorter one."""

    version: ClassVar[int] = 2  # 1 drew the training images like the test images
    kind: Literal["faces"] = "faces"
    seed: int = 2020
    train: Count = 3000  # images
    validation: Count = 100
    test: Count = 100
    licence: str | None = "none is needed: the portraits are drawn from a seed by this project, under its own licence"

    def identity(self) -> dict[str, Any]:
        return self.deciding() | {"version": self.version}

    def names(self) -> dict[str, list[str]]:
        return {part: [f"{part}-{i:06d}" for i in range(getattr(self, part))] for part in packed.PARTS}

    def pack(self, image_size: int, folder: Path, report: Report) -> None:
        read = partial(drawn, self.seed, image_size)
        packed.write(folder, image_size, self.names(), read, report, processes=processors())


def drawn(seed: int, size: int, name: str) -> packed.Picture:
    """The portrait with this name, such as train-000012."""
    part, _, number = name.rpartition("-")
    return packed.Picture(name, portrait(seed, part, int(number), size))


def portrait(seed: int, part: str, index: int, size: int) -> NDArray[np.uint8]:
    """One portrait, uint8 (size, size, 3). The person does not depend on the size."""
    person = _Person(numpy_rng(seed, "faces", part, index))
    canvas = Canvas(size, person.backdrop)
    for paint in (_background, _hair_behind, _body, _head, _mouth, _eyes, _hair_before, _glasses):
        paint(canvas, person)
    canvas.pixels *= person.tint
    return canvas.finish()


def _colours(*codes: str) -> list[Colour]:
    return [np.array(list(bytes.fromhex(code)), np.float32) / np.float32(255) for code in codes]


BLACK, WHITE = _colours("1c1a22", "ffffff")
GOLD, BLUSH, TEETH, TONGUE = _colours("f2c14e", "e8596b", "fdfaf5", "c94f5d")
SKINS = _colours("ffe3cf", "fbd0ad", "f0b98d", "d99b6c", "b97a4d", "94592f", "6e4023", "4d2c1b")
HAIRS = _colours("1d1a21", "3b2620", "6a3d25", "a3562a", "d99a3d", "f3d68b", "b9b6bd", "e3608a", "3f7fb5")
BACKDROPS = _colours("f6d186", "9ad1d4", "f4978e", "b8c4e0", "2f4858", "84a98c", "e9e4d4", "5e548e", "d8a48f", "31572c")
# A person dresses to match eyes and lips: (clothes, trim, eyes, lips).
OUTFITS = [
    tuple(_colours(*codes))
    for codes in (
        ("274c77", "e7ecef", "3a86c8", "b5505f"),
        ("386641", "f2e8cf", "4f8a45", "a8524a"),
        ("6f1d1b", "ffe6a7", "5a3416", "a3122b"),
        ("f4a259", "5b8e7d", "7a5230", "d1603d"),
        ("22223b", "c9ada7", "6c757d", "8e4a5b"),
        ("e5e5e5", "d62839", "4a3728", "d62839"),
        ("7b2cbf", "ffd6ff", "7a5fb0", "b5179e"),
        ("2a9d8f", "e9c46a", "2a7f86", "c8553d"),
    )
]
STYLES = ("short", "long", "bob", "afro", "bun", "bald", "hat")
BEARDED = ("short", "afro", "bald", "hat")


class _Person:
    """Everything that is random. Lengths are in units of half the image, or of the head's frame."""

    def __init__(self, rng: np.random.Generator) -> None:
        def pick(items: Any) -> Any:
            return items[int(rng.integers(len(items)))]

        def near(colour: Colour, by: float) -> Colour:
            return colour + np.float32(rng.uniform(-by, by))

        # The order of the draws decides the portraits.
        shift = rng.uniform(-0.05, 0.05)
        clothes, self.trim, self.eye, self.lips = pick(OUTFITS)
        self.style = pick(STYLES)
        self.beard = pick(("none", "full", "goatee", "none")) if self.style in BEARDED else "none"
        backdrop = pick(BACKDROPS)
        warm = rng.uniform(-0.05, 0.05)
        self.head = Frame(shift, rng.uniform(-0.03, 0.03), rng.uniform(-0.07, 0.07), rng.uniform(1.02, 1.1))
        self.body = Frame(shift * 0.6, 0.0, 0.0, rng.uniform(0.95, 1.05))
        self.turn = -0.9 * shift  # how far the features shift sideways in the face: towards the camera
        self.side = pick((-1, 1))  # where the light comes from: -1 left, 1 right; the hair is parted there
        self.light = rng.uniform(0.2, 0.9)  # its height, radians above the horizon
        self.tint = np.array([1 + warm, 1, 1 - warm], np.float32) * np.float32(rng.uniform(0.86, 1.02))
        self.backdrop = near(backdrop, 0.04)
        self.backdrop2 = pick(BACKDROPS)
        self.pattern = pick(("plain", "plain", "stripes", "two-tone", "disc"))
        self.pattern_angle = rng.uniform(0, math.pi)
        self.skin = near(pick(SKINS), 0.03)
        self.hair = near(pick(HAIRS), 0.03)
        self.clothes = near(clothes, 0.04)
        self.neckline = pick(("crew", "v", "shirt", "turtle", "stripes"))
        self.jewels = self.style in ("long", "bob", "bun") and rng.random() < 0.6
        self.glasses = pick(("none", "none", "none", "round", "none", "square"))
        self.frames = pick((BLACK, BLACK, self.trim))
        self.width = rng.uniform(0.42, 0.45)  # of the face
        self.jaw = rng.uniform(0.78, 0.92)
        self.eye_size = rng.uniform(0.95, 1.1)
        self.gap = rng.uniform(0.18, 0.195)  # from the middle to an eye
        self.brow = rng.uniform(0.045, 0.06)  # its thickness
        self.smile = pick(("closed", "open", "closed", "calm"))
        self.nose = rng.uniform(0.9, 1.1)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return a + np.float32(share) * (b - a)


def _dark(colour: Colour, by: float) -> Colour:
    """In shadow: darker and a little cooler."""
    return colour * np.array([1 - by, 1 - by, 1 - 0.8 * by], np.float32)


def _background(canvas: Canvas, p: _Person) -> None:
    whole = Frame()
    second = _mix(p.backdrop, p.backdrop2, 0.5)
    if p.pattern == "stripes":
        for k in range(-4, 5):
            x, y = 0.36 * k * math.cos(p.pattern_angle), 0.36 * k * math.sin(p.pattern_angle)
            canvas.paint(Frame(x, y, p.pattern_angle), box(0, 0, 0.09, 2), second)
    elif p.pattern == "two-tone":
        canvas.paint(whole, half_plane(0, 0, p.pattern_angle), second)
    elif p.pattern == "disc":
        canvas.paint(whole, ellipse(0, 0, 0.88, 0.88), second)
    towards = math.atan2(-math.sin(p.light), p.side * math.cos(p.light))
    away = half_plane(-0.3 * p.side, 0.2, towards)
    canvas.paint(whole, away, _dark(p.backdrop, 0.7), opacity=0.45, soft=2.2)
    canvas.paint(whole, half_plane(p.side, -0.7, towards + math.pi), WHITE, opacity=0.5, soft=1.2)


def _hair_behind(canvas: Canvas, p: _Person) -> None:
    w = p.width
    shapes = {
        "long": box(0, 0.22, w + 0.17, 0.86, 0.5),
        "bob": box(0, -0.08, w + 0.19, 0.62, 0.42),
        "afro": ellipse(0, -0.22, w + 0.33, 0.66),
        "bun": ellipse(0, -0.78, 0.22, 0.2),
    }
    if p.style in shapes:
        shape = shapes[p.style]
        canvas.paint(p.head, shape, _dark(p.hair, 0.3))
        lit = shape & half_plane(0.12 * p.side, 0, math.pi if p.side > 0 else 0.0)
        canvas.paint(p.head, lit, p.hair)


def _body(canvas: Canvas, p: _Person) -> None:
    shoulders = box(0, 1.3, 0.8, 0.52, 0.4)
    shade = half_plane(-0.12 * p.side, 0, math.pi * (p.side < 0))
    canvas.paint(p.body, shoulders, p.clothes)
    if p.neckline == "stripes":
        for y in (0.86, 1.0):
            canvas.paint(p.body, shoulders & box(0, y, 0.9, 0.035), p.trim)
    canvas.paint(p.body, shoulders & shade, _dark(p.clothes, 0.4), opacity=0.8)

    neck = box(0, 0.55, 0.19, 0.34, 0.12)
    if p.neckline == "v":
        neck |= ellipse(0, 0.78, 0.13, 0.22)
    elif p.neckline == "crew":
        canvas.paint(p.body, ellipse(0, 0.8, 0.29, 0.15), p.trim)
        neck |= ellipse(0, 0.78, 0.23, 0.12)
    canvas.paint(p.body, neck, p.skin)
    canvas.paint(p.body, neck & shade, _dark(p.skin, 0.3))
    canvas.paint(p.head, ellipse(0, 0.3, 0.3, 0.42), _dark(p.skin, 0.45), opacity=0.6, soft=0.06)
    if p.neckline == "shirt":
        for side in (-1, 1):
            collar = Frame(p.body.x + side * 0.17, p.body.y + 0.8, -side * 0.7, p.body.scale)
            canvas.paint(collar, box(0, 0, 0.17, 0.075, 0.02), p.trim)
    elif p.neckline == "turtle":
        canvas.paint(p.body, box(0, 0.82, 0.235, 0.12, 0.06), p.trim)
    if p.glasses != "none":
        for side in (-1, 1):
            cord = p.head._replace(angle=p.head.angle + 0.14 * side)
            canvas.paint(cord, box(side * (p.width + 0.04), 0.45, 0.02, 0.5, 0.02), p.frames)
    if p.jewels:
        canvas.paint(p.body, arc(0, 0.86, 0.21, 0.035, -0.14), GOLD)


def _head(canvas: Canvas, p: _Person) -> None:
    for side in (-1, 1):
        ear = ellipse(side * (p.width + 0.015) + 0.3 * p.turn, 0.02, 0.07, 0.11)
        canvas.paint(p.head, ear, _dark(p.skin, 0.1 if side == p.side else 0.38))
    face = ellipse(0, -0.04, p.width, 0.52) | box(0, 0.2, p.width * p.jaw, 0.42, 0.34)  # a skull and a jaw
    canvas.paint(p.head, face, _dark(p.skin, 0.36))
    canvas.paint(p.head, face & ellipse(p.side * 0.26, -0.05, 0.5, 0.8), p.skin)
    if p.jewels:
        for side in (-1, 1):
            canvas.paint(p.head, ellipse(side * (p.width + 0.03), 0.18, 0.045, 0.06), GOLD)

    if p.beard == "full":
        beard = face & half_plane(0, 0.15, -math.pi / 2)
        beard -= ellipse(p.turn, 0.06, p.width * 0.78, 0.22)
        canvas.paint(p.head, beard, p.hair)
        canvas.paint(p.head, beard & half_plane(-0.1 * p.side, 0, math.pi * (p.side < 0)), _dark(p.hair, 0.3))
    elif p.beard == "goatee":
        canvas.paint(p.head, box(p.turn, 0.44, 0.17, 0.2, 0.14), p.hair)

    cheeks = _mix(p.skin, BLUSH, 0.5)
    for side in (-1, 1):
        canvas.paint(p.head, ellipse(side * 0.25 + p.turn, 0.15, 0.08, 0.06), cheeks, opacity=0.6, soft=0.06)
    bridge = box(p.turn - p.side * 0.035, 0.06, 0.03, 0.12 * p.nose, 0.03)
    tip = ellipse(p.turn, 0.155, 0.075 * p.nose, 0.045)
    canvas.paint(p.head, bridge | tip, _dark(p.skin, 0.42))
    canvas.paint(p.head, ellipse(p.turn + p.side * 0.015, 0.135, 0.05, 0.04), _mix(p.skin, WHITE, 0.15))


def _mouth(canvas: Canvas, p: _Person) -> None:
    x, y = p.turn, 0.33
    if p.beard != "none":
        canvas.paint(p.head, arc(x, y - 0.09, 0.14, 0.08, 0.05), p.hair)
    if p.smile == "open":
        mouth = ellipse(x, y - 0.05, 0.17, 0.15) & half_plane(0, y - 0.05, -math.pi / 2)
        canvas.paint(p.head, mouth, BLACK)
        canvas.paint(p.head, mouth & box(x, y - 0.04, 0.14, 0.035), TEETH)
        canvas.paint(p.head, mouth & ellipse(x, y + 0.09, 0.09, 0.06), TONGUE)
        canvas.paint(p.head, mouth.outline(0.035), p.lips)
    elif p.smile == "closed":
        canvas.paint(p.head, arc(x, y + 0.03, 0.16, 0.06, -0.07), p.lips)
        canvas.paint(p.head, arc(x, y + 0.025, 0.17, 0.02, -0.075), BLACK)
    else:
        canvas.paint(p.head, ellipse(x, y, 0.12, 0.045), p.lips)
        canvas.paint(p.head, box(x, y, 0.11, 0.01), BLACK)


def _eyes(canvas: Canvas, p: _Person) -> None:
    brows = _dark(p.hair, 0.35) if p.style != "bald" else _dark(p.skin, 0.65)
    for side in (-1, 1):
        x, y = side * p.gap + p.turn, -0.06
        white = ellipse(x, y, 0.105 * p.eye_size, 0.075 * p.eye_size)
        look = x + 0.4 * p.turn
        canvas.paint(p.head, white, WHITE)
        canvas.paint(p.head, white & ellipse(look, y, 0.062, 0.066), p.eye)
        canvas.paint(p.head, ellipse(look, y, 0.034, 0.036), BLACK)
        canvas.paint(p.head, ellipse(look + p.side * 0.022, y - 0.022, 0.017, 0.017), WHITE)
        canvas.paint(p.head, arc(x, y - 0.075 * p.eye_size, 0.11 * p.eye_size, 0.03, 0.05), BLACK)
        canvas.paint(p.head, arc(x, y - 0.17, 0.115, p.brow, 0.035), brows)


def _hair_before(canvas: Canvas, p: _Person) -> None:
    if p.style == "bald":
        canvas.paint(p.head, ellipse(p.side * 0.15, -0.42, 0.06, 0.04), WHITE, opacity=0.5, soft=0.05)
        return
    if p.style == "hat":
        crown = ellipse(0, -0.3, p.width + 0.07, 0.5) & half_plane(0, -0.3, math.pi / 2)
        canvas.paint(p.head, crown, p.clothes)
        lit = crown & half_plane(-0.1 * p.side, 0, math.pi * (p.side < 0))
        canvas.paint(p.head, lit, _dark(p.clothes, 0.35))
        canvas.paint(p.head, box(0, -0.32, p.width + 0.09, 0.075, 0.05), p.trim)
        canvas.paint(p.head, ellipse(0, -0.8, 0.1, 0.1), p.trim)
        return

    cap = ellipse(0, -0.1, p.width + 0.05, 0.56)
    across = p.side * 0.16
    if p.style == "bob":  # a straight fringe
        fringe = cap & half_plane(0, -0.24, math.pi / 2)
    elif p.style == "long":  # parted in the middle
        fringe = cap - ellipse(0.21, 0.1, 0.26, 0.5) - ellipse(-0.21, 0.1, 0.26, 0.5) - box(0, 0.3, 0.25, 0.5)
    elif p.style == "short":  # swept away from the parting
        fringe = cap - ellipse(across, 0.18, p.width + 0.02, 0.55) - box(0, 0.3, 0.6, 0.35)
        fringe |= ellipse(-across, -0.5, 0.36, 0.15)
    else:
        fringe = cap - ellipse(0, 0.16, p.width - 0.01, 0.53) - box(0, 0.35, 0.6, 0.4)
    canvas.paint(p.head, fringe, p.hair)
    canvas.paint(p.head, fringe & half_plane(-0.1 * p.side, 0, math.pi * (p.side < 0)), _dark(p.hair, 0.3))
    shine = fringe & ellipse(across, -0.53, 0.2, 0.04)
    canvas.paint(p.head, shine, _mix(p.hair, WHITE, 0.5), opacity=0.7)


def _glasses(canvas: Canvas, p: _Person) -> None:
    if p.glasses == "none":
        return
    for side in (-1, 1):
        x = side * p.gap + p.turn
        lens = ellipse(x, -0.05, 0.15, 0.145) if p.glasses == "round" else box(x, -0.05, 0.155, 0.12, 0.05)
        canvas.paint(p.head, lens, WHITE, opacity=0.18)
        canvas.paint(p.head, lens.outline(0.045), p.frames)
        end = side * (p.width + 0.01)
        middle, half = (x + side * 0.15 + end) / 2, abs(end - x - side * 0.15) / 2
        canvas.paint(p.head, box(middle, -0.06, half, 0.02), p.frames)
    canvas.paint(p.head, arc(p.turn, -0.08, 0.05, 0.04, 0.02), p.frames)
