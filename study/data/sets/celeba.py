"""CelebA as its authors distribute it: the aligned images, and the files of partitions, identities and attributes.

Liu et al. 2015, "Deep Learning Face Attributes in the Wild".
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

from study.data import splits
from study.data.base import Like
from study.data.files.source import Source, first_of, some
from study.data.files.tree import opened
from study.data.packed import PARTS
from study.data.sets.images import Count, Images

ALIGNED = "img_align_celeba"
IMAGES = tuple(f"{folder}{ALIGNED}{suffix}" for folder in ("", "Img/") for suffix in ("", ".zip"))
LABELS = ("", "Anno/", "Eval/")
SETS = ("", "celeba/", "CelebA/")  # below the root, where that is a folder of data sets
PARTITION = {"0": "train", "1": "validation", "2": "test"}
PAPER = {"train": 80_000, "validation": 1_000, "test": 20_000}


T = TypeVar("T")


class CelebA(Images):
    """CelebA's aligned images, 178 x 218 px, cut to the central square.

    split: 'random', a seeded choice of images, as in the paper; 'identity', a seeded choice of people, each in one part
        only; 'official', the partition by the authors.
    train, validation, test: the number of images; by default the paper's 80,000 and 20,000, and 1,000 others for
        validation, or the whole official partition.
    only: attributes that an image must have or must not have: ``{Eyeglasses: true, Male: false}``.

    If identities are known they are the images' groups, also in a random split, whose parts share people.
    """

    version: ClassVar[int] = 1
    kind: Literal["celeba"] = "celeba"
    split: Literal["random", "identity", "official"] = "random"
    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None
    only: dict[str, bool] | None = None
    like: Like | None = "CelebA"
    licence: str | None = "CelebA: non-commercial research only, by the agreement on its page; not to be passed on"

    def chosen(self) -> splits.Split:
        files = _Files.found(self.root)
        names = list(files.images.images)
        people = files.labels("identity_CelebA", "the number of a person", _person)
        if people is not None:
            _check(people, names)
        elif self.split == "identity":
            raise ValueError(f"split: 'identity' needs identity_CelebA.txt, which is not at {self.root} or its Anno/")
        groups = people.values if people else {}
        partition = self._partition(files, names)
        if self.only:
            names = self._having(files, names)
        if partition is None:
            order = splits.shuffled(names, self.split_seed, "celeba", "split")
            counts = {part: getattr(self, part) or PAPER[part] for part in ("test", "train", "validation")}
            apart = groups if self.split == "identity" else {}
            found, notes = splits.counted(order, counts, apart, files.images.place)
        else:
            found, notes = {part: self._of(part, names, partition) for part in PARTS}, []
        return splits.Split(
            parts={part: sorted(found[part]) for part in PARTS},
            source=files.images,
            groups={name: groups[name] for part in PARTS for name in found[part]} if groups else {},
            left_out=files.images.left_out,
            notes=[*notes, *splits.alike_but_for_case(names)],
        )

    def _partition(self, files: "_Files", names: Sequence[str]) -> Mapping[str, str] | None:
        """The part of each image in the official partition; None for other splits."""
        if self.split != "official":
            return None
        found = files.labels("list_eval_partition", "its part, 0, 1 or 2", PARTITION.get)
        if found is None:
            raise ValueError(
                f"split: 'official' needs list_eval_partition.txt (or .csv), which is not at {self.root} or its Eval/"
            )
        _check(found, names)
        return found.values

    def _of(self, part: str, names: Sequence[str], partition: Mapping[str, str]) -> list[str]:
        own = [name for name in names if partition[name] == part]
        count = getattr(self, part)
        if count is None:
            return own
        if count > len(own):
            raise ValueError(f"{part}: {count:,} images are asked for, the official partition has {len(own):,} of them")
        return splits.shuffled(own, self.split_seed, "celeba", part)[:count]

    def _having(self, files: "_Files", names: Sequence[str]) -> list[str]:
        """The images with the attributes in ``only``."""
        found = files.attributes()
        if found is None:
            raise ValueError(f"only: it needs list_attr_celeba.txt (or .csv), which is not at {self.root} or its Anno/")
        _check(found, names)
        columns = found.columns
        for attribute in self.only or {}:
            if attribute not in columns:
                raise ValueError(f"only: '{attribute}' is not an attribute; {found.shown} has {', '.join(columns)}")
        wanted = {columns.index(attribute): has for attribute, has in (self.only or {}).items()}
        return [name for name in names if all(found.values[name][place] is has for place, has in wanted.items())]


@dataclass(frozen=True, kw_only=True)
class _Table(Generic[T]):
    """A label file: values by image. ``shown`` names the file; ``columns`` names several values."""

    shown: str
    values: dict[str, T]
    columns: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Where CelebA's files are: the images, the folders of the label files, and the root, which may hold both."""

    images: Source
    folders: Sequence[Path]
    whole: Source

    @classmethod
    def found(cls, root: str) -> "_Files":
        """Looks for the images in the known layouts. Raises ValueError if they are in none."""
        whole, path = opened(root), Path(root).expanduser()
        for below in SETS if path.is_dir() else ("",):
            images = first_of(whole, *(f"{below}{place}" for place in IMAGES))
            if images is not None:
                break
        else:
            images, below = whole, ""
        while (inner := images.at(ALIGNED)) is not None:  # img_align_celeba.zip holds a folder; some copies nest two
            images = inner
        if not images.images:
            raise ValueError(f"root: there are no images of CelebA at {root}; looked for {', '.join(IMAGES)}")
        if strange := [name for name in images.images if not re.fullmatch(r"\d{6}\.(jpg|png)", name)]:
            raise ValueError(
                f"root: {images.place} holds images that are not CelebA's, whose names are 000001.jpg and so on: "
                f"{some(strange)}; for other images there is the kind folder, with like: CelebA"
            )
        bases = [path / below] if path.is_dir() and images is not whole else [path.parent, path.parent.parent]
        return cls(images=images, folders=[base / folder for base in bases for folder in LABELS], whole=whole)

    def labels(self, name: str, what: str, value: Callable[[str], T | None]) -> _Table[T] | None:
        """Reads a file with an image and a value per line; None without a file. Raises ValueError for bad lines."""
        found = self._rows(name)
        if found is None:
            return None
        shown, rows = found
        values: dict[str, T] = {}
        for number, row in rows:
            if number == 1 and row[0] == "image_id":
                continue
            read = value(row[1]) if len(row) == 2 else None
            if read is None or row[0] in values:
                why = "the image is listed twice" if row[0] in values else f"got '{' '.join(row)}'"
                raise ValueError(f"root: {shown}:{number}: a line is an image and {what}; {why}")
            values[row[0]] = read
        return _Table(shown=shown, values=values)

    def attributes(self) -> _Table[list[bool]] | None:
        """The attributes of each image; None if there is no such file. Raises ValueError for bad lines."""
        found = self._rows("list_attr_celeba")
        if found is None:
            return None
        shown, rows = found
        if rows and len(rows[0][1]) == 1:  # the number of images
            rows = rows[1:]
        columns = [name for name in rows[0][1] if name != "image_id"] if rows else []
        values: dict[str, list[bool]] = {}
        for number, row in rows[1:]:
            if len(row) != len(columns) + 1 or not set(row[1:]) <= {"1", "-1"} or row[0] in values:
                raise ValueError(
                    f"root: {shown}:{number}: a line is an image and 1 or -1 for each of {len(columns)} attributes, "
                    f"and each image stands once; got '{' '.join(row)[:60]}'"
                )
            values[row[0]] = [cell == "1" for cell in row[1:]]
        return _Table(shown=shown, values=values, columns=columns)

    def _rows(self, name: str) -> tuple[str, list[tuple[int, list[str]]]] | None:
        """The name of NAME.txt or NAME.csv, whichever exists, and its lines: number and cells."""
        for file in (f"{name}.txt", f"{name}.csv"):
            content = self._content(file)
            if content is None:
                continue
            try:
                lines = content.decode("utf-8-sig").splitlines()
                cells = list(csv.reader(lines)) if file.endswith(".csv") else [line.split() for line in lines]
            except (UnicodeDecodeError, csv.Error) as error:
                raise ValueError(f"root: {file}: it cannot be read ({error})") from error
            return file, [(number, row) for number, row in enumerate(cells, 1) if row]
        return None

    def _content(self, file: str) -> bytes | None:
        for folder in self.folders:
            if (folder / file).is_file():
                return (folder / file).read_bytes()
        inside = next((f"{folder}{file}" for folder in LABELS if self.whole.has(f"{folder}{file}")), None)
        if inside is None:
            return None
        with self.whole.open(inside) as stream:
            return stream.read()


def _person(text: str) -> str | None:
    return text if text.isdecimal() else None


def _check(table: _Table[T], names: Sequence[str]) -> None:
    """Raises ValueError if a file does not name exactly the existing images."""
    there = set(names)
    gone = sorted(set(table.values) - there)
    unnamed = sorted(there - set(table.values))
    faults = [f"{len(gone):,} images that it names are not there ({some(gone)})"] if gone else []
    faults += [f"{len(unnamed):,} images that are there it does not name ({some(unnamed)})"] if unnamed else []
    if faults:
        raise ValueError(
            f"root: {table.shown} does not match the images: {'; '.join(faults)}; download both again, or cut the file "
            f"to the existing images"
        )
