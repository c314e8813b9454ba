"""The page: right, whole, safe, and there whatever the study lacks."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from reports import tables
from reports.frames import Frames
from reports.render import duration, render

VOID = {"meta", "link", "br", "hr", "img", "input"}
SECTIONS = ["trouble", "results", "contrasts", "ablations", "training", "repairs", "cost", "readings", "provenance"]


class Page(HTMLParser):
    """Holds a page to matching tags; collects ids, what it would load, and the exact values of numbers by table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.captions: list[str] = []
        self.values: list[list[float]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        if tag != "a":
            self.loads += [given[name] for name in ("src", "href", "xlink:href", "srcset", "data") if name in given]
        if tag in ("script", "iframe", "link", "object"):
            self.loads.append(tag)
        if tag == "table":
            self.values.append([])
            self.captions.append("")
        if tag == "data":
            self.values[-1].append(float(given["value"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "caption":
            self.captions[-1] += data


def page(frames: Frames, folder: Path) -> tuple[Page, str]:
    text = render(frames, folder).read_text("utf-8")
    read = Page(text)
    assert [name for name in read.ids if name in SECTIONS] == SECTIONS
    assert len(set(read.ids)) == len(read.ids)
    assert all(load.startswith(("#", "data:image/png;base64,")) for load in read.loads)
    assert not re.search(r"url\((?!#)|@import", text)
    return read, text


@pytest.fixture(scope="module")
def whole(frames: Frames, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str, Path]:
    folder = tmp_path_factory.mktemp("report")
    return *page(frames, folder), folder


@pytest.mark.parametrize(("number", "metric"), [(6, "psnr"), (7, "ssim")])
def test_every_number_of_the_tables_is_the_frame_s(
    whole: tuple[Page, str, Path], frames: Frames, number: int, metric: str
) -> None:
    read, _, _ = whole
    shown = read.values[next(i for i, text in enumerate(read.captions) if text.startswith(f"Table {number}."))]
    scores = frames.scores[frames.scores["metric"] == metric]
    means = scores.groupby(["variant", "region"])["value"].mean()
    expected: list[float] = []
    for row in tables.results_table(frames, metric=metric, data="faces").to_dict("records"):
        expected += [] if pd.isna(row["published"]) else [row["published"]]
        expected += [means[row["variant"], "whole"], means[row["variant"], "hole"], row["seeds"], row["images"]]
    assert shown == pytest.approx(expected)


def test_the_page_says_what_a_sceptic_asks(whole: tuple[Page, str, Path]) -> None:
    _, text, _ = whole
    for words in (
        "neither confirms nor refutes the paper",
        "40 completed", "the loss is not finite", "OSError: no space left", "1 of 3 diverged (seed 2)",
        "59% saved", "R11", "9f3c", "torch 2.12.0", "900 updates of the generator, batch 16", "prefers-color-scheme",
    ):  # fmt: skip
        assert words in text, words


def test_tables_are_written_in_full(whole: tuple[Page, str, Path], frames: Frames) -> None:
    *_, folder = whole
    written = pd.read_csv(folder / "tables" / "table_6.csv").set_index("variant")
    assert written.loc["glcic", "hole"] == tables.table_6(frames, "faces").set_index("variant").loc["glcic", "hole"]
    assert {"table_7", "contrasts", "cost", "runs", "readings", "ablation_critics_and_loss"} <= {
        path.stem for path in (folder / "tables").iterdir()
    }


def test_the_page_is_the_same_each_time_and_leaves_nothing_beside(frames: Frames, tmp_path: Path) -> None:
    first = render(frames, tmp_path).read_bytes()
    assert render(frames, tmp_path).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "tables"]


def test_names_are_escaped(frames: Frames, tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>$x^{2$"

    def rename(table: pd.DataFrame) -> pd.DataFrame:
        known = [column for column in ("variant", "data", "ablation", "factor", "why", "image") if column in table]
        new = {
            "glcic": bad,
            "faces": bad,
            "critics_and_loss": bad,
            "loss": bad,
            "face-00": bad,
            "the loss is not finite": bad,
        }
        return table.assign(**{column: table[column].replace(new) for column in known})

    entry = {**frames.study["data"][0], "name": bad, "kind": bad}
    renamed = {f.name: rename(getattr(frames, f.name)) for f in fields(frames)[1:]}
    read, text = page(replace(frames, study={**frames.study, "name": bad, "data": [entry]}, **renamed), tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "script" not in read.loads


EMPTY = [f.name for f in fields(Frames)[1:]]


@pytest.mark.parametrize(
    "without", [[name] for name in EMPTY] + [EMPTY, ["scores", "curves", "pictures"]], ids="+".join
)
def test_a_report_survives_what_is_missing(frames: Frames, without: list[str], tmp_path: Path) -> None:
    empty = Frames(study={})
    page(replace(frames, **{name: getattr(empty, name) for name in without}), tmp_path)


@pytest.mark.parametrize("seeds", [[0], [0, 1], []])
def test_a_report_survives_few_seeds(frames: Frames, seeds: list[int], tmp_path: Path) -> None:
    kept = {f.name: getattr(frames, f.name) for f in fields(frames)[1:]}
    kept = {name: table[table["seed"].isin(seeds)] if "seed" in table else table for name, table in kept.items()}
    _, text = page(replace(frames, **kept), tmp_path)
    assert ">supported" not in text


def test_a_report_survives_one_variant_no_facts_and_no_completed_run(frames: Frames, tmp_path: Path) -> None:
    kept = {f.name: getattr(frames, f.name) for f in fields(frames)[1:]}
    one = {name: table[table["variant"] == "single"] if "variant" in table else table for name, table in kept.items()}
    page(replace(frames, **one), tmp_path)
    _, text = page(Frames(study={}), tmp_path)
    assert "not recorded" in text
    assert "The study has no data set." in text
    page(Frames(study={}, **kept), tmp_path)
    lost = frames.runs.assign(status="failed", why="out of memory")
    _, text = page(replace(frames, runs=lost), tmp_path)
    assert "3 of 3 failed (seed 0, 1, 2)" in text


def test_a_report_of_several_data_sets_keeps_them_apart(study_of: Callable[..., Frames], tmp_path: Path) -> None:
    entries = [{"name": name, "kind": "folder"} for name in ("faces", "scenes")]
    parts = [study_of([0, 1, 2], name, data=entries, profile="paper") for name in ("faces", "scenes")]
    joined = {
        f.name: pd.concat([getattr(part, f.name) for part in parts], ignore_index=True)
        for f in fields(Frames)[1:]
        if f.name not in ("factors", "readings")
    }
    _, text = page(replace(parts[0], **joined), tmp_path)
    assert text.count("<h3>scenes</h3>") == 6
    assert "Published numbers are of Places2" in text
    assert "neither confirms" not in text


def test_mixed_devices_are_told(frames: Frames, tmp_path: Path) -> None:
    mixed = frames.stages.assign(device=["cpu", "H100", "cpu"])
    _, text = page(replace(frames, stages=mixed), tmp_path)
    assert "different devices (cpu, H100)" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "not recorded"), (3.21, "3.2 s"), (245, "4 min 5 s"), (7980, "2 h 13 min")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
