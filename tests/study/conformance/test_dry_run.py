"""Every kind of stage in a dry run on a card that is not there; and what the dry run finds."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import kinds
import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from study.conformance.card import META, UNSTEADY, Card
from study.conformance.dry_run import make_interrupted
from study.conformance.expectation import Fault
from study.data import device
from study.external.score import Request, score
from study.metrics.perceptual import gathering
from study.running.runs import make_run
from study.training import loop, step
from study.training.checkpoint import TrainingState, Watch
from study.use.finished import Finished
from study.use.inpaint import HoleSource, repair_files

ROOT = Path(__file__).parents[3]
OURS = tuple(f"{ROOT / room}/" for room in ("study", "models", "baselines"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kinds of this process are made, so that they share stages."""
    return tmp_path_factory.mktemp("dry_run")


@pytest.fixture(autouse=True)
def _with_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """``meta`` takes the training set as a card does, and a share of the gradient is measured over two steps."""
    monkeypatch.setattr(device, "free_memory", lambda _: 2**30)
    monkeypatch.setattr(loop, "SHARE_STEPS", 2)


@pytest.mark.parametrize("name", [name for name in kinds.KINDS if name not in kinds.ALIKE])
def test_every_kind_of_stage_would_run_on_a_card(name: str, folder: Path) -> None:
    plan, store = kinds.planned(folder, name, "meta")
    with Card(OURS) as card:
        make_interrupted(plan, store)
    assert card.waits == card.refused == []
    assert all(store.outcome(key)["status"] == "finished" for key in plan.stages)


def test_the_kinds_are_all_methods_recipes_and_holes() -> None:
    from baselines import METHODS
    from models.losses import LOSSES

    text = str(kinds.KINDS)
    for name in [*METHODS, "proposed", "reconstruction_only", *LOSSES, "random_box", "free_form", "files"]:
        assert f"'{name}'" in text or f"loss': '{name}'" in text, name


@pytest.mark.parametrize("blended", [True, False])
def test_a_picture_would_be_repaired_on_a_card(blended: bool, folder: Path, tmp_path: Path) -> None:
    plan, store = kinds.planned(folder, "reconstruction_only", "meta")
    (run,) = plan.runs
    make_run(run, plan, store, tiny.Onlooker(), META)
    Image.fromarray(np.full((70, 90, 3), 90, np.uint8)).save(tmp_path / "in.png")
    mask = np.zeros((70, 90), np.uint8)
    mask[20:40, 20:40] = mask[50:53, 5:80] = 255  # a box and a stroke, which are blended in two ways
    Image.fromarray(mask).save(tmp_path / "mask.png")
    source = HoleSource(tmp_path / "mask.png", None, None)
    finished, said = Finished(store.out, "kind"), list[str]()
    with Card(OURS) as card:
        repair_files(
            finished, [tmp_path / "in.png"], tmp_path / "out.png", source, device="meta", print_line=said.append,
            blended=blended,
        )  # fmt: skip
    assert card.waits == card.refused == []
    assert (tmp_path / "out.png").exists() and "windows" in said[0]


def test_perceptual_distances_would_be_computed_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def network(kind: Any, *_: Any) -> nn.Module:
        with META:
            built: nn.Module = kind.network()
        return built.eval()

    monkeypatch.setattr(gathering, "network", network)
    options = {"lpips": {"net": "alex", "features": "a", "linear": "b"}, "fid": {"weights": "c"}}
    pictures, indices = torch.zeros(2, 3, 64, 64, device=META), np.arange(2)
    with Card(OURS) as card:
        files = {name: defaultdict[str, str](str) for name in options}
        found = gathering.Gathering(options, files, META, seed=0)
        scores = found.add(indices, pictures, {"raw": pictures})
        (row,) = found.distances()
    assert card.waits == card.refused == []
    assert [one.shape for one in scores.values()] == [(2,)] and row["images"] == 2


def test_a_folder_of_pictures_would_be_scored_on_a_card(tmp_path: Path) -> None:
    for folder, value in (("truth", 90), ("output", 120)):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(tmp_path / folder / "one.png")
    with Card(OURS) as card:
        scored = score(Request(tmp_path / "output", tmp_path / "truth", center=True), device="meta")
    assert card.waits == card.refused == [] and len(scored.values) == 1


@pytest.mark.parametrize("name", ["giica", "raw"])
def test_training_needs_no_float64_which_apples_devices_lack(name: str, folder: Path) -> None:
    plan, store = kinds.planned(folder, name, "meta")
    tiny.made(plan, store, [key for key, stage in plan.stages.items() if stage.kind == "data"])
    with Float32() as found:
        tiny.made(plan, store, [key for key, stage in plan.stages.items() if stage.kind != "evaluate"], META)
    assert found.float64 == []


class Float32(TorchDispatchMode):
    """Collects the operations on ``META`` that give float64."""

    def __init__(self) -> None:
        super().__init__()
        self.float64: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_meta and result.dtype == torch.float64:
            self.float64.append(str(func))
        return result


def test_images_that_do_not_fit_on_the_card_would_be_read_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "free_memory", lambda _: 2**10)
    plan, store = kinds.planned(tmp_path, "reconstruction_only", "meta")
    with Card(OURS) as card:
        make_interrupted(plan, store)
    assert card.waits == card.refused == []


# What it finds.


def test_it_finds_pending_terms_on_another_device_than_new_ones(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that was interrupted within a log interval could once not be resumed on a card."""
    resume = TrainingState.resume

    def forgets_the_device(state: TrainingState, watch: Watch) -> None:
        resume(state, watch)
        state.pending = {name: [torch.zeros(())] * len(values) for name, values in state.pending.items()}

    monkeypatch.setattr(TrainingState, "resume", forgets_the_device)
    plan, store = kinds.planned(tmp_path, "reconstruction_only", "meta")
    with pytest.raises(Fault, match=r"stack gets tensors of two devices.*\(line \d+ of checkpoint.py\)"), Card(OURS):
        make_interrupted(plan, store)


def test_it_finds_a_wait_in_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norm = step.gradient_norm
    monkeypatch.setattr(step, "gradient_norm", lambda network: torch.tensor(float(norm(network))).to(META))
    plan, store = kinds.planned(tmp_path, "reconstruction_only", "meta")
    with Card(OURS) as card:
        make_interrupted(plan, store)
    (wait,) = card.waits
    assert wait.startswith("item(), float(), bool() or an 'if' on a tensor (line ") and wait.endswith("of step.py)")


A, B, C = torch.zeros(2, 3, 8, 8), torch.zeros(4, 3, 3, 3), torch.zeros(8, 8)
MIXES: dict[str, Any] = {
    "add": lambda on: A + on(A),
    "in place": lambda on: on(A).mul_(A),
    "product": lambda on: on(C) @ C,
    "batch of products": lambda on: A[0] @ on(A[0]),
    "convolution": lambda on: F.conv2d(on(A), B),
    "bias": lambda on: F.conv2d(on(A), on(B), torch.zeros(4)),
    "linear layer": lambda on: F.linear(on(C), C),
    "stack": lambda on: torch.stack([on(C), C]),
    "stack of scalars": lambda on: torch.stack([on(C).sum(), C.sum()]),
    "cat": lambda on: torch.cat([C, on(C)]),
    "where": lambda on: torch.where(on(C) > 0, on(C), C),
    "gather": lambda on: on(C).gather(0, C.long()),
    "index_select": lambda on: on(C).index_select(0, torch.tensor([0])),
    "indices on the card": lambda on: C[on(torch.tensor([0]))],
    "values that are put in": lambda on: on(C).clone().index_put_((on(torch.tensor([0])),), C[:1]),
    "batch norm": lambda on: F.batch_norm(on(A), torch.zeros(3), torch.ones(3)),
    "foreach": lambda on: torch._foreach_add([on(C)], [C]),
    "einsum": lambda on: torch.einsum("bchw,dchw->bd", on(A), A),
}


@pytest.mark.parametrize("name", MIXES)
def test_it_refuses_what_every_card_refuses(name: str) -> None:
    MIXES[name](lambda tensor: tensor)  # on one device all is well
    with pytest.raises(Fault, match="two devices"), Card():
        MIXES[name](lambda tensor: tensor.to(META))


ALLOWED: dict[str, Any] = {
    "a number": lambda on: on(C) + 1.0,
    "a scalar from the CPU": lambda on: on(C) * torch.tensor(2.0),
    "indices from the CPU": lambda on: on(C)[torch.tensor([0])],
    "a copy to the card": lambda on: on(C).copy_(C),
    "a row that is replaced": lambda on: on(C).__setitem__(0, C[0]),
    "work on the CPU beside": lambda on: (on(C), C @ C),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_it_allows_what_a_card_allows(name: str) -> None:
    with Card() as card:
        ALLOWED[name](lambda tensor: tensor.to(META))
    assert card.waits == card.refused == []


WAITS: dict[str, Any] = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.mean()),
    "if": lambda x: 1 if x.sum() > 0 else 0,
    "cpu": lambda x: x.cpu(),
    "tolist": lambda x: x.tolist(),
    "a copy": lambda x: torch.zeros(8, 8).copy_(x),
    "mask indexing": lambda x: x[x > 0] * 2,
    "nonzero": lambda x: (x > 0).nonzero(),
    "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x),
}


@pytest.mark.parametrize("name", WAITS)
def test_it_notes_a_wait_and_goes_on(name: str) -> None:
    with Card((__file__,)) as card:
        WAITS[name](torch.zeros(8, 8, device=META))
    (wait,) = card.waits
    assert "of test_dry_run.py)" in wait


def learnt(output: Tensor) -> None:
    output.sum().backward()


IMAGE: dict[str, Any] = {"device": META, "requires_grad": True}
PLACES = torch.zeros(2, 3, 8, dtype=torch.long, device=META)
DOCUMENTED: dict[str, tuple[str, Any]] = {
    "AvgPool3d": ("avg_pool3d_backward", lambda: learnt(F.avg_pool3d(torch.zeros(1, 3, 8, 8, 8, **IMAGE), 2))),
    "AdaptiveAvgPool2d": ("_adaptive_avg_pool2d_backward", lambda: learnt(F.adaptive_avg_pool2d(image(), 3))),
    "AdaptiveAvgPool3d": (
        "_adaptive_avg_pool3d_backward",
        lambda: learnt(F.adaptive_avg_pool3d(torch.zeros(1, 3, 8, 8, 8, **IMAGE), 3)),
    ),
    "AdaptiveMaxPool2d": ("adaptive_max_pool2d_backward", lambda: learnt(F.adaptive_max_pool2d(image(), 3))),
    "FractionalMaxPool2d": (
        "fractional_max_pool2d_backward",
        lambda: learnt(F.fractional_max_pool2d(image(), 2, output_size=3)),
    ),
    "FractionalMaxPool3d": ("fractional_max_pool3d_backward", None),
    "MaxUnpool1d": ("max_unpool2d", lambda: F.max_unpool1d(*F.max_pool1d(image()[0], 2, return_indices=True), 2)),
    "MaxUnpool2d": ("max_unpool2d", lambda: F.max_unpool2d(*F.max_pool2d(image(), 2, return_indices=True), 2)),
    "MaxUnpool3d": ("max_unpool3d", None),
    "linear``": (
        "upsample_linear1d_backward",
        lambda: learnt(F.interpolate(image()[0], scale_factor=2, mode="linear")),
    ),
    "bicubic``": (
        "upsample_bicubic2d_backward",
        lambda: learnt(F.interpolate(image(), scale_factor=2, mode="bicubic")),
    ),
    "bilinear``": (
        "_upsample_bilinear2d_aa_backward",
        lambda: learnt(F.interpolate(image(), scale_factor=0.5, mode="bilinear", antialias=True)),
    ),
    "ReflectionPad1d": ("reflection_pad1d_backward", lambda: learnt(F.pad(image()[0], (1, 1), mode="reflect"))),
    "ReflectionPad2d": ("reflection_pad2d_backward", lambda: learnt(F.pad(image(), (1, 1, 1, 1), mode="reflect"))),
    "ReflectionPad3d": ("reflection_pad3d_backward", None),
    "NLLLoss": ("nll_loss2d_forward", lambda: F.nll_loss(image(), PLACES[:, 0, :1, None].expand(2, 8, 8))),
    "CTCLoss": ("_ctc_loss_backward", None),
    "EmbeddingBag": ("_embedding_bag_dense_backward", None),
    "Tensor.put_": ("put", lambda: image().detach().put_(PLACES, torch.zeros(2, 3, 8, device=META))),
    "histc": ("histc", lambda: torch.histc(image().detach())),
    "bincount": ("bincount", None),
    "median": ("median", lambda: image().median(1)),
    "grid_sample": (
        "grid_sampler_2d_backward",
        lambda: learnt(F.grid_sample(image(), torch.zeros(2, 8, 8, 2, device=META), align_corners=False)),
    ),
    "cumsum": ("cumsum", lambda: image().cumsum(1)),
    "reduce='prod'": (
        "scatter_reduce",
        lambda: torch.zeros(2, 3, 8, device=META).scatter_reduce_(0, PLACES, torch.zeros(2, 3, 8, device=META), "prod"),
    ),
}
"""What torch's documentation lists as raising under deterministic algorithms: our name of it, and a use."""


def image() -> Tensor:
    return torch.zeros(2, 3, 8, 8, **IMAGE)


def test_every_operation_that_torch_documents_is_known() -> None:
    text = torch.use_deterministic_algorithms.__doc__ or ""
    listed = text.partition("operations will throw a")[2].partition("In addition")[0]
    items = [line.strip() for line in listed.splitlines() if line.strip().startswith(("* :", "- ``"))]
    apart = ("interpolate`", "trilinear", "resize_")  # a heading; replaced on a card (see STEADY); not of images
    assert len(items) > 20
    assert [item for item in items if not any(name in item for name in (*DOCUMENTED, *apart))] == []
    assert {ours for ours, _ in DOCUMENTED.values()} <= UNSTEADY.keys()


@pytest.mark.parametrize("name", [name for name, (_, use) in DOCUMENTED.items() if use])
def test_it_names_operations_without_a_deterministic_kernel(name: str) -> None:
    ours, use = DOCUMENTED[name]
    with Card((__file__,)) as card:
        use()
    (sentence,) = card.refused
    assert sentence.startswith(UNSTEADY[ours].title) and UNSTEADY[ours].instead in sentence
    assert "of test_dry_run.py) has no deterministic kernel for CUDA cards" in sentence


STEADY: dict[str, Any] = {
    "bilinear": lambda: learnt(F.interpolate(image(), scale_factor=2, mode="bilinear")),
    "nearest": lambda: learnt(F.interpolate(image(), scale_factor=2)),
    "transposed": lambda: learnt(nn.ConvTranspose2d(3, 3, 4, 2, 1, device=META)(image())),
    "replicate": lambda: learnt(F.pad(image(), (1, 1, 1, 1), mode="replicate")),
    "mean of all": lambda: learnt(F.adaptive_avg_pool2d(image(), 1)),
    "max_pool2d": lambda: learnt(F.max_pool2d(image(), 2)),
    "indexing": lambda: learnt(image()[:, torch.zeros(4, dtype=torch.long, device=META)]),
    "gather": lambda: learnt(image().gather(3, PLACES[..., None])),
    "fold": lambda: learnt(F.fold(F.unfold(image(), 2, stride=2), (8, 8), 2, stride=2)),
    "attention": lambda: learnt(F.scaled_dot_product_attention(image(), image(), image())),
    "cumsum of integers": lambda: PLACES.cumsum(1),
    "median of all": lambda: image().median(),
    "no gradient": lambda: F.pad(image().detach(), (1, 1, 1, 1), mode="reflect"),
}


@pytest.mark.parametrize("name", STEADY)
def test_it_names_no_operation_that_is_deterministic(name: str) -> None:
    with Card() as card:
        STEADY[name]()
    assert card.refused == card.waits == []
