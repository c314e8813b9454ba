"""What a person calls the work of a plan: "pretrain, seed 1", "23 critics, seed 0", "glcic, seed 2"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from study.plan.graph import Plan, Run


class Titles:
    """The titles of a plan's runs and shared stages. They name the data set only where there are several."""

    def __init__(self, plan: Plan) -> None:
        self._stages, self._several = plan.stages, len({run.data for run in plan.runs}) > 1
        self._first: dict[str, tuple[str, Run]] = {}  # the role of each stage in the first run that needs it
        for run in reversed(plan.runs):
            self._first |= {key: (role, run) for role, key in run.stages.items()}
        passes = plan.passes()
        alone = [[key] for key, stage in plan.stages.items() if stage.kind != "critic"]
        self._counts = Counter(map(self._place, [*alone, *passes]))

    def run(self, run: Run) -> str:
        """The title of a run."""
        return f"{run.variant}{self._data(run)}, seed {run.seed}"

    def stages(self, keys: Sequence[str]) -> str:
        """The title of stages that are made together.

        Where a seed has several such stages, it names the first of the variants that share them.
        """
        stage, (role, run) = self._stages[keys[0]], self._first.get(keys[0], ("", None))
        if stage.kind == "data":
            return f"{'masks' if role == 'data.masks' else 'data'}{f' {run.data}' if run else ''}"
        what = f"{len(keys)} critics" if len(keys) > 1 else stage.kind
        if stage.kind == "critic" and len(keys) == 1 and role:
            what = f"critic '{role.partition('.')[2]}'"
        seed = "all seeds" if stage.seed is None else f"seed {stage.seed}"
        whose = f" of {run.variant}" if run and self._counts[self._place(keys)] > 1 else ""
        return f"{what}{whose}{self._data(run) if run else ''}, {seed}"

    def _data(self, run: Run) -> str:
        return f", {run.data}" if self._several else ""

    def _place(self, keys: Sequence[str]) -> tuple[str, int | None, str]:
        stage, (_, run) = self._stages[keys[0]], self._first.get(keys[0], ("", None))
        return stage.kind, stage.seed, run.data if run else ""
