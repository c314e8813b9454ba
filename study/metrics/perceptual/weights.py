"""The files of weights: where to find them, their digests, and whether they fit their networks.

Nothing is downloaded. A file that the study does not name is looked for in torch's cache
(``$TORCH_HOME/hub/checkpoints``, else ``~/.cache/torch/hub/checkpoints``) and in installed packages.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from study.errors import StudyError, few
from study.files import open_file
from study.metrics.perceptual.inception import Inception
from study.metrics.perceptual.lpips import LEAST_SIDE, Features, Heads
from study.metrics.perceptual.options import LPIPS, Perceptual
from study.store import file_digest

VERSIONS = {"lpips": 1, "fid": 1, "kid": 1}  # raised when the same options and weights give other numbers
ABSENT = "absent"  # in a key, in place of the digest of a missing file
SHOWN = 3  # weights that do not fit that an error names


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file."""

    names: tuple[str, ...]  # in torch's cache
    shipped: tuple[tuple[str, str], ...] = ()  # packages that contain it, and its path in them
    network: Callable[[], nn.Module]  # makes the network that the weights are for


ALEX, VGG = ("alexnet-owt-7be5be79.pth", "alexnet-owt-4df8aa71.pth"), ("vgg16-397923af.pth",)
FEATURES = {net: Kind(names=names, network=partial(Features, net)) for net, names in (("alex", ALEX), ("vgg", VGG))}
HEADS = {
    net: Kind(
        names=(f"{net}.pth",),
        shipped=(("lpips", f"weights/v0.1/{net}.pth"), ("torchmetrics", f"functional/image/lpips_models/{net}.pth")),
        network=partial(Heads, net),
    )
    for net in FEATURES
}
INCEPTION = Kind(
    names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    network=Inception,
)


def kinds(options: Mapping[str, Any]) -> dict[str, Kind]:
    """The kinds of a distance's files, by the options that name them."""
    if net := options.get("net"):
        return {"features": FEATURES[net], "linear": HEADS[net]}
    return {"weights": INCEPTION}


@dataclass(frozen=True)
class Distances:
    """The distances of a study. ``options``: for its keys, with the digests of files; ``files``: their paths."""

    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)


def find(wanted: Perceptual | None, image_size: int) -> tuple[Distances, list[str]]:
    """The distances that a study measures with their weights, and the faults, each as ``option: what is wrong``.

    A file that is in no cache is no fault: its digest is ``ABSENT``.
    """
    distances, faults = Distances(), []
    for name, options in wanted or ():
        if options is None:
            continue
        decides, files = options.model_dump(mode="json"), {}
        if isinstance(options, LPIPS) and image_size < LEAST_SIDE[options.net]:
            least = f"images of at least {LEAST_SIDE[options.net]} px, the study's have {image_size}"
            faults.append(f"{name}: the net '{options.net}' needs {least}; choose vgg, or leave {name} out")
            continue
        for option, kind in kinds(decides).items():
            named = getattr(options, option)
            file = Path(named).expanduser().resolve() if named else _usual(kind)
            try:
                decides[option] = _checked(file, file.stat().st_size, file.stat().st_mtime_ns, kind) if file else ABSENT
            except ValueError as error:
                advice = "" if named else "; it was found in a cache: mend it there, or name another one here"
                faults.append(f"{name}.{option}: {error}{advice}")
            if file:
                files[option] = str(file)
        distances.options[name], distances.files[name] = decides, files
    return distances, faults


def lacking(name: str, options: Mapping[str, Any]) -> str:
    """Why a distance with these options cannot be measured, and what to do; '' if it can."""
    absent = {option: kind for option, kind in kinds(options).items() if options[option] == ABSENT}
    if not absent:
        return ""
    files = " and ".join(f"lpips' {kind.names[0]}" if kind.shipped else kind.names[0] for kind in absent.values())
    named = " and ".join(f"protocol.perceptual.{name}.{option}" for option in absent)
    return (
        f"{name.upper()}: no weights: put {files} into torch's cache ($TORCH_HOME/hub/checkpoints, else "
        f"~/.cache/torch/hub/checkpoints), or say in {named} where they are"
    )


def _usual(kind: Kind) -> Path | None:
    """The first usual place that has a file of this kind."""
    specs = [(importlib.util.find_spec(package), inside) for package, inside in kind.shipped]  # imports no package
    places = [Path(spec.origin).parent / inside for spec, inside in specs if spec is not None and spec.origin]
    places += [Path(torch.hub.get_dir(), "checkpoints", name) for name in kind.names]
    return next((place for place in places if place.is_file()), None)


@cache
def _checked(file: Path, size: int, changed: int, kind: Kind) -> str:
    """The digest of a file that fits. Cached until size or modification time changes. Raises ValueError."""
    read(file, kind)
    return file_digest(file)


def read(file: Path, kind: Kind) -> dict[str, Tensor]:
    """The weights that a network needs from a file, on the CPU. Raises ValueError if the file does not fit.

    ``weights_only`` reads only tensors and containers from a pickle, and runs no code.
    """
    try:
        open_file(file).close()  # the readers would wait for a pipe
        if file.suffix == ".safetensors":
            weights: Any = load_file(file)
        else:
            mapped = zipfile.is_zipfile(file)  # torch's format since 1.6, of which mmap reads only what is used
            weights = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped or None)
    except UnpicklingError as error:
        raise ValueError(f"{file}: it holds more than tensors, and is not read: that could run its code") from error
    except Exception as error:  # a damaged file makes the readers raise many kinds of errors
        why = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        raise ValueError(f"{file}: it is damaged, or no file of weights: {why[:200]}") from error
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
        raise ValueError(f"{file}: it does not fit: {few(wrong, SHOWN, '; ')}; name a file such as {kind.names[0]}")
    return {name: weights[name].float() for name in needed}


@lru_cache(maxsize=3)
def network(kind: Kind, file: str, expected: str, device: torch.device) -> nn.Module:
    """A network with the weights of a file, in evaluation mode. Raises StudyError if the file's digest is another."""
    place = Path(file)
    try:
        same = file_digest(place) == expected
    except OSError:
        same = False
    if not same:
        raise StudyError(f"{file}: the weights have changed since the study was planned; run the same command again")
    with torch.device("meta"):
        built = kind.network()
    built = built.to_empty(device=device)
    built.load_state_dict(read(place, kind), strict=False)  # not strict: the batch counts of norms are missing
    return built.eval().requires_grad_(False)
