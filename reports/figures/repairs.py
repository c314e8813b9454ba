"""The grid of Figure 4: a row a test image, a column a method."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import style
from reports.frames import Frames, NoDataError
from reports.naming import group, label, ordered


def repairs(
    frames: Frames, *, data: str, variants: list[str] | None = None, seed: int | None = None, limit: int = 6
) -> Figure:
    """Original, masked, then each method's composite, of one seed (fillers have none) and the same images for all.

    `variants`: by default the paper's methods, the controls and the fillers. `seed`: by default that
    which most of them have, the least of equals. `limit`: how many images, the first by name. A method
    without a picture leaves its place empty and says so. Raises NoDataError where no picture is stored.
    """
    pictures = frames.pictures[frames.pictures["data"] == data]
    repaired = pictures[pictures["output"] == "composite"]
    if repaired.empty:
        raise NoDataError(f"No repaired image of {data} is stored.")
    present = ordered(frames, repaired["variant"].tolist())
    if variants is None:
        variants = [v for v in present if group(frames, v) != "other"] or present
    repaired = repaired[repaired["variant"].isin(variants)]
    if seed is None:
        by_seed = repaired.groupby("seed")["variant"].nunique().sort_index()
        seed = int(by_seed.index[int(by_seed.to_numpy().argmax())])
    runs = frames.runs[frames.runs["data"] == data]
    untrained = runs.loc[(runs["start"] == "") & (runs["status"] == "completed"), "variant"]
    repaired = repaired[(repaired["seed"] == seed) | repaired["variant"].isin(untrained)]
    images = sorted(repaired["image"].unique(), key=str)[:limit]
    if not images:
        raise NoDataError(f"No repaired image of {data} with seed {seed} is stored.")

    columns = [
        ("Original", pictures[pictures["output"] == "truth"]),
        ("Masked", pictures[pictures["output"] == "masked"]),
    ]
    columns += [(label(v), repaired[repaired["variant"] == v]) for v in variants]
    with style.styled():
        drawn = style.figure(1.2 * len(columns), 1.2 * len(images) + 0.4)
        grid = drawn.subplots(len(images), len(columns), squeeze=False)
        for i, image in enumerate(images):
            for j, (title, own) in enumerate(columns):
                _place(grid[i, j], own.loc[own["image"] == image, "pixels"].tolist())
                if i == 0:
                    grid[i, j].set_title(title, loc="center", fontsize=8)
            grid[i, 0].set_ylabel(str(image), fontsize=7)
        drawn.supxlabel(f"{data}, seed {seed}", fontsize=8)
    return drawn


def _place(axes: Axes, found: list[object]) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if found:
        axes.imshow(found[0], interpolation="none")  # type: ignore[arg-type]
    else:
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=7, transform=axes.transAxes)
