"""Places2 as Places365 distributes it: the images of 256 x 256 px, in folders or tars, and the lists of files.

Zhou et al. 2018, "Places: A 10 Million Image Database for Scene Recognition".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from study.data.base import Like
from study.data.files.source import Source, first_of, some
from study.data.sets.distributed import Distributed

IMAGES = {
    "train": (
        "data_256",
        "data_256_standard",
        "data_256_challenge",
        "train_256_places365standard.tar",
        "train_256_places365challenge.tar",
    ),
    "val": ("val_256", "val_256.tar"),
}
LISTS = {"train": ("places365_train_standard.txt", "places365_train_challenge.txt"), "val": ("places365_val.txt",)}
LISTS_AT = ("", "filelist_places365-standard/", "filelist_places365-challenge/")


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
        place = next((place for place in IMAGES[which] if first_of(root, place) is not None), None)
        if place is None:
            looked = ", ".join(IMAGES[which])
            raise ValueError(f"root: there is no set '{which}' of Places365 at {self.root}; looked for {looked}")
        found = first_of(root, place)
        assert found is not None
        inner = first_of(found, *IMAGES[which])  # the folder that a tar holds
        found = inner if inner is not None else found
        lists = [name for name in LISTS[which] if not _of_the_other(name, place)]
        file = next((path for name in lists for path in self._lists(name) if path.is_file()), None)
        return (found, found.images, []) if file is None else (found, *_listed(file, found))

    def _lists(self, name: str) -> list[Path]:
        return [self.beside(f"{folder}{name}") for folder in LISTS_AT]


def _of_the_other(name: str, place: str) -> bool:
    """True if the list and the images belong to different sets, standard and challenge."""
    pairs = (("standard", "challenge"), ("challenge", "standard"))
    return any(here in place and there in name for here, there in pairs)


def _listed(file: Path, source: Source) -> tuple[list[str], list[str]]:
    """The images in a list with lines like '/a/airfield/00000001.jpg 0', and a note on images that are not in it.

    Raises ValueError for a bad line, or if images are missing.
    """
    names: set[str] = set()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
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
