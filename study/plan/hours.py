"""The hours that a plan takes on a device, by kind of stage and by variant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from study.plan.devices import DRAWN_S, SCORED_BYTES, Device
from study.plan.graph import KINDS, Plan
from study.plan.steps import Step, step_of


@dataclass(frozen=True)
class Work:
    """Stages that are made together: their keys, how often the step is done, and seconds of a CPU core beside."""

    keys: tuple[str, ...]
    step: Step
    steps: int
    host_s: float = 0.0

    def seconds(self, device: Device, precision: str, workers: int = 1) -> float:
        """The seconds on a device, which this many workers share."""
        step = self.step
        each = device.seconds(precision, flops=step.flops, kernels=step.kernels, moved=step.moved, workers=workers)
        return self.steps * each + self.host_s


def works(plan: Plan) -> list[Work]:
    """What the plan's stages take, each once. The critics of one pass are one work."""
    groups = [[key] for key, stage in plan.stages.items() if stage.kind != "critic"] + plan.passes()
    side = plan.study.image_size
    found: dict[str, Step] = {}
    done = []
    for keys in groups:
        stages = [plan.stages[key] for key in keys]
        first = stages[0]
        if first.steps:
            name = repr([(one.work, one.forward, _costly(one.options), one.hints.get("offload")) for one in stages])
            if name not in found:
                found[name] = step_of(stages, side)
            done.append(Work(tuple(keys), found[name], first.steps))
        else:
            dataset = plan.stages[first.needs["data"]].options["dataset"] if "data" in first.needs else {}
            drawn, pixels = first.options.get("dataset", {}), side**2
            host = DRAWN_S * pixels * sum(images_of(drawn, part) for part in ("train", "validation", "test"))
            scored = SCORED_BYTES * pixels * images_of(dataset, "test")
            done.append(Work(tuple(keys), Step(flops=2 * first.work, moved=scored), 1, host))
    return done


def _costly(options: Mapping[str, object]) -> list[object]:
    """The options that a step's cost depends on, beside its work."""
    names = ("generator", "critic", "critics", "critic_steps", "batch", "numerics")
    return [options.get(name) for name in names]


def images_of(dataset: Mapping[str, object], part: str) -> int:
    """How many images a part of a data set is asked to have; 0 if nobody said."""
    count = dataset.get(part, 0)
    return count if isinstance(count, int) else 0


def seconds(
    plan: Plan, device: Device, works: Iterable[Work], wanted: Callable[[str], bool]
) -> dict[str, float] | None:
    """The seconds of one worker for each wanted stage. A pass is split evenly between its critics.

    None if the device lacks the study's precision.
    """
    precision = plan.study.numerics["precision"]
    if not device.has(precision):
        return None
    found: dict[str, float] = {}
    for work in works:
        if keys := [key for key in work.keys if wanted(key)]:
            found |= dict.fromkeys(keys, work.seconds(device, precision) / len(work.keys))
    return found


def by_kind(plan: Plan, stages: Mapping[str, float]) -> dict[str, float]:
    """The sum of what is given for each stage, by kind, in order."""
    sums = {kind: 0.0 for kind in KINDS if any(stage.kind == kind for stage in plan.stages.values())}
    for key, value in stages.items():
        sums[plan.stages[key].kind] += value
    return sums


def by_variant(plan: Plan, stages: Mapping[str, float]) -> dict[str, float]:
    """The sum of what is given for each stage, by variant. What several variants share is split evenly between them."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    for run in plan.runs:
        for key in run.stages.values():
            users[key].add(run.variant)
    sums = dict.fromkeys((run.variant for run in plan.runs), 0.0)
    for key, value in stages.items():
        for variant in users[key]:
            sums[variant] += value / len(users[key])
    return sums
