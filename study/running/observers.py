"""Observers besides the files: their failures and waits stop no run, and are known to all who work in the output."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from study.errors import hidden
from study.parts.observers import blanked
from study.store import read_facts, write_json

BEGIN_S, LATER_S = 5.0, 30.0
"""How long an observer may take to begin, and for a later call."""
PATIENCE = 100
"""After a failure an observer is left alone for this many times the time that it took: waits take at most 1%."""
FILE = "observers.json"


class Guarded:
    """An observer that also gets the record. It numbers records itself, and its failures do not stop the run.

    All calls are made in one thread of its own, because sessions of databases belong to threads, and because a call
    that does not return is given up. ``lost``: why the run is not recorded there; empty if it is.

    Args:
        described: the observer: ``place`` in the study file, and ``options``.
        make: makes it.
        begin_s: how long it may take to begin, in seconds.
    """

    priority = -1  # after the files, which number the run

    def __init__(
        self, described: Mapping[str, Any], make: Callable[[], Any], out: Path, begin_s: float = BEGIN_S
    ) -> None:
        self.place, self.name = described["place"], title(described)
        self._options = described["options"]
        self._file, self._make, self._limit_s = out / FILE, make, begin_s
        self._inner: Any = None
        self._thread: _Thread | None = None
        before = read_facts(self._file).get(self.place)
        self.was_lost = before is not None
        self.lost = str(before["why"]) if before and time.time() < before["until"] else ""

    def __getattr__(self, event: str) -> Callable[..., None]:
        """The method that Sacred calls with an event."""
        return partial(self._call, event)

    @property
    def news(self) -> str:
        """A sentence for the user if it has just gone away, or is back; otherwise empty."""
        if self.lost and not self.was_lost:
            return f"{self.name}: it does not record: {self.lost}; runs go on without it"
        return f"{self.name}: it records again" if self.was_lost and not self.lost else ""

    def contact(self) -> None:
        """Makes the observer, and asks whether it answers."""
        self._call("contact")

    def close(self) -> None:
        """Ends its thread."""
        if self._thread is not None:
            self._thread.end()

    def _call(self, event: str, **named: Any) -> None:
        if self.lost:
            return
        if event == "started_event":
            named["_id"] = None
        if "fail_trace" in named:
            named["fail_trace"] = hidden(named["fail_trace"])
        self._thread = self._thread or _Thread()
        started = time.monotonic()
        try:
            self._thread.call(partial(self._pass_on, event, named), self._limit_s)
        except Exception as error:
            said = blanked(str(getattr(error, "orig", error)), self._options)  # SQLAlchemy wraps the driver's error
            why = " ".join(hidden(said).split())[:200]
            if isinstance(error, TimeoutError) and not why:
                why = f"no answer within {self._limit_s:g} s"
            self.lost = why or type(error).__name__
            self._remember({"why": self.lost, "until": time.time() + PATIENCE * (time.monotonic() - started)})
        else:
            self._limit_s = LATER_S
            if self.was_lost:
                self._remember(None)

    def _pass_on(self, event: str, named: Mapping[str, Any]) -> None:
        if self._inner is None:
            self._inner = self._make()
        getattr(self._inner, event, lambda **_: None)(**named)

    def _remember(self, failure: Mapping[str, Any] | None) -> None:
        others = {place: facts for place, facts in read_facts(self._file).items() if place != self.place}
        write_json(self._file, {**others, self.place: failure} if failure else others)


class _Thread:
    """Makes calls one after the other in a daemon thread, so that one that never returns keeps no process alive."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="observer", daemon=True).start()

    def call(self, function: Callable[[], None], timeout_s: float) -> None:
        """Waits for the call. Raises what it raises, or TimeoutError."""
        future: Future[None] = Future()
        self._calls.put((future, function))
        future.result(timeout_s)

    def end(self) -> None:
        """Lets the thread end after the calls so far."""
        self._calls.put(None)

    def _run(self) -> None:
        while call := self._calls.get():
            future, function = call
            try:
                future.set_result(function())
            except BaseException as error:  # an observer of others may even raise SystemExit
                future.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))


def title(described: Mapping[str, Any]) -> str:
    """``runs.yaml:160:15: observers.0 (postgresql://me:***@host/records)``."""
    options = described["options"]
    return f"{described['place']} ({hidden(options.get('url') or options['class'])})"
