"""What is scored is what is shown, under the same holes for every method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import references
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from skimage.metrics import peak_signal_noise_ratio

from models.blending import blend
from models.masks import Center, FreeForm, RandomBox
from study.errors import Interrupted
from study.evaluation import evaluate as evaluation
from study.evaluation import scoring
from study.plan.graph import Plan
from study.running.make import make
from study.store import Store

Found = tuple[Plan, Store]


OUTPUTS = ("composite", "raw", "blended")
KINDS = {"center": Center(), "random_box": RandomBox(), "free_form": FreeForm()}


def holes_of(kind: str, seed: int, count: int) -> np.ndarray:
    """The protocol's holes of the first images."""
    return scoring.holes_of(lambda rng, indices: KINDS[kind].draw(rng, len(indices), 32), seed, np.arange(count))


@pytest.fixture(scope="module", params=["center", "random_box"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    torch.set_num_threads(1)
    protocol = {"pictures": 3, "mask": {"kind": request.param}}
    left_out = {"single", "proposed_js"} | ({"ce"} if request.param != "center" else set())  # CE: center only
    variants = {name: entry for name, entry in tiny.EVERY.items() if name not in left_out}
    plan, store = tiny.planned(tmp_path_factory.mktemp(request.param), variants, protocol=protocol)
    return plan, tiny.made(plan, store)


def evaluated(found: Found, variant: str) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    plan, store = found
    folder = store.verified(tiny.run_of(plan, variant).stages["evaluate"])
    facts = json.loads((folder / "evaluation.json").read_text())
    return facts, load_file(folder / "scores.safetensors")["scores"], load_file(folder / "pictures.safetensors")


def score(facts: dict[str, Any], scores: Any, name: str, *column: str) -> float:
    return float(scores[facts["images"].index(name), facts["columns"].index(list(column))])


VARIANTS = ["proposed", "reconstruction_only", "ce", "glcic", "giica", "mean", "biharmonic"]


@pytest.mark.parametrize("output", ["composite", "blended"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pictures_have_the_scores(found: Found, variant: str, output: str) -> None:
    """Of what is stored as bytes: the truth to the bit, the hole to half a level."""
    if variant not in {run.variant for run in found[0].runs}:
        pytest.skip("the Context Encoder repairs the central square only")
    facts, scores, pictures = evaluated(found, variant)
    assert scores.dtype == np.float64 and scores.shape == (len(facts["images"]), len(facts["columns"]))
    assert np.isfinite(scores).all()
    for place, name in enumerate(facts["pictures"]):
        truth, shown = (pictures[kind][place].astype(float) / 255 for kind in ("truth", output))
        psnr = peak_signal_noise_ratio(truth, shown, data_range=1)
        assert score(facts, scores, name, output, "whole", "psnr") == pytest.approx(psnr, abs=0.05)
        ssim = references.ssim(truth, shown, data_range=1)
        assert score(facts, scores, name, output, "whole", "ssim") == pytest.approx(ssim, abs=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_blended_is_the_raw_prediction_without_its_seam(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    scored = scoring.metrics.score
    monkeypatch.setattr(scoring.metrics, "score", lambda *of: kept.append(of) or scored(*of))
    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}}, protocol={"pictures": 2, "mask": {"kind": kind}})
    tiny.made(plan, store)
    (composite, image, mask), (raw, *_), (blended, *_) = kept
    assert torch.equal(blended, blend(raw, image, mask))
    hole = mask.expand_as(image) > 0.5
    assert torch.equal(blended[~hole], image[~hole]) and not torch.equal(blended[hole], composite[hole])

    facts, scores, pictures = evaluated((plan, store), "mean")
    assert {(output, region, metric) for output, region, metric in facts["columns"] if output == "blended"} == {
        ("blended", region, metric) for output, region, metric in facts["columns"] if output == "raw"
    }
    for name in facts["images"]:
        seams = [score(facts, scores, name, output, "boundary", "seam") for output in ("blended", "composite")]
        assert seams[0] < seams[1]
    levels = (blended * 255).round().byte().permute(0, 2, 3, 1).numpy()
    for place, name in enumerate(facts["pictures"]):
        assert np.array_equal(pictures["blended"][place], levels[facts["images"].index(name)])


def test_scores_agree_with_scikit_image_to_five_digits(
    found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = found
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    scored = scoring.metrics.score

    def noted(output: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> Any:
        kept.append((output, image))
        return scored(output, image, mask)

    monkeypatch.setattr(scoring.metrics, "score", noted)
    stage = tiny.stage_of(plan, "evaluate", "proposed")
    again = tiny.inputs_of(plan, store, [stage.key], tmp_path)
    make([stage.key], plan, again, tiny.Onlooker(), tiny.CPU)
    assert tiny.published(again, stage.key) == tiny.published(store, stage.key)
    facts, scores, _ = evaluated(found, "proposed")
    for (output, image), kind in zip(kept, OUTPUTS, strict=True):
        for i, name in enumerate(facts["images"]):
            a, b = (x[i].permute(1, 2, 0).double().numpy() for x in (image, output))
            ssim = references.ssim(a, b, data_range=1)
            psnr = peak_signal_noise_ratio(a, b, data_range=1)
            assert score(facts, scores, name, kind, "whole", "psnr") == pytest.approx(psnr, abs=1e-5)
            assert score(facts, scores, name, kind, "whole", "ssim") == pytest.approx(ssim, abs=1e-5)


def test_every_method_has_the_same_holes_images_and_pictures(found: Found) -> None:
    plan, _ = found
    facts, _, pictures = evaluated(found, "proposed")
    holes = holes_of(plan.study.protocol["mask"]["kind"], 2020, facts["of"])
    for variant in sorted({run.variant for run in found[0].runs}):
        other, _, shown = evaluated(found, variant)
        assert other["columns"] == facts["columns"]
        common = [name for name in other["pictures"] if name in facts["pictures"]]
        assert common == other["pictures"] or variant == "biharmonic"
        for name in common:
            mine, theirs = other["pictures"].index(name), facts["pictures"].index(name)
            assert np.array_equal(shown["truth"][mine], pictures["truth"][theirs])
            hole = holes[facts["images"].index(name)]
            for image in ("masked", "composite", "blended"):
                assert np.array_equal(shown[image][mine][~hole], shown["truth"][mine][~hole])
            assert len(np.unique(shown["masked"][mine][hole], axis=0)) == 1


def test_the_fillers_sample_is_named(found: Found) -> None:
    facts, scores, _ = evaluated(found, "biharmonic")
    whole, _, _ = evaluated(found, "proposed")
    assert facts["of"] == 4 and len(facts["images"]) == len(scores) == 2
    assert set(facts["images"]) < set(whole["images"])
    assert set(facts["pictures"]) == set(facts["images"])
    assert whole["images"] == [f"test-{i:06d}" for i in range(4)]


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_the_worst_repairs_are_kept_whatever_the_batch(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH", batch)
    data = {"faces": {"kind": "faces", "train": 4, "validation": 1, "test": 11}}
    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}}, data=data, protocol={"pictures": 11})
    facts, scores, pictures = evaluated((plan, tiny.made(plan, store)), "mean")
    psnr = [score(facts, scores, name, "composite", "hole", "psnr") for name in facts["images"]]
    assert facts["worst"] == [facts["images"][place] for place in np.argsort(psnr)[:3]]
    worst = load_file(store.folder(tiny.run_of(plan, "mean").stages["evaluate"]) / "worst.safetensors")
    assert set(worst) == set(pictures)
    for place, name in enumerate(facts["worst"]):
        for kind, stack in worst.items():
            assert np.array_equal(stack[place], pictures[kind][facts["pictures"].index(name)])


def test_an_evaluation_can_be_stopped(found: Found, tmp_path: Path) -> None:
    plan, store = found
    stage = tiny.stage_of(plan, "evaluate", "proposed")
    again = tiny.inputs_of(plan, store, [stage.key], tmp_path)
    with pytest.raises(Interrupted):
        make([stage.key], plan, again, tiny.Onlooker(stop_after=1), tiny.CPU)
    assert not again.has(stage.key)


@given(kind=st.sampled_from([*KINDS]), seed=st.integers(0, 2**31), count=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_holes_are_a_function_of_the_protocol_each_of_its_image_alone(kind: str, seed: int, count: int) -> None:
    holes, more = holes_of(kind, seed, count), holes_of(kind, seed, count + 1)
    assert holes.shape == (count, 32, 32) and np.array_equal(holes, more[:count])
    assert kind == "center" or not np.array_equal(more[0], more[count])
