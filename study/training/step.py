"""One iteration of the paper's Algorithm 1, lines 2 to 11. ``docs/algorithm-1.md`` shows the two side by side.

``image``: (B, 3, H, W) in 0..1. ``mask``: (B, 1, H, W), 1 = hole. Scores: (B,), unbounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.losses import clip_, gradient_penalty
from models.masking import composite, erase, known
from study.data.batches import Batch
from study.training.checkpoint import Learner
from study.training.learners import CriticLearner, GeneratorLearner

Terms = dict[str, Tensor]
"""What to log of one update: scalars by name, such as ``local.loss``. Losses are unweighted."""


def training_step(
    phase: str,
    batches: Sequence[Batch],
    generator: GeneratorLearner,
    critics: Sequence[CriticLearner],
    *,
    rate: float,
    whole_output: bool,
) -> list[tuple[Learner, Terms]]:
    """Runs one iteration of Algorithm 1 and returns the terms of each update, in order.

    Args:
        phase: The stage that t is in: ``pretrain`` (t < T1), ``critic`` (up to T1 + T2, G is frozen) or ``joint``.
        batches: Lines 2, 3 and 7: images x with a random mask each. One batch for each update of the critics (READING
            R14); G learns from the last one.
        generator: G.
        critics: The critics D to update. The paper has D_l, D_g, D_m1 and D_m2; there are none in ``pretrain``.
        rate: The learning rate of G.
        whole_output: Compute all of G's output. Otherwise only the hole, which is the same for all images.
    """
    updates_generator = phase != "critic"
    logged: list[tuple[Learner, Terms]] = []
    for batch in batches:
        # G(z): one forward pass serves all critics and G's own update.
        with torch.set_grad_enabled(updates_generator and batch is batches[-1]):
            masked_image = erase(batch.image, batch.mask, batch.fill)
            window = None if whole_output else batch.windows[0]
            predictions = generator.predict(masked_image, batch.mask, window)
        prediction = predictions[-1].detach()
        repaired = composite(prediction, batch.image, batch.mask)

        # Lines 6 to 9: update every critic on its own view of the real and the repaired images.
        for critic in critics:
            logged.append((critic, update_critic(critic, batch, critic.judged(prediction, repaired))))

    # Lines 4 and 5: update G with L_r only. Lines 10 and 11: with L_r and the critics, eq. (8).
    if updates_generator:
        logged.append((generator, update_generator(generator, critics, predictions, batches[-1], rate)))
    return logged


def update_critic(critic: CriticLearner, batch: Batch, fake: Tensor) -> Terms:
    """Line 9: one update of a critic, which raises the scores of real images above those of repaired ones.

    ``fake``: (B, 3, H, W), repaired images without a gradient. Down-sampling (line 8) is the network's first layer.
    """
    network, recipe = critic.network, critic.options.recipe
    real_windows = batch.elsewhere if critic.options.real_window == "independent" else batch.windows
    if getattr(network, "normalises_batch", True):  # keep the batch statistics of real and repaired images apart
        real_scores, fake_scores = critic.scores(batch.image, real_windows), critic.scores(fake, batch.windows)
    else:
        both = critic.scores(torch.cat([batch.image, fake]), [*real_windows, *batch.windows])
        real_scores, fake_scores = both.chunk(2)
    loss = critic.loss.critic(real_scores, fake_scores)
    terms = {f"{critic.name}.loss": loss}
    if recipe.penalty is not None:
        terms[f"{critic.name}.penalty"] = penalty = slope_penalty(critic, batch, fake)
        loss = loss + recipe.penalty * penalty

    critic.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = gradient_norm(network)
    critic.optimizer.step()
    if recipe.clip is not None:
        clip_(network.parameters(), recipe.clip)
    return terms | {
        f"{critic.name}.gap": real_scores.mean() - fake_scores.mean(),
        f"{critic.name}.accuracy": (real_scores > fake_scores).float().mean(),
        f"{critic.name}.score_size": (real_scores.abs().mean() + fake_scores.abs().mean()) / 2,
        f"{critic.name}.gradient_norm": norm,
    }


def slope_penalty(critic: CriticLearner, batch: Batch, fake: Tensor) -> Tensor:
    """The gradient penalty of ``wgan_gp``, a scalar: in the hole, or everywhere if the critic sees G's raw output."""
    where = batch.mask if critic.options.sees == "composite" else torch.ones_like(batch.mask)
    return gradient_penalty(lambda mixed: critic.scores(mixed, batch.windows), batch.image, fake, batch.mix, where)


def update_generator(
    generator: GeneratorLearner,
    critics: Sequence[CriticLearner],
    predictions: Sequence[Tensor],
    batch: Batch,
    rate: float,
) -> Terms:
    """Lines 5 and 11: one update of G with eq. (8), L_r plus the weighted adversarial losses of the critics.

    The gradients of both parts meet at G's output. So none reaches a critic's weights, and the size of each is logged.
    """
    outputs = [prediction.detach().requires_grad_() for prediction in predictions]
    loss, unweighted = generator.losses(outputs, batch)
    *coarse_gradients, gradient = torch.autograd.grad(loss, outputs, materialize_grads=True)
    terms = {f"generator.{name}": term for name, term in unweighted.items()}

    if critics:
        size = gradient.norm().clamp_min(1e-30)
        adversarial_gradient = torch.zeros_like(gradient)
        prediction = predictions[-1].detach()
        repaired = composite(prediction, batch.image, batch.mask)
        for critic in critics:
            loss, pull = adversarial_pull(critic, critic.judged(prediction, repaired), batch)
            terms |= {f"{critic.name}.adversarial": loss, f"{critic.name}.gradient_ratio": pull.norm() / size}
            adversarial_gradient = adversarial_gradient + pull
        terms["generator.ratio"] = adversarial_gradient.norm() / size
        terms["generator.adversarial_gradient"] = adversarial_gradient.norm()
        gradient = gradient + adversarial_gradient

    generator.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(predictions, [*coarse_gradients, gradient])
    terms["generator.gradient_norm"] = gradient_norm(generator.network)
    for group in generator.optimizer.param_groups:
        group["lr"] = rate
    generator.optimizer.step()
    return terms


def adversarial_pull(critic: CriticLearner, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """One critic's part of eq. (8): its unweighted loss for G, a scalar, and its weighted gradient at G's output.

    ``fake``: (B, 3, H, W), what the critic judges, without a gradient. The gradient has its shape.
    """
    seen = fake.detach().requires_grad_()
    loss = critic.loss.generator(critic.scores(seen, batch.windows))
    (pull,) = torch.autograd.grad(critic.weight * loss, seen)
    if critic.options.sees == "composite":  # the known pixels of a repaired image are not G's
        pull = erase(pull, known(batch.mask), 0.0)
    return loss, pull


def gradient_norm(network: nn.Module) -> Tensor:
    """The L2 norm of all gradients of a network, a scalar."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    norm: Tensor = torch.stack(torch._foreach_norm(gradients)).norm()
    return norm
