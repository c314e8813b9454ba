"""The files of weights: where they are looked for, what decides that one is the same, and whether it fits.

None is ever downloaded. What a study file does not name is looked for where the usual packages leave it: in torch's
cache (``$TORCH_HOME/hub/checkpoints``, else ``~/.cache/torch/hub/checkpoints``) and in installed packages.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from study.errors import StudyError
from study.metrics.perceptual.inception import Inception
from study.metrics.perceptual.lpips import LEAST_SIDE, Features, Heads
from study.metrics.perceptual.options import LPIPS, Perceptual
from study.store import digest_of_file

VERSIONS = {"lpips": 1, "fid": 1, "kid": 1}
"""A number for each distance, raised when the same options and weights come to mean other numbers."""
ABSENT = "absent"
"""Stands in a key in place of the digest of a file that is not there."""
SHOWN = 3  # of many names that do not fit


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file. ``names``: in torch's cache; ``shipped``: an installed package, and the file in it."""

    names: tuple[str, ...]
    shipped: tuple[tuple[str, str], ...] = ()
    network: Callable[[], nn.Module]


def _heads(net: str) -> Kind:
    shipped = (("lpips", f"weights/v0.1/{net}.pth"), ("torchmetrics", f"functional/image/lpips_models/{net}.pth"))
    return Kind(names=(f"{net}.pth",), shipped=shipped, network=lambda: Heads(net))


FEATURES = {
    "alex": Kind(
        names=("alexnet-owt-7be5be79.pth", "alexnet-owt-4df8aa71.pth"),
        network=lambda: Features("alex"),
    ),
    "vgg": Kind(names=("vgg16-397923af.pth",), network=lambda: Features("vgg")),
}
HEADS = {net: _heads(net) for net in FEATURES}
INCEPTION = Kind(
    names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    network=Inception,
)


def kinds(options: Mapping[str, Any]) -> dict[str, Kind]:
    """The kinds of the files of a distance, by the options that name them."""
    if net := options.get("net"):
        return {"features": FEATURES[net], "linear": HEADS[net]}
    return {"weights": INCEPTION}


@dataclass(frozen=True)
class Distances:
    """What a study wants, by distance. ``options``: what decides it, files by their digests; ``files``: their paths."""

    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)


def find(wanted: Perceptual | None, image_size: int) -> tuple[Distances, list[str]]:
    """What a study wants with its weights, and the faults, each as ``option: what is wrong``.

    A file that is in no cache is no fault: its digest is then ``ABSENT``.
    """
    found, faults = Distances(), []
    for name, options in wanted.wanted().items() if wanted else ():
        decides, files = options.model_dump(mode="json"), {}
        if isinstance(options, LPIPS) and image_size < LEAST_SIDE[options.net]:
            least = f"images of at least {LEAST_SIDE[options.net]} px, the study's have {image_size}"
            faults.append(f"{name}: the net '{options.net}' needs {least}; choose vgg, or leave {name} out")
            continue
        for option, kind in kinds(decides).items():
            named = getattr(options, option)
            file = _path(named, kind)
            try:
                decides[option] = _checked(file, _stamp(file), kind) if file else ABSENT
            except ValueError as error:
                told = "" if named else "; it was found in a cache: mend it there, or name another one here"
                faults.append(f"{name}.{option}: {error}{told}")
            if file:
                files[option] = str(file)
        found.options[name], found.files[name] = decides, files
    return found, faults


def lacking(name: str, options: Mapping[str, Any]) -> str:
    """Why a distance with these options of a key cannot be had, and what to do; '' where it can."""
    absent = {option: kind for option, kind in kinds(options).items() if options[option] == ABSENT}
    if not absent:
        return ""
    files = " and ".join(f"lpips' {kind.names[0]}" if kind.shipped else kind.names[0] for kind in absent.values())
    named = " and ".join(f"protocol.perceptual.{name}.{option}" for option in absent)
    return (
        f"{name.upper()}: no weights: put {files} into torch's cache ($TORCH_HOME/hub/checkpoints, else "
        f"~/.cache/torch/hub/checkpoints), or say in {named} where they are"
    )


def _path(named: str | None, kind: Kind) -> Path | None:
    """Where a file is: where the study says, else the first place of the usual ones that has it."""
    if named is not None:
        return Path(named).expanduser().resolve()
    return next((place for place in _usual(kind) if place.is_file()), None)


def _usual(kind: Kind) -> Iterator[Path]:
    for package, inside in kind.shipped:
        spec = importlib.util.find_spec(package)  # looks for it and does not import it
        if spec is not None and spec.origin:
            yield Path(spec.origin).parent / inside
    for name in kind.names:
        yield Path(torch.hub.get_dir(), "checkpoints", name)


def _stamp(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


@cache
def _checked(file: Path, stamp: tuple[int, int], kind: Kind) -> str:
    """The digest of a file that fits; ``stamp``: for a file that has changed is another. Raises ValueError."""
    read(file, kind)
    return digest_of_file(file)


def read(file: Path, kind: Kind) -> dict[str, Tensor]:
    """The weights of a file that its network needs, on the CPU. Raises ValueError with what does not fit.

    A pickle is read by ``weights_only``: torch's own reader, which knows tensors and containers alone and runs no code.
    """
    try:
        if file.suffix == ".safetensors":
            weights: Any = load_file(file)
        else:
            mapped = zipfile.is_zipfile(file)  # what torch has written since 1.6, of which only what is used is read
            weights = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped or None)
    except UnpicklingError as error:
        raise ValueError(f"{file}: it holds more than tensors, and is not read: that could run its code") from error
    except Exception as error:  # whatever a damaged file makes the readers raise
        why = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        raise ValueError(f"{file}: it is damaged, or no file of weights: {why[:200]}") from error
    return _fitting(file, weights, kind)


def _fitting(file: Path, weights: Any, kind: Kind) -> dict[str, Tensor]:
    with torch.device("meta"):
        needed = {name: tensor.shape for name, tensor in kind.network().state_dict().items() if tensor.ndim}
    if not isinstance(weights, Mapping):
        raise ValueError(f"{file}: it holds no mapping of names to weights; name a file such as {kind.names[0]}")
    wrong = []
    for name, shape in needed.items():
        got = weights.get(name)
        if not isinstance(got, Tensor):
            wrong.append(f"{name} is missing")
        elif got.shape != shape:
            wrong.append(f"{name} has the shape {tuple(got.shape)}, not {tuple(shape)}")
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        told = f"{'; '.join(wrong[:SHOWN])}{more}"
        raise ValueError(f"{file}: it does not fit: {told}; name a file such as {kind.names[0]}")
    return {name: weights[name].float() for name in needed}


@lru_cache(maxsize=3)
def network(kind: Kind, file: str, expected: str, device: torch.device) -> nn.Module:
    """A network with the weights of a file, ready for use. Raises StudyError where it is not the one of this digest."""
    place = Path(file)
    try:
        same = digest_of_file(place) == expected
    except OSError:
        same = False
    if not same:
        raise StudyError(f"{file}: the weights have changed since the study was planned; run the same command again")
    with torch.device("meta"):
        built = kind.network()
    built = built.to_empty(device=device)
    built.load_state_dict(read(place, kind), strict=False)  # but for the counts of batches, all names are there
    return built.eval().requires_grad_(False)
