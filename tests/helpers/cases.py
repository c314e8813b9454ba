"""Rows of docs/compatibility.md: a file or situation, and what happens in each of the commands that read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import layouts

from study.data import Folder, show
from study.data.packed import PARTS
from study.errors import StudyError

PLAIN = [f"plain/{i}.jpg" for i in range(10)]

Happens = Callable[[Path], str]
"""Does it in a new folder and returns what happened in a few words, such as what ``told`` returns."""


@dataclass(frozen=True)
class Case:
    """A row of the page. happens: by command, in the order of the page's columns."""

    what: str
    happens: Mapping[str, Happens]


def told(folder: Path, do: Callable[[], Sequence[str]]) -> str:
    """What happened in words: 'read', with the notes that ``do`` returns, or the message of the refusal."""
    try:
        text = "; ".join(["read", *do()])
    except (StudyError, ValueError) as fault:
        text = f"refused: {'; '.join(str(fault).splitlines())}"
    return text.replace(f"{folder}/", "")


def packed_set(tree: Mapping[str, bytes], folder: Path, *, plain: bool = True) -> str:
    """What a data set says of these files beside ten plain images: 'read', left out and why, not read and why."""
    root = layouts.as_folder(folder / "set", {**tree, **(layouts.images(PLAIN, 100) if plain else {})})
    data = Folder(root=str(root), test_share=0.3, validation_share=0.3)

    def said() -> list[str]:
        packed = layouts.packed(data, folder / "packed")
        names = {name for part in PARTS for name in packed.names(part)} - set(PLAIN)
        facts = show.facts(folder / "packed", data)
        left_out = [f"left out: {entry['name']}: {entry['why']}" for entry in facts["left_out"]["first"]]
        notes = [note for note in facts["notes"] if note not in facts["not_read"]]
        return [*(["read"] if names else []), *left_out, *facts["not_read"], *notes] or ["passed over"]

    return told(folder, said).removeprefix("read; ")


def section(title: str, text: str, cases: Sequence[Case], folder: Path) -> str:
    """A section of the page: its table, from what happens to each case in a folder of its own."""
    columns = list(dict.fromkeys(command for case in cases for command in case.happens))
    lines = [f"## {title}", "", text.strip(), "", _row(["", *columns]), "|---" * (len(columns) + 1) + "|"]
    for number, case in enumerate(cases):
        cells = [case.what]
        for place, command in enumerate(columns):
            empty = folder / f"{number}-{place}"
            empty.mkdir(parents=True)
            happens = case.happens.get(command)
            cells.append(happens(empty) if happens else "")
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
