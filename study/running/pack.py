"""Packing one data set of a study by itself: the same stage, under the same key, that a run of the study makes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from study.config.schema import Protocol, Study
from study.errors import BadInput, unknown
from study.plan.planner import make_plan
from study.running.machine import prepare as threads_as_planned
from study.running.make import make
from study.store import Damaged, Store

LINE_EVERY_S = 30.0


def prepare(study: Study, name: str, store: Store, console: Console) -> Path:
    """The folder of a data set's packed images, made where it is not there; tells how far it is.

    Ctrl-C loses nothing: what is packed is gone on from.

    Raises:
        BadInput: the study has no such data set, or its images are not as it says.
        StudyError: the images change meanwhile, or the disk fails.
    """
    if name not in study.data:
        raise BadInput(unknown(name, study.data, "no data set of this study"))
    nothing: dict[str, Any] = {"variants": {}, "ablations": {}, "multiverses": {}, "protocol": Protocol()}
    with console.status("looking at the images; the first time each is read"):
        plan = make_plan(replace(study, data={name: study.data[name]}, **nothing))
    (key,) = plan.stages
    if store.has(key):
        try:
            return store.verified(key)
        except Damaged as damage:
            store.set_aside(key)
            text = f"damaged: {damage}; it is set aside in {store.out / 'damaged'} and packed again"
            console.print(text, highlight=False, soft_wrap=True, markup=False)
    with _Watch(name, console) as watch:
        try:
            make([key], plan, store, watch, threads_as_planned("cpu"))
        except ValueError as error:
            raise BadInput(f"{study.data_nodes[name].place.fault(str(error))}") from error
    return store.folder(key)


class _Watch:
    """Tells how many images are packed: a bar on a terminal, else a line now and then."""

    stopping = False  # a signal raises, where this process packs

    def __init__(self, name: str, console: Console) -> None:
        self._name, self._console = name, console
        self._bar: Progress | None = None
        self._row: TaskID | None = None
        self._printed = time.monotonic()

    def __enter__(self) -> _Watch:
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=32), MofNCompleteColumn())
            self._bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def progress(self, key: str, done: int, total: int) -> None:
        """Hears how many of the images are read."""
        if self._bar is not None:
            if self._row is None:
                self._row = self._bar.add_task(f"packing {self._name}", total=total)
            self._bar.update(self._row, completed=done)
        elif time.monotonic() - self._printed > LINE_EVERY_S:
            self._printed = time.monotonic()
            self._console.print(f"packing {self._name}: {done:,} of {total:,} images", highlight=False, soft_wrap=True)

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        """Nothing: a packing has no series."""
