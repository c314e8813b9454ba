"""Helpers that several sections share."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from reports.analysis.frames import Frames
from reports.analysis.naming import level_label, metric_of, shown_digits
from reports.document import Block, Cell, Heading, Note, TableView, block_or_note, interval, number

REGION = {"whole": "whole image", "hole": "hole", "boundary": "boundary"}
NO_DATA_SET = Note("The study has no data set.", "nothing")


def of_what_ran(frames: Frames) -> str:
    """The end of "The study has no ...", if the command left variants out."""
    by = dict.fromkeys(entry.get("by", "--only") for entry in (frames.study["left_out"] or {}).values())
    return f" of the variants that {' and '.join(by)} kept" if by else ""


def slug(*parts: Any) -> str:
    """A name for files and anchors: lower-case words joined with hyphens."""
    return "-".join(re.sub(r"[^a-z0-9]+", "-", str(part).lower()).strip("-") or "x" for part in parts)


def unit(metric: str, region: str = "") -> str:
    """A metric with its region, unit and direction: "PSNR, hole (dB, ↑)"."""
    named = metric_of(metric)
    arrow = "↑" if named.better > 0 else "↓"
    inside = f"{named.unit}, {arrow}" if named.unit else arrow
    return f"{named.label}{', ' + REGION[region] if region else ''} ({inside})"


def difference(row: Mapping[str, Any]) -> tuple[str, str]:
    """The effect of a link with its unit, and its interval: ("+0.14 dB", "[−0.31, +0.59]"). Empty where unknown."""
    low, high = row["low"], row["high"]
    if pd.isna(row["effect"]):
        return "", ""
    digits = shown_digits(row["effect"], low, high)
    bounds = interval(low, high, digits, "+") if pd.notna(low) else ""
    return f"{number(row['effect'], digits, sign='+').text} {row['unit']}".rstrip(), bounds


def ranged(
    row: Mapping[str, Any], name: str, digits: int, sign: str = "", *, of: str = "", strong: bool = False
) -> Cell:
    """A number of a row, and below it the interval from its columns low and high, whose names begin with ``of``."""
    return number(row[name], digits, interval(row[f"{of}low"], row[f"{of}high"], digits, sign), sign, strong=strong)


def intervals(frames: Frames) -> str:
    """The kind of intervals that decide the study's outcomes."""
    return "95% intervals" if isinstance(frames.level, float) else "intervals at the level of each look"


def protocol(frames: Frames, data: str) -> str:
    """The test protocol in a sentence."""
    settings = frames.study["protocol"] or {}
    entry: Mapping[str, Any] = next((one for one in frames.study["data"] or [] if one["name"] == data), {})
    images = f"{entry['test']:,} test images" if entry.get("test") else "the test images"
    hole = f" with holes {level_label(json.dumps(settings['mask']))}" if settings.get("mask") else ""
    return f"Means over {images}{hole}."


def each_data_set(
    frames: Frames, *makes: Callable[[Frames, str], Block], before: Callable[[Frames, str], Block] | None = None
) -> list[Block]:
    """The blocks of each data set, under a heading if there are several; ``before`` makes the first block of each."""
    names = frames.data_sets()
    blocks: list[Block] = []
    for name in names:
        blocks += [Heading(name)] if len(names) > 1 else []
        blocks += [before(frames, name)] if before else []
        blocks += [block_or_note(make, frames, name) for make in makes]
    return blocks or [NO_DATA_SET]


def table_view(
    table: pd.DataFrame,
    cells: Callable[[dict[str, Any]], list[Cell]],
    *,
    name: str,
    caption: str,
    headings: list[str],
    **options: Any,
) -> TableView:
    """The view of a table: ``cells`` makes the cells of a row. ``options`` are further fields of ``TableView``."""
    rows = [cells(row) for row in records(table)]
    return TableView(name=name, caption=caption, headings=headings, rows=rows, frame=table, **options)


def records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of a table as dictionaries."""
    for row in table.to_dict("records"):
        yield {str(key): value for key, value in row.items()}
