"""What the page shows of a study: tables and figures of the frames, each with its caption, in words and rounded."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import figures, multiverse, protocols, tables
from reports.claims import claims_table
from reports.figures import style
from reports.frames import Frames, NoDataError
from reports.naming import group, label, level_label, metric_of, ordered, role
from reports.paper import counterpart

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
    """A table as the page shows it. Each row's first cell is its heading; `groups` names what sets rows apart.

    `more`: what is folded away beneath it.
    """

    caption: str
    headings: list[str]
    rows: list[list[Cell]]
    groups: list[str] = field(default_factory=list)
    more: "TableView | None" = None


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A figure as the page shows it."""

    svg: Markup
    alt: str
    caption: str


View = TableView | FigureView | str
"""A table, a figure, or the sentence that says why there is none."""


def ablations(frames: Frames) -> list[str]:
    """The ablations' names, in the study's order."""
    return [str(name) for name in frames.factors["ablation"].unique()]


def view(make: Callable[..., View], *arguments: Any) -> View:
    """What `make` makes, or the sentence why there is nothing."""
    try:
        return make(*arguments)
    except NoDataError as nothing:
        return str(nothing)


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


def _folded(table: TableView, caption: str) -> TableView:
    """The same with the rows of the group "other" folded away under `caption`; as it is where there are no others."""
    others = [group == "other" for group in table.groups]
    if all(others) or not any(others):
        return table

    def part(folded: bool) -> dict[str, Any]:
        kept = [place for place, other in enumerate(others) if other == folded]
        return {"rows": [table.rows[place] for place in kept], "groups": [table.groups[place] for place in kept]}

    count = sum(others)
    named = f"{caption}: {count} other variant{'' if count == 1 else 's'}, of the ablations and other readings."
    return replace(table, **part(False), more=TableView(caption=named, headings=table.headings, **part(True)))


def results(frames: Frames, data: str, metric: str) -> TableView:
    """Table 6 or 7 with ours beside it."""
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
    whole = TableView(
        caption=f"{number}. {named.label}{unit} on {data}, of the composite: published, and measured with 95% "
        "intervals over seeds and images. More is better.",
        headings=[
            "Method", "Published", "Whole image", "each seed", "Hole", "each seed", "Seeds", "Images", "Notes",
        ],
        rows=rows,
        groups=table["group"].tolist(),
    )  # fmt: skip
    return _folded(whole, f"{number}, {named.label}{unit} on {data}")


def contrasts(frames: Frames, data: str) -> TableView:
    """The paper's links and the controls, with their outcomes."""
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


def ablation(frames: Frames, ablation: str, data: str) -> TableView:
    """The cells of an ablation."""
    table = tables.ablation_table(frames, ablation, data)
    factors = [str(name) for name in tables.levels(frames, ablation).columns[1:]]
    digits = metric_of("psnr").digits
    rows = [
        [
            Cell(label(row["variant"])),
            *(_text(level_label(str(row[factor]))) for factor in factors),
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


def claims(frames: Frames) -> TableView:
    """The paper's claims, each with its outcome."""
    rows, groups = [], []
    for row in claims_table(frames).to_dict("records"):
        digits = 3 if row["unit"] == "" else 2
        interval = _interval(row["low"], row["high"], digits, "+") if pd.notna(row["low"]) else ""
        effect = _number(row["effect"], digits, interval, "+")
        rows.append(
            [
                Cell(f"{row['id']}. {row['claim']}", below=row["where"], kind="said"),
                Cell(row["outcome"], below=f"scope: {row['scope']}"),
                replace(effect, text=f"{effect.text} {row['unit']}".rstrip() if effect.kind else NONE),
                Cell(row["counts"] or NONE),
                Cell(row["why"], below="\n".join(row["beside"])),
            ]
        )
        groups.append(row["id"])
    return TableView(
        caption="What the paper claims, and what this study says of it. A claim needs all of its links; the effect is "
        "of the one that decides. Published differences stand beside ours; controls decide nothing.",
        headings=["Claim", "Outcome", "Effect", "n", "On what it rests"],
        rows=rows,
        groups=groups,
    )


def blending(frames: Frames, data: str) -> TableView:
    """Before and after Poisson blending."""
    table = tables.blending_table(frames, data)
    rows = []
    for row in table.to_dict("records"):
        cells = [Cell(row["label"])]
        for metric in tables.BLENDED:
            digits = metric_of(metric).digits
            before, after = (_number(row[name], digits).text for name in (metric, f"{metric}_blended"))
            change = _number(row[f"{metric}_change"], digits, sign="+").text
            interval = _interval(row[f"{metric}_low"], row[f"{metric}_high"], digits, "+")
            cells.append(Cell(f"{before} → {after}", below=f"{change} {interval}", kind="number"))
        raw = _number(row["seam_raw"], metric_of("seam").digits)
        rows.append([*cells, raw, _number(row["seeds"]), _number(row["images"])])
    whole = TableView(
        caption=f"Before and after Poisson blending on {data} (reading R25): the hole's PSNR (dB; more is better), the "
        "seam error at its boundary (less is better), and its sharpness (1 is as sharp as the truth). Means over seeds "
        "and images; below, the change with its 95% interval. Raw is the generator's own output.",
        headings=["Method", *(metric_of(metric).label for metric in tables.BLENDED), "Seam, raw", "Seeds", "Images"],
        rows=rows,
        groups=table["group"].tolist(),
    )
    return _folded(whole, f"Blending on {data}")


def departures(frames: Frames) -> list[tuple[str, str]]:
    """Each of the paper's methods that departs from the text of its own paper, and where; none where none is known."""
    try:
        table = tables.departures_table(frames)
    except NoDataError:
        return []
    return [
        (str(name), "; ".join(f"{row['key']} {level_label(row['value'])} ({row['reading']})" for row in rows))
        for name, own in table.astype({"value": str}).groupby("label", sort=False)
        if (rows := own.to_dict("records"))
    ]


def specification(frames: Frames, name: str, contrast: tuple[str, str], data: str) -> FigureView:
    """A specification curve."""
    table = multiverse.specification_table(frames, name, data, contrast=contrast)
    a, b = contrast
    asked = multiverse.multiverses(frames)
    numbers = (list(asked).index(name), asked[name].index(contrast), _place(frames, data))
    return _figure(
        figures.specification(frames, name, data=data, contrast=contrast),
        name="-".join(["specification", *map(str, numbers)]),
        alt=f"The difference in PSNR of the hole between {label(a)} and {label(b)} in each universe, sorted, with its "
        "interval, and below it the level of each reading; the next table holds the values.",
        caption=f"Is the outcome one of how the paper is read? {label(a)} against {label(b)} under the readings of "
        f"the multiverse {name}. {multiverse.specification_words(table)}",
    )


def specification_values(frames: Frames, name: str, contrast: tuple[str, str], data: str) -> TableView:
    """The values of a specification curve."""
    table = multiverse.specification_table(frames, name, data, contrast=contrast)
    varied = multiverse.readings(table)
    rows = [
        [
            Cell("the study's own" if row["usual"] else str(row["universe"])),
            *(Cell(level_label(str(row[reading])) or NONE) for reading in varied),
            _number(row["difference"], 3, _interval(row["low"], row["high"], 3, "+"), "+"),
            Cell(f"{row['n_seeds'][0]} and {row['n_seeds'][1]} seeds", below=f"{row['n_images']} images"),
            Cell(row["note"] or NONE, kind="notes"),
        ]
        for row in table.to_dict("records")
    ]
    return TableView(
        caption=f"The universes of {name} on {data}: {label(contrast[0])} − {label(contrast[1])}, PSNR of the hole "
        "(dB), with 95% intervals, each by itself.",
        headings=["Universe", *varied, "Difference", "n", "Note"],
        rows=rows,
    )


def protocol(frames: Frames) -> TableView:
    """How many published figures are in reach under each protocol, and what would have to be true of the others."""
    summary = protocols.protocol_summary(frames)
    rows = [
        [
            Cell(f"{REGION[row['region']]}, {row['output']}"),
            Cell(row["window"]),
            *(Cell(f"{row[metric]} of {row[f'{metric}_of']}", kind="number") for metric in ("psnr", "ssim")),
            Cell(row["would_have_to"] or "nothing more", kind="notes"),
        ]
        for row in summary.to_dict("records")
    ]
    return TableView(
        caption=f"The published figures of Tables 6 to 8 under each protocol. {protocols.protocol_words(summary)}",
        headings=[
            "Region and output",
            "Window of SSIM",
            "PSNR in reach",
            "SSIM in reach",
            "What would have to be true",
        ],
        rows=rows,
        more=_protocol_values(frames),
    )


def _protocol_values(frames: Frames) -> TableView:
    table = protocols.protocol_table(frames)
    rows = []
    for row in table.to_dict("records"):
        digits = metric_of(row["metric"]).digits
        rows.append(
            [
                Cell(f"{metric_of(row['metric']).label}, {REGION[row['region']]}, {row['output']}"),
                Cell(label(role(frames, row["method"])), below=row["counterpart"]),
                _number(row["published"], digits),
                _number(row["measured"], digits, f"on {row['data']}"),
                _number(row["floor"], digits, label(row["filler"])),
                _number(row["ceiling"], digits, f"{label(row['best'])} {row['best_mean']:.{digits}f}"),
                Cell("in reach" if row["in_reach"] else "no"),
            ]
        )
    return TableView(
        caption="Every published figure under every protocol: floor, ceiling, and what the method scored here.",
        headings=["Protocol", "Method", "Published", "Measured", "Floor", "Ceiling", "In reach"],
        rows=rows,
        groups=(table["metric"] + table["region"] + table["output"]).tolist(),
    )


def trouble(frames: Frames) -> TableView:
    """What did not complete, or warns."""
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


def cost(frames: Frames) -> TableView:
    """What a run costs."""
    table = tables.cost_table(frames)
    whole = TableView(
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
            for row in table.to_dict("records")
        ],
        groups=[group(frames, variant) for variant in table["variant"]],
    )
    return _folded(whole, "Cost")


def stages(frames: Frames) -> TableView:
    """What sharing saved, by kind of stage."""
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


def readings(frames: Frames) -> TableView:
    """The readings in force."""
    table = tables.readings_table(frames)
    return TableView(
        caption="Where the paper leaves a choice open or contradicts itself, what was chosen. "
        "Those that depart from its literal text, a baseline's from that of its own paper, come first.",
        headings=["Reading", "Setting", "Value", "Meaning", "Departs", "Variants"],
        rows=[
            [
                _text(row["reading"]),
                _text(row["key"]),
                _text(level_label(str(row["value"]))),
                _text(row["meaning"]),
                Cell("departs" if row["departs"] else "no"),
                _text(row["variants"]),
            ]
            for row in table.to_dict("records")
        ],
    )


def data(frames: Frames) -> TableView:
    """The data sets."""
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


def runs(frames: Frames) -> TableView:
    """Each run and its record."""
    return TableView(
        caption="Each run, its record in Sacred, and the key of the stage that it starts from.",
        headings=["Run", "Status", "Sacred id", "Start"],
        rows=[
            [_text(row["run"]), _text(row["status"]), _text(row["record"]), _text(row["start"])]
            for row in tables.provenance_table(frames).to_dict("records")
        ],
    )


# Figures


def ablation_figure(frames: Frames, ablation: str, data: str) -> FigureView:
    """An ablation's means and differences."""
    return _figure(
        figures.ablation(frames, ablation, data=data),
        name=f"ablation-{ablations(frames).index(ablation)}-{_place(frames, data)}",
        alt=f"PSNR of the hole for each variant of the ablation {ablation}; the next table holds the values.",
        caption=f"{ablation} on {data}. Every seed is a dot; bars are intervals that hold together at 95%. "
        "Differences are of paired images, and of paired seeds where the start is shared.",
    )


def curves(frames: Frames, data: str) -> FigureView:
    """Training over steps."""
    return _figure(
        figures.training_curves(frames, data=data),
        name=f"curves-{_place(frames, data)}",
        alt="Line plots over training steps: reconstruction loss, the critics' gap, "
        "and the adversarial gradient's norm over the reconstruction's.",
        caption=f"Training on {data}. Lines are means over seeds, bands their least and greatest value. "
        "With several critics, the mean of theirs.",
    )


def repairs(frames: Frames, data: str) -> FigureView:
    """The grid of Figure 4."""
    return _figure(
        figures.repairs(frames, data=data),
        name=f"repairs-{_place(frames, data)}",
        alt="Grid of test images: the original, the image with its hole, and each method's repair of it.",
        caption=f"As Figure 4: the same test images of {data} for all methods, the first by name of those kept, "
        "none chosen by its look.",
    )


def blended_repairs(frames: Frames, data: str) -> FigureView:
    """The paper's methods after blending, on few images so that the page stays light."""
    blended = frames.pictures["output"] == "blended"
    if not (blended & (frames.pictures["data"] == data)).any():
        raise NoDataError(f"No blended repair of {data} is stored.")
    pictures = frames.pictures[blended | frames.pictures["output"].isin(["truth", "masked"])]
    pictures = pictures.assign(output=pictures["output"].replace("blended", "composite"))
    known = [v for v in ordered(frames, pictures["variant"].tolist()) if group(frames, v) == "paper"]
    return _figure(
        figures.repairs(replace(frames, pictures=pictures), data=data, variants=known or None, limit=2),
        name=f"blended-{_place(frames, data)}",
        alt="Grid of test images: the original, the image with its hole, and each of the paper's methods' repair of it "
        "after Poisson blending.",
        caption=f"The same after Poisson blending, the first two images of {data}, the paper's methods alone.",
    )


def _place(frames: Frames, data: str) -> int:
    return frames.data_sets().index(data)


def _figure(drawn: Figure, *, name: str, alt: str, caption: str) -> FigureView:
    return FigureView(svg=Markup(style.svg(drawn, name)), alt=alt, caption=caption)
