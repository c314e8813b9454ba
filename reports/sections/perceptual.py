"""Perceptual distances, if a study asks for them: a part of the results."""

from typing import Any

from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import METRICS, OF_SETS
from reports.document import Block, Cell, Heading, Note, TableView, block_or_note, folded, interval, number
from reports.document import each as each_seed
from reports.sections.common import slug, table_view

WHY = (
    "PSNR rewards blur. These distances compare images as a network trained on photographs sees them; lower is better. "
    "LPIPS compares each image with its truth. FID and KID compare the set of outputs with the set of truths, so they "
    "have no interval over images."
)
BIASED = (
    "FID is too high with few images (Chong & Forsyth 2020); under 2,048 images its covariances are singular. Compare "
    "only values from the same number of images. KID has no such bias; it can be negative."
)
NETWORKS = {"alex": ", AlexNet", "vgg": ", VGG-16"}


def perceptual(frames: Frames) -> list[Block]:
    """The distances, their limits, and why some are missing; no blocks if the study asks for none."""
    asked = tables.distances_asked(frames)
    if not asked:
        return []
    blocks: list[Block] = [Heading("Perceptual distances"), Note(WHY)]
    blocks += [Note(BIASED)] if "fid" in asked else []
    blocks += [Note(f"{reason}.", "nothing") for reason in tables.distances_lacking(frames)]
    return [*blocks, *(block_or_note(distances, frames, data) for data in frames.data_sets())]


def distances(frames: Frames, data: str) -> TableView:
    """The table of each variant's distances."""
    table = tables.perceptual_table(frames, data)
    asked = tables.distances_asked(frames)
    titles = {"lpips": _named(frames), **{name: metric.label for name, metric in OF_SETS.items()}}
    whole = table_view(
        table,
        lambda row: [Cell(row["label"]), *(cell for name in asked for cell in _cells(row, name)), number(row["seeds"])],
        name=slug("perceptual", data),
        caption=f"Perceptual distances on {data}: LPIPS with 95% intervals; FID and KID as means over seeds, from n "
        "images.",
        headings=["Method", *(text for name in asked for text in (f"{titles[name]} (↓)", "each seed")), "Seeds"],
        groups=table["group"].tolist(),
    )
    return folded(whole, f"Perceptual distances on {data}")


def _named(frames: Frames) -> str:
    """LPIPS with its network, because values of different networks are not comparable."""
    options = ((frames.study["protocol"] or {}).get("perceptual") or {}).get("lpips") or {}
    return f"LPIPS{NETWORKS.get(str(options.get('net')), '')}"


def _cells(row: dict[str, Any], name: str) -> list[Cell]:
    """The mean of a distance with its precision, and each seed's."""
    digits, below = {**METRICS, **OF_SETS}[name].digits, _sample(row[f"{name}_images"])
    if name == "lpips":
        below = f"{interval(row['lpips_low'], row['lpips_high'], digits)}, {below}"
    elif name == "kid":
        below = f"subsets ± {row['kid_spread']:.{digits}f}, {below}"
    return [number(row[name], digits, below), each_seed(row[f"{name}_seeds"], digits)]


def _sample(count: int | tuple[int, ...]) -> str:
    """The number of images; if the seeds differ, the number for each seed."""
    return f"n = {count:,}" if isinstance(count, int) else f"n = {' and '.join(f'{each:,}' for each in count)}"
