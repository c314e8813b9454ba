"""The progress of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import TextColumn

from study.running.progress import bars
from study.search.trials import ENDED, best_of


@contextmanager
def shown(
    console: Console, variant: str, done: int, trials: int
) -> Iterator[Callable[[Mapping[str, Any], Mapping[str, Any]], None]]:
    """Shows a search's progress: a line for each trial, and a bar on a terminal.

    Yields the function to call with a trial's row and the search's state when a trial ends.
    """
    with bars(console, TextColumn("{task.fields[best]}")) as bar:
        row = bar.add_task(variant, total=trials, completed=done, best="")

        def on_trial(trial: Mapping[str, Any], state: Mapping[str, Any]) -> None:
            done = sum(row["state"] in ENDED for row in state["trials"])
            best = best_of(state)
            best_text = f"best so far {best['value']:.2f} dB, trial {best['number']}" if best else "none completed yet"
            value = f" {trial['value']:.2f} dB" if trial["value"] is not None else ""
            usual = ", the study's own setting" if trial["usual"] else ""
            why = f" ({trial['why']})" if trial["why"] else ""
            what = f"{state['variant']}, trial {trial['number']}{usual}: {trial['state']}{value}{why}"
            console.print(f"{what}; {best_text}; {done} of {state['of']}", highlight=False, soft_wrap=True)
            bar.update(row, completed=done, best=best_text)

        yield on_trial
