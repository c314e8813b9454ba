"""The report: one self-contained page, and its tables as CSV."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from reports import tables, views
from reports.claims import claims_table
from reports.frames import Frames, NoDataError
from reports.multiverse import multiverses, specification_table
from reports.paper import counterpart, paper
from reports.protocols import HEADROOM, protocol_table
from reports.views import NOT_RECORDED, duration, words


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
        "claims": lambda frames: claims_table(frames).drop(columns=["beside", "links", "controls"]),
        "links": _links,
        "protocols": protocol_table,
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
        "blending": tables.blending_table,
        "contrasts": tables.contrast_table,
    }
    for multiverse, contrast in _specifications(frames):
        by_data[_file_name("specification", multiverse, *contrast)] = (
            lambda frames, data, of=multiverse, pair=contrast: specification_table(frames, of, data, contrast=pair)  # type: ignore[misc]
        )
    for ablation in views.ablations(frames):
        file = _file_name("ablation", ablation)
        by_data[file] = lambda frames, data, name=ablation: tables.ablation_table(frames, name, data)  # type: ignore[misc]
    for name, make in by_data.items():
        parts = {data: _try(make, frames, data) for data in frames.data_sets()}
        made = [part.assign(data_set=data) for data, part in parts.items() if isinstance(part, pd.DataFrame)]
        found[name] = pd.concat(made, ignore_index=True) if made else ""
    return {name: _flat(table) for name, table in found.items() if isinstance(table, pd.DataFrame) and len(table)}


def context(frames: Frames) -> dict[str, Any]:
    """All that the template needs."""
    study = frames.study
    view = views.view
    return {
        "title": f"{study['name'] or 'Study'}: Mo & Zhou 2020 taken apart",
        "study": study,
        "paper": paper(),
        "facts": _facts(frames),
        "scope": _scope(frames),
        "mixed": _mixed(frames),
        "counts": [(status, int(n)) for status, n in frames.runs["status"].value_counts().items()],
        "trouble": view(views.trouble, frames),
        "claims": view(views.claims, frames),
        "data_sets": [
            {
                "name": data,
                "beside": _beside(frames, data),
                "psnr": view(views.results, frames, data, "psnr"),
                "ssim": view(views.results, frames, data, "ssim"),
                "blending": view(views.blending, frames, data),
                "contrasts": view(views.contrasts, frames, data),
                "ablations": [
                    (name, view(views.ablation_figure, frames, name, data), view(views.ablation, frames, name, data))
                    for name in views.ablations(frames)
                ],
                "specifications": [
                    (view(views.specification, frames, *of, data), view(views.specification_values, frames, *of, data))
                    for of in _specifications(frames)
                ],
                "curves": view(views.curves, frames, data),
                "repairs": view(views.repairs, frames, data),
                "blended": view(views.blended_repairs, frames, data),
            }
            for data in frames.data_sets()
        ],
        "departures": views.departures(frames),
        "protocol": view(views.protocol, frames),
        "headroom": HEADROOM,
        "cost": view(views.cost, frames),
        "stages": view(views.stages, frames),
        "sharing": _sharing(frames),
        "readings": view(views.readings, frames),
        "data": view(views.data, frames),
        "runs": view(views.runs, frames),
        "provenance": _provenance(frames),
    }


def _specifications(frames: Frames) -> list[tuple[str, tuple[str, str]]]:
    """Each multiverse with each of its contrasts."""
    return [(name, contrast) for name, contrasts in multiverses(frames).items() for contrast in contrasts]


def _links(frames: Frames) -> pd.DataFrame:
    """What each claim rests on: a row a link or a control, that has no outcome, with the claim's id."""
    table = claims_table(frames)
    return pd.DataFrame(
        [{"id": row["id"], **found} for row in table.to_dict("records") for found in row["links"] + row["controls"]]
    )


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


# Files


def _try(make: Callable[..., pd.DataFrame], *arguments: Any) -> pd.DataFrame | str:
    try:
        return make(*arguments)
    except NoDataError as nothing:
        return str(nothing)


def _file_name(*words: str) -> str:
    return "_".join(re.sub(r"[^\w.-]+", "_", word) for word in words)


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
