"""Shared by the benchmarks: the proposed model's stages, and steps of them on one fixed batch."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.losses import reconstruction
from models.masking import center_box, composite, erase, mask_of
from study.config import load
from study.data.batches import Batch
from study.plan.graph import Stage
from study.plan.planner import make_plan
from study.store import Store
from study.training.checkpoint import TrainingState, Watch
from study.training.learners import CriticLearner, set_up
from study.training.loop import needs_whole_output
from study.training.machine import set_precision
from study.training.step import Terms, training_step

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
Process = get_context("spawn").Process
TRAINED = ("pretrain", "critic", "joint")


class Quiet(Watch):
    """A watch that shows nothing and never asks to stop."""

    stopping = False

    def progress(self, key: str, done: int, total: int) -> None:
        return


def stages(*settings: str, profile: str = "paper", device: str = "cpu") -> dict[str, list[Stage]]:
    """The stages of one run of the proposed model by kind, with ``settings`` as on the command line.

    They need no inputs: weights are their first ones, and the weights of the critics in eq. (8) are not scaled.
    """
    study = load(ROOT / "runs.yaml", profile=profile, only=["proposed"], seeds=[0], settings=settings)
    found: dict[str, list[Stage]] = {kind: [] for kind in TRAINED}
    for stage in make_plan(study, device=device).stages.values():
        if stage.kind in found:
            options = {**stage.options, "adversarial_share": None}
            found[stage.kind].append(replace(stage, needs={}, options=options))
    return found


def fixed_batch(stage: Stage, device: torch.device = CPU) -> Batch:
    """A batch of noise with the central hole, in the memory format that a packed data set gives."""
    count, side = stage.options["batch"], stage.options["generator"]["image_side"]
    pixels = torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(0))
    boxes = [center_box(side)] * count
    image, mask = pixels.permute(0, 3, 1, 2).to(device), mask_of(boxes, side, device)
    return Batch(image, mask, 0.0, boxes, boxes, torch.zeros(count, device=device))


class Ours(AbstractContextManager["Ours"]):
    """Our training step of one stage, or of the critics of one pass. A context manager: it has a temporary folder."""

    def __init__(self, stages: Sequence[Stage], device: torch.device = CPU) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.stage, self.batch = stages[0], fixed_batch(stages[0], device)
        store = Store(Path(self._folder.name))
        self.generator, self.critics, self.states = set_up(stages, store, Quiet(), device)
        self.generator.network.train(self.stage.kind != "critic")
        self._whole_output = needs_whole_output(self.stage.options, self.critics)

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def step(self) -> list[tuple[object, Terms]]:
        """One step. Returns what it would log."""
        set_precision(self.stage.options["numerics"])
        updates = training_step(
            self.stage.kind,
            [self.batch],
            self.generator,
            self.critics,
            rate=self.generator.rate.at(0, self.stage.steps),
            whole_output=self._whole_output,
        )
        return list(updates)

    def double(self) -> None:
        """Computes in double precision from now on."""
        for network in (self.generator.network, *(critic.network for critic in self.critics)):
            network.double()
        self.batch = self.batch._replace(image=self.batch.image.double())

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that a step trains, by name."""
        trained = [state.learners for state in self.states]
        return {learner.name: learner.network for learners in trained for learner in learners}


class Plain:
    """The loop of public code, on the same networks and first weights.

    Contiguous memory; the whole output of G; separate passes of real and repaired images; one forward of G; in G's step
    the critics compute weight gradients that nobody reads; optimisers as torch makes them; fp32.
    """

    def __init__(self, stages: Sequence[Stage], device: torch.device = CPU) -> None:
        with Ours(stages, device) as ours:
            self.kind, self.generator, self.critics = ours.stage.kind, ours.generator.network, ours.critics
        for network in (self.generator, *(critic.network for critic in self.critics)):
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.batch = ours.batch._replace(image=ours.batch.image.contiguous())
        described, rate = ours.generator.optimizer, ours.generator.rate.at(0, ours.stage.steps)
        betas = described.defaults["betas"]
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=rate, betas=betas)
        self.optimizers = [
            torch.optim.RMSprop(critic.network.parameters(), lr=critic.options.recipe.optimizer.lr)
            for critic in self.critics
        ]
        self.gradients: dict[str, Tensor] = {}
        """In double precision: the gradients of the last step's updates by network, flat."""

    def double(self) -> None:
        """Computes in double precision from now on, and keeps the gradients."""
        for network in (self.generator, *(critic.network for critic in self.critics)):
            network.double()
        self.batch = self.batch._replace(image=self.batch.image.double())

    def step(self) -> None:
        """One step."""
        batch = self.batch
        with torch.set_grad_enabled(self.kind != "critic"):
            fake = self.generator(erase(batch.image, batch.mask, batch.fill), batch.mask)
            repaired = composite(fake, batch.image, batch.mask)
        for critic, optimizer in zip(self.critics, self.optimizers, strict=True):
            real_scores = critic.network(batch.image, batch.windows)
            loss = critic.loss.critic(real_scores, critic.network(repaired.detach(), batch.windows))
            optimizer.zero_grad()
            loss.backward()
            self._keep(critic.name, critic.network)
            optimizer.step()
            self._clip(critic)
        if self.kind != "critic":
            loss = reconstruction(fake, batch.image, batch.mask)
            for critic in self.critics:
                loss = loss + critic.weight * critic.loss.generator(critic.network(repaired, batch.windows))
            self.optimizer.zero_grad()
            loss.backward()
            self._keep("generator", self.generator)
            self.optimizer.step()

    def _keep(self, name: str, network: nn.Module) -> None:
        if self.batch.image.dtype == torch.float64:
            self.gradients[name] = flat_gradients(network).clone()

    @staticmethod
    @torch.no_grad()
    def _clip(critic: CriticLearner) -> None:
        bound = critic.options.recipe.clip
        assert bound is not None, "the paper clips its critics' weights"
        for parameter in critic.network.parameters():
            parameter.clamp_(-bound, bound)


class Apart(AbstractContextManager["Apart"]):
    """The plain loop in a process of its own, with the system's defaults, as a script runs. A context manager."""

    def __init__(self) -> None:
        self._pipe, far_end = Pipe()
        self._process = Process(target=serve, args=(far_end,), daemon=True)
        self._process.start()

    def __exit__(self, *_: object) -> None:
        self._pipe.send("end")
        self._process.join()

    def load(self, stages: Sequence[Stage]) -> None:
        """Builds the networks of these stages, in place of others."""
        self._pipe.send(stages)
        self._pipe.recv()

    def step(self) -> None:
        """One step. Returns when it is done."""
        self._pipe.send("step")
        self._pipe.recv()


def serve(pipe: Connection[Any, Any]) -> None:
    """Builds and steps the plain loop as the other end of the pipe asks."""
    torch.set_num_threads(1)
    plain = None
    while (asked := pipe.recv()) != "end":
        if asked == "step":
            assert plain is not None
            plain.step()
        else:
            plain = Plain(asked)
        pipe.send("done")


def flat_gradients(network: nn.Module) -> Tensor:
    """All gradients of a network's weights in one vector, whatever their memory format."""
    return torch.cat([one.grad.reshape(-1) for one in network.parameters() if one.grad is not None])


def state_of(training: Ours) -> TrainingState:
    """The state of a stage with all its learners."""
    (state,) = training.states
    return state
