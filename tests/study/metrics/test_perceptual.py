"""LPIPS, FID and KID: as the reference packages have them, in closed form, in their direction; and their weights."""

from __future__ import annotations

import dataclasses
import json
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import references
import tiny
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import study
from reports.analysis import tables
from reports.analysis.frames import NoDataError
from reports.document import Note, TableView
from reports.sections import document
from reports.sections.perceptual import perceptual as section
from study.config import load
from study.errors import BadInput, StudyError
from study.external.score import Request, score
from study.metrics.perceptual import Gathering, Perceptual, distances, find, gathering, weights
from study.metrics.perceptual.inception import Inception
from study.metrics.perceptual.lpips import LEAST_SIDE, LPIPS, Heads
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.seeds import numpy_rng
from study.store import Store, file_digest

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "perceptual.json").read_text())["numbers"]
AGREES = 1e-3
"""How near the reference packages we are to be, as a share."""
FILES = {
    "alexnet-owt-7be5be79.pth": (weights.FEATURES["alex"], 1),
    "vgg16-397923af.pth": (weights.FEATURES["vgg"], 1),
    "alex.pth": (weights.HEADS["alex"], 2),
    "vgg.pth": (weights.HEADS["vgg"], 2),
    "pt_inception-2015-12-05-6726825d.pth": (weights.INCEPTION, 3),
}
"""The files of torch's cache, with seeds of what stands in them here."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torch home whose cache holds every file, with weights drawn from seeds."""
    home = tmp_path_factory.mktemp("home")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    for name, (kind, seed) in FILES.items():
        torch.save(references.drawn(kind, seed), home / "hub" / "checkpoints" / name)
    return home


@pytest.fixture(autouse=True)
def nothing_else_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights of this machine, no package that ships some, and no way to fetch any."""

    def refused(*_: Any) -> None:
        raise AssertionError("weights are never downloaded")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(socket.socket, "connect", refused)


def loaded(kind: weights.Kind, seed: int) -> Any:
    network = kind.network()
    network.load_state_dict(references.drawn(kind, seed), strict=False)
    return network.eval()


@pytest.fixture(scope="module")
def inception() -> Iterator[Inception]:
    with torch.inference_mode():
        yield loaded(weights.INCEPTION, 3)


def lpips_of(net: str, output: Tensor, truth: Tensor) -> Tensor:
    lpips = LPIPS(loaded(weights.FEATURES[net], 1), loaded(weights.HEADS[net], 2))
    with torch.inference_mode():
        return lpips(output, lpips.units(truth))


def fid_of(truth: np.ndarray, output: np.ndarray) -> float:
    return distances.frechet(*(distances.gaussian(torch.from_numpy(x)) for x in (output, truth)))


def ours(name: str, inception: Inception) -> Any:
    """What we say under a name of `references.EVERY`."""
    kind, _, rest = name.partition(" ")
    what, _, of = rest.partition(" ")
    if kind == "lpips":
        truth, output = references.images()
        return lpips_of(rest, output, truth).tolist()
    if name == "pytorch_fid features":
        return inception(references.images()[1])[:, ::64].tolist()
    if name == "torch_fidelity features":  # of which -1..1 is (x - 128) / 128
        return inception((references.large() * 255).round() / 256)[:, ::64].tolist()
    truth, output = references.features(*references.SETS[of])
    if what == "distance":
        return fid_of(truth, output)
    return distances.squared_mmd(torch.from_numpy(truth), torch.from_numpy(output))


@pytest.mark.parametrize("name", references.EVERY)
def test_the_references_recorded_answer_is_ours(name: str, inception: Inception) -> None:
    assert np.asarray(ours(name, inception)) == pytest.approx(np.asarray(GOLDEN[name]), rel=AGREES, abs=1e-6)


@pytest.mark.parametrize("name", references.EVERY)
def test_the_references_answer_is_ours_where_they_are_installed(name: str, inception: Inception) -> None:
    package = name.split()[0]
    why = f"{package} and torchvision are not installed; tests/golden/perceptual.json holds what they say"
    pytest.importorskip(package, reason=why, exc_type=ImportError)
    assert np.asarray(ours(name, inception)) == pytest.approx(
        np.asarray(references.EVERY[name]()), rel=AGREES, abs=1e-6
    )


def test_torch_fidelity_differs_in_its_resizing_alone(inception: Inception) -> None:
    """As the documentation says: at Inception's own size what is left is the scale of -1..1, which is not small."""
    large = references.large()
    centred = inception(large)[:, ::64].numpy()
    assert np.abs(centred - np.asarray(GOLDEN["torch_fidelity features"])).max() > 1e-3


@pytest.mark.parametrize("net", references.NETS)
def test_lpips_of_equal_images_is_zero_and_grows_with_noise(net: str) -> None:
    truth, _ = references.images(2)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    found = torch.stack([lpips_of(net, (truth + size * noise).clamp(0, 1), truth) for size in (0, 0.02, 0.1, 0.4)])
    assert (found[0] == 0).all() and (found.diff(dim=0) > 0).all()


@pytest.mark.parametrize("net", references.NETS)
def test_the_smallest_image_is_the_smallest(net: str) -> None:
    side = LEAST_SIDE[net]
    assert lpips_of(net, torch.zeros(1, 3, side, side), torch.ones(1, 3, side, side)).isfinite().all()
    with pytest.raises(RuntimeError, match="too small"):
        lpips_of(net, torch.zeros(1, 3, side - 1, side - 1), torch.ones(1, 3, side - 1, side - 1))


def with_moments(count: int, mean: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    """Features whose own mean and covariance are these, to rounding."""
    rows = np.random.default_rng(seed).normal(size=(count, len(mean)))
    rows = rows - rows.mean(0)
    white = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_fid_of_two_gaussians_is_the_formula() -> None:
    """Of covariances that commute: the squared distance of means, and of the roots of the variances."""
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 0.25])
    means = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    sets = [with_moments(50, mean, np.diag(each), i) for i, (mean, each) in enumerate(zip(means, (a, b), strict=True))]
    expected = 1 + 4 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert fid_of(*sets) == pytest.approx(expected, rel=1e-10)
    assert fid_of(sets[0], sets[0]) == pytest.approx(0, abs=1e-9)


def test_fid_of_two_gaussians_that_do_not_commute() -> None:
    """In two dimensions the trace of a root is known: sqrt(trace + 2 sqrt(determinant))."""
    a, b = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    root = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))
    found = fid_of(with_moments(30, np.zeros(2), a, 0), with_moments(30, np.zeros(2), b, 1))
    assert found == pytest.approx(np.trace(a) + np.trace(b) - 2 * root, rel=1e-10)


@pytest.mark.parametrize("count", [2, 20, 64, 65, 300])
def test_fid_is_the_same_by_either_factor(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few images the rows themselves are a factor of the covariance, of many its eigenvectors, gathered in parts."""
    monkeypatch.setattr(distances, "CHUNK", 70)
    truth, output = references.features(count, 64, 5)
    moments = [(x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (truth, output)]
    (mean_a, a), (mean_b, b) = moments
    roots = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * roots
    assert fid_of(truth, output) == pytest.approx(expected, rel=1e-5)


def test_kid_is_a_loop_over_pairs() -> None:
    truth, output = (torch.from_numpy(x[:7, :5].copy()) for x in references.features(40, 96, 2))

    def k(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / 5 + 1) ** 3

    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    x, y = truth, output
    terms = [k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i]) for i, j in pairs]
    assert distances.squared_mmd(truth, output) == pytest.approx(np.mean(terms), rel=1e-12)


def test_kid_of_equal_sets_is_zero_and_its_subsets_are_a_function_of_the_seed() -> None:
    truth, output = (torch.from_numpy(x).float() for x in references.features(60, 48, 3))

    def kid(output: Tensor, seed: int = 0, **more: int) -> tuple[float, float]:
        rng = numpy_rng(seed, "kid subsets")
        return distances.kernel_distance(truth, output, rng, **{"subsets": 20, "size": 1000, **more})

    assert kid(truth) == pytest.approx((0, 0), abs=1e-9)
    assert kid(output) == kid(output) != kid(output, seed=1)
    assert kid(output)[0] == pytest.approx(distances.squared_mmd(truth, output), abs=3 * kid(output)[1])
    assert kid(output, size=10)[1] > kid(output, size=30)[1] > 0


@pytest.mark.slow
def test_fid_and_kid_worsen_as_noise_grows(inception: Inception) -> None:
    truth, _ = references.images(6)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    theirs = inception(truth)
    found = [theirs, *(inception((truth + size * noise).clamp(0, 1)) for size in (0.05, 0.15, 0.5))]
    fid = [distances.frechet(distances.gaussian(each), distances.gaussian(theirs)) for each in found]
    kid = [distances.squared_mmd(theirs, each) for each in found]
    assert fid[0] == pytest.approx(0, abs=1e-6) and kid[0] == 0
    assert (np.diff(fid) > 0).all() and (np.diff(kid) > 0).all()


EVERYTHING = Perceptual.model_validate(["lpips", "fid", "kid"])


def test_the_usual_caches_are_searched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(cache))
    found, faults = find(EVERYTHING, 64)
    places = cache / "hub" / "checkpoints"
    assert not faults
    assert found.files["lpips"] == {
        "features": str(places / "alexnet-owt-7be5be79.pth"),
        "linear": str(places / "alex.pth"),
    }
    digest = file_digest(places / "pt_inception-2015-12-05-6726825d.pth")
    assert found.options["fid"] == {"weights": digest} and len(digest) == 64
    assert found.options["kid"] == {"weights": digest, "subsets": 100, "size": 1000}
    assert not weights.lacking("lpips", found.options["lpips"])


@pytest.mark.parametrize(
    ("package", "inside"),
    [("lpips", "weights/v0.1/alex.pth"), ("torchmetrics", "functional/image/lpips_models/alex.pth")],
)
def test_heads_that_a_package_ships_are_found(
    package: str, inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / package / inside
    file.parent.mkdir(parents=True)
    torch.save(references.drawn(weights.HEADS["alex"], 2), file)
    spec = type("Spec", (), {"origin": str(tmp_path / package / "__init__.py")})
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: spec if name == package else None)
    found, _ = find(EVERYTHING, 64)
    assert found.files["lpips"] == {"linear": str(file)}
    assert found.options["lpips"]["features"] == "absent" != found.options["lpips"]["linear"]


def test_what_is_lacking_says_what_to_do() -> None:
    found, faults = find(EVERYTHING, 64)
    assert not faults and found.files == {"lpips": {}, "fid": {}, "kid": {}}
    assert found.options["lpips"] == {"net": "alex", "features": "absent", "linear": "absent"}
    where = "torch's cache ($TORCH_HOME/hub/checkpoints, else ~/.cache/torch/hub/checkpoints)"
    assert weights.lacking("lpips", found.options["lpips"]) == (
        f"LPIPS: no weights: put alexnet-owt-7be5be79.pth and lpips' alex.pth into {where}, or say in "
        "protocol.perceptual.lpips.features and protocol.perceptual.lpips.linear where they are"
    )
    assert weights.lacking("fid", found.options["fid"]) == (
        f"FID: no weights: put pt_inception-2015-12-05-6726825d.pth into {where}, or say in "
        "protocol.perceptual.fid.weights where they are"
    )


HEADS = weights.HEADS["alex"]


def saved(file: Path, content: Any, **more: Any) -> Path:
    if file.suffix == ".safetensors":
        save_file(content, file)
    else:
        torch.save(content, file, **more)
    return file


@pytest.mark.parametrize(
    ("name", "more"),
    [("heads.safetensors", {}), ("heads.pth", {}), ("heads.pt", {"_use_new_zipfile_serialization": False})],
)
def test_files_are_read_whatever_wrote_them(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    own = references.drawn(HEADS, 2)
    found = weights.read(saved(tmp_path / name, {**own, "more": torch.zeros(3)}, **more), HEADS)
    assert found.keys() == own.keys() and all(torch.equal(found[key], own[key]) for key in own)


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (print, ("this code must not run",))


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path / "heads.pth", {"lin0": Harmful()})
    with pytest.raises(ValueError, match="it holds more than tensors, and is not read: that could run its code"):
        weights.read(file, HEADS)
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2], "it holds no mapping of names to weights; name a file such as alex.pth"),
        ({"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}, r"it does not fit: lin1.model.1.weight is missing; .*more"),
        (
            {**references.drawn(HEADS, 2), "lin2.model.1.weight": torch.zeros(1, 256, 1, 1)},
            r"it does not fit: lin2.model.1.weight has the shape \(1, 256, 1, 1\), not \(1, 384, 1, 1\); name a file",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(content: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=why):
        weights.read(saved(tmp_path / "heads.pth", content), HEADS)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "heads.pth", references.drawn(HEADS, 2))
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(ValueError, match="it is damaged, or no file of weights: "):
        weights.read(file, HEADS)
    file.rename(file.with_suffix(".safetensors"))
    with pytest.raises(ValueError, match="it is damaged, or no file of weights: "):
        weights.read(file.with_suffix(".safetensors"), HEADS)


def test_weights_that_change_after_planning_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "heads.pth", references.drawn(HEADS, 2))
    digest = file_digest(file)
    assert isinstance(weights.network(HEADS, str(file), digest, tiny.CPU), Heads)
    saved(file, references.drawn(HEADS, 3))
    weights.network.cache_clear()
    with pytest.raises(StudyError, match="the weights have changed since the study was planned; run the same"):
        weights.network(HEADS, str(file), digest, tiny.CPU)
    file.unlink()
    with pytest.raises(StudyError, match="the weights have changed"):
        weights.network(HEADS, str(file), digest, tiny.CPU)


def wanting(folder: Path, perceptual: Any, **more: Any) -> Plan:
    return tiny.planned(folder, {"mean": {"method": "mean"}}, protocol={"perceptual": perceptual}, **more)[0]


def refused(folder: Path, perceptual: Any, **more: Any) -> str:
    with pytest.raises(BadInput) as error:
        wanting(folder, perceptual, **more)
    return str(error.value).replace(str(folder), "")


@pytest.mark.parametrize(
    ("perceptual", "why"),
    [
        (
            ["lpip"],
            "protocol.perceptual: 'lpip' is no perceptual distance; choose fid, kid, lpips (did you mean 'lpips'?)",
        ),
        ("lpips", "got 'lpips'; write a list of names, such as [lpips, fid, kid], or a mapping"),
        ([], "no distance is named; write some of [lpips, fid, kid], or leave 'perceptual' out"),
        ({"fid": None}, "'fid' has no options; write fid: {} for the usual ones, or leave it out"),
        ({"lpips": {"net": "squeeze"}}, "protocol.perceptual.lpips.net: 'squeeze' is unknown; choose alex, vgg"),
        ({"fid": {"file": "x"}}, "protocol.perceptual.fid.file: 'file' is an unknown key; choose weights"),
        ({"kid": {"size": 1}}, "protocol.perceptual.kid.size: got 1; write 2 or more"),
        (
            {"fid": {"weights": "no/such.pth"}},
            "protocol.perceptual.fid.weights: there is no file no/such.pth; name a file of weights, or leave it out",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_fault_with_its_place(perceptual: Any, why: str, tmp_path: Path) -> None:
    told = refused(tmp_path, perceptual)
    assert why in told and "/tiny.yaml:" in told


def test_a_file_that_does_not_fit_is_a_fault_of_the_study(tmp_path: Path) -> None:
    file = saved(tmp_path / "mine.pth", references.drawn(HEADS, 2))
    told = refused(tmp_path, {"fid": {"weights": str(file)}, "lpips": {"features": str(file)}})
    assert "/tiny.yaml: protocol.perceptual.fid.weights: /mine.pth: it does not fit: Conv2d_1a_3x3" in told
    assert "/tiny.yaml: protocol.perceptual.lpips.features: /mine.pth: it does not fit: features.0.weight" in told
    told = refused(tmp_path, ["lpips"], image_size=24)
    assert "protocol.perceptual.lpips: the net 'alex' needs images of at least 31 px, the study's have 24" in told


def test_a_damaged_file_of_a_cache_is_a_fault_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "home" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    (place / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"half a download")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    told = refused(tmp_path, ["fid", "kid"])
    for name in ("fid", "kid"):
        assert f"/tiny.yaml: protocol.perceptual.{name}.weights: /home/hub/checkpoints/pt_inception" in told
    assert told.count("it is damaged") == told.count("found in a cache: mend it there, or name another one here") == 2


def test_a_study_that_asks_for_none_is_as_it_was(tmp_path: Path) -> None:
    plan, _ = tiny.planned(tmp_path, {"mean": {"method": "mean"}})
    stage = tiny.stage_of(plan, "evaluate", "mean")
    assert "perceptual" not in json.dumps([plan.study.plain(), dataclasses.asdict(stage)])
    assert not {"lpips", "fid", "kid"} & stage.options["metrics"].keys() and stage.hints == {}


def test_weights_that_turn_up_are_evaluated_with(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        return tiny.stage_of(wanting(tmp_path, ["fid"]), "evaluate", "mean").key

    without = key()
    monkeypatch.setenv("TORCH_HOME", str(cache))
    there = key()
    named = cache / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    by_name = tiny.stage_of(wanting(tmp_path, {"fid": {"weights": str(named)}}), "evaluate", "mean").key
    assert without != there == by_name == key()  # the place does not matter, the weights do


def test_a_search_does_not_gather_them(tmp_path: Path) -> None:
    file = tiny.write(tmp_path, {"mean": {"method": "mean"}}, protocol={"perceptual": ["fid"]})
    stage = tiny.stage_of(make_plan(load(file), part="validation"), "evaluate", "mean")
    assert "perceptual" not in stage.options and "fid" not in stage.options["metrics"]


def made(folder: Path, perceptual: Any, **more: Any) -> tuple[Plan, Store]:
    protocol = {"pictures": 1, "perceptual": perceptual}
    plan, store = tiny.planned(folder, {"mean": {"method": "mean"}}, protocol=protocol, **more)
    return plan, tiny.recorded(plan, store)


@pytest.fixture(scope="module")
def evaluated(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(cache))
        return made(tmp_path_factory.mktemp("evaluated"), ["lpips", "fid", "kid"], seeds=[0, 1])


def test_distances_stand_beside_the_scores(evaluated: tuple[Plan, Store]) -> None:
    results = study.load(evaluated[1].out)
    lpips = results.scores.query("metric == 'lpips'")
    assert set(lpips["region"]) == {"whole"} and set(lpips["output"]) == {"composite", "raw", "blended"}
    assert len(lpips) == 2 * 3 * 4 and (lpips["value"] > 0).all()
    found = results.distances
    assert set(found["metric"]) == {"fid", "kid"} and set(found["images"]) == {4} and set(found["why"]) == {""}
    assert found["value"].notna().all() and found.loc[found["metric"] == "kid", "spread"].notna().all()
    fid = found.query("metric == 'fid' and seed == 0").set_index("output")["value"]
    assert 0 < fid["composite"] < fid["raw"]  # a composite has the truth's own surround
    assert results.study["protocol"]["perceptual"]["lpips"]["net"] == "alex"


def test_the_distances_are_those_of_the_outputs(
    cache: Path, tmp_path: Path, inception: Inception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, of what was handed over."""
    monkeypatch.setenv("TORCH_HOME", str(cache))
    handed: list[tuple[Tensor, Tensor]] = []
    add = Gathering.add

    def noted(self: Gathering, indices: Any, image: Tensor, outputs: Any) -> Any:
        handed.append((image, outputs["composite"]))
        return add(self, indices, image, outputs)

    monkeypatch.setattr(Gathering, "add", noted)
    monkeypatch.setattr(gathering, "BATCH", 3)
    _, store = made(tmp_path, {"lpips": {"net": "vgg"}, "fid": {}})
    ((image, output),) = handed
    results = study.load(store.out)
    lpips = results.scores.query("metric == 'lpips' and output == 'composite'")["value"]
    assert lpips.tolist() == pytest.approx(lpips_of("vgg", output, image).tolist(), rel=1e-4)
    fid = results.distances.query("output == 'composite'")["value"].item()
    assert fid == pytest.approx(fid_of(inception(image).numpy(), inception(output).numpy()), rel=1e-3)


def test_what_a_process_keeps_changes_no_byte(
    cache: Path, tmp_path: Path, evaluated: tuple[Plan, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(cache))
    plan, store = evaluated
    key = tiny.run_of(plan, "mean").stages["evaluate"]
    for fresh in (True, False):
        if fresh:
            gathering._cache.cache_clear()
        again = Store(tmp_path / str(fresh))
        tiny.made(plan, again)
        assert tiny.published(again, key) == tiny.published(store, key)
    assert gathering._cache.cache_info().currsize == 1


def test_without_weights_a_study_completes_and_says_why(tmp_path: Path) -> None:
    plan, store = made(tmp_path, ["lpips", "fid", "kid"])
    results = study.load(store.out)
    assert set(results.runs["status"]) == {"completed"} and "lpips" not in set(results.scores["metric"])
    found = results.distances
    assert len(found) == 9 and found["value"].isna().all() and (found["images"] == 0).all()
    assert found["why"].str.startswith(tuple(f"{name}: no weights: put " for name in ("LPIPS", "FID", "KID"))).all()
    blocks = section(results)
    notes = [block.text for block in blocks if isinstance(block, Note) and block.kind == "nothing"]
    assert [note.split(":")[0] for note in notes] == ["LPIPS", "FID", "KID"] and all(n.endswith("are.") for n in notes)
    (view,) = (block for block in blocks if isinstance(block, TableView))
    assert [cell.text for cell in view.rows[0][1:3]] == ["–", "–"]
    assert str(tmp_path) not in (store.folder(plan.runs[0].stages["evaluate"]) / "evaluation.json").read_text()


def test_too_few_images_are_no_set(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(cache))
    data = {"faces": {"kind": "faces", "train": 4, "validation": 1, "test": 3}}
    _, store = made(tmp_path, ["kid"], data=data)
    found = study.load(store.out).distances
    assert set(found["why"]) == {"KID: needs at least 4 images, and 3 were scored"} and set(found["images"]) == {3}


def test_features_that_are_not_finite_are_said(tmp_path: Path) -> None:
    broken = references.drawn(weights.INCEPTION, 3)
    broken["Conv2d_1a_3x3.conv.weight"] = torch.full_like(broken["Conv2d_1a_3x3.conv.weight"], math.nan)
    file = saved(tmp_path / "broken.pth", broken)
    data = {"faces": {"kind": "faces", "train": 4, "validation": 1, "test": 2}}
    _, store = made(tmp_path, {"fid": {"weights": str(file)}}, data=data)
    found = study.load(store.out).distances
    assert found["value"].isna().all() and found["why"].str.startswith("FID: features are not finite").all()


def test_the_report_shows_each_distance_with_its_sample(evaluated: tuple[Plan, Store]) -> None:
    results = study.load(evaluated[1].out)
    table = tables.perceptual_table(results, "faces").iloc[0]
    lpips = results.scores.query("metric == 'lpips' and output == 'composite'")
    assert table["lpips"] == pytest.approx(lpips["value"].mean()) and table["lpips_low"] < table["lpips"]
    fid = results.distances.query("metric == 'fid' and output == 'composite'")["value"]
    assert table["fid"] == pytest.approx(fid.mean()) and table["fid_seeds"] == tuple(fid)
    assert (table["fid_images"], table["kid_images"], table["lpips_images"], table["seeds"]) == (4, 4, 4, 2)
    (view,) = (block for block in section(results) if isinstance(block, TableView))
    assert view.headings[:3] == ["Method", "LPIPS, AlexNet (↓)", "each seed"]
    (cell,) = (cell for cell, heading in zip(view.rows[0], view.headings, strict=True) if heading == "FID (↓)")
    assert (cell.value, cell.below) == (pytest.approx(fid.mean()), "n = 4")
    assert any("under 2,048 images" in block.text for block in section(results) if isinstance(block, Note))
    assert view.name in {each.name for each in document(results).tables()}


def test_sets_of_other_sizes_stand_with_each_size(evaluated: tuple[Plan, Store]) -> None:
    results = study.load(evaluated[1].out)
    results.distances.loc[results.distances["seed"] == 1, "images"] = 3
    assert tables.perceptual_table(results, "faces")["fid_images"].tolist() == [(4, 3)]
    (view,) = (block for block in section(results) if isinstance(block, TableView))
    assert "n = 4 and 3" in [cell.below for cell in view.rows[0]]


def test_a_reason_that_is_not_of_all_names_whose_it_is(evaluated: tuple[Plan, Store]) -> None:
    results = study.load(evaluated[1].out)
    few = results.distances.assign(variant="biharmonic", value=math.nan, why="KID: needs more")
    assert tables.distances_lacking(dataclasses.replace(results, distances=few)) == ["KID: needs more"]
    both = pd.concat([results.distances, few])
    assert tables.distances_lacking(dataclasses.replace(results, distances=both)) == [
        "KID: needs more (Biharmonic filler)"
    ]


def test_the_report_shows_nothing_where_nothing_was_asked(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}})
    results = study.load(tiny.recorded(plan, store).out)
    assert results.distances.empty and section(results) == []
    with pytest.raises(NoDataError, match="asks for no perceptual distance"):
        tables.perceptual_table(results, "faces")


def test_the_recorded_packages_are_those_that_the_documentation_names() -> None:
    packages = json.loads((Path(__file__).parents[2] / "golden" / "perceptual.json").read_text())["packages"]
    text = (Path(__file__).parents[3] / "docs" / "perceptual.md").read_text()
    for name in ("lpips", "pytorch-fid", "torch-fidelity"):
        assert f"{name} {packages[name]}" in text


def test_folders_of_images_are_scored_by_them_too(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for place in range(4):
        pixels = rng.integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
        for folder, image in zip(("truth", "output"), pixels, strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{place}.png")
    asked = Request(tmp_path / "output", tmp_path / "truth", perceptual="[lpips, fid]")
    lacking = score(asked).about["distances"]
    assert {(row["metric"], row["value"]) for row in lacking} == {("lpips", None), ("fid", None)}
    assert all("no weights: put" in row["why"] for row in lacking)
    monkeypatch.setenv("TORCH_HOME", str(cache))
    found = score(asked)
    (fid,) = found.about["distances"]
    assert fid["metric"] == "fid" and fid["images"] == 4 and fid["value"] > 0
    assert ("raw", "whole", "lpips") in found.columns
    same = score(Request(tmp_path / "truth", tmp_path / "truth", perceptual="[lpips, fid]"))
    assert same.values[:, same.columns.index(("raw", "whole", "lpips"))].max() == 0
    assert abs(same.about["distances"][0]["value"]) < 1e-3 * fid["value"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("[fud]", "--perceptual: 'fud' is no perceptual distance; choose fid, kid, lpips (did you mean 'fid'?)"),
        ("{fid: {weights: none.pth}}", "--perceptual: there is no file none.pth"),
    ],
)
def test_what_folders_cannot_be_scored_by_is_told(asked: str, sentence: str, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(BadInput) as told:
        score(Request(tmp_path, tmp_path, perceptual=asked))
    assert sentence in str(told.value)
