"""What checkpoints cost: the share of the time of a joint stage, which has all networks and their optimisers.

At 256 px and a quarter of the width. The training waits for the copy; the file is written beside it. Both count, over
the least time between two checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.timing import REPEATS, Row, least
from benchmarks.training import Ours, stages, state_of
from study.store import write_atomically
from study.training.checkpoint import CHECKPOINT_S, CHECKPOINT_SHARE


def rows(side: int = 256, width: float = 0.25, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields the size of a checkpoint, what its copy and its file take, and their share of the stage's time."""
    torch.set_num_threads(1)
    size = [f"image_size={side}", f"defaults.width={width}", "defaults.batch=1", "numerics.precision=fp32"]
    with Ours(stages(*size)["joint"]) as ours:
        ours.step()  # optimisers have their state only then
        state = state_of(ours)
        content = state.copy()
        best = least({"copy": state.copy, "file": lambda: write_atomically(state.checkpoint, content)}, repeats)
    yield Row("size", len(content) / 1e6, unit="MB")
    yield Row("copy, while the training waits", 1e3 * best["copy"])
    yield Row("file, beside the training", 1e3 * best["file"])
    spent = sum(best.values())
    share = spent / (spent + max(CHECKPOINT_S, spent / CHECKPOINT_SHARE))
    yield Row("share of the stage's time", 100 * share, unit="%")
