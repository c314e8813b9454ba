"""Places2 as Places365 distributes it: small or large images, in folders or tars, and the lists of files.

Zhou et al. 2018, "Places: A 10 Million Image Database for Scene Recognition".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from study.data.base import Like
from study.data.files.source import Source, first_of, some
from study.data.sets.distributed import Distributed, bases
from study.files import read_file

IMAGES = {
    "train": (
        "data_256",
        "data_256_standard",
        "data_256_challenge",
        "train_256_places365standard.tar",
        "train_256_places365challenge.tar",
        "data_large",
        "data_large_standard",
        "data_large_challenge",
        "train_large_places365standard.tar",
        "train_large_places365challenge.tar",
        "places365_standard/train",
        "places365standard_easyformat.tar",
        "train",
    ),
    "val": (
        "val_256",
        "val_256.tar",
        "val_large",
        "val_large.tar",
        "places365_standard/val",
        "places365standard_easyformat.tar",
        "val",
    ),
}
"""Where the sets are: the small images before the large ones, and the easy format, a folder for each class, last."""
EASY = ("places365_standard/train", "places365_standard/val", "places365standard_easyformat.tar", "train", "val")
LISTS = {"train": ("places365_train_standard.txt", "places365_train_challenge.txt"), "val": ("places365_val.txt",)}
LISTS_AT = ("", "meta/", "filelist_places365-standard/", "filelist_places365-challenge/")


class Places2(Distributed):
    """Images of Places365; see ``Distributed``. If its list of files exists, only the images in it are chosen from."""

    version: ClassVar[int] = 1
    kind: Literal["places2"] = "places2"
    like: Like | None = "Places2"
    licence: str | None = (
        "Places365: non-commercial research and education only, and not to be passed on, by its terms of use; "
        "the images' copyright is their owners'"
    )

    def distributed(self, root: Source, which: str) -> tuple[Source, Sequence[str], list[str]]:
        sources = ((place, first_of(base, place)) for base in bases(root) for place in IMAGES[which])
        place, found = next((pair for pair in sources if pair[1] is not None), ("", None))
        if found is None:
            raise self.none(root, which, "Places365", IMAGES[which])
        found = first_of(found, *IMAGES[which]) or found  # the folder that a tar holds
        if place in EASY:  # its names have other folders than those in the lists
            return found, found.images, []
        # A list of the standard set does not fit images of the challenge set, nor the other way round.
        other = "challenge" if "standard" in place else "standard" if "challenge" in place else None
        lists = [f"{at}{name}" for name in LISTS[which] if not other or other not in name for at in LISTS_AT]
        file = next((path for path in map(self.beside, lists) if path.is_file()), None)
        return (found, found.images, []) if file is None else (found, *_listed(file, found))


def _listed(file: Path, source: Source) -> tuple[list[str], list[str]]:
    """The images in a list with lines like '/a/airfield/00000001.jpg 0', and a note on images that are not in it.

    Raises ValueError for a bad line, or if images are missing.
    """
    names: set[str] = set()
    try:
        lines = read_file(file).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"root: {file.name}: it cannot be read ({error})") from error
    for number, line in enumerate(lines, 1):
        name, _, label = line.strip().rpartition(" ")
        if line.strip() and not (name and label.isdecimal()):
            got = f"got '{line[:60]}'"
            raise ValueError(f"root: {file.name}:{number}: a line is an image and the number of its class; {got}")
        if name:
            names.add(name.lstrip("/"))
    there = set(source.images)
    if gone := sorted(names - there):
        raise ValueError(
            f"root: {file.name} does not match the images: {len(gone):,} of {len(names):,} that it names are not at "
            f"{source.place} ({some(gone)}); download both again, or remove the list to choose from what is there"
        )
    others = sorted(there - names)
    note = f"{len(others):,} images that {file.name} does not name are not chosen from ({some(others)})"
    return sorted(names), [note] if others else []
