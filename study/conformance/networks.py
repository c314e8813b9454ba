"""Checks of methods, and of generators and critics at each side and in each configuration that a method uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.layers import initialise
from models.losses import gradient_penalty
from models.masking import Box, center_box, erase, mask_of, window_of
from models.method import Filler, Fitted, Method, Trained
from study.conformance.expectation import CLOSE, Fault, NotChecked, Part, expect, finite, images, shape, unchanged
from study.conformance.parts import defaulted
from study.parts import registries

SIDES = (32, 64)
NO_GRADIENT = "no gradient reaches its parameters: is something detached, or under no_grad?"


def describes_itself(part: Part) -> str | None:
    """method(image_size) describes networks that can be built, the same each time."""
    options = defaulted(part.entry)
    if isinstance(options, Filler):
        return None  # a plugin without its filler is refused when it is listed
    refused = []
    for side in SIDES:
        try:
            method = options.method(side)
            got = type(method).__name__
            expect(isinstance(method, Method), f"method({side}) gives a {got}; expected a models.method.Method")
            expect(method == options.method(side), f"method({side}) gives another description the second time")
            right = ("fit" in method.stages) == isinstance(options, Fitted)
            expect(right, "a models.method.Fitted has the stage 'fit' alone, and no other method has it")
            _build(registries.networks(method))
        except ValueError as error:
            refused.append(f"{side} px: {error}")
    expect(len(refused) < len(SIDES), f"it can be built at none of these sizes: {'; '.join(refused)}")
    return "; ".join(refused) or None


def _build(described: list[tuple[str, dict[str, Any]]]) -> None:
    """Builds networks without memory, as planning does. Raises ValueError if their options do not fit together."""
    for registry, network in described:
        known, kind = registries.REGISTRIES[registry], network.get("kind")
        expect(kind in known, f"it describes {registry}['{kind}'], which does not exist; choose {', '.join(known)}")
        with torch.device("meta"):
            registries.build(known, network)


def _described(kind: type[Any], side: int) -> list[tuple[str, dict[str, Any]]]:
    """The networks of a method with default options; none if that fails: the method's own checks say why."""
    try:
        return registries.networks(kind().method(side)) if issubclass(kind, Trained) else []
    except Exception:
        return []


def side_of(kind: type[Any]) -> int:
    """The smallest side at which a method's networks can be built."""
    for side in SIDES:
        with suppress(ValueError):
            _build(_described(kind, side))
            return side
    return SIDES[-1]


@dataclass(frozen=True)
class Network:
    """One configuration of a network for images of one side."""

    registry: str
    options: dict[str, Any]
    side: int

    def build(self) -> nn.Module:
        """The network with the same initial weights each time. Raises NotChecked if it cannot be built."""
        try:
            network = registries.build(registries.REGISTRIES[self.registry], self.options)
        except ValueError as error:
            raise NotChecked(f"it cannot be built at {self.side} px: {error}") from error
        except TypeError as error:
            if set(self.options) - {"kind", "image_side"}:
                raise
            raise NotChecked(f"no method uses it, and image_side alone does not build it: {error}") from error
        try:
            initialise(network, torch.Generator().manual_seed(0))
        except TypeError as error:
            known = "convolutions, linear layers, and batch, instance or group norms"
            raise Fault(f"{error}: all initial weights are drawn from the seed; use {known}") from error
        return network

    @property
    def windows(self) -> list[Box]:
        """Three windows around different holes."""
        return [window_of(Box(edge, 2 * edge, 8, 8), self.side) for edge in (0, 5, 8)]


def configurations(part: Part) -> Iterator[Network]:
    """A network as the first method that uses it describes it, narrowed; otherwise with the image side alone."""
    wanted = (part.registry, part.name)
    for side in SIDES:
        described = (_described(kind, side) for kind in registries.METHODS.values())
        used = ([options for registry, options in each if (registry, options["kind"]) == wanted] for each in described)
        for options in next(filter(None, used), [{"kind": part.name, "image_side": side}]):
            yield Network(part.registry, {**options, "width": 1 / 16} if "width" in options else options, side)


def predicts_images(case: Network) -> None:
    """forward(masked_image, mask, window) gives (B, 3, H, W) in 0..1, coarser predictions before the final one."""
    network, size = case.build(), (2, 3, case.side, case.side)
    for window in (None, center_box(case.side)):
        for prediction in _predictions(network, images(2, case.side), window):
            got = f"forward(masked_image, mask, window) gives {shape(prediction)} for two images of {case.side} px"
            expect(prediction.shape == size, f"{got}; expected {size}")
            inside = prediction.detach() if window is None else prediction.detach()[..., *window.slices]
            expect(finite(inside), "its prediction is not finite")
            least, most = float(inside.min()), float(inside.max())
            got = f"its prediction is in {least:.2f}..{most:.2f}"
            expect(least >= 0 and most <= 1, f"{got}; images are 0..1: end with a sigmoid, or clamp")


def computes_windows(case: Network) -> None:
    """With a window it gives the same values there as without: training asks for the hole's window alone."""
    for mode in ("training", "evaluation"):
        network, window = case.build().train(mode == "training"), center_box(case.side)
        whole, alone = (_last(network, images(2, case.side), asked) for asked in (None, window))
        difference = float((whole - alone)[..., *window.slices].abs().max())
        got = f"with a window its values there differ by {difference:.1e} from those without, in {mode}"
        expect(difference < CLOSE, f"{got}; compute the whole image, and set 'windowed = False'")


def learns(case: Network) -> str | None:
    """Gradients of its predictions reach its weights and are finite; a second time gives the same bits."""
    box = center_box(case.side)
    _, note = _trained(case, lambda network, image: torch.stack(_predictions(network, image, box))[..., *box.slices])
    return note


def repairs_each_image_alone(case: Network) -> None:
    """In evaluation an image's repair does not depend on the others of its batch."""
    network = case.build().eval()
    both, one = (_last(network, images(2, case.side)[:count], None) for count in (2, 1))
    difference = float((both[:1] - one).abs().max())
    why = "in evaluation an image's repair depends on the others of its batch"
    expect(difference < CLOSE, f"{why}: it differs by {difference:.1e}")


def _predictions(network: nn.Module, image: Tensor, window: Box | None) -> list[Tensor]:
    mask = mask_of([center_box(image.shape[-1])] * len(image), image.shape[-1])
    masked_image = erase(image, mask, 0.0)
    with unchanged(masked_image=masked_image, mask=mask):
        output = network(masked_image, mask, window)
    predictions = list(output) if isinstance(output, tuple) else [output]
    wrong = [shape(each) for each in predictions if not isinstance(each, Tensor)]
    expect(not wrong, f"forward gives {', '.join(wrong)}; expected a tensor, or a tuple of them, the finest last")
    return predictions


def _last(network: nn.Module, image: Tensor, window: Box | None) -> Tensor:
    torch.manual_seed(0)
    with torch.no_grad():
        return _predictions(network, image, window)[-1]


def scores_each_image(case: Network) -> None:
    """forward(image, windows) gives unbounded scores, (B,), or (B, P) for several places."""
    network, image = case.build(), images(3, case.side)
    views = getattr(network, "views", ())
    names = isinstance(views, tuple) and all(isinstance(view, str) for view in views)
    expect(names, f"its 'views' are {views!r}; write a tuple of names, such as ('global',), or leave them out")
    with unchanged(image=image):
        scores = network(image, case.windows)
    one_each = isinstance(scores, Tensor) and scores.dim() in (1, 2) and len(scores) == 3
    got = f"forward(image, windows) gives {shape(scores)} for three images"
    expect(one_each, f"{got}; expected (3,), one score per image")
    expect(finite(scores), "its scores are not finite")
    function = _bounding(scores)
    how = "scores are unbounded: remove it, the losses have their own"
    expect(not function, f"its scores come out of a {function}; {how}")


def declares_batch_dependence(case: Network) -> None:
    """``normalises_batch`` is right: if it is False, a score does not depend on the other images of the batch."""
    network = case.build()
    declared = getattr(network, "normalises_batch", None)
    expect(isinstance(declared, bool), "it lacks 'normalises_batch = False' (True if it has batch norm or similar)")
    scores = []
    for last in (2, 3):
        torch.manual_seed(0)
        scores.append(network(images(4, case.side)[[0, 1, last]], case.windows)[:2].detach())
    first, second = scores
    depends = bool((first - second).abs().max() > CLOSE * first.abs().max().clamp(min=1))
    does = f"an image's score {'depends' if depends else 'does not depend'} on the others of its batch"
    expect(declared == depends, f"its 'normalises_batch' is {declared}, but {does}")


def teaches(case: Network) -> str | None:
    """Gradients of its scores reach its weights and the image and are finite; a second time gives the same bits."""
    gradient, note = _trained(case, lambda network, image: network(image, case.windows))
    reaches = gradient is not None and gradient.any()
    expect(reaches, "no gradient of its scores reaches the image: a generator learns nothing from it")
    return " ".join(filter(None, [note, _without_penalty(case)])) or None


def _without_penalty(case: Network) -> str | None:
    """A note if the critic cannot be trained with a gradient penalty."""
    network = case.build()
    if network.normalises_batch:  # wgan_gp refuses it anyway
        return None
    real, fake = images(6, case.side).chunk(2)
    mask = torch.ones(3, 1, case.side, case.side)
    try:
        penalty = gradient_penalty(lambda x: network(x, case.windows), real, fake, torch.full((3,), 0.5), mask)
        torch.autograd.backward(penalty)
    except RuntimeError:
        return "it has no second derivative: the loss wgan_gp cannot be used with it."
    return None


_RESHAPING = ("View", "Mean", "Squeeze", "Select", "Slice", "Reshape", "Unsqueeze", "Clone", "Flatten")
_BOUNDING = {"SigmoidBackward0": "sigmoid", "TanhBackward0": "tanh", "SoftmaxBackward0": "softmax"}


def _bounding(scores: Tensor) -> str | None:
    """The name of the function that bounds scores, if only reshaping follows it."""
    step = scores.grad_fn
    while step is not None and step.name().partition("Backward")[0].endswith(_RESHAPING):
        step = step.next_functions[0][0] if step.next_functions else None
    return _BOUNDING.get(step.name()) if step is not None else None


def _trained(case: Network, forward: Callable[[nn.Module, Tensor], Tensor]) -> tuple[Tensor | None, str | None]:
    """Computes the gradients of a network's output twice. Raises Fault if they are wrong or differ.

    Returns the gradient of the images, and a note of the parameters that the output does not depend on.
    """
    results: list[list[Tensor]] = []
    for _ in range(2):
        network, image = case.build(), images(3, case.side).requires_grad_()
        parameters = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        expect(parameters, "it has no parameters to train; write a filler instead")
        torch.manual_seed(0)
        output = forward(network, image)
        expect(output.requires_grad, NO_GRADIENT)
        inputs = [*parameters.values(), image]
        *gradients, outward = torch.autograd.grad(output.square().mean(), inputs, allow_unused=True)
        used = [gradient for gradient in gradients if gradient is not None]
        expect(used, NO_GRADIENT)
        results.append([output, *used] if outward is None else [output, *used, outward])
        expect(finite(*results[-1][1:]), "its gradients are not finite")
    same = all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    expect(same, "the same weights, images and torch seed give different bits the second time")
    unused = [name for name, gradient in zip(parameters, gradients, strict=True) if gradient is None]
    return outward, f"it does not use {', '.join(unused)}." if unused else None
