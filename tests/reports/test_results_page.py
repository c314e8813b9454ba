"""docs/results.py: one page with one table and three figures, which names no path of the machine."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.looks import looks_until
from reports.figures import style

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def results() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("results")


def with_options(frames: Frames, **study: Any) -> Frames:
    """The study with the options of its variants, which the page needs."""

    def options(variant: str) -> dict[str, Any]:
        changed = dict(part.split("=") for part in variant.split(",")) if "=" in variant else {}
        multiscale, kind = int(changed.get("multiscale", 2)), changed.get("loss", "wgan")
        return {"width": 0.125, "multiscale": multiscale, "loss": {"kind": kind}}

    methods = dict(zip(frames.runs["variant"], frames.runs["method"], strict=True))
    configs = {name: {"method": method, "options": options(name)} for name, method in methods.items()}
    return replace(frames, study={**frames.study, "configs": configs, **study})


@pytest.fixture(scope="module")
def made(frames: Frames) -> Frames:
    return with_options(frames)


@pytest.fixture(scope="module")
def page(results: ModuleType, made: Frames) -> str:
    return str(results.page(made))


def test_the_page_has_one_table_three_figures_and_no_empty_part(results: ModuleType, made: Frames, page: str) -> None:
    assert len(re.findall(r"^\| --- ", page, re.MULTILINE)) == 1
    figures = results.drawings(made)
    assert re.findall(r"\(results/(\w+)\.png\)", page) == list(figures) == ["methods", "contrasts", "critics"]
    assert not re.search(r"\n## [^\n]+\n\s*(##|\Z)", page)
    assert "nan" not in page.lower() and "None" not in page


def test_a_row_names_its_contrast_and_has_the_published_difference_beside_ours(page: str) -> None:
    rows = re.findall(r"^\| C1[.,].*$", page, re.MULTILINE)
    published = {}
    for row in rows:
        assert "PSNR of the hole" in row and "n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}3" in row
        published |= re.findall(r"Proposed − (\w+),.*published: (\S+)\N{NO-BREAK SPACE}dB", row)
    assert published == {"GLCIC": "+0.16", "CE": "+1.00"}


def test_every_link_that_was_tested_by_chance_is_decided_or_open_for_a_reason(
    results: ModuleType, made: Frames
) -> None:
    lines = list(results.of_seeds(made))
    assert any(line.startswith("**decided with 3 seeds:**") for line in lines)
    assert all(re.search(r": [^:]+$", line) for line in lines if line.startswith("**inconclusive"))
    named = re.findall(r"\bC\d+(?:-scaled)?\b", " ".join(lines))
    links = results.links_table(made)
    tested = (links["role"] == "link") & links["level"].notna() & (links["outcome"] != "not tested")
    assert set(named) == set(links.loc[tested, "id"])


def test_looks_and_the_claims_asked_for_are_told(results: ModuleType, made: Frames) -> None:
    command = "python -m study run runs.yaml --until-resolved --claims C1,C11"
    text = " ".join(results.notes(with_options(made, looks=looks_until(5), command=command)))
    assert "1% at 3, 4% at 5 seeds" in text
    assert "for C1, C11." in text


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("python -m study run docs/studies/photographs.yaml --out o", "docs/studies/photographs.yaml"),
        ("python -m study run runs.yaml", "runs.yaml"),
        ("python -m study run /a/b/runs.yaml", "of-the-facts.yaml"),
        ("python -m study run ../runs.yaml", "of-the-facts.yaml"),
    ],
)
def test_the_study_file_is_named_as_it_is_in_the_repository(
    results: ModuleType, made: Frames, command: str, file: str
) -> None:
    assert results.study_file(with_options(made, command=command, file="of-the-facts.yaml")) == file


def test_an_inert_critic_is_the_only_reason_given(results: ModuleType) -> None:
    assert results.reason("the interval lies within 0.16, but the critics were inert: asleep") == (
        "the critics were inert: asleep"
    )
    assert results.reason("the interval includes zero") == "the interval includes zero"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (
            "/a/b/python -m study run docs/x.yaml --out /a/o --jobs 2",
            "python -m study run docs/x.yaml --out out/p --jobs 2",
        ),
        ("study run runs.yaml --out=../o", "study run runs.yaml --out out/p"),
        ("study run r.yaml --set data.f.root=/a/b/f", "study run r.yaml \\\n    --set data.f.root=path/to/f"),
        ("study run r.yaml --set data.f.root=~/f", "study run r.yaml \\\n    --set data.f.root=path/to/f"),
        ("study run r.yaml --set a=0.5 --only ce", "study run r.yaml \\\n    --set a=0.5 --only ce"),
    ],
)
def test_the_command_has_no_path_of_the_machine(results: ModuleType, command: str, shown: str) -> None:
    assert results.neutral(command, "p") == shown


def test_a_path_of_the_machine_is_refused_and_nothing_is_written(
    results: ModuleType, made: Frames, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(results.study, "load", lambda out: made)
    monkeypatch.setattr(results, "page", lambda frames: "made by /home/somebody/python")
    monkeypatch.setattr(results, "long_tables", lambda frames: "")
    with pytest.raises(ValueError, match=r"results\.md: '/home/' begins a path of this machine"):
        results.main(tmp_path / "out", tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_all_is_written_and_older_figures_are_removed(
    results: ModuleType, made: Frames, page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "old.png").write_bytes(b"")
    monkeypatch.setattr(results.study, "load", lambda out: made)
    monkeypatch.setattr(results, "drawings", lambda frames: {"methods": style.figure(1, 1)})
    results.main(tmp_path / "out", tmp_path)
    written = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*")}
    assert written == {"results.md", "results/tables.md", "results/methods.png"}
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == page
    assert "](" not in (tmp_path / "results/tables.md").read_text(encoding="utf-8").replace("](../results.md)", "")


def test_a_study_without_completed_runs_has_no_page(results: ModuleType, made: Frames) -> None:
    with pytest.raises(NoDataError, match="No run of the study has completed"):
        results.page(replace(made, runs=made.runs.assign(status="missing")))


def test_a_range_is_one_number_where_all_are_equal(results: ModuleType) -> None:
    assert results.span(pd.Series([3, 3]), "{:.0f}") == "3"
    assert results.span(pd.Series([3.14, 40.2]), "{:.2g}", "{:,.0f}") == "3.1 to 40"
