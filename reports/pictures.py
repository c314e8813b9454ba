"""Which pictures are shown, beside which: the same images for all methods, and none chosen by its look."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.document import Grid, Pixels
from reports.frames import Frames, NoDataError
from reports.naming import group, label, ordered

OUTPUTS = ("composite", "raw", "blended")
SURROUND = ("truth", "masked")


def sample(
    frames: Frames, data: str, *, variants: list[str] | None = None, seed: int | None = None, limit: int = 6
) -> Grid:
    """The test images that the protocol's seed drew, as Figure 4 has them: original, masked, then a column a method.

    `variants`: by default the paper's methods, the controls and the fillers. `seed`: by default `usual_seed`; fillers
    have none. `limit`: how many images, the first by name. A method without a picture leaves its place empty.
    Raises NoDataError where no picture is stored.
    """
    pictures = frames.pictures[frames.pictures["data"] == data]
    repaired = pictures[pictures["output"].isin(OUTPUTS)]
    if repaired.empty:
        raise NoDataError(f"No repaired image of {data} is stored.")
    present = ordered(frames, repaired["variant"].tolist())
    if variants is None:
        variants = [v for v in present if group(frames, v) != "other"] or present
    repaired = repaired[repaired["variant"].isin(variants)]
    if seed is None:
        seed = usual_seed(repaired)
    runs = frames.runs[frames.runs["data"] == data]
    untrained = runs.loc[(runs["start"] == "") & (runs["status"] == "completed"), "variant"]
    repaired = repaired[(repaired["seed"] == seed) | repaired["variant"].isin(untrained)]
    images = sorted(repaired["image"].unique(), key=str)[:limit]
    if not images:
        raise NoDataError(f"No repaired image of {data} with seed {seed} is stored.")
    found = _pixels(repaired, ["variant", "image", "output"])
    surround = _pixels(pictures[pictures["output"].isin(SURROUND)], ["image", "output"])
    outputs = [output for output in OUTPUTS if (repaired["output"] == output).any()]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]] = []
    for image in images:
        around = [{kind: surround[image, kind]} if (image, kind) in surround else {} for kind in SURROUND]
        own = [{o: found[v, image, o] for o in outputs if (v, image, o) in found} for v in variants]
        rows.append((str(image), [*around, *own]))
    return Grid(columns=["Original", "Masked", *map(label, variants)], rows=rows, outputs=outputs)


def worst(frames: Frames, data: str, *, limit: int = 3) -> Grid:
    """The reference's worst repairs: the test images with the least PSNR in the hole of a completed seed's composite.

    They are of the first such seed that has any. Raises NoDataError where none is stored.
    """
    reference = frames.study["reference"]
    own = frames.worst[(frames.worst["data"] == data) & (frames.worst["variant"] == reference)]
    if own.empty:
        raise NoDataError(f"No worst repair of {reference or 'a proposed model'} on {data} is stored.")
    own = own[own["seed"] == own["seed"].min()]
    found = _pixels(own, ["image", "output"])
    outputs = [output for output in OUTPUTS if (own["output"] == output).any()]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]] = []
    for image in own["image"].drop_duplicates().tolist()[:limit]:
        around = [{kind: found[image, kind]} if (image, kind) in found else {} for kind in SURROUND]
        rows.append((str(image), [*around, {o: found[image, o] for o in outputs if (image, o) in found}]))
    return Grid(columns=["Original", "Masked", label(str(reference))], rows=rows, outputs=outputs)


def usual_seed(pictures: pd.DataFrame) -> int:
    """The seed of which most variants have pictures, the least of equals."""
    by_seed = pictures.groupby("seed")["variant"].nunique().sort_index()
    return int(by_seed.index[int(by_seed.to_numpy().argmax())])


def _pixels(pictures: pd.DataFrame, by: list[str]) -> dict[Any, Pixels]:
    return {tuple(str(row[name]) for name in by): row["pixels"] for row in pictures.to_dict("records")}
