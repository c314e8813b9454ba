"""What is expected of generators and critics, at each side and in each form in which a method has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.layers import initialise
from models.losses import gradient_penalty
from models.masking import Box, center_box, erase, mask_of, window_of
from study.conformance.expectation import CLOSE, SIDES, Fault, NotChecked, expect, images, shape, unchanged
from study.conformance.methods import described
from study.parts import registries

Make = Callable[[], nn.Module]


def predicts_images(name: str) -> str | None:
    """forward(masked_image, mask, window) gives (B, 3, H, W) in 0..1, coarser predictions before its own."""

    def check(make: Make, side: int) -> None:
        network = make()
        for window in (None, center_box(side)):
            for made in _predictions(network, side, images(2, side), window):
                expect(
                    made.shape == (2, 3, side, side),
                    f"forward(masked_image, mask, window) of two images of {side} px gives {tuple(made.shape)}; "
                    f"expected (2, 3, {side}, {side})",
                )
                inside = made.detach()[..., *(window or Box(0, 0, side, side)).slices]
                expect(inside.isfinite().all(), "its prediction is not finite")
                least, most = float(inside.min()), float(inside.max())
                expect(
                    least >= 0 and most <= 1,
                    f"its prediction lies in {least:.2f}..{most:.2f}; images are 0..1: end with a sigmoid, or clamp",
                )

    return _each("GENERATORS", name, check)


def computes_windows(name: str) -> str | None:
    """Asked for a window it gives there what it gives without: in training the hole's window alone is asked for."""

    def check(make: Make, side: int) -> None:
        for training in (True, False):
            network, window = make().train(training), center_box(side)
            whole, alone = (_last(network, side, images(2, side), asked) for asked in (None, window))
            far = float((whole - alone)[..., *window.slices].abs().max())
            expect(
                far < CLOSE,
                f"asked for a window it gives other values there than without, by {far:.1e}, "
                f"in {'training' if training else 'evaluation'}; compute the whole image, and set 'windowed = False'",
            )

    return _each("GENERATORS", name, check)


def learns(name: str) -> str | None:
    """Gradients of its predictions reach its weights, finite, and the same bits come twice."""

    def check(make: Make, side: int) -> str | None:
        def once() -> tuple[list[Tensor], str | None]:
            network, box = make(), center_box(side)
            torch.manual_seed(0)
            made = torch.stack(_predictions(network, side, images(2, side), box))[..., *box.slices]
            gradients, note = _gradients(made.square().mean(), network)
            return [made, *gradients], note

        return _same_bits(once)

    return _each("GENERATORS", name, check)


def repairs_each_image_alone(name: str) -> str | None:
    """In evaluation an image's repair does not depend on the others of its batch."""

    def check(make: Make, side: int) -> None:
        network = make().eval()
        both, one = (_last(network, side, images(2, side)[:count], None) for count in (2, 1))
        far = float((both[:1] - one).abs().max())
        expect(far < CLOSE, f"in evaluation an image beside another is repaired otherwise, by {far:.1e}")

    return _each("GENERATORS", name, check)


def scores_each_image(name: str) -> str | None:
    """forward(image, windows) gives unbounded scores, (B,) or of several places (B, P)."""

    def check(make: Make, side: int) -> None:
        network = make()
        views = getattr(network, "views", ())
        expect(
            isinstance(views, tuple) and all(isinstance(view, str) for view in views),
            f"its 'views' are {views!r}; write a tuple of names, as ('global',), or leave them out",
        )
        image = images(3, side)
        with unchanged(image=image):
            scores = network(image, _windows(side))
        expect(
            isinstance(scores, Tensor) and scores.dim() in (1, 2) and len(scores) == 3,
            f"forward(image, windows) of three images gives {shape(scores)}; expected (3,), one score an image",
        )
        expect(scores.isfinite().all(), "its scores are not finite")
        expect(
            not (bound := _bounded(scores)),
            f"its scores come out of a {bound}; a score is unbounded: leave it out, the losses have theirs",
        )

    return _each("CRITICS", name, check)


def says_whether_it_mixes(name: str) -> str | None:
    """``normalises_batch`` is true: where it is False, an image's score does not depend on the others of its batch."""

    def check(make: Make, side: int) -> None:
        network = make()
        told = getattr(network, "normalises_batch", None)
        expect(
            isinstance(told, bool), "it lacks 'normalises_batch = False' (True, where it has batch norm or the like)"
        )
        four = images(4, side)
        found = []
        for last in (2, 3):
            torch.manual_seed(0)
            found.append(network(four[[0, 1, last]], _windows(side))[:2].detach())
        size = max(float(found[0].abs().max()), 1.0)
        mixes = float((found[0] - found[1]).abs().max()) > CLOSE * size
        expect(
            told == mixes,
            f"its 'normalises_batch' is {told}, and an image's score {'depends' if mixes else 'does not depend'} on "
            "the others of its batch",
        )

    return _each("CRITICS", name, check)


def teaches(name: str) -> str | None:
    """Its scores' gradients reach its weights and the image, finite; the same bits come twice."""

    def check(make: Make, side: int) -> str | None:
        def once() -> tuple[list[Tensor], str | None]:
            network, image = make(), images(3, side).requires_grad_()
            torch.manual_seed(0)
            scores = network(image, _windows(side))
            gradients, note = _gradients(scores.square().mean(), network, image)
            expect(gradients[-1].any(), "no gradient of its scores reaches the image: it can teach a generator nothing")
            return [scores, *gradients], note

        return " ".join(filter(None, [_same_bits(once), _bends(make, side)])) or None

    return _each("CRITICS", name, check)


def _bends(make: Make, side: int) -> str | None:
    """What keeps a critic from a gradient penalty, which is no fault of it; None where nothing does."""
    network = make()
    if network.normalises_batch:  # wgan_gp is refused with it
        return None
    real, fake = images(6, side).chunk(2)
    mask = torch.ones(3, 1, side, side)
    try:
        penalty = gradient_penalty(lambda x: network(x, _windows(side)), real, fake, torch.full((3,), 0.5), mask)
        penalty.backward()
    except RuntimeError:
        return "it has no second derivative: the loss wgan_gp cannot be used with it."
    return None


def _descriptions(registry: str, name: str, side: int) -> list[dict[str, Any]]:
    """A network's parts as the first method describes them that has it, narrow; else its name and the images' side."""
    for kind in registries.METHODS.values():
        method = described(kind, side)
        if method is None:
            continue
        parts = [method.generator] if registry == "GENERATORS" else [c.network for c in method.critics.values()]
        if own := [{**part, "width": 1 / 16} if "width" in part else part for part in parts if part["kind"] == name]:
            return own
    return [{"kind": name, "image_side": side}]


def _built(registry: str, part: dict[str, Any], side: int) -> nn.Module:
    """The network with first weights that are the same each time."""
    try:
        network = registries.build(registries.REGISTRIES[registry], part)
    except ValueError as error:
        raise NotChecked(f"it cannot be built at {side} px: {error}") from error
    except TypeError as error:
        if set(part) - {"kind", "image_side"}:
            raise
        raise NotChecked(
            f"no method here describes it, and by its image_side alone it is not built: {error}"
        ) from error
    try:
        initialise(network, torch.Generator().manual_seed(0))
    except TypeError as error:
        known = "convolutions, linear layers, and batch, instance or group norms"
        raise Fault(f"{error}: all first weights are drawn from the seed; use {known}") from error
    return network


def _each(registry: str, name: str, check: Callable[[Make, int], str | None]) -> str | None:
    """Makes a check at each side of each of a network's descriptions; those that cannot be built are told."""
    notes, refused, made = [], [], 0
    for side in SIDES:
        for part in _descriptions(registry, name, side):
            try:
                notes.append(check(partial(_built, registry, part, side), side))
                made += 1
            except NotChecked as told:
                refused.append(str(told))
    if not made:
        raise NotChecked("; ".join(dict.fromkeys(refused)))
    return "; ".join(dict.fromkeys(filter(None, [*notes, *refused]))) or None


def _windows(side: int) -> list[Box]:
    return [window_of(Box(edge, 2 * edge, 8, 8), side) for edge in (0, 5, 8)]


def _predictions(network: nn.Module, side: int, image: Tensor, window: Box | None) -> list[Tensor]:
    mask = mask_of([center_box(side)] * len(image), side)
    masked_image = erase(image, mask, 0.0)
    with unchanged(masked_image=masked_image, mask=mask):
        made = network(masked_image, mask, window)
    predictions = list(made) if isinstance(made, tuple) else [made]
    wrong = [shape(one) for one in predictions if not isinstance(one, Tensor)]
    expect(not wrong, f"forward gives {', '.join(wrong)}; expected a tensor, or a tuple of them, the finest last")
    return predictions


def _last(network: nn.Module, side: int, image: Tensor, window: Box | None) -> Tensor:
    torch.manual_seed(0)
    with torch.no_grad():
        return _predictions(network, side, image, window)[-1]


def _gradients(loss: Tensor, network: nn.Module, *inputs: Tensor) -> tuple[list[Tensor], str | None]:
    """The gradients of all parameters that a network uses, then of inputs; and which parameters it does not use."""
    named = {name: one for name, one in network.named_parameters() if one.requires_grad}
    expect(named, "it has no parameters to train; a method without them is a filler")
    expect(loss.requires_grad, "no gradient reaches its parameters: is something detached, or under no_grad?")
    found = torch.autograd.grad(loss, [*named.values(), *inputs], allow_unused=True)
    unused = [name for name, gradient in zip(named, found, strict=False) if gradient is None]
    expect(len(unused) < len(named), "no gradient reaches its parameters: is something detached, or under no_grad?")
    kept = [
        torch.zeros_like(one) if gradient is None else gradient
        for one, gradient in zip(inputs, found[len(named) :], strict=True)
    ]
    kept = [gradient for gradient in found[: len(named)] if gradient is not None] + kept
    expect(all(bool(gradient.isfinite().all()) for gradient in kept), "its gradients are not finite")
    return kept, f"it does not use {', '.join(unused)}." if unused else None


def _same_bits(once: Callable[[], tuple[list[Tensor], str | None]]) -> str | None:
    """The note of what is done twice. Raises Fault where it is not the same twice."""
    (first, note), (second, _) = once(), once()
    expect(
        all(torch.equal(a, b) for a, b in zip(first, second, strict=True)),
        "the same weights, images and seed of torch give other bits the second time",
    )
    return note


_RESHAPING = ("View", "Mean", "Squeeze", "Select", "Slice", "Reshape", "Unsqueeze", "Clone", "Flatten")
_BOUNDING = {"SigmoidBackward0": "sigmoid", "TanhBackward0": "tanh", "SoftmaxBackward0": "softmax"}


def _bounded(scores: Tensor) -> str | None:
    """The name of the function that bounds scores, where it is the last that does more than to sort them."""
    step = scores.grad_fn
    while step is not None and step.name().partition("Backward")[0].endswith(_RESHAPING):
        step = step.next_functions[0][0] if step.next_functions else None
    return _BOUNDING.get(step.name()) if step is not None else None
