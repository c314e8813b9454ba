"""``study data show``: a packed data set's counts, sizes, left-out files, duplicates, and a contact sheet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.data import duplicates
from study.data.base import DataSet
from study.data.packed import PARTS, Packed
from study.data.sets.images import Images, hint

LEFT_OUT_SHOWN = 10
# The numbers in a reason that belong to one image, as opposed to limits; reasons are counted without them.
OF_ONE = re.compile(r"(?<!than )(?<!than the )(?<!has )(?<!have )(?<![\w,.-])\d[\d,.]*")
SHEET = 8  # images a side
THUMB = 128  # px at most
GAP = 2  # px


def facts(folder: Path, data: DataSet | None = None) -> dict[str, Any]:
    """Everything that ``show`` prints, fit for JSON. ``data``: the set that was packed, to count what was not."""
    packed = Packed(folder)
    return {
        "image_size": packed.image_size,
        "digest": packed.digest,
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "images": {part: len(packed.part(part)) for part in PARTS},
        "groups": _groups(packed),
        "short_sides": _sides(packed.short_sides),
        "enlarged": packed.enlarged,
        "left_out": {
            "count": len(packed.left_out),
            "why": dict(Counter(OF_ONE.sub("N", entry.why) for entry in packed.left_out).most_common()),
            "first": [entry._asdict() for entry in packed.left_out[:LEFT_OUT_SHOWN]],
        },
        **_not_packed(data),
        "notes": packed.notes,
        "duplicates": duplicates.found(folder),
    }


def _not_packed(data: DataSet | None) -> dict[str, Any]:
    """What is below the root of a set of files and was not chosen: images, other files and hidden ones."""
    if not isinstance(data, Images):
        return {}
    found, unchosen = data.census()
    return {"below_root": {**found.as_json(), "not_chosen": unchosen}, "not_read": [*found.sentences(), *hint(found)]}


def _groups(packed: Packed) -> dict[str, Any] | None:
    """The number of groups in each part, and of groups in two parts; None if no groups are known."""
    found = {part: set(groups) for part in PARTS if (groups := packed.groups(part)) is not None}
    counts = Counter(chain.from_iterable(found.values()))
    sizes = {part: len(groups) for part, groups in found.items()}
    return {**sizes, "in_two_parts": sum(n > 1 for n in counts.values())} if found else None


def _sides(sides: Mapping[int, int]) -> dict[str, int] | None:
    """The least, median and greatest original short side of the images, px; None if unknown."""
    if not sides:
        return None
    return {"least": min(sides), "median": median_low(Counter(sides).elements()), "greatest": max(sides)}


def sheet(folder: Path, file: Path) -> Path:
    """Writes 8 x 8 test images, evenly spread over the part, as a PNG. Returns its path."""
    images = Packed(folder).part("test")
    places = np.unique(np.linspace(0, len(images) - 1, SHEET**2).round().astype(int)).tolist()
    side = min(images.shape[1], THUMB)
    pitch = side + GAP
    rows = -(-len(places) // SHEET)
    drawn = Image.new("RGB", (pitch * min(SHEET, len(places)) + GAP, pitch * rows + GAP), "white")
    for number, place in enumerate(places):
        image = Image.fromarray(images[place]).resize((side, side), Image.Resampling.LANCZOS)
        drawn.paste(image, (GAP + pitch * (number % SHEET), GAP + pitch * (number // SHEET)))
    file.parent.mkdir(parents=True, exist_ok=True)
    drawn.save(file)
    return file


def show(found: Mapping[str, Any], console: Console) -> None:
    """Prints the facts of a data set. Names are text, not markup."""
    table = Table(box=None, show_header=False)
    for row in _rows(found):
        table.add_row(*map(Text, row))
    console.print(table)
    console.print(Text(duplicates.MEANING, style="dim"))


def _rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    size = found["image_size"]
    rows = [(key, str(found[key])) for key in ("name", "kind", "like", "licence") if found.get(key)]
    rows.append(("images", ", ".join(f"{count:,} {part}" for part, count in found["images"].items())))
    rows.append(("packed", f"{size} x {size} px, {found['bytes'] / 1e6:,.1f} MB, in {found['folder']}"))
    if groups := found["groups"]:
        counts = ", ".join(f"{groups[part]:,} {part}" for part in PARTS)
        rows.append(("groups", f"{counts}; {groups['in_two_parts']:,} have images in two parts"))
    if sides := found["short_sides"]:
        text = f"{sides['least']:,} to {sides['greatest']:,} px, {sides['median']:,} in the middle"
        rows.append(("short sides", f"{text}; {found['enlarged']:,} under {size} px, which are enlarged"))
    left_out = found["left_out"]
    rows.append(("left out", f"{left_out['count']:,}"))
    rows += [("", f"{count:,}: {why}") for why, count in left_out["why"].items()] if left_out["count"] > 1 else []
    rows += [("", f"{entry['name']}: {entry['why']}") for entry in left_out["first"]]
    if left_out["count"] > len(left_out["first"]):
        rows.append(("", f"and {left_out['count'] - len(left_out['first']):,} more, which data.json names"))
    if unchosen := found.get("below_root", {}).get("not_chosen"):
        rows.append(("not chosen", f"{unchosen:,} of {found['below_root']['images']:,} images below the root"))
    rows += [("not read", sentence) for sentence in found.get("not_read", ())]
    rows += [("note", note) for note in found["notes"] if note not in found.get("not_read", ())]
    for entry in found["duplicates"]:
        a, b = entry["parts"]
        for kind in ("exact", "near"):
            pairs = entry[kind]
            text = f"of {found['images'][b]:,} {b} images in {a}: {pairs['images']:,} (pairs: {pairs['pairs']:,})"
            rows.append((f"{kind} duplicates", text))
            rows += [("", f"{a}: {one}   {b}: {other}") for one, other in pairs["first"]]
    rows.append(("sheet", str(found["sheet"])))
    return rows
