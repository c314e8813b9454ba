"""The conformance suite: what the harness expects of a part, by its registry.

A check raises AssertionError with a sentence where a part is not as it has to be, and ``NotChecked`` where that cannot
be told. Our own parts are held to it by ``tests/study/test_conformance.py``, a stranger's by ``python -m study check``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from models.layers import initialise
from models.masking import Box, center_box, erase, mask_of, window_of
from models.method import Filler, Method, Trained
from study import catalog, plugins
from study.data.holes import SSIM_EDGE

SIDES = (32, 64)
STEPS = 2
NOISY = {"sharpness"}
"""Metrics of which noise has more, as their own words say."""


class NotChecked(Exception):
    """A check that cannot be made; the sentence says why."""


@dataclass(frozen=True)
class Finding:
    """What came of one check of one part. ``why``: the sentence, where it is not fine."""

    registry: str
    part: str
    check: str
    outcome: Literal["fine", "fault", "not checked"]
    why: str = ""


def conformance(registry: str, name: str) -> Iterator[Finding]:
    """Makes every check of one listed part."""
    for check in CHECKS[registry]:
        title = check.__name__.replace("_", " ")
        try:
            check(name)
        except NotChecked as told:
            yield Finding(registry, name, title, "not checked", str(told))
        except AssertionError as fault:
            yield Finding(registry, name, title, "fault", str(fault) or "a broken assertion of its own")
        except Exception as error:  # whatever a stranger's part raises
            yield Finding(registry, name, title, "fault", f"{type(error).__name__}: {' '.join(str(error).split())}")
        else:
            yield Finding(registry, name, title, "fine")


def plugin(file: Path) -> list[Finding]:
    """The checks of all parts of a plugin, and whether a study with each of them can be made.

    Raises BadInput where the file is no plugin.
    """
    (found,) = plugins.use([file.resolve()])
    findings = [finding for registry, name in found.parts for finding in conformance(registry, name)]
    return findings + [_joining(file.resolve(), registry, name) for registry, name in found.parts]


# -- networks ------------------------------------------------------------------------------------------------


def _described(registry: str, name: str, side: int) -> dict[str, Any]:
    """A network's part as a method describes it that has it; else by its name and the images' side."""
    for kind in catalog.METHODS.values():
        for options in _options_of(kind):
            try:
                method = options.method(side)
            except ValueError:
                continue
            parts = [method.generator] if registry == "GENERATORS" else [c.network for c in method.critics.values()]
            for part in parts:
                if part["kind"] == name:
                    return {**part, "width": 1 / 16} if "width" in part else part
    return {"kind": name, "image_side": side}


def _options_of(kind: type[Any]) -> Iterator[Trained]:
    if issubclass(kind, Trained):
        try:
            yield kind()
        except ValidationError:  # it has options without a default
            return


def _built(registry: str, name: str, side: int) -> nn.Module:
    """The network with first weights that are the same each time."""
    try:
        network = catalog.build(catalog.REGISTRIES[registry], _described(registry, name, side))
    except ValueError as error:
        raise NotChecked(f"it cannot be built at {side} px: {error}") from error
    initialise(network, torch.Generator().manual_seed(0))
    return network


def _each_side(registry: str, name: str, check: Callable[[nn.Module, int], None]) -> None:
    refused = []
    for side in SIDES:
        try:
            check(_built(registry, name, side), side)
        except NotChecked as told:
            refused.append(str(told))
    if len(refused) == len(SIDES):
        raise NotChecked("; ".join(refused))


def _images(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def _predictions(network: nn.Module, side: int, image: Tensor, window: Box | None) -> list[Tensor]:
    mask = mask_of([center_box(side)] * len(image), side)
    made = network(erase(image, mask, 0.0), mask, window)
    return list(made) if isinstance(made, tuple) else [made]


def predicts_images(name: str) -> None:
    """forward(masked_image, mask, window) gives (B, 3, H, W) in 0..1, coarser predictions before its own."""

    def check(network: nn.Module, side: int) -> None:
        assert isinstance(getattr(network, "windowed", None), bool), (
            "it lacks 'windowed = False' (or True, where it computes the window alone that it is asked for)"
        )
        for window in (None, center_box(side)):
            for made in _predictions(network, side, _images(2, side), window):
                assert made.shape == (2, 3, side, side), (
                    f"forward(masked_image, mask, window) of two images of {side} px gives {tuple(made.shape)}; "
                    f"expected (2, 3, {side}, {side})"
                )
                inside = made.detach() if window is None else made.detach()[..., *window.slices]
                least, most = float(inside.min()), float(inside.max())
                assert bool(inside.isfinite().all()), "its prediction is not finite"
                assert least >= 0 and most <= 1, (
                    f"its prediction lies in {least:.2f}..{most:.2f}; images are 0..1: end with a sigmoid, or clamp"
                )

    _each_side("GENERATORS", name, check)


def learns(name: str) -> None:
    """Gradients of its output reach its weights, finite, and the same bits come twice."""

    def check(network: nn.Module, side: int) -> None:
        runs = []
        for again in (network, _built("GENERATORS", name, side)):
            torch.manual_seed(0)
            made = _predictions(again, side, _images(2, side), None)[-1]
            loss = made[..., *center_box(side).slices].square().mean()
            runs.append([loss, *_gradients(loss, again)])
        assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True)), "the same weights and images give other bits"

    _each_side("GENERATORS", name, check)


def repairs_each_image_alone(name: str) -> None:
    """In evaluation an image's repair does not depend on the others of its batch."""

    def check(network: nn.Module, side: int) -> None:
        network.eval()
        with torch.no_grad():
            both = _predictions(network, side, _images(2, side), None)[-1]
            one = _predictions(network, side, _images(2, side)[:1], None)[-1]
        far = float((both[:1] - one).abs().max())
        assert far < 1e-4, f"in evaluation an image beside another is repaired otherwise, by {far:.1e}"

    _each_side("GENERATORS", name, check)


def scores_each_image(name: str) -> None:
    """forward(image, windows) gives one unbounded score an image, (B,), with finite gradients."""

    def check(network: nn.Module, side: int) -> None:
        norms = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules())
        told = getattr(network, "normalises_batch", None)
        assert told == norms, f"its 'normalises_batch' is {told}, and it {'has' if norms else 'has no'} batch norm"
        windows = [window_of(Box(edge, 2 * edge, 8, 8), side) for edge in (0, 5, 8)]
        scores = network(_images(3, side), windows)
        assert scores.shape == (3,), f"forward(image, windows) of three images gives {tuple(scores.shape)}, not (3,)"
        assert bool(scores.isfinite().all()), "its scores are not finite"
        _gradients(scores.mean(), network)

    _each_side("CRITICS", name, check)


def _gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    """The gradients of all parameters that it uses. Raises AssertionError where there are none, or not finite ones."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert parameters, "it has no parameters to train; a method without them is a filler"
    assert loss.requires_grad, "no gradient reaches its parameters: is something detached, or under no_grad?"
    found = [g for g in torch.autograd.grad(loss, parameters, allow_unused=True) if g is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in found), "its gradients are not finite"
    return found


# -- losses, fillers, masks, metrics, data -------------------------------------------------------------------


def tells_real_from_repaired(name: str) -> None:
    """critic(real, fake) falls as real scores rise above fake ones; generator(fake) falls as fake scores rise."""
    loss = catalog.LOSSES[name]()
    for what, low, high in (
        (
            "critic(real, fake)",
            loss.critic(torch.full((4,), 0.9), torch.full((4,), 0.1)),
            loss.critic(*torch.zeros(2, 4)),
        ),
        ("generator(fake)", loss.generator(torch.full((4,), 0.9)), loss.generator(torch.zeros(4))),
    ):
        assert low.shape == high.shape == (), f"{what} gives {tuple(low.shape)}; expected a scalar"
        assert bool(low.isfinite()) and low < high, (
            f"{what} is {float(low):.3g} where scores are as it wants, else {float(high):.3g}"
        )


def fills(name: str) -> None:
    """It gives (B, 3, H, W), finite, the same twice, and reads nothing of the hole."""
    image, mask = _images(2, 32), mask_of([center_box(32)] * 2, 32)
    first, second = (catalog.FILLERS[name](erase(image, mask, 0.0), mask) for _ in range(2))
    assert first.shape == image.shape, f"it gives {tuple(first.shape)}; expected {tuple(image.shape)}"
    assert bool(first.isfinite().all()) and torch.equal(first, second), "it is not finite, or not the same twice"


def draws_holes(name: str) -> None:
    """draw(rng, count, side) gives booleans that a seed decides, with a hole that SSIM can see and known pixels."""
    mask = _defaulted(catalog.MASKS[name])
    for side in (32, 128):
        first, second = (mask.draw(np.random.default_rng(7), 5, side) for _ in range(2))
        assert first.shape == (5, side, side) and first.dtype == np.bool_, (
            f"draw(rng, 5, {side}) gives {first.dtype} {first.shape}; expected booleans, true in the hole, "
            f"(5, {side}, {side})"
        )
        assert np.array_equal(first, second), "the same generator draws other holes: take all chance from rng"
        inner = first[:, SSIM_EDGE:-SSIM_EDGE, SSIM_EDGE:-SSIM_EDGE]
        assert inner.any((1, 2)).all(), (
            f"a hole is empty, or within {SSIM_EDGE} px of the border, where SSIM sees nothing"
        )
        assert not first.all((1, 2)).any(), "a hole is the whole image; nothing is known to repair it from"


def measures(name: str) -> None:
    """Called with output, image and mask it gives (B,) of each of its regions; noise makes it worse."""
    metric = catalog.METRICS[name]
    image, mask = _images(3, 32).double(), mask_of([center_box(32)] * 3, 32).double()
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(2)).double() - 0.5
    near, far = (metric((image + size * noise).clamp(0, 1), image, mask) for size in (0.05, 0.5))
    assert set(near) == set(metric.regions), f"it gives {sorted(near)}; its regions are {sorted(metric.regions)}"
    for region, values in near.items():
        assert values.shape == (3,), f"{region}: it gives {tuple(values.shape)} for three images; expected (3,)"
        alone = metric((image + 0.05 * noise).clamp(0, 1)[:1], image[:1], mask[:1])[region]
        assert torch.allclose(alone, values[:1]), f"{region}: an image beside others has another value"
        worse = far[region] < values if metric.better == "higher" else far[region] > values
        if name not in NOISY:
            assert bool(worse.all()), f"{region}: noise does not make it worse; is better = '{metric.better}' meant?"


def packs(name: str) -> None:
    """identity() is plain and stable; pack writes the same bytes twice."""
    data = _defaulted(catalog.DATASETS[name])
    assert json.loads(json.dumps(data.identity())) == json.loads(json.dumps(data.identity())), "identity() changes"
    contents = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as place:
            data.pack(16, Path(place), lambda done, total: None)
            contents.append((Path(place) / "images.npy").read_bytes())
    assert contents[0] == contents[1], "pack writes other bytes the second time"


def describes_itself(name: str) -> None:
    """method(image_size) describes networks that can be built."""
    kind = catalog.METHODS[name]
    options = _defaulted(kind)
    if isinstance(options, Filler):
        assert options.filler in catalog.FILLERS, f"its filler '{options.filler}' is none of FILLERS"
        return
    assert isinstance(options, Trained), (
        f"a method is a models.method.Trained or Filler, not {kind.__mro__[1].__name__}"
    )
    refused = []
    for side in SIDES:
        try:
            method = options.method(side)
            assert isinstance(method, Method), (
                f"method({side}) gives {type(method).__name__}, not a models.method.Method"
            )
            with torch.device("meta"):
                catalog.build(catalog.GENERATORS, method.generator)
                for critic in method.critics.values():
                    catalog.build(catalog.CRITICS, critic.network)
        except ValueError as error:
            refused.append(f"{side} px: {error}")
    assert len(refused) < len(SIDES), f"it can be built at none of these sizes: {'; '.join(refused)}"


def _defaulted(kind: type[BaseModel]) -> Any:
    try:
        return kind()
    except ValidationError as error:
        needed = ", ".join(str(fault["loc"][-1]) for fault in error.errors() if fault["loc"])
        raise NotChecked(f"it has options without a default: {needed}") from error


CHECKS: Mapping[str, tuple[Callable[[str], None], ...]] = {
    "METHODS": (describes_itself,),
    "GENERATORS": (predicts_images, learns, repairs_each_image_alone),
    "CRITICS": (scores_each_image,),
    "LOSSES": (tells_real_from_repaired,),
    "FILLERS": (fills,),
    "MASKS": (draws_holes,),
    "METRICS": (measures,),
    "DATASETS": (packs,),
}


# -- a study with a part -------------------------------------------------------------------------------------


def _joining(file: Path, registry: str, name: str) -> Finding:
    """Makes a study of one variant with the part, twice, in a few steps: it runs, and the bytes are the same."""
    title = "joins a study"
    try:
        variant = _variant_with(registry, name)
        made = [_made(file, registry, name, variant) for _ in range(2)]
    except NotChecked as told:
        return Finding(registry, name, title, "not checked", str(told))
    except Exception as error:  # whatever a stranger's part raises
        return Finding(registry, name, title, "fault", f"{type(error).__name__}: {' '.join(str(error).split())}")
    if made[0] != made[1]:
        return Finding(registry, name, title, "fault", "made twice, its results are not the same bytes")
    return Finding(registry, name, title, "fine")


def _variant_with(registry: str, name: str) -> dict[str, Any]:
    if registry == "METHODS":
        _defaulted(catalog.METHODS[name])
        return {"method": name}
    if registry in ("GENERATORS", "CRITICS", "FILLERS"):
        raise NotChecked("it joins with the method that has it")
    if registry == "LOSSES":
        return {"method": "proposed", "loss": {"kind": name, "optimizer": {"kind": "adam", "lr": 1e-4}}}
    if registry == "MASKS":
        _defaulted(catalog.MASKS[name])
        return {"method": "reconstruction_only", "mask": {"kind": name}}
    if registry == "DATASETS":
        _defaulted(catalog.DATASETS[name])
    return {"method": "mean"}


def _made(file: Path, registry: str, name: str, variant: dict[str, Any]) -> dict[str, Any]:
    """The checksums of all that a tiny study with the part makes."""
    from study import planner, spec, stages
    from study.store import Store

    faces = {"kind": "faces", "train": 6, "validation": 1, "test": 3}
    study = {
        "plugins": [str(file)],
        "image_size": 64,
        "seeds": [0],
        "data": {"data": {"kind": name} if registry == "DATASETS" else faces},
        "defaults": {
            "batch": 2,
            "steps": {"pretrain": STEPS, "critic": STEPS, "joint": STEPS},
            "width": 1 / 16,
            "log_every": 1,
        },
        "variants": {"checked": variant},
    }
    with tempfile.TemporaryDirectory() as place:
        written = Path(place) / "study.yaml"
        written.write_text(json.dumps(study))
        plan = planner.make_plan(spec.load(written))
        store = Store(Path(place) / "out")
        (run,) = plan.runs
        for key in run.stages.values():
            stages.make([key], plan, store, _Quiet(), stages.prepare("cpu"))
        outcome = store.outcome(run.stages["evaluate"])
        if outcome.get("status") == "diverged":
            raise ValueError(f"it diverged: {outcome['term']} at step {outcome['step']}")
        return {key: store.manifest(key) for key in run.stages.values()}


class _Quiet:
    """A watch that says nothing."""

    stopping = False

    def progress(self, key: str, done: int, total: int) -> None: ...

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None: ...
