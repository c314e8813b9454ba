"""The benchmarks at tiny sizes: they run, both sides agree, and the runner prints and refuses. Times are not tested."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial, partialmethod
from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

import benchmarks.__main__ as runner
from benchmarks import (
    batches,
    blending,
    checkpoints,
    compiled,
    gpu,
    holes,
    records,
    report,
    sharing,
    ssim,
    step,
    timing,
    training,
)
from benchmarks.timing import Disagreement, NotMeasured, Row

SMALL = ["image_size=64", "defaults.width=0.0625", "defaults.batch=2"]
TINY: dict[str, Callable[[], Iterable[Row]]] = {
    "batches": partial(batches.rows, side=16, batch=2, images=8, repeats=1),
    "blending": partial(blending.rows, side=32, boxes=1, free=1, repeats=1),
    "checkpoints": partial(checkpoints.rows, side=64, width=0.0625, repeats=1),
    "compiled": partial(compiled.rows, steps=2, repeats=1),
    "gpu": partial(gpu.measured, training.CPU, SMALL, 1, 16),
    "holes": partial(holes.rows, side=32, count=2, repeats=1),
    "records": partial(records.rows, SMALL, lengths=(40,), repeats=1),
    "report": partial(report.rows, variants=2, seeds=2, images=9, side=64),
    "ssim": partial(ssim.rows, side=32, batch=2, repeats=1),
    "step": partial(step.rows, side=64, width=0.0625, batch=2, repeats=1),
}


@pytest.fixture(autouse=True)
def nothing_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own takes seconds to start, and torch's compiler to compile."""
    monkeypatch.setattr(training, "Process", threading.Thread)
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    monkeypatch.setattr(compiled, "which", lambda name: name)
    monkeypatch.setattr(report, "render", written)  # rendering has tests of its own


def written(results: object, folder: Path) -> Path:
    """A page that takes no time."""
    folder.mkdir()
    (folder / "report.html").write_text("page")
    return folder / "report.html"


def test_each_benchmark_is_tried_here() -> None:
    assert set(TINY) == set(runner.NAMES) - {"sharing", "counted"}


@cache
def measured(name: str) -> list[Row]:
    """The rows of a benchmark, measured once."""
    return list(TINY[name]())


@pytest.mark.parametrize("name", TINY)
def test_rows_are_named_once_and_finite(name: str) -> None:
    rows = measured(name)
    assert rows
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert math.isfinite(row.ours) and row.ours >= 0
        assert (row.peer is None) == (row.ratio is None)
        assert row.ratio is None or row.ratio > 0
        assert runner.line(row).startswith(f"  {row.name}")


@pytest.mark.parametrize("name", TINY)
def test_a_ratio_says_how_many_times_better_ours_is(name: str) -> None:
    for row in measured(name):
        if row.peer is not None and row.ratio is not None:
            better = row.ours / row.peer if row.unit.endswith("/s") else row.peer / row.ours
            assert row.ratio == pytest.approx(better)


def test_the_step_covers_each_stage_precision_and_norm() -> None:
    names = [row.name for row in measured("step")]
    assert len(names) == 12
    for word in ("pretrain", "critic", "joint", "fp32", "bf16", "window", "whole maps"):
        assert sum(word in name for name in names) == {"fp32": 6, "bf16": 6, "window": 6, "whole maps": 6}.get(word, 4)


def test_a_planted_error_in_a_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = training.reconstruction
    monkeypatch.setattr(training, "reconstruction", lambda *sides: 1.01 * wrong(*sides))
    with pytest.raises(Disagreement, match=r"pretrain.*the gradients of generator differ by 9\.9e-03"):
        list(step.rows(side=64, width=0.0625, batch=2, repeats=1))


def test_other_sums_in_ssim_and_blending_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssim, "SIGMA", 1.4)
    with pytest.raises(Disagreement, match="SSIM differs"):
        list(ssim.rows(side=32, batch=1, repeats=1))
    blend = blending.blend
    monkeypatch.setattr(blending, "blend", lambda *sides: blend(*sides) + 0.01)
    with pytest.raises(Disagreement, match="central box: blending differs"):
        list(blending.rows(side=32, boxes=1, free=1, repeats=1))


def test_the_sides_take_turns_and_the_shortest_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, turns = iter([0.0, 3, 3, 4, 4, 6, 6, 11]), []
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    found = timing.least({"ours": lambda: turns.append("ours"), "peer": lambda: turns.append("peer")}, 2)
    assert turns == ["ours", "peer", "ours", "peer"]
    assert found == {"ours": 2, "peer": 1}


def test_a_row_counts_items_in_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "least", lambda works, repeats: {"ours": 2.0, "peer": 6.0})
    row = timing.compared("name", lambda: None, lambda: None, items=4)
    assert row == Row("name", 500.0, 1500.0, "ms", 3.0)


def test_a_step_of_the_plain_loop_is_ours_without_shortcuts() -> None:
    """The plain loop's weights stay contiguous, its critics get the useless gradients, and it clips as we do."""
    found = training.stages(*SMALL, "numerics.precision=fp32")["joint"]
    plain = training.Plain(found)
    plain.step()
    for critic in plain.critics:
        assert all(weight.grad is not None for weight in critic.network.parameters())
        assert max(float(weight.detach().abs().max()) for weight in critic.network.parameters()) <= 0.01 + 1e-9
    assert all(weight.is_contiguous() for weight in plain.generator.parameters())


def test_without_a_card_the_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NotMeasured, match="no CUDA card"):
        list(gpu.rows())


def test_sharing_compares_the_bytes_of_all_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = tiny.planned(tmp_path, {"proposed": tiny.PROPOSED})
    tiny.made(plan, store)

    def run(command: list[str], **_: object) -> None:
        """A study run that takes no time: the stages are copied."""
        out = Path(command[command.index("--out") + 1])
        if "--only" not in command:
            shutil.copytree(store.out, out)
            if "--no-share" in command:
                for manifest in out.glob("stages/*/manifest.json"):
                    manifest.write_text(manifest.read_text().replace(manifest.parent.name, "another-key"))
                for manifest in list(out.glob("stages/joint-*/manifest.json"))[:spoil]:
                    manifest.write_text(manifest.read_text().replace("finished", "diverged"))

    monkeypatch.setattr(subprocess, "run", run)
    spoil = 0
    (row,) = sharing.rows(tmp_path / "tiny.yaml")
    assert row.unit == "s" and row.peer is not None
    spoil = 1
    with pytest.raises(Disagreement, match=r"1 of 7 stages have other bytes without sharing: .*joint"):
        list(sharing.rows(tmp_path / "tiny.yaml"))


# ---- The runner


def told(rows: Callable[[], Iterator[Row]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces a benchmark's rows."""
    monkeypatch.setattr(holes, "rows", rows)


def test_json_has_device_date_versions_and_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    told(lambda: iter([Row("one", 1.5, 3.0, "ms", 2.0)]), monkeypatch)
    assert runner.main(["holes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"] and found["cores"] >= 1 and found["date"].count("-") == 2
    assert found["versions"]["torch"] == torch.__version__
    assert found["benchmarks"]["holes"]["rows"] == [{"name": "one", "ours": 1.5, "peer": 3.0, "unit": "ms", "ratio": 2}]


def test_text_has_a_line_for_each_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    told(lambda: iter([Row("one", 1.5, 3.0, "ms", 2.0), Row("two", 7.0, unit="%")]), monkeypatch)
    assert runner.main(["holes"]) == 0
    one, two = capsys.readouterr().out.splitlines()[-2:]
    assert one.split() == ["one", "1.5", "(peer", "3)", "ms", "2.00", "times"]
    assert two.split() == ["two", "7", "%"]


def test_what_is_not_measured_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def rows() -> Iterator[Row]:
        yield Row("one", 1.0)
        raise NotMeasured("no such machine")

    told(rows, monkeypatch)
    assert runner.main(["holes"]) == 0
    assert "not measured: no such machine" in capsys.readouterr().out


def test_sides_that_differ_end_with_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def rows() -> Iterator[Row]:
        yield Row("one", 1.0)
        raise Disagreement("one: they differ by 2")

    told(rows, monkeypatch)
    assert runner.main(["holes", "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.err == "holes: one: they differ by 2\n"
    assert json.loads(printed.out)["benchmarks"]["holes"]["error"] == "one: they differ by 2"


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as left:
        runner.main(["hole"])
    assert left.value.code == 2
    assert "there is no benchmark 'hole'; choose batches, blending, " in capsys.readouterr().err
