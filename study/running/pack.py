"""Packs one data set of a study by itself: the same stage, under the same key, that a run of the study makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from study.config.schema import Protocol, Study
from study.errors import BadInput, unknown
from study.plan.planner import make_plan
from study.running.make import make
from study.running.progress import LINE_EVERY_S, bars
from study.store import Damaged, Store
from study.training.checkpoint import Watch
from study.training.machine import prepare

WAIT_S = 0.5


def pack(study: Study, name: str, store: Store, console: Console) -> Path:
    """Returns the folder of a data set's packed images. Packs them if they are missing, and prints the progress.

    An interrupt loses nothing: the next call continues.

    Raises:
        BadInput: the study has no such data set, or its images do not fit their description.
        StudyError: the images change meanwhile, or the disk fails.
    """
    if name not in study.data:
        raise BadInput(unknown(name, study.data, "not a data set of this study"))
    nothing: dict[str, Any] = {"variants": {}, "ablations": {}, "multiverses": {}, "protocol": Protocol()}
    with console.status("reading the images; the first time, each one is read"):
        plan = make_plan(replace(study, data={name: study.data[name]}, **nothing))
    (key,) = plan.stages
    if store.has(key):
        try:
            return store.verified(key)
        except Damaged as damage:
            store.set_aside(key)
            text = f"damaged: {damage}; it is moved to {store.out / 'damaged'} and packed again"
            console.print(text, soft_wrap=True)
    with bars(console, TimeRemainingColumn()) as bar, claimed(store, key):
        try:
            make([key], plan, store, _Watch(f"packing {name}", bar), prepare("cpu"))
        except ValueError as error:
            raise BadInput(f"{study.data_nodes[name].place.fault(str(error))}") from error
    return store.folder(key)


@contextmanager
def claimed(store: Store, key: str) -> Iterator[None]:
    """Holds the lease of a stage. Waits while another process makes it."""
    while (lease := store.claim(key)) is None:
        time.sleep(WAIT_S)
    try:
        yield
    finally:
        lease.release(done=store.has(key))


class _Watch(Watch):
    """Shows how many images are packed: a bar on a terminal, otherwise a line every 30 s."""

    stopping = False  # a signal raises in the process that packs

    def __init__(self, text: str, bar: Progress) -> None:
        self._text, self._bar = text, bar
        self._row = bar.add_task(text, total=None)
        self._printed = time.monotonic()

    def note(self, text: str) -> None:
        self._bar.console.print(text, soft_wrap=True)

    def progress(self, key: str, done: int, total: int) -> None:
        self._bar.update(self._row, completed=done, total=total)
        if self._bar.disable and time.monotonic() - self._printed > LINE_EVERY_S:
            self._printed = time.monotonic()
            self._bar.console.print(f"{self._text}: {done:,} of {total:,} images", soft_wrap=True)
