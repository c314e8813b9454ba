"""The training loop: the paper's Algorithm 1, one stage at a time.

A stage is resumed from its last checkpoint and ends with the same bytes as an undisturbed one: all that it draws is a
function of (seed, stream, step), and all that it carries from step to step is in the checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.layers import initialise
from models.losses import clip_, reconstruction, share_at_bound
from models.masking import composite, erase, known
from models.method import Critic, Mask, Optimizer, Rate, Reconstruction
from study import catalog
from study.data import Packed
from study.data.batches import Batch, Batches
from study.errors import Interrupted
from study.plan import Stage
from study.seeds import seed_of
from study.store import Damaged, Store, read_json, write_atomically

CHECKPOINT_S = 10.0
VANISHED, EXPLODED = 1e-4, 1e4
"""Mean sizes of a critic's scores under and over which a warning is due: it does nothing, or too much."""


class Watch(Protocol):
    """Who looks on while a stage is made."""

    @property
    def stopping(self) -> bool:
        """Whether to stop as soon as a checkpoint is written."""

    def progress(self, key: str, done: int, total: int) -> None:
        """How far a stage is."""

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        """Means of a stage's terms over the last steps up to ``step``."""


# -- what a stage carries from step to step ----------------------------------------------------------------


@dataclass(eq=False)
class Learner:
    """A network with its optimiser."""

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and buffers, and the optimiser's state by ``parameter/entry``; on the CPU, contiguous."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.network.named_parameters()}
        state = {
            f"{names[parameter]}/{entry}": value
            for parameter, entries in self.optimizer.state.items()
            for entry, value in entries.items()
        }
        return _stored(self.network.state_dict()), _stored(state)

    def load(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Copies weights and the optimiser's state; nothing is shared with the source."""
        self.network.load_state_dict(weights)
        parameters = dict(self.network.named_parameters())
        self.optimizer.state.clear()
        for key, value in state.items():
            name, entry = key.rsplit("/", 1)
            parameter = parameters[name]
            if value.dim():  # in the parameter's device and memory format; step counts stay on the CPU
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            self.optimizer.state[parameter][entry] = value.clone()


@dataclass
class Series:
    """What is logged: means over ``every`` steps, read from the device once in as many."""

    every: int
    steps: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    pending: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Notes one step's terms, without looking at them."""
        for name, value in terms.items():
            self.pending.setdefault(name, []).append(value.detach())

    def flush(self, step: int) -> tuple[dict[str, float], tuple[int, str] | None]:
        """The means of what is pending, and the first step and term that is not finite, if one is."""
        first: tuple[int, str] | None = None
        means = {}
        for name, values in self.pending.items():
            column = torch.stack(values).float().cpu()
            means[name] = column.mean().item()
            wrong = (~column.isfinite()).nonzero().flatten().tolist()
            if wrong and (first is None or step - len(values) + wrong[0] < first[0]):
                first = (step - len(values) + wrong[0], name)
        self.pending = {}
        if first is None:
            self.steps.append(step)
            self.rows.append(means)
        return means, first

    def text(self) -> str:
        """As published: ``{"step": [...], "terms": {name: [...]}}``."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        terms = {name: [row.get(name) for row in self.rows] for name in names}
        return json.dumps({"step": self.steps, "terms": terms}, sort_keys=True) + "\n"


@dataclass(eq=False)
class Making:
    """One stage being made: its learners, its series, and the next step that it has to do."""

    stage: Stage
    store: Store
    learners: list[Learner]
    series: Series
    step: int = 0
    seconds: float = 0.0
    diverged: tuple[int, str] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def checkpoint(self) -> Path:
        return self.store.workspace(self.stage.key) / "checkpoint.safetensors"

    def save(self) -> None:
        """Writes the checkpoint aside and renames it, so that a kill leaves the old or the new one."""
        tensors: dict[str, Tensor] = {}
        for learner in self.learners:
            weights, state = learner.tensors()
            tensors |= {f"{learner.name}:weights:{name}": value for name, value in weights.items()}
            tensors |= {f"{learner.name}:state:{name}": value for name, value in state.items()}
        for name, values in self.series.pending.items():
            tensors[f"pending:{name}"] = torch.stack(values).cpu()
        facts = {"step": self.step, "steps": self.series.steps, "rows": self.series.rows}
        facts |= {"seconds": self.seconds, "warnings": self.warnings, "pending": list(self.series.pending)}
        aside = self.checkpoint.with_suffix(".aside")
        save_file(tensors, aside, metadata={"facts": json.dumps(facts)})
        with aside.open("rb+") as stream:
            os.fsync(stream.fileno())
        aside.replace(self.checkpoint)

    def resume(self) -> None:
        """Takes up the checkpoint, if there is a readable one; else what a shorter stage of the lineage published."""
        try:
            tensors, facts = read_checkpoint(self.checkpoint)
        except (OSError, SafetensorError, ValueError):
            self.extend()
            return
        for learner in self.learners:
            learner.load(_under(tensors, f"{learner.name}:weights:"), _under(tensors, f"{learner.name}:state:"))
        pending = _under(tensors, "pending:")  # in any order; what is named first of a divergence is told by ours
        self.series.pending = {name: list(pending[name]) for name in facts["pending"]}
        self.series.steps, self.series.rows = facts["steps"], facts["rows"]
        self.step, self.seconds, self.warnings = facts["step"], facts["seconds"], facts["warnings"]

    def extend(self) -> None:
        """Goes on from the longest published stage that differs in its number of steps alone."""
        if self.stage.lineage is None:
            return
        found = [
            (made["steps"], made["key"])
            for file in (self.store.out / "made").glob(f"{self.stage.kind}-*.json")
            if (made := read_json(file))
            and made.get("lineage") == self.stage.lineage
            and made["steps"] < self.stage.steps
            and self.store.outcome(made["key"]).get("status") == "finished"
        ]
        for steps, key in sorted(found, reverse=True):
            with contextlib.suppress(Damaged):  # of another study, perhaps; the next shorter one will do
                self.go_on_from(key, steps)
                return

    def go_on_from(self, key: str, steps: int) -> None:
        """Takes up what a stage published after so many steps. Raises Damaged before anything is changed."""
        folder = self.store.verified(key)
        for learner in self.learners:
            learner.load(*read_learner(folder, learner.name))
        series = json.loads((folder / "series.json").read_text())
        self.series.steps = series["step"]
        self.series.rows = [
            {name: values[i] for name, values in series["terms"].items() if values[i] is not None}
            for i in range(len(series["step"]))
        ]
        self.warnings = list(self.store.outcome(key).get("warnings", []))
        self.step = steps

    def log(self, watch: Watch) -> None:
        """Reads what is pending, notes a divergence, warns of critics that vanish or explode."""
        means, self.diverged = self.series.flush(self.step)
        if self.diverged is not None:
            return
        for name, value in means.items():
            if name.endswith(".score_size") and not VANISHED <= value <= EXPLODED:
                what = "vanish" if value < VANISHED else "explode"
                critic = name.removesuffix(".score_size")
                if not any(warning.startswith(f"{critic}: its scores {what}") for warning in self.warnings):
                    self.warnings.append(f"{critic}: its scores {what} (mean size {value:.1e} at step {self.step})")
        watch.logged(self.stage.key, self.step, means)

    def publish(self, made: Mapping[str, Any]) -> None:
        """Publishes weights, optimiser states and series, or, of a stage that diverged, the series alone."""
        folder = self.store.workspace(self.stage.key) / "files"
        write_atomically(folder / "series.json", self.series.text())
        outcome: dict[str, Any] = {"status": "finished"}
        if self.diverged is not None:
            step, term = self.diverged
            outcome = {"status": "diverged", "step": step, "term": term}
        else:
            for learner in self.learners:
                weights, state = learner.tensors()
                save_file(weights, folder / f"{learner.name}.safetensors")
                save_file(state, folder / f"{learner.name}.optimizer.safetensors")
        if self.warnings:
            outcome["warnings"] = self.warnings
        facts = {"key": self.stage.key, "lineage": self.stage.lineage, "steps": self.stage.steps}
        self.store.publish(self.stage.key, outcome, {**facts, "seconds": round(self.seconds, 3), **made})


def read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the facts of a checkpoint. Raises OSError, SafetensorError or ValueError where it is none."""
    with safe_open(file, framework="pt") as opened:
        facts = json.loads((opened.metadata() or {}).get("facts", ""))
    return load_file(file), facts


def read_learner(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights and the optimiser's state of a network that a stage published."""
    return load_file(folder / f"{name}.safetensors"), load_file(folder / f"{name}.optimizer.safetensors")


# -- the networks of a stage -------------------------------------------------------------------------------


@dataclass(eq=False)
class Generator(Learner):
    """G, its loss and its rate."""

    rate: Rate
    reconstruction: Reconstruction

    def losses(self, prediction: Tensor, batch: Batch) -> Tensor:
        """L_r of eq. (1), weighted."""
        loss = reconstruction(prediction, batch.image, batch.mask, self.reconstruction.reduction, self.weights(batch))
        return self.reconstruction.weight * loss

    def weights(self, batch: Batch) -> Tensor | None:
        """The weight of each pixel's error, (B, 1, H, W): more in a band along the hole's inner edge, if asked."""
        if not self.reconstruction.edge:
            return None
        reach = 2 * self.reconstruction.edge + 1
        near_edge = nn.functional.max_pool2d(known(batch.mask), reach, stride=1, padding=self.reconstruction.edge)
        return 1 + (self.reconstruction.edge_weight - 1) * near_edge * batch.mask


@dataclass(eq=False)
class Adversary(Learner):
    """A critic with its recipe."""

    critic: Critic
    loss: Any
    making: Making | None = None

    @property
    def network_bound(self) -> float | None:
        return self.critic.recipe.clip

    def scores(self, fake: Tensor, batch: Batch) -> Tensor:
        """The scores of repaired images."""
        scores: Tensor = self.network(fake, batch.windows)
        return scores

    def update(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """One update (Algorithm 1, line 9): raises the scores of real images above those of repaired ones."""
        real_windows = batch.elsewhere if self.critic.real_window == "independent" else batch.windows
        if self.network.normalises_batch:  # the statistics of real and repaired images do not mix
            real_scores, fake_scores = self.network(batch.image, real_windows), self.network(fake, batch.windows)
        else:
            both = self.network(torch.cat([batch.image, fake]), [*real_windows, *batch.windows])
            real_scores, fake_scores = both.chunk(2)
        loss = self.loss.critic(real_scores, fake_scores)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = _gradient_norm(self.network)
        self.optimizer.step()
        if self.network_bound is not None:
            clip_(self.network.parameters(), self.network_bound)
        return {
            f"{self.name}.loss": loss,
            f"{self.name}.gap": real_scores.mean() - fake_scores.mean(),
            f"{self.name}.score_size": (real_scores.abs().mean() + fake_scores.abs().mean()) / 2,
            f"{self.name}.gradient_norm": norm,
        }


# -- Algorithm 1 -------------------------------------------------------------------------------------------


def train(
    stages: Sequence[Stage],
    store: Store,
    watch: Watch,
    *,
    device: torch.device,
    made: Callable[[], Mapping[str, Any]] = dict,
    checkpoint_s: float = CHECKPOINT_S,
) -> None:
    """Makes stages that share one generator's outputs: one pretrain or joint stage, or critics of one pass.

    Raises Interrupted once a checkpoint is written, if the watch says so.
    """
    if refuse_diverged(stages, store):
        return
    stage = stages[0]
    options, numerics = stage.options, stage.options["numerics"]
    generator, critics, makings = _networks(stages, store, watch, device)
    draw = _draws(stage, Packed(store.verified(stage.needs["data"])), device)
    learns = stage.kind != "critic"
    window = _window(options, critics)
    precision = {"device_type": device.type, "dtype": torch.bfloat16, "enabled": numerics["precision"] == "bf16"}
    generator.network.train(learns)
    saved = clock = time.monotonic()

    # Line 1: the steps of this stage that are still to be done.
    for step in range(min(making.step for making in makings), stage.steps):
        active = [making for making in makings if making.step == step and making.diverged is None]
        if not active:
            continue

        # Lines 2, 3 and 7: a mini-batch of images and the holes in them; one for each update of the critics.
        batches = draw(step)
        for number, batch in enumerate(batches):
            # What G makes of the hole, computed once for all critics and for G's own update.
            own_step = learns and number == len(batches) - 1
            with torch.set_grad_enabled(own_step), torch.autocast(**precision):
                masked_image = erase(batch.image, batch.mask, batch.fill)
                prediction = generator.network(masked_image, batch.mask, window and window(batch)).float()
            repaired = composite(prediction, batch.image, batch.mask)

            # Lines 8 and 9: update every critic on its own view of the real and the repaired images.
            for critic in critics:
                if critic.making in active:
                    fake = repaired if critic.critic.sees == "composite" else prediction
                    critic.making.series.add(critic.update(batch, fake.detach()))

        # Lines 5, 10 and 11: update G with L_r, and with what the critics say: eq. (8).
        if learns:
            rate = generator.rate.at(step, stage.steps)
            active[0].series.add(_update_generator(generator, critics, prediction, repaired, batch, rate))

        # Now and then: read the log, write a checkpoint, stop if asked.
        for making in active:
            making.step = step + 1
            if making.step % options["log_every"] == 0 or making.step == stage.steps:
                for critic in critics:
                    if critic.making is making and critic.network_bound is not None:
                        share = share_at_bound(critic.network.parameters(), critic.network_bound)
                        making.series.add({f"{critic.name}.at_bound": share})
                making.log(watch)
            watch.progress(making.stage.key, making.step, stage.steps)
        now = time.monotonic()
        if watch.stopping or now - saved > checkpoint_s:
            for making in active:
                making.seconds += (now - clock) / len(active)
                if making.diverged is None:
                    making.save()
            saved = clock = now
            if watch.stopping:
                raise Interrupted

    for making in makings:
        making.seconds += (time.monotonic() - clock) / len(makings)
        making.publish(made())


def _update_generator(
    generator: Generator,
    critics: Sequence[Adversary],
    prediction: Tensor,
    repaired: Tensor,
    batch: Batch,
    rate: float,
) -> dict[str, Tensor]:
    """One update of G. The gradients meet at its output, so none reaches a critic's weights, and each is seen apart."""
    loss = generator.losses(prediction, batch)
    (pull,) = torch.autograd.grad(loss, prediction)
    terms = {"generator.reconstruction": loss / generator.reconstruction.weight}
    if critics:
        adversarial: Tensor = torch.zeros((), device=prediction.device)
        for critic in critics:
            fake = repaired if critic.critic.sees == "composite" else prediction
            term = critic.loss.generator(critic.scores(fake, batch))
            terms[f"{critic.name}.adversarial"] = term
            adversarial = adversarial + critic.critic.weight * term
        (push,) = torch.autograd.grad(adversarial, prediction)
        terms["generator.adversarial"] = adversarial
        terms["generator.ratio"] = push.norm() / pull.norm().clamp_min(1e-30)
        terms["generator.adversarial_gradient"] = push.norm()
        pull = pull + push
    generator.optimizer.zero_grad(set_to_none=True)
    prediction.backward(pull)
    terms["generator.gradient_norm"] = _gradient_norm(generator.network)
    for group in generator.optimizer.param_groups:
        group["lr"] = rate
    generator.optimizer.step()
    return terms


def refuse_diverged(stages: Sequence[Stage], store: Store) -> bool:
    """Publishes as diverged what stands on a stage that diverged; whether it was so."""
    for need in stages[0].needs.values():
        outcome = store.outcome(need)
        if outcome.get("status") == "diverged":
            for stage in stages:
                facts = {"key": stage.key, "lineage": None, "steps": stage.steps, "seconds": 0.0}
                store.publish(stage.key, {**outcome, "stands_on": need.split("-")[0]}, facts)
            return True
    return False


# -- setting up --------------------------------------------------------------------------------------------


def _networks(
    stages: Sequence[Stage], store: Store, watch: Watch, device: torch.device
) -> tuple[Generator, list[Adversary], list[Making]]:
    """The networks of a pass, with the weights and the optimiser states that their stages start from."""
    stage, options = stages[0], stages[0].options
    generator = _generator(stage, store, device)
    critics: list[Adversary] = []
    if stage.kind == "critic":
        makings = []
        for one in stages:
            critic = _adversary(
                one.options["role"], {**one.options["critic"], "weight": 1.0}, stage.seed, options, device
            )
            makings.append(Making(one, store, [critic], Series(options["log_every"])))
            critic.making = makings[-1]
            critics.append(critic)
    else:
        for role, described in options.get("critics", {}).items():
            critic = _adversary(role, described, stage.seed, options, device)
            if key := stage.needs.get(f"critic.{role}"):
                critic.load(*read_learner(store.verified(key), role))
            critics.append(critic)
        makings = [Making(stage, store, [generator, *critics], Series(options["log_every"]))]
        for critic in critics:
            critic.making = makings[0]
    for making in makings:
        making.resume()
        for step, means in zip(making.series.steps, making.series.rows, strict=True):
            watch.logged(making.stage.key, step, means)
    return generator, critics, makings


def _generator(stage: Stage, store: Store, device: torch.device) -> Generator:
    options = stage.options
    network = build(catalog.GENERATORS, options["generator"], device, options["numerics"])
    if stage.kind == "critic":  # frozen: its optimiser is not used
        optimizer = Optimizer(kind="adam", lr=1.0)
        rate, loss = Rate(lr=1.0), Reconstruction()
    else:
        optimizer = Optimizer.model_validate(options["optimizer"])
        rate = Rate.model_validate(options["rate"])
        loss = Reconstruction.model_validate(options["reconstruction"])
    generator = Generator("generator", network, make_optimizer(optimizer, network), rate, loss)
    if key := stage.needs.get("generator"):
        generator.load(*read_learner(store.verified(key), "generator"))
    else:
        first_weights(network, stage.seed, "generator", options.get("init_std"))
    return generator


def _adversary(
    role: str, described: dict[str, Any], seed: int | None, options: dict[str, Any], device: torch.device
) -> Adversary:
    critic = Critic.model_validate(described)
    network = build(catalog.CRITICS, critic.network, device, options["numerics"])
    first_weights(network, seed, role, critic.init_std)
    form = {"form": critic.recipe.form} if critic.recipe.form else {}
    loss = catalog.ADVERSARIAL[critic.recipe.kind](**form)
    return Adversary(role, network, make_optimizer(critic.recipe.optimizer, network), critic, loss)


def build(
    registry: dict[str, Any], part: dict[str, Any], device: torch.device, numerics: Mapping[str, Any]
) -> nn.Module:
    """A part's network on the device, in the memory format of the numerics."""
    network = catalog.build(registry, part).to(device)
    if numerics["memory_format"] == "channels_last":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def first_weights(network: nn.Module, seed: int | None, role: str, std: float | None) -> None:
    """Draws first weights from the stream (seed, role), on the CPU, whatever the device is."""
    assert seed is not None
    cpu = torch.Generator().manual_seed(seed_of(seed, "weights", role) % 2**63)
    initialise(network, cpu, std)


def make_optimizer(described: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that is described, with torch's defaults for what is not said."""
    kinds: dict[str, Any] = {
        "adam": torch.optim.Adam,
        "rmsprop": torch.optim.RMSprop,
        "adadelta": torch.optim.Adadelta,
    }
    more = {"betas": tuple(described.betas)} if described.betas else {}
    optimizer: torch.optim.Optimizer = kinds[described.kind](
        network.parameters(), lr=described.lr, foreach=True, **more
    )
    return optimizer


def _draws(stage: Stage, packed: Packed, device: torch.device) -> Callable[[int], list[Batch]]:
    """The batches of a step. The last of a joint step is G's, and so the same for every variant of the seed."""
    options = stage.options

    def stream(name: str) -> Batches:
        assert stage.seed is not None
        return Batches(
            packed.part("train"),
            seed=stage.seed,
            stream=name,
            batch=options["batch"],
            flips=options["flips"],
            mask=Mask.model_validate(options["mask"]),
            fill=options["fill"],
            mean=packed.mean,
            device=device,
        )

    rounds = options.get("critic_steps", 1)
    if stage.kind == "critic":
        critic = stream("critic")
        return lambda step: [critic.at(step * rounds + number) for number in range(rounds)]
    own, more, first = stream("generator"), stream("joint"), options["first_update"]
    return lambda step: [
        *(more.at(step * (rounds - 1) + number) for number in range(rounds - 1)),
        own.at(first + step),
    ]


def _window(options: Mapping[str, Any], critics: Sequence[Adversary]) -> Callable[[Batch], Any] | None:
    """What box of G's output is needed: the hole, where all of a batch have the same and no critic sees more."""
    if options["mask"]["kind"] != "center" or any(critic.critic.sees == "raw" for critic in critics):
        return None
    return lambda batch: batch.windows[0]


def _gradient_norm(network: nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm()


def _stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
