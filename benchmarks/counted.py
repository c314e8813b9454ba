"""A step of the paper profile, counted on tensors without values, and times predicted from it for one H200.

The peer has its critics in fp32 and G in bf16. Times are computed from the counts: matrix products at the measured 788
TFLOP/s (bf16) and the published 67 (fp32), then the bytes moved at the measured 4.3 TB/s, as if nothing overlapped.
Nothing here is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.timing import Row
from study import config
from study.inspection.operations import Operations
from study.plan.graph import Plan, Stage
from study.plan.planner import make_plan
from study.running.counted import count

STUDY = Path(__file__).parents[1] / "runs.yaml"
TFLOP_S = {"bfloat16": 788.0, "float32": 67.0}
TB_S = 4.3
MINUTE_S, HOUR_S = 60, 3600


def rows() -> Iterator[Row]:
    """Yields what a step takes, for the proposed method and GIICA's joint stage, then the predicted hours."""
    plan = make_plan(config.load(STUDY, profile="paper"))
    counts: dict[str, tuple[Operations, Operations]] = {}
    for name, stages in _named(plan).items():
        ours, peer = _counted(stages, plan.study.image_size, counts)
        for unit, ours_n, peer_n in (
            ("TFLOP bf16", ours.flops["bfloat16"] / 1e12, peer.flops["bfloat16"] / 1e12),
            ("TFLOP fp32", ours.flops["float32"] / 1e12, peer.flops["float32"] / 1e12),
            ("kernels", ours.kernels, peer.kernels),
            ("GB moved", ours.moved / 1e9, peer.moved / 1e9),
            ("GB peak", ours.peak / 1e9, peer.peak / 1e9),
            ("uploads", ours.uploads, peer.uploads),
            ("waits", ours.waits, peer.waits),
        ):
            yield Row(name, ours_n, peer_n, unit)
    groups = [[plan.stages[key]] for key in plan.stages if plan.stages[key].kind in ("pretrain", "joint")]
    groups += [[plan.stages[key] for key in keys] for keys in plan.passes()]
    first = next(run for run in plan.runs if run.variant == "proposed")
    for name, chosen, unit, unit_s in (
        (
            "proposed, one seed",
            [group for group in groups if group[0].key in first.stages.values()],
            "minutes",
            MINUTE_S,
        ),
        (f"{len(plan.runs)} runs", groups, "hours", HOUR_S),
    ):
        for what, traffic in (("matrix products", False), ("with memory traffic", True)):
            seconds = [0.0, 0.0]
            for group in chosen:
                own = [stage for stage in group if len(chosen) == len(groups) or stage.key in first.stages.values()]
                for side, operations in enumerate(_counted(own, plan.study.image_size, counts)):
                    seconds[side] += own[0].steps * _seconds(operations, traffic)
            ours_s, peer_s = seconds
            yield Row(f"{name}, {what}", ours_s / unit_s, peer_s / unit_s, unit, peer_s / ours_s)


def _named(plan: Plan) -> Mapping[str, Sequence[Stage]]:
    """The stages that the table shows, the critics of ``proposed`` as one pass."""
    by_variant = {run.variant: run for run in plan.runs}
    roles = by_variant["proposed"].stages
    critics = [plan.stages[key] for role, key in roles.items() if role.startswith("critic.")]
    return {
        "pretrain": [plan.stages[roles["pretrain"]]],
        f"critics ({len(critics)} in a pass)": critics,
        "joint": [plan.stages[roles["joint"]]],
        "giica joint": [plan.stages[by_variant["giica"].stages["joint"]]],
    }


def _counted(
    stages: Sequence[Stage], side: int, known: dict[str, tuple[Operations, Operations]]
) -> tuple[Operations, Operations]:
    """A step as it is, and with critics in fp32. Steps that cost the same are counted once."""
    named = ("generator", "critic", "critics", "critic_steps", "batch", "mask", "optimizer", "reconstruction", "fill")
    name = repr([[stage.kind, *(stage.options.get(option) for option in named)] for stage in stages])
    if name not in known:
        known[name] = count(stages, side), count(stages, side, critics_in_fp32=True)
    return known[name]


def _seconds(operations: Operations, traffic: bool) -> float:
    matrix = sum(flops / (1e12 * TFLOP_S[kind]) for kind, flops in operations.flops.items())
    return matrix + traffic * operations.moved / (1e12 * TB_S)
