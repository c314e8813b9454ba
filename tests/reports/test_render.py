"""The page: right, whole, safe, and there whatever the study lacks."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from reports import tables
from reports.frames import COLUMNS, Frames
from reports.naming import label
from reports.render import duration, render

VOID = {"meta", "link", "br", "hr", "img", "input"}
SECTIONS = [
    "trouble", "claims", "results", "contrasts", "ablations", "readings-varied", "protocol", "training", "repairs",
    "cost", "readings", "provenance",
]  # fmt: skip


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
    of_table = [i for i, text in enumerate(read.captions) if text.startswith((f"Table {number}.", f"Table {number},"))]
    shown = [value for i in of_table for value in read.values[i]]  # the first table and what is folded away
    scores = frames.scores[frames.scores["metric"] == metric]
    means = scores.groupby(["variant", "region"])["value"].mean()
    expected: list[float] = []
    for row in tables.results_table(frames, metric=metric, data="faces").to_dict("records"):
        expected += [] if pd.isna(row["published"]) else [row["published"]]
        expected += [means[row["variant"], "whole"], means[row["variant"], "hole"], row["seeds"], row["images"]]
    assert shown == pytest.approx(expected)


UNIVERSES = (("proposed", "glcic"), ("multiscale=0,loss=wgan", "glcic"), ("single", "glcic"))


def with_all(frames: Frames, **entry: str) -> Frames:
    """The same with a multiverse, blended outputs and pictures, GIICA's departure, and the data set as in `entry`."""
    universes = [
        ("readings", number, base, variant, reading, level, number == 0, True)
        for number, pair in enumerate(UNIVERSES)
        for base, variant in zip(("proposed", "glcic"), pair, strict=True)
        for reading, level in (("head", ("mean", "linear", "patch")[number]), ("mask", '{"kind": "center"}'))
    ]
    blended = frames.scores.assign(output="blended", value=frames.scores["value"] + 0.1)
    kept = frames.pictures[frames.pictures["output"] == "composite"].assign(output="blended")
    giica = ("giica", "loss.critic_steps", "1", "R14", "updates of the critics to one of the generator", True)
    readings = pd.DataFrame([giica], columns=frames.readings.columns)
    told = {"base": ["proposed", "glcic"], "contrasts": [["proposed", "glcic"]], "design": "one_at_a_time"}
    return replace(
        frames,
        study={**frames.study, "multiverses": {"readings": told}, "data": [{**frames.study["data"][0], **entry}]},
        universes=pd.DataFrame(universes, columns=list(COLUMNS["universes"])),
        scores=pd.concat([frames.scores, blended], ignore_index=True),
        pictures=pd.concat([frames.pictures, kept], ignore_index=True),
        readings=pd.concat([readings, frames.readings], ignore_index=True),
    )


def test_the_page_shows_readings_blending_and_protocols(frames: Frames, tmp_path: Path) -> None:
    read, text = page(with_all(frames, kind="folder", like="CelebA"), tmp_path)
    for words in (
        "Of 3 universes with a result", "tests nothing", "The universes of readings on faces: Proposed − GLCIC",
        "Before and after Poisson blending on faces", "The same after Poisson blending",
        "GIICA</dt><dd>loss.critic_steps", "All 3 published figures of PSNR are in reach under",
        "worse than the biharmonic filler", "Not scored here: raw.",
    ):  # fmt: skip
        assert words in text, words
    assert {"blending", "claims", "links", "protocols", "specification_readings_proposed_glcic"} <= {
        path.stem for path in (tmp_path / "tables").iterdir()
    }
    assert any(name.startswith("specification-0-0-0-") for name in read.ids)
    assert len(pd.read_csv(tmp_path / "tables" / "claims.csv")) == 15
    assert set(pd.read_csv(tmp_path / "tables" / "links.csv")["id"]) == {f"C{n}" for n in range(1, 16)}


def test_what_an_older_study_lacks_is_said(whole: tuple[Page, str, Path]) -> None:
    _, text, folder = whole
    for words in (
        "The study has no multiverse.", "No blended output was scored on faces.",
        "No blended repair of faces is stored.", "drawn portraits say nothing",
    ):  # fmt: skip
        assert words in text, words
    assert not {"blending", "protocols"} & {path.stem for path in (folder / "tables").iterdir()}


def test_other_variants_are_folded_away_and_none_is_lost(whole: tuple[Page, str, Path], frames: Frames) -> None:
    read, text, _ = whole
    assert "Table 6, PSNR (dB) on faces: 7 other variants, of the ablations and other readings." in read.captions
    for variant in frames.runs["variant"].unique():
        assert text.count(f'<th scope="row">{label(variant)}</th>') >= 2, variant  # in both tables


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
        named = (
            "variant",
            "data",
            "ablation",
            "factor",
            "why",
            "image",
            "multiverse",
            "base",
            "reading",
            "level",
            "key",
        )
        known = [column for column in named if column in table]
        new = {
            "head": bad,
            "linear": bad,
            "readings": bad,
            "loss.critic_steps": bad,
            "glcic": bad,
            "faces": bad,
            "critics_and_loss": bad,
            "loss": bad,
            "face-00": bad,
            "the loss is not finite": bad,
        }
        return table.assign(**{column: table[column].replace(new) for column in known})

    frames = with_all(frames)
    told = {bad: {"base": ["proposed", bad], "contrasts": [["proposed", bad]], "design": bad}}
    entry = {**frames.study["data"][0], "name": bad, "kind": bad, "like": "CelebA"}
    renamed = {f.name: rename(getattr(frames, f.name)) for f in fields(frames)[1:]}
    study = {**frames.study, "name": bad, "data": [entry], "multiverses": told}
    read, text = page(replace(frames, study=study, **renamed), tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "script" not in read.loads
    assert any(name.startswith("specification-0-0-0-") for name in read.ids)


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
