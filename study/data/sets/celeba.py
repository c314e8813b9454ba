"""CelebA as its authors distribute it: the aligned images, and the files of partitions, identities and attributes.

Liu et al. 2015, "Deep Learning Face Attributes in the Wild".
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

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
        names = files.images.images
        people = files.labels("identity_CelebA", "the number of a person", _person)
        if self.split == "identity" and people is None:
            raise ValueError(f"split: 'identity' needs identity_CelebA.txt, which is not at {self.root} or its Anno/")
        groups = {image: person for image, (person,) in people.values.items()} if people else {}
        names = self._having(files, self.only) if self.only else names
        notes: list[str] = []
        if self.split == "official":
            found = self._official(files, names)
        else:
            order = splits.shuffled(names, self.split_seed, "celeba", "split")
            counts = {part: getattr(self, part) or PAPER[part] for part in ("test", "train", "validation")}
            apart = groups if self.split == "identity" else {}
            found, notes = splits.counted(order, counts, apart, files.images.place)
        groups = {name: groups[name] for part in PARTS for name in found[part]} if groups else {}
        return splits.Split(found, files.images, groups, notes)

    def _official(self, files: "_Files", names: Sequence[str]) -> dict[str, list[str]]:
        """The images of each part in the official partition, or a random choice of them."""
        partition = files.labels("list_eval_partition", "its part, 0, 1 or 2", PARTITION.get)
        if partition is None:
            raise ValueError(
                f"split: 'official' needs list_eval_partition.txt (or .csv), which is not at {self.root} or its Eval/"
            )
        parts: dict[str, list[str]] = {}
        for part in PARTS:
            own = [name for name in names if partition.values[name] == [part]]
            count = getattr(self, part)
            if count is not None and count > len(own):
                asked = f"{count:,} images are asked for"
                raise ValueError(f"{part}: {asked}, the official partition has {len(own):,} of them")
            parts[part] = splits.shuffled(own, self.split_seed, "celeba", part)[:count] if count else own
        return parts

    def _having(self, files: "_Files", only: Mapping[str, bool]) -> list[str]:
        """The images with these attributes."""
        what = "1 or -1 for each of {} attributes, and each image stands once"
        found = files.labels("list_attr_celeba", what, {"1": True, "-1": False}.get, header=True)
        if found is None:
            raise ValueError(f"only: it needs list_attr_celeba.txt (or .csv), which is not at {self.root} or its Anno/")
        for attribute in only:
            if attribute not in found.columns:
                has = f"{found.shown} has {', '.join(found.columns)}"
                raise ValueError(f"only: '{attribute}' is not an attribute; {has}")
        wanted = {found.columns.index(attribute): has for attribute, has in only.items()}
        return [name for name in files.images.images if all(found.values[name][i] is has for i, has in wanted.items())]


class _Table(NamedTuple, Generic[T]):
    """A label file: its name, the values of each image, and the names of the values, if the file has a header."""

    shown: str
    values: dict[str, list[T]]
    columns: list[str]


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

    def labels(
        self, name: str, what: str, value: Callable[[str], T | None], *, header: bool = False
    ) -> _Table[T] | None:
        """Reads NAME.txt or NAME.csv, with an image and a value per line, or several values below a ``header``.

        Returns None without a file. Raises ValueError for a bad line, or if the images named are not those that exist.
        """
        found = self._rows(name)
        if found is None:
            return None
        shown, rows = found
        if header and rows and len(rows[0][1]) == 1:  # the number of images
            rows = rows[1:]
        columns = [column for _, cells in rows[:1] for column in cells if column != "image_id"] if header else [""]
        if header or (rows and rows[0][1][0] == "image_id"):
            rows = rows[1:]
        values: dict[str, list[T]] = {}
        for number, (image, *cells) in rows:
            own = [one for one in map(value, cells) if one is not None]
            if len(own) != len(cells) or len(own) != len(columns) or image in values:
                why = "the image is listed twice" if image in values else f"got '{' '.join([image, *cells])[:60]}'"
                raise ValueError(f"root: {shown}:{number}: a line is an image and {what.format(len(columns))}; {why}")
            values[image] = own
        there = set(self.images.images)
        gone, unnamed = sorted(values.keys() - there), sorted(there - values.keys())
        faults = [f"{len(gone):,} images that it names are not there ({some(gone)})"] if gone else []
        faults += [f"{len(unnamed):,} images that are there it does not name ({some(unnamed)})"] if unnamed else []
        if faults:
            raise ValueError(
                f"root: {shown} does not match the images: {'; '.join(faults)}; download both again, or cut the file "
                f"to the existing images"
            )
        return _Table(shown, values, columns)

    def _rows(self, name: str) -> tuple[str, list[tuple[int, list[str]]]] | None:
        """The name of NAME.txt or NAME.csv, whichever exists, and its lines: number and cells."""
        for file in (f"{name}.txt", f"{name}.csv"):
            if (content := self._content(file)) is not None:
                try:
                    lines = content.decode("utf-8-sig").splitlines()
                    cells = list(csv.reader(lines)) if file.endswith(".csv") else [line.split() for line in lines]
                except (UnicodeDecodeError, csv.Error) as error:
                    raise ValueError(f"root: {file}: it cannot be read ({error})") from error
                return file, [(number, row) for number, row in enumerate(cells, 1) if row]
        return None

    def _content(self, file: str) -> bytes | None:
        for place in (folder / file for folder in self.folders):
            if place.is_file():
                return place.read_bytes()
        for folder in LABELS:
            if self.whole.has(f"{folder}{file}"):
                with self.whole.open(f"{folder}{file}") as stream:
                    return stream.read()
        return None


def _person(text: str) -> str | None:
    return text if text.isdecimal() else None
