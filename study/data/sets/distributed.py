"""Data sets that come as a training and a validation set, from which the paper draws: ImageNet and Places2."""

import posixpath
from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from study.data import splits
from study.data.base import Count
from study.data.files.source import Source, Together
from study.data.files.tree import opened
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

    def chosen(self) -> splits.Split:
        root = opened(self.root)
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
