"""A dry run of stages and parts on a card that is not there (``study.conformance.card``)."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from models.masking import center_box, erase, mask_of
from study.conformance.card import META, Card
from study.conformance.expectation import Fault, Part, images
from study.conformance.joins import StopsAfter, plan_with
from study.conformance.networks import Network
from study.errors import Interrupted
from study.parts import plugins
from study.plan.graph import KINDS, Plan
from study.running import make
from study.store import Store

SIDE = 32


def make_interrupted(plan: Plan, store: Store, device: torch.device = META) -> None:
    """Makes every missing stage of a plan, inputs first. Each is interrupted after its first step, and then resumed."""
    groups = [[key] for key, stage in plan.stages.items() if stage.kind != "critic"] + plan.passes()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "for .*: copying from a non-meta parameter")
        for keys in sorted(groups, key=lambda keys: KINDS.index(plan.stages[keys[0]].kind)):
            try:
                make.make(keys, plan, store, StopsAfter(1), device)
            except Interrupted:
                make.make(keys, plan, store, StopsAfter(), device)


def runs_on_a_card(part: Part) -> str | None:
    """A tiny study with the part would run on a card, interrupted and resumed. A note says where training waits."""
    with tempfile.TemporaryDirectory() as place, _card(trains=part.registry != "METRICS") as notes:
        make_interrupted(plan_with(part, Path(place)), Store(Path(place) / "out"))
    return " ".join(notes) or None


def learns_on_a_card(case: Network) -> str | None:
    """The network's output and its gradients would be computed on a card. A note says where it waits."""
    network, image = case.build().to(META), images(3, case.side).to(META)
    with _card(trains=True) as notes:
        if case.registry == "CRITICS":
            outputs = [network(image.requires_grad_(), case.windows)]
        else:
            mask = mask_of([center_box(case.side)] * len(image), case.side, META)
            output = network(erase(image, mask, 0.0), mask, center_box(case.side))
            outputs = list(output) if isinstance(output, tuple) else [output]
        torch.autograd.backward([one.square().mean() for one in outputs])
    return " ".join(notes) or None


def fills_on_a_card(part: Part) -> None:
    """The filler would run on a card. It may take its images to the CPU."""
    image, mask = images(2, SIDE).to(META), mask_of([center_box(SIDE)] * 2, SIDE, META)
    with _card(trains=False):
        part.entry(erase(image, mask, 0.0), mask)


@contextmanager
def _card(*, trains: bool) -> Iterator[list[str]]:
    """A card. The list is filled with notes on where training waits. Raises Fault for what a card would refuse."""
    card, notes = Card([str(plugin.file) for plugin in plugins.used()]), list[str]()
    try:
        with card:
            yield notes
    except Fault:
        raise
    except Exception as error:
        if not card.waits:
            raise
        why = f"{type(error).__name__}: {error}"
        notes.append(f"after a wait a dry run has no true values, and it ended with {' '.join(why.split())}.")
    if card.refused:
        raise Fault("; ".join(card.refused))
    if trains and card.waits:
        where = "; ".join(card.waits)
        notes.append(f"it makes the program wait for a card, which is slow: {where}. Keep values on the device.")
