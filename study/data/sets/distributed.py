"""Data sets that come as a training and a validation set, from which the paper draws: ImageNet and Places2."""

import posixpath
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

from study.data import splits
from study.data.base import Count
from study.data.files.source import Source, Together, some
from study.data.sets.images import Grouped


class Distributed(Grouped):
    """A seeded choice of images: the paper's 50,000 training images, and others for validation and test.

    test_from: draw the test images from the distributed training set or validation set. Names begin with 'train/' or
    'val/' accordingly.
    """

    train: Count = 50_000
    validation: Count = 1_000
    test: Count = 10_000
    test_from: Literal["train", "val"] = "train"

    @abstractmethod
    def distributed(self, root: Source, which: str) -> tuple[Source, Sequence[str], list[str]]:
        """The distributed set 'train' or 'val': its source, the names to choose from, and notes.

        Raises:
            ValueError: there is no such set, or its own list of files does not match the images.
        """

    def none(self, root: Source, which: str, name: str, places: Sequence[str]) -> ValueError:
        """The error that none of these places below ``root`` is the set ``which``, with what is there instead."""
        there = next((found for place in places if (found := root.at(place)) is not None), None)
        looked = f"there is no set '{which}' of {name} at {self.root}; looked for {', '.join(places)}"
        if there is not None:
            return ValueError(f"root: {looked}; {there.place} has no images: {self.why_none(there) or 'it is empty'}")
        has = some(tops(root)) or self.why_none(root)
        return ValueError(f"root: {looked}; {f'it has {has}' if has else 'it is empty'}")

    def chosen(self) -> splits.Split:
        root = self.opened()
        sets: dict[str, Source] = {}
        names: dict[str, list[str]] = {}
        notes: list[str] = []
        for which in sorted({"train", self.test_from}):
            sets[which], found, more = self.distributed(root, which)
            names[which] = [f"{which}/{name}" for name in found]
            notes += more
        source = Together(sets)
        groups = self.grouped(source)
        counts = {part: int(getattr(self, part)) for part in ("test", "train", "validation")}
        parts: dict[str, list[str]] = {}
        for name, own in names.items():
            asked = {part: n for part, n in counts.items() if (self.test_from if part == "test" else "train") == name}
            in_order = sorted(
                own, key=lambda path: (posixpath.basename(path), path)
            )  # the same, whatever folders they are in
            order = splits.shuffled(in_order, self.split_seed, type(self).model_fields["kind"].default, name)
            drawn, more = splits.counted(order, asked, groups, sets[name].place)
            parts, notes = {**parts, **drawn}, [*notes, *more]
        are = "are of the training and the validation set; set test_from: train"
        splits.check_groups(parts, groups, f"{are}, or leave them out of the file of groups")
        return splits.Split(parts, source, groups, notes)


def tops(root: Source) -> list[str]:
    """The files and folders at the top of a source, these with a '/'."""
    return sorted({f"{top}{slash}" for top, slash, _ in (name.partition("/") for name in root.names)})


def bases(root: Source) -> Iterator[Source]:
    """Where a layout may begin: at the root, or in the only folder that it holds."""
    yield root
    folders = [name for name in tops(root) if name.endswith("/")]
    if len(folders) == 1 and (only := root.at(folders[0][:-1])) is not None:
        yield only
