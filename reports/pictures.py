"""Chooses the pictures that the report shows: the same test images for all methods, never chosen by their look."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reports.analysis.frames import EXTERNAL, Frames, NoDataError
from reports.analysis.naming import group, label, ordered, titled
from reports.document import Grid, Pixels

OUTPUTS = {"composite": "repaired", "raw": "raw", "blended": "blended"}
"""The outputs of a method that are shown, and the word for each in a sentence."""
SURROUND = ("truth", "masked")


def sample(
    frames: Frames,
    data: str,
    *,
    variants: list[str] | None = None,
    seed: int | None = None,
    limit: int = 6,
    outputs: Sequence[str] = tuple(OUTPUTS),
) -> Grid:
    """The stored test images as in Figure 4: original, masked, then one column per method.

    A method without a picture leaves its place empty. Fillers have no seed. Methods scored from files that lack the
    chosen seed are shown with their first.

    Args:
        variants: By default the paper's methods, the controls, the fillers and methods scored from files.
        seed: By default the seed for which most variants have pictures; the smallest of equals.
        limit: The number of images, first by name.
        outputs: The outputs to look for; see ``OUTPUTS``.

    Raises:
        NoDataError: If no such picture is stored.
    """
    called = OUTPUTS[outputs[0]]
    pictures = frames.pictures[frames.pictures["data"] == data]
    repaired = pictures[pictures["output"].isin(outputs)]
    if repaired.empty:
        raise NoDataError(f"No {called} image of {data} is stored.")
    present = ordered(frames, repaired["variant"].tolist())
    if variants is None:
        variants = [v for v in present if group(frames, v) != "other"] or present
    repaired = repaired[repaired["variant"].isin(variants)]
    if seed is None and not repaired.empty:
        by_seed = repaired.groupby("seed")["variant"].nunique().sort_index()
        seed = int(by_seed.index[int(by_seed.to_numpy().argmax())])
    runs = frames.runs[frames.runs["data"] == data]
    untrained = runs.loc[(runs["start"] == "") & (runs["status"] == "completed"), "variant"]
    from_files = repaired["seed"] == repaired["variant"].map(_seeds_of_files(runs, seed))
    repaired = repaired[(repaired["seed"] == seed) | repaired["variant"].isin(untrained) | from_files]
    images = sorted(repaired["image"].unique(), key=str)[:limit]
    if not images:
        chosen = f" with seed {seed}" if seed is not None else " by the chosen variants"
        raise NoDataError(f"No {called} image of {data}{chosen} is stored.")
    found = _pixels(repaired, ["variant", "image", "output"])
    surround = _pixels(pictures[pictures["output"].isin(SURROUND)], ["image", "output"])
    stored = [output for output in outputs if (repaired["output"] == output).any()]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]] = []
    for image in map(str, images):
        around = [{kind: surround[image, kind]} if (image, kind) in surround else {} for kind in SURROUND]
        own = [{o: found[v, image, o] for o in stored if (v, image, o) in found} for v in variants]
        rows.append((image, [*around, *own]))
    return Grid(
        columns=["Original", "Masked", *(titled(frames, variant) for variant in variants)],
        rows=rows,
        outputs=stored,
        seed=seed,
    )


def worst(frames: Frames, data: str, *, limit: int = 3) -> Grid:
    """The reference's worst repairs: the test images whose composite has the lowest PSNR in the hole, worst first.

    Taken from the first seed that has any; ``limit`` is the number of images. Raises NoDataError if none is stored.
    """
    reference = str(frames.study["reference"] or "a proposed model")
    own = frames.worst[(frames.worst["data"] == data) & (frames.worst["variant"] == reference)]
    if own.empty:
        raise NoDataError(f"No worst repair of {label(reference)} on {data} is stored.")
    seed = int(own["seed"].min())
    own = own[own["seed"] == seed]
    found = _pixels(own, ["image", "output"])
    stored = [output for output in OUTPUTS if (own["output"] == output).any()]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]] = []
    for image in map(str, own["image"].drop_duplicates().tolist()[:limit]):
        around = [{kind: found[image, kind]} if (image, kind) in found else {} for kind in SURROUND]
        rows.append((image, [*around, {o: found[image, o] for o in stored if (image, o) in found}]))
    return Grid(columns=["Original", "Masked", label(reference)], rows=rows, outputs=stored, seed=seed)


def _seeds_of_files(runs: pd.DataFrame, seed: int | None) -> dict[str, int]:
    """For each variant scored from files, the seed that is shown: ``seed`` if it was scored, else its smallest."""
    own = runs[(runs["method"] == EXTERNAL) & (runs["status"] == "completed")]
    seeds = {str(variant): sorted(each) for variant, each in own.groupby("variant")["seed"]}
    return {variant: seed if seed in each else int(each[0]) for variant, each in seeds.items()}  # type: ignore[misc]


def _pixels(pictures: pd.DataFrame, by: list[str]) -> dict[Any, Pixels]:
    return {tuple(str(row[name]) for name in by): row["pixels"] for row in pictures.to_dict("records")}
