"""The report: one self-contained page, and its tables as CSV."""

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import figures, tables
from reports.figures import style
from reports.frames import Frames, NoDataError
from reports.naming import label, metric_of
from reports.paper import counterpart, paper

NONE = "–"
NOT_RECORDED = "not recorded"
REGION = {"whole": "whole image", "hole": "hole"}


@dataclass(frozen=True)
class Cell:
    """What stands in a table's cell: `text`, its exact `value` if it is a number, and smaller words `below`.

    `kind` is its class on the page: 'number' stays on one line.
    """

    text: str
    value: float | None = None
    below: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table as the page shows it. Each row's first cell is its heading; `groups` names what sets rows apart."""

    caption: str
    headings: list[str]
    rows: list[list[Cell]]
    groups: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A figure as the page shows it."""

    svg: Markup
    alt: str
    caption: str


View = TableView | FigureView | str
"""A table, a figure, or the sentence that says why there is none."""


def render(frames: Frames, folder: Path) -> Path:
    """Write `folder`/report.html and `folder`/tables/*.csv; return the page's path.

    The page loads nothing: styles, figures and pictures are in it. What has no data says why in its
    place. Each file is written aside and moved into place.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html").render(context(frames))
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for name, table in csv_tables(frames).items():
        _write(folder / "tables" / f"{name}.csv", table.to_csv(index=False))
    return _write(folder / "report.html", page)


def csv_tables(frames: Frames) -> dict[str, pd.DataFrame]:
    """Each table of the page in full precision, by name; those without rows are left out.

    Tuples of each seed's mean become numbers apart by spaces; tables made for each data set gain a column
    data_set.
    """
    single: dict[str, Callable[[Frames], pd.DataFrame]] = {
        "trouble": tables.trouble_table,
        "cost": tables.cost_table,
        "stages": tables.stage_table,
        "readings": tables.readings_table,
        "runs": tables.provenance_table,
        "data": tables.data_table,
    }
    found = {name: _try(make, frames) for name, make in single.items()}
    by_data: dict[str, Callable[[Frames, str], pd.DataFrame]] = {
        "table_6": tables.table_6,
        "table_7": tables.table_7,
        "contrasts": tables.contrast_table,
    }
    for ablation in ablations(frames):
        file = "ablation_" + re.sub(r"[^\w.-]+", "_", ablation)
        by_data[file] = lambda frames, data, name=ablation: tables.ablation_table(frames, name, data)  # type: ignore[misc]
    for name, make in by_data.items():
        parts = {data: _try(make, frames, data) for data in frames.data_sets()}
        made = [part.assign(data_set=data) for data, part in parts.items() if isinstance(part, pd.DataFrame)]
        found[name] = pd.concat(made, ignore_index=True) if made else ""
    return {name: _flat(table) for name, table in found.items() if isinstance(table, pd.DataFrame) and len(table)}


def context(frames: Frames) -> dict[str, Any]:
    """All that the template needs."""
    study = frames.study
    sets = frames.data_sets()
    return {
        "title": f"{study['name'] or 'Study'}: Mo & Zhou 2020 taken apart",
        "study": study,
        "paper": paper(),
        "facts": _facts(frames),
        "scope": _scope(frames),
        "mixed": _mixed(frames),
        "counts": [(status, int(n)) for status, n in frames.runs["status"].value_counts().items()],
        "trouble": _view(_trouble, frames),
        "data_sets": [
            {
                "name": data,
                "beside": _beside(frames, data),
                "psnr": _view(_results, frames, data, "psnr"),
                "ssim": _view(_results, frames, data, "ssim"),
                "contrasts": _view(_contrasts, frames, data),
                "ablations": [
                    (name, _view(_ablation_figure, frames, name, data), _view(_ablation, frames, name, data))
                    for name in ablations(frames)
                ],
                "curves": _view(_curves, frames, data),
                "repairs": _view(_repairs, frames, data),
            }
            for data in sets
        ],
        "cost": _view(_cost, frames),
        "stages": _view(_stages, frames),
        "sharing": _sharing(frames),
        "readings": _view(_readings, frames),
        "data": _view(_data, frames),
        "runs": _view(_runs, frames),
        "provenance": _provenance(frames),
    }


def ablations(frames: Frames) -> list[str]:
    """The ablations' names, in the study's order."""
    return [str(name) for name in frames.factors["ablation"].unique()]


# Words


def words(value: Any) -> str:
    """A plain fact in words: lists and mappings by commas, nothing as "not recorded"."""
    if value is None or value == "" or value == [] or value == {}:
        return NOT_RECORDED
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple | set | range):
        return ", ".join(words(each) for each in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def duration(seconds: Any) -> str:
    """Seconds in words: "2 h 13 min", "4 min 5 s", "3.2 s"."""
    if seconds is None or pd.isna(seconds):
        return NOT_RECORDED
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _scope(frames: Frames) -> str:
    study = frames.study
    if "demo" in (study["profile"], study["scope"]):
        kinds = {str(entry.get("kind") or entry["name"]) for entry in study["data"] or []}
        named = sorted("procedural faces" if kind == "faces" else kind for kind in kinds)
        return (
            f"This is a demonstration on {words(named)}: small images and a short schedule in place of the paper's "
            f"photographs and {paper()['cost']}. It shows how the paper is put to the test. It neither confirms nor "
            "refutes the paper."
        )
    if study["scope"] == "paper":
        return "Scope: paper. The data, the image size and the schedule are the paper's own."
    return (
        f"Scope: {words(study['scope'])}. The data, the image size or the schedule are not the paper's. An outcome "
        "below speaks of this study alone; the paper's numbers stand beside ours for orientation."
    )


def _facts(frames: Frames) -> list[tuple[str, str]]:
    study, runs = frames.study, frames.runs
    given = paper()
    size = study["image_size"]
    data = [
        f"{entry['name']} ({words(entry.get('kind'))}): {words(entry.get('train'))} train, "
        f"{words(entry.get('validation'))} validation, {words(entry.get('test'))} test"
        for entry in study["data"] or []
    ]
    return [
        ("Data", "; ".join(data) or NOT_RECORDED),
        ("Image size", f"{size} px (the paper: {given['image_size']})" if size else NOT_RECORDED),
        (
            "Budget",
            f"{words(study['generator_updates'])} updates of the generator, batch {words(study['batch'])} "
            f"(the paper: {given['steps']['pretrain'] + given['steps']['joint']:,}, batch {given['batch']})",
        ),
        ("Seeds", words(study["seeds"])),
        ("Runs", f"{len(runs)} of {runs['variant'].nunique()} variants"),
        ("Profile and scope", f"{words(study['profile'])}, {words(study['scope'])}"),
        ("Machine time", duration(study["seconds"])),
        ("Made", words(study["made"])),
    ]


def _mixed(frames: Frames) -> str:
    """A warning where stages were made on unlike devices or versions of torch."""
    parts = []
    for column, name in (("device", "devices"), ("torch", "versions of torch")):
        found = [str(each) for each in frames.stages[column].dropna().unique()]
        if len(found) > 1:
            parts.append(f"{name} ({', '.join(found)})")
    return f"The stages were made on different {' and '.join(parts)}; bits are promised on one alone." if parts else ""


def _beside(frames: Frames, data: str) -> str:
    theirs = counterpart(frames, data)
    if theirs is None:
        return f"The paper has no number for data like {data}."
    images = paper()["data"][theirs]["images"]
    return (
        f"Published numbers are of {theirs} ({images}, {paper()['image_size']} px), measured ones of {data}: "
        "they do not measure the same thing unless the data, the split and the region are the same."
    )


def _sharing(frames: Frames) -> str:
    sharing = frames.study["sharing"] or {}
    shared, unshared = sharing.get("shared"), sharing.get("unshared")
    if not shared or not unshared:
        return "What sharing saved is not recorded."
    return (
        f"Runs that need the same stage share it. That took {shared:.3g} multiply-accumulates in place of "
        f"{unshared:.3g}: {1 - shared / unshared:.0%} saved."
    )


def _provenance(frames: Frames) -> list[tuple[str, str]]:
    study = frames.study
    return [
        ("Command", words(study["command"])),
        ("Versions", words(study["versions"])),
        ("Devices", words(study["devices"])),
        ("Numerics", words(study["numerics"])),
        ("Steps", words(study["steps"])),
        ("Seeds", words(study["seeds"])),
    ]


# Tables


def _number(value: Any, digits: int = 0, below: str = "", sign: str = "") -> Cell:
    if value is None or pd.isna(value):
        return Cell(NONE)
    return Cell(f"{value:{sign},.{digits}f}".replace("-", "−"), float(value), below, "number")


def _interval(low: float, high: float, digits: int, sign: str = "") -> str:
    if pd.isna(low) or pd.isna(high):
        return "no interval"
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]".replace("-", "−")


def _each(values: Iterable[float], digits: int) -> Cell:
    return Cell(" ".join(f"{value:.{digits}f}" for value in values) or NONE, kind="each")


def _text(value: Any) -> Cell:
    """Text as it is; what is missing is a dash."""
    return Cell(NONE if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) else str(value) or NONE)


def _results(frames: Frames, data: str, metric: str) -> TableView:
    table = tables.results_table(frames, metric=metric, data=data)
    named = metric_of(metric)
    number = (
        {"psnr": "Table 6", "ssim": "Table 7"}[metric] if counterpart(frames, data) == "CelebA" else "As Tables 6 and 7"
    )
    rows = []
    for row in table.to_dict("records"):
        cells = [Cell(row["label"]), _number(row["published"], named.digits)]
        for region in tables.REGIONS:
            interval = _interval(row[f"{region}_low"], row[f"{region}_high"], named.digits)
            cells += [
                _number(row[region], named.digits, interval),
                _each(row[f"{region}_seeds"], named.digits),
            ]
        rows.append([*cells, _number(row["seeds"]), _number(row["images"]), Cell(row["notes"], kind="notes")])
    unit = f" ({named.unit})" if named.unit else ""
    return TableView(
        caption=f"{number}. {named.label}{unit} on {data}, of the composite: published, and measured with 95% "
        "intervals over seeds and images. More is better.",
        headings=[
            "Method", "Published", "Whole image", "each seed", "Hole", "each seed", "Seeds", "Images", "Notes",
        ],
        rows=rows,
        groups=table["group"].tolist(),
    )  # fmt: skip


def _contrasts(frames: Frames, data: str) -> TableView:
    table = tables.contrast_table(frames, data)
    rows = []
    for row in table.to_dict("records"):
        named = metric_of(row["metric"])
        digits = named.digits + 1  # differences are small
        n = f"{row['seeds_a']} and {row['seeds_b']} seeds, {'paired' if row['paired'] else 'not paired'}"
        rows.append(
            [
                Cell(f"{label(row['a'])} − {label(row['b'])}"),
                Cell(f"{named.label}, {REGION[row['region']]}{', ' + named.unit if named.unit else ''}"),
                _number(row["published"], named.digits, sign="+"),
                _number(
                    row["difference"],
                    digits,
                    _interval(row["low"], row["high"], digits, "+"),
                    "+",
                ),
                _number(row["resolvable"], digits),
                Cell(n, below=f"{row['images']} images"),
                Cell(row["outcome"], below=row["why"]),
            ]
        )
    return TableView(
        caption=f"Contrasts on {data}, scope {words(frames.study['scope'])}: is the first better than the second? "
        "Differences with 95% intervals over seeds and images; smaller effects than the resolvable are lost in chance.",
        headings=["Contrast", "Metric", "Published", "Measured", "Resolvable", "n", "Outcome"],
        rows=rows,
        groups=(table["a"] + "\0" + table["b"]).tolist(),
    )


def _ablation(frames: Frames, ablation: str, data: str) -> TableView:
    table = tables.ablation_table(frames, ablation, data)
    factors = [str(name) for name in tables.levels(frames, ablation).columns[1:]]
    digits = metric_of("psnr").digits
    rows = [
        [
            Cell(label(row["variant"])),
            *(_text(row[factor]) for factor in factors),
            _number(row["mean"], digits, _interval(row["low"], row["high"], digits)),
            _each(row["by_seed"], digits),
            _number(
                row["difference"],
                digits + 1,
                _interval(row["difference_low"], row["difference_high"], digits + 1, "+"),
                "+",
            ),
            _number(row["seeds"]),
            _number(row["diverged"]),
        ]
        for row in table.to_dict("records")
    ]
    return TableView(
        caption=f"Ablation {ablation} on {data}: PSNR of the hole (dB). The intervals hold together at 95% "
        "(Bonferroni), so they are wider than in the tables above; a grid gets no verdicts.",
        headings=[
            "Variant",
            *factors,
            "Mean",
            "each seed",
            "Difference from the reference",
            "Seeds",
            "Diverged",
        ],
        rows=rows,
    )


def _trouble(frames: Frames) -> TableView:
    table = tables.trouble_table(frames)
    if frames.runs.empty:
        raise NoDataError("No run is recorded.")
    if table.empty:
        raise NoDataError("Every run completed, without a warning.")
    return TableView(
        caption="Runs that did not complete, and what completed ones warn of. What did not complete enters no mean; "
        "a run that diverged blocks its variant's claims.",
        headings=["Run", "What", "at step", "Why"],
        rows=[
            [Cell(row["run"]), Cell(row["status"]), _number(row["diverged_at"]), _text(row["why"])]
            for row in table.to_dict("records")
        ],
    )


def _cost(frames: Frames) -> TableView:
    return TableView(
        caption="Cost of a run: weights, updates, and the median of its time.",
        headings=[
            "Variant",
            "Data",
            "Runs",
            "Generator's weights",
            "Critics' weights",
            "Updates of the generator",
            "Time",
        ],
        rows=[
            [
                Cell(row["label"]),
                _text(row["data"]),
                _number(row["runs"]),
                _number(row["parameters"]),
                _number(row["critic_parameters"]),
                _number(row["updates"]),
                Cell(duration(row["seconds"])),
            ]
            for row in tables.cost_table(frames).to_dict("records")
        ],
    )


def _stages(frames: Frames) -> TableView:
    return TableView(
        caption="Stages made, and how often they were used. Unshared: had each run made its own.",
        headings=["Stage", "Made", "Uses", "Time", "Unshared"],
        rows=[
            [
                _text(row["kind"]),
                _number(row["stages"]),
                _number(row["uses"]),
                Cell(duration(row["seconds"])),
                Cell(duration(row["seconds_unshared"])),
            ]
            for row in tables.stage_table(frames).to_dict("records")
        ],
    )


def _readings(frames: Frames) -> TableView:
    table = tables.readings_table(frames)
    return TableView(
        caption="Where the paper leaves a choice open or contradicts itself, what was chosen. "
        "Those that depart from its literal text come first.",
        headings=["Reading", "Setting", "Value", "Meaning", "Departs", "Variants"],
        rows=[
            [
                _text(row["reading"]),
                _text(row["key"]),
                _text(row["value"]),
                _text(row["meaning"]),
                Cell("departs" if row["departs"] else "no"),
                _text(row["variants"]),
            ]
            for row in table.to_dict("records")
        ],
    )


def _data(frames: Frames) -> TableView:
    counts = ["train", "validation", "test", "left_out"]
    return TableView(
        caption="Data sets.",
        headings=["Data", "Kind", "Train", "Validation", "Test", "Left out", "Stands beside", "Digest"],
        rows=[
            [
                _text(row["name"]),
                _text(row["kind"]),
                *(_number(row[count]) for count in counts),
                _text(row["counterpart"]),
                _text(row["digest"]),
            ]
            for row in tables.data_table(frames).to_dict("records")
        ],
    )


def _runs(frames: Frames) -> TableView:
    return TableView(
        caption="Each run, its record in Sacred, and the key of the stage that it starts from.",
        headings=["Run", "Status", "Sacred id", "Start"],
        rows=[
            [_text(row["run"]), _text(row["status"]), _text(row["record"]), _text(row["start"])]
            for row in tables.provenance_table(frames).to_dict("records")
        ],
    )


# Figures


def _ablation_figure(frames: Frames, ablation: str, data: str) -> FigureView:
    return _figure(
        figures.ablation(frames, ablation, data=data),
        name=f"ablation-{ablations(frames).index(ablation)}-{_place(frames, data)}",
        alt=f"PSNR of the hole for each variant of the ablation {ablation}; the next table holds the values.",
        caption=f"{ablation} on {data}. Every seed is a dot; bars are intervals that hold together at 95%. "
        "Differences are of paired images, and of paired seeds where the start is shared.",
    )


def _curves(frames: Frames, data: str) -> FigureView:
    return _figure(
        figures.training_curves(frames, data=data),
        name=f"curves-{_place(frames, data)}",
        alt="Line plots over training steps: reconstruction loss, the critics' gap, "
        "and the adversarial gradient's norm over the reconstruction's.",
        caption=f"Training on {data}. Lines are means over seeds, bands their least and greatest value. "
        "With several critics, the mean of theirs.",
    )


def _repairs(frames: Frames, data: str) -> FigureView:
    return _figure(
        figures.repairs(frames, data=data),
        name=f"repairs-{_place(frames, data)}",
        alt="Grid of test images: the original, the image with its hole, and each method's repair of it.",
        caption=f"As Figure 4: the same test images of {data} for all methods, the first by name of those kept, "
        "none chosen by its look.",
    )


def _place(frames: Frames, data: str) -> int:
    return frames.data_sets().index(data)


def _figure(drawn: Figure, *, name: str, alt: str, caption: str) -> FigureView:
    return FigureView(svg=Markup(style.svg(drawn, name)), alt=alt, caption=caption)


# Files


def _view(make: Callable[..., View], *arguments: Any) -> View:
    """What `make` makes, or the sentence why there is nothing."""
    try:
        return make(*arguments)
    except NoDataError as nothing:
        return str(nothing)


def _try(make: Callable[..., pd.DataFrame], *arguments: Any) -> pd.DataFrame | str:
    try:
        return make(*arguments)
    except NoDataError as nothing:
        return str(nothing)


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda cell: " ".join(map(repr, cell)) if isinstance(cell, tuple) else cell)


def _write(path: Path, text: str) -> Path:
    """Write aside in the same folder, then move into place, so that a reader sees the old file or the new one."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False, newline="") as aside:
        try:
            aside.write(text)
            aside.close()
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise
    return path
