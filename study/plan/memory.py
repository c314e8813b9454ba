"""What stages need of an accelerator's memory, counted before the first step, and how many workers it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from study.errors import BadInput
from study.plan.devices import GIB, Device
from study.plan.graph import Plan, Stage
from study.plan.hours import Work, images_of
from study.plan.steps import step_of

CONTEXT = 0.6 * GIB  # of a process: the driver's context and the kernels' code
WORKSPACE = 1.1  # of a step's memory, for cuDNN's workspace and what torch's allocator cannot use
KEPT_SHARE = 0.5  # of free memory that the training images may take (``study.data.device.SHARE``)
MOST_A_CARD = 4  # workers where steps are small


@dataclass(frozen=True)
class Cards:
    """The accelerators of this machine: torch's name of them, how many, and the free bytes of one, None if unknown."""

    name: str
    count: int
    free: int | None = None


def needed(plan: Plan, works: Iterable[Work], free: float) -> float:
    """Bytes that a worker needs: the largest step's, and the training images that are kept on the card if they fit."""
    works = list(works)
    images = max(_images(plan, plan.stages[key]) for work in works for key in work.keys)
    return _worker(_largest(works).step.memory, images, free)


def _worker(step: float, images: int, free: float) -> float:
    return CONTEXT + WORKSPACE * step + (images if images <= KEPT_SHARE * free else 0)


def check(plan: Plan, works: list[Work], cards: Cards, device: Device | None) -> None:
    """Raises BadInput if a stage does not fit on a card, with a setting with which it does."""
    if cards.free is None or not works or (bytes_needed := needed(plan, works, cards.free)) <= cards.free:
        return
    largest = _largest(works)
    stages = [plan.stages[key] for key in largest.keys]
    run = next(run for run in plan.runs if stages[0].key in run.stages.values())
    images, free = _images(plan, stages[0]), cards.free
    fitting = [setting for setting, step in _smaller(plan, stages, device) if _worker(step, images, free) <= free]
    remedy = f"add --set {fitting[0]}" if fitting else "take a larger card, or a smaller defaults.batch or image_size"
    raise BadInput(
        f"--device: the {stages[0].kind} stage of {run.variant} needs about {bytes_needed / GIB:.1f} GiB, and "
        f"{cards.name} has {free / GIB:.1f} GiB free; {remedy}"
    )


def jobs(plan: Plan, works: list[Work], cards: Cards, device: Device, asked: int | None, cores: int) -> int:
    """The number of workers: what was asked, or one a card, or several where kernels are too small to fill it.

    Raises BadInput if more were asked than fit.
    """
    each = needed(plan, works, cards.free) if works and cards.free is not None else None
    fit = int((cards.free or 0) // each) if each else MOST_A_CARD
    if asked is not None:
        if each and asked > fit * cards.count:
            raise BadInput(
                f"--jobs {asked}: {fit * cards.count} fit on {cards.count} {cards.name} with "
                f"{(cards.free or 0) / GIB:.1f} GiB free each, at about {each / GIB:.1f} GiB a worker; "
                f"choose --jobs {fit * cards.count}"
            )
        return asked
    if not _small(works, device, plan.study.numerics["precision"]):
        return cards.count
    return cards.count * max(1, min(MOST_A_CARD, fit, cores // cards.count))


def _small(works: Iterable[Work], device: Device, precision: str) -> bool:
    """Returns True if starting kernels takes more than half of the time."""
    launches = total = 0.0
    for work in works:
        launches += work.steps * work.step.kernels * device.launch_s
        total += work.seconds(device, precision)
    return launches > total / 2


def _largest(works: Iterable[Work]) -> Work:
    return max(works, key=lambda work: work.step.memory)


def _images(plan: Plan, stage: Stage) -> int:
    """Bytes of a stage's training images."""
    dataset = plan.stages[stage.needs["data"]].options["dataset"] if stage.steps and "data" in stage.needs else {}
    return 3 * plan.study.image_size**2 * images_of(dataset, "train")


def _smaller(plan: Plan, stages: list[Stage], device: Device | None) -> Iterable[tuple[str, float]]:
    """Settings that need less memory, with the bytes of a step."""
    side, numerics = plan.study.image_size, stages[0].options["numerics"]
    if numerics["precision"] == "fp32" and device is not None and device.has("bf16"):
        lower = {**numerics, "precision": "bf16"}
        bf16 = [replace(stage, options={**stage.options, "numerics": lower}) for stage in stages]
        yield "numerics.precision=bf16", step_of(bf16, side).memory
    offloaded = [replace(stage, hints={**stage.hints, "offload": True}) for stage in stages]
    yield "numerics.offload=true", step_of(offloaded, side).memory
