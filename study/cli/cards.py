"""This machine's devices, for the hours of a plan and for the workers of a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from study.cli import options

if TYPE_CHECKING:
    from study.plan.devices import Device
    from study.plan.graph import Plan
    from study.plan.hours import Work
    from study.plan.memory import Cards
    from study.plan.overview import Here
    from study.store import Store


def here_of(plan: Plan, kind: str, jobs: int | None) -> Here:
    """This machine, with its device if the table of devices has it."""
    from study.plan import hours, memory
    from study.plan.devices import CORE
    from study.plan.overview import Here

    if kind == "cpu":
        jobs = jobs or options.jobs_of(kind)
        return Here(_cores(jobs), CORE, jobs)
    cards = cards_of(kind)
    device = known(cards)
    if device is None or not device.has(plan.study.numerics["precision"]):
        return Here(cards.name, device, cards.count)
    workers = memory.jobs(plan, hours.works(plan), cards, device, jobs, options.jobs_of("cpu"))
    return Here(cards.name, device, min(workers, cards.count))


def checked_jobs(plan: Plan, store: Store, kind: str, jobs: int | None) -> int:
    """The workers of a run: what ``--jobs`` says, or the default. Warns if a GPU is slower than this CPU.

    Raises BadInput if a stage, or that many workers, do not fit into the memory of the GPU.
    """
    from study.plan import hours, memory
    from study.plan.devices import A100

    if kind == "cpu":
        return jobs or options.jobs_of(kind)
    works = [work for work in hours.works(plan) if not all(map(store.has, work.keys))]
    cards = cards_of(kind)
    device = known(cards) or A100  # an unknown one: some card
    memory.check(plan, works, cards, known(cards))
    if not device.has(plan.study.numerics["precision"]):
        return jobs or cards.count
    workers = memory.jobs(plan, works, cards, device, jobs, options.jobs_of("cpu"))
    if warning := slower(plan, works, cards, device, workers):
        print(warning, file=sys.stderr)
    return workers


def slower(plan: Plan, works: list[Work], cards: Cards, device: Device, workers: int) -> str | None:
    """A sentence if the CPU of this machine makes what is missing faster than its cards; otherwise None."""
    from study.plan.devices import CORE

    precision, cores = plan.study.numerics["precision"], options.jobs_of("cpu")
    if not CORE.has(precision):
        return None
    each = max(1, workers // cards.count)
    on_cards = sum(work.seconds(device, precision, workers=each) for work in works) / min(cards.count, workers)
    on_cores = sum(work.seconds(CORE, precision) for work in works) / cores
    if on_cores >= on_cards:
        return None
    return (
        f"warning: this study's kernels are too small for a GPU: about {on_cards / 60:.1f} minutes on {cards.name}, "
        f"{on_cores / 60:.1f} on {_cores(cores)}; add --device cpu"
    )


def cards_of(kind: str) -> Cards:
    """The accelerators of a kind that torch finds here."""
    import torch

    from study.plan.memory import Cards

    module = torch.get_device_module(kind)
    count = int(module.device_count())
    name = module.get_device_name() if hasattr(module, "get_device_name") else kind
    free = (
        min(int(module.mem_get_info(place)[0]) for place in range(count)) if hasattr(module, "mem_get_info") else None
    )
    return Cards(str(name), count, free)


def known(cards: Cards) -> Device | None:
    """The cards' entry in the table of devices."""
    from study.plan.devices import card

    return card(cards.name)


def _cores(count: int) -> str:
    return f"{count} CPU cores" if count > 1 else "1 CPU core"
