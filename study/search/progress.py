"""How far a search is, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from study.search.trials import ENDED, best_of


class SearchDisplay:
    """How far a search is: a line for each trial that ends, and on a terminal a bar with the best value so far."""

    def __init__(self, console: Console, variant: str, done: int, trials: int) -> None:
        self._console, self._live = console, None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=32), MofNCompleteColumn())
            self._live = Progress(*columns, TextColumn("{task.fields[best]}"), TimeElapsedColumn(), console=console)
            self._row: TaskID = self._live.add_task(variant, total=trials, completed=done, best="")
            self._live.start()

    def told(self, trial: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Hears of a trial that ended."""
        done = sum(row["state"] in ENDED for row in state["trials"])
        best = best_of(state)
        best_text = f"best so far {best['value']:.2f} dB, trial {best['number']}" if best else "none completed yet"
        value = f" {trial['value']:.2f} dB" if trial["value"] is not None else ""
        usual = ", the usual setting" if trial["usual"] else ""
        why = f" ({trial['why']})" if trial["why"] else ""
        what = f"{state['variant']}, trial {trial['number']}{usual}: {trial['state']}{value}{why}"
        self._console.print(f"{what}; {best_text}; {done} of {state['of']}", highlight=False, soft_wrap=True)
        if self._live is not None:
            self._live.update(self._row, completed=done, best=best_text)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._live is not None:
            self._live.stop()
