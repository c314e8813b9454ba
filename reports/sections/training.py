"""Training: what the critics did, the training curves, and the cost."""

from dataclasses import replace
from typing import Any

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import group, metric_of
from reports.document import (
    Block,
    Cell,
    FigureView,
    Note,
    Section,
    TableView,
    block_or_note,
    duration,
    folded,
    interval,
    number,
    text,
)
from reports.sections.common import each_data_set, ranged, slug, table_view

WHY = (
    "A critic changes a repair only if its gradient reaches the generator. The ratio compares the adversarial gradient "
    "with that of the reconstruction loss, at the generator's output: far below 1 the critics have no say. A critic "
    "whose gap is zero cannot tell real images from repaired ones."
)


def mechanism(frames: Frames) -> Section:
    """What the critics did."""
    blocks: list[Block] = [Note(WHY), *each_data_set(frames, awake, series, sharpness, mechanism_values)]
    return Section(id="mechanism", title="Did the critics do anything?", blocks=blocks)


def curves(frames: Frames) -> Section:
    """The training curves, folded once the study has ended."""
    blocks = each_data_set(frames, training_curves)
    return Section(id="training", title="Training curves", blocks=blocks, folded=not frames.study["progress"])


def cost(frames: Frames) -> Section:
    """The cost of a run, and the savings from sharing stages."""
    blocks = [block_or_note(costs, frames), Note(sharing(frames)), block_or_note(stages, frames)]
    return Section(id="cost", title="Cost", blocks=blocks, folded=True)


def series(frames: Frames, data: str) -> FigureView:
    """The figure of the critics' gradients, gaps and saturation."""
    return FigureView(
        name=slug("mechanism", data),
        drawn=figures.mechanism(frames, data),
        alt="Line plots over the steps of joint training: the ratio of the two gradients, each critic's gap, and the "
        "share of its weights at the clip's bound; the next table lists their last values.",
        caption=f"Critics in joint training on {data}. Each critic's gap has its own axis.",
    )


def sharpness(frames: Frames, data: str) -> FigureView:
    """The figure of sharpness and seam error against PSNR."""
    return FigureView(
        name=slug("sharpness", data),
        drawn=figures.sharpness(frames, data),
        alt="Scatter plots: PSNR of the hole against sharpness and against the seam error, a dot a seed, by method.",
        caption=f"Perception against distortion on {data}: sharper repairs often have a lower PSNR. Small dots are "
        "seeds, large marks are means.",
    )


def mechanism_values(frames: Frames, data: str) -> TableView:
    """The table of what the critics did at the end of joint training."""
    table = tables.mechanism_table(frames, data)

    def span(row: dict[str, Any], term: str, scale: float = 1.0, digits: int = 2) -> Cell:
        bounds = interval(row[f"{term}_least"] * scale, row[f"{term}_greatest"] * scale, digits)
        return number(row[term] * scale, digits, bounds)

    sharp = metric_of("sharpness").digits
    whole = table_view(
        table,
        lambda row: [
            Cell(row["label"], below=row["critics"]),
            span(row, "ratio"),
            span(row, "gap", digits=4),
            span(row, "at_bound", 100, 0),
            span(row, "score_size", digits=3),
            ranged(row, "sharpness", sharp, of="sharpness_"),
            ranged(row, "sharpness_difference", sharp, "+", of="sharpness_difference_"),
            ranged(row, "seam", metric_of("seam").digits, of="seam_"),
            number(row["seeds"]),
            number(row["diverged"]),
        ],
        name=slug("mechanism", data),
        caption=f"Critics on {data} in the last fifth of joint training: means, and the range over seeds. Scores are "
        "not comparable across losses.",
        headings=[
            "Method", "Gradient ratio", "Gap of scores", "Weights at the clip (%)", "Size of scores",
            "Sharpness (1 = truth)", "Change from Reconstruction only", "Seam error (↓)", "Seeds", "Diverged",
        ],
        groups=table["group"].tolist(),
    )  # fmt: skip
    return replace(folded(whole, f"Critics on {data}"), folded=True)


def awake(frames: Frames, data: str) -> TableView:
    """The table of each critic: whether it was awake."""
    table = tables.awake_table(frames, data)

    def span(row: dict[str, Any], name: str, digits: int) -> Cell:
        return number(row[name], digits, interval(row[f"{name}_least"], row[f"{name}_greatest"], digits))

    return table_view(
        table,
        lambda row: [
            Cell(row["label"]),
            Cell(row["network"]),
            span(row, "accuracy", 2),
            span(row, "share", 3),
            span(row, "gradient_ratio", 4),
            Cell(f"{row['awake']} of {row['seeds']} seeds"),
        ],
        name=slug("awake", data),
        caption=f"Each critic on {data} in the second half of joint training: means, and the range over seeds. The "
        "glossary says when a critic is awake.",
        folded=True,
        headings=[
            "Method", "Critic", "Accuracy (0.5 = guessing)", "Share of the critics' gradients",
            "Gradient ratio", "Awake",
        ],
    )  # fmt: skip


def training_curves(frames: Frames, data: str) -> FigureView:
    """The figure of the training curves."""
    running = ", thin lines are seeds still in training" if (frames.running["data"] == data).any() else ""
    return FigureView(
        name=slug("curves", data),
        drawn=figures.training_curves(frames, data=data),
        alt="Line plots over training steps: the reconstruction loss and the critics' gap.",
        caption=f"Training on {data}. Lines are means over seeds and critics, bands are the range over seeds{running}.",
    )


def costs(frames: Frames) -> TableView:
    """The table of what a run costs."""
    table = tables.cost_table(frames)
    whole = table_view(
        table,
        lambda row: [
                Cell(row["label"]),
                text(row["data"]),
                number(row["runs"]),
                number(row["parameters"]),
                number(row["macs"] / 1e6, 1),
                number(row["critic_parameters"]),
                number(row["critic_macs"] / 1e6, 1),
                number(row["updates"]),
                number(row["step_ms"], 1),
                number(row["memory_mib"]),
                Cell(duration(row["seconds"]), kind="number"),
                number(row["device_hours"], 2),
        ],
        name="cost",
        caption="Cost of a run. Time is the median of a variant's runs; device hours are those of all its runs without "
        "sharing.",
        headings=[
            "Variant", "Data", "Runs", "Generator's weights", "MMAC", "Critics' weights", "MMAC", "Updates",
            "ms a joint step", "MiB", "Time of a run", "Device hours",
        ],
        groups=[group(frames, variant) for variant in table["variant"]],
    )  # fmt: skip
    return folded(whole, "Cost")


def sharing(frames: Frames) -> str:
    """The savings from sharing stages, in a sentence."""
    sharing = frames.study["sharing"] or {}
    shared, unshared = sharing.get("shared"), sharing.get("unshared")
    if not shared or not unshared:
        return "The work that sharing saved is not recorded."
    return (
        f"Runs that need the same stage share it. This saved {1 - shared / unshared:.0%} of the work: {shared:.3g} "
        f"instead of {unshared:.3g} multiply-accumulates."
    )


def stages(frames: Frames) -> TableView:
    """The table of stages: how many were made, and how often they were used."""
    table = tables.stage_table(frames)
    return table_view(
        table,
        lambda row: [
            text(row["kind"]),
            number(row["stages"]),
            number(row["uses"]),
            Cell(duration(row["seconds"]), kind="number"),
            Cell(duration(row["seconds_unshared"]), kind="number"),
        ],
        name="stages",
        caption="Stages that were trained, and how many runs used them. Unshared: the time if each run trained its "
        "own.",
        headings=["Stage", "Trained", "Used by", "Time", "Unshared"],
    )
