"""Any tree of images, with a seeded split or with split files that name one relative path per line."""

import posixpath
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from study.data import splits
from study.data.base import Count
from study.data.files.image import SUFFIXES, square
from study.data.files.source import Source
from study.data.sets.images import Grouped
from study.files import read_file

__all__ = ["SUFFIXES", "Folder", "square"]

Share = Annotated[float, Field(gt=0, lt=1)]


class Folder(Grouped):
    """Images below ``root``: a folder, a zip or a tar. Each is cut to its central square and resized with antialiasing.

    train, test, validation: split files, relative to ``root`` (or to the folder of an archive).
    test_share, validation_share: without split files, the share of all images for the test, then of the rest for
        validation, in a seeded order.
    train_limit, test_limit: keep only this many images, in a seeded order.
    groups: the file of groups, by default ``groups.csv`` in ``root``; a group is in one part as a whole.
    """

    version: ClassVar[int] = 1
    kind: Literal["folder"] = "folder"
    train: str | None = None
    test: str | None = None
    validation: str | None = None
    test_share: Share = 0.2
    validation_share: Share = 0.05
    train_limit: Count | None = None
    test_limit: Count | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "Folder":
        if (self.train is None) != (self.test is None):
            raise ValueError("name both split files, 'train' and 'test', or neither")
        if self.validation is not None and self.train is None:
            raise ValueError("a split file for 'validation' needs those for 'train' and 'test'")
        if len(set(map(posixpath.normpath, self._files().values()))) < len(self._files()):
            raise ValueError("a split file is named for two parts; no image can be in both")
        idle = {"test_share": self.train, "validation_share": self.validation}
        for share, file in idle.items():
            if file is not None and getattr(self, share) != type(self).model_fields[share].default:
                raise ValueError(f"'{share}' says nothing where split files do; leave it out")
        return self

    def identity(self) -> dict[str, Any]:
        """The options except the root and ``ABOUT``, and a digest of each image's relative path and bytes."""
        chosen = self.chosen()
        files = [read_file(self.beside(file)) for file in self._files().values()]
        options = self.deciding()
        if self.validation is None:  # older keys lack it
            del options["validation"]
        return self.identified(options, chosen, files)

    def chosen(self) -> splits.Split:
        source = self.opened()
        groups = self.grouped(source)
        parts = self._named(source) if self.train else self._drawn(source, groups)
        parts["test"] = self._shuffled(parts["test"], "test")
        for part, limit in (("train", self.train_limit), ("test", self.test_limit)):
            if limit is not None and limit > len(parts[part]):
                raise ValueError(f"{part}_limit: {limit} images are asked for, {self.root} has {len(parts[part])}")
            parts[part] = parts[part][:limit]
        if self.validation is None:
            count = max(1, round(self.validation_share * len(parts["train"])))
            parts["validation"], parts["train"] = splits.cut(parts["train"], count, groups)
        put = "the split files put them into different parts; keep whole groups in one part"
        splits.check_groups(parts, groups, f"{put}, or leave them out of the file of groups")
        return splits.Split(parts, source, groups)

    def _files(self) -> dict[str, str]:
        """The split files, by part."""
        files = {"train": self.train, "validation": self.validation, "test": self.test}
        return {part: file for part, file in files.items() if file is not None}

    def _named(self, source: Source) -> dict[str, list[str]]:
        """The images that the split files name, by part."""
        files = self._files()
        found = {part: splits.listed(self.beside(file), f"{self.root}/{file}", source) for part, file in files.items()}
        for one, other in combinations(found, 2):
            names = {posixpath.normpath(name) for name in found[one]}
            if both := sorted(name for name in found[other] if posixpath.normpath(name) in names):
                raise ValueError(f"{files[one]} and {files[other]} both name {both[0]} ({len(both)} in all)")
        return found | {"train": self._shuffled(found["train"], "train")}

    def _drawn(self, source: Source, groups: Mapping[str, str]) -> dict[str, list[str]]:
        names = source.images
        if not names:
            why = self.why_none(source) or f"it is empty; looked for {', '.join(sorted(SUFFIXES))}"
            raise ValueError(f"root: no images below {self.root}; {why}")
        count = max(1, round(self.test_share * len(names)))
        test, train = splits.cut(self._shuffled(names, "split"), count, groups)
        return {"train": train, "test": test}

    def _shuffled(self, names: Sequence[str], what: str) -> list[str]:
        return splits.shuffled(names, self.split_seed, "folder", what)
