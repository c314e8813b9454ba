"""CelebA as its authors distribute it: the aligned images, and the files of partitions, identities and attributes.

Liu et al. 2015, "Deep Learning Face Attributes in the Wild".
"""

import csv
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from study.data import splits
from study.data.base import Count, Like
from study.data.files.source import first_of, some
from study.data.files.tree import opened
from study.data.packed import PARTS
from study.data.sets.images import Images

ALIGNED = "img_align_celeba"
IMAGES = tuple(f"{folder}{ALIGNED}{suffix}" for folder in ("", "Img/") for suffix in ("", ".zip"))
LABELS = ("", "Anno/", "Eval/")
SETS = ("", "celeba/", "CelebA/")  # below the root, where that is a folder of data sets
PAPER = {"train": 80_000, "validation": 1_000, "test": 20_000}


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
        files = _Files(self)
        names = files.images.images
        people = files.labels("identity_CelebA", "the number of a person", r"\d+")
        if self.split == "identity" and people is None:
            raise ValueError(f"split: 'identity' needs identity_CelebA.txt, which is not at {self.root} or its Anno/")
        groups = {image: person for image, (person,) in people.cells.items()} if people else {}
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
        partition = files.labels("list_eval_partition", "its part, 0, 1 or 2", "[012]")
        if partition is None:
            raise ValueError(
                f"split: 'official' needs list_eval_partition.txt (or .csv), which is not at {self.root} or its Eval/"
            )
        parts: dict[str, list[str]] = {}
        for number, part in enumerate(PARTS):
            own = [name for name in names if partition.cells[name] == [str(number)]]
            count = getattr(self, part)
            if count is not None and count > len(own):
                asked = f"{count:,} images are asked for"
                raise ValueError(f"{part}: {asked}, the official partition has {len(own):,} of them")
            parts[part] = splits.shuffled(own, self.split_seed, "celeba", part)[:count] if count else own
        return parts

    def _having(self, files: "_Files", only: Mapping[str, bool]) -> list[str]:
        """The images with these attributes."""
        what = "1 or -1 for each of {} attributes, and each image stands once"
        found = files.labels("list_attr_celeba", what, "-?1", header=True)
        if found is None:
            raise ValueError(f"only: it needs list_attr_celeba.txt (or .csv), which is not at {self.root} or its Anno/")
        for attribute in only:
            if attribute not in found.columns:
                has = f"{found.file} has {', '.join(found.columns)}"
                raise ValueError(f"only: '{attribute}' is not an attribute; {has}")
        wanted = {found.columns.index(attribute): "1" if has else "-1" for attribute, has in only.items()}
        return [name for name in files.images.images if all(found.cells[name][i] == one for i, one in wanted.items())]


class _Table(NamedTuple):
    """A label file: its name, the cells of each image, and the names of the cells, if the file has a header."""

    file: str
    cells: dict[str, list[str]]
    columns: list[str]


class _Files:
    """The images, and the folders and archives that may hold the label files."""

    def __init__(self, data: CelebA) -> None:
        """Looks for the images in the known layouts. Raises ValueError if they are in none."""
        whole, root, path = data.opened(), data.root, Path(data.root).expanduser()
        for below in SETS if path.is_dir() else ("",):
            images = first_of(whole, *(f"{below}{place}" for place in IMAGES))
            if images is not None:
                break
        else:
            images, below = whole, ""
        while (inner := images.at(ALIGNED)) is not None:  # img_align_celeba.zip holds a folder; some copies nest two
            images = inner
        if not images.images:
            why = data.why_none(images) or "it is empty"
            raise ValueError(f"root: there are no images of CelebA at {root}; looked for {', '.join(IMAGES)}; {why}")
        if strange := [name for name in images.images if not re.fullmatch(r"\d{6}\.(jpg|png)", name)]:
            raise ValueError(
                f"root: {images.place} holds images that are not CelebA's, whose names are 000001.jpg and so on: "
                f"{some(strange)}; for other images there is the kind folder, with like: CelebA"
            )
        bases = [path / below] if path.is_dir() and images is not whole else [path.parent, path.parent.parent]
        self.images = images
        self._sources = [*(opened(str(base)) for base in bases if base.is_dir()), whole]

    def labels(self, name: str, what: str, cell: str, *, header: bool = False) -> _Table | None:
        """Reads NAME.txt or NAME.csv, with an image and a cell per line, or several cells below a ``header``.

        Returns None without a file. Raises ValueError for a line whose cells do not match the pattern ``cell``, or if
        the images named are not those that exist.
        """
        found = self._rows(name)
        if found is None:
            return None
        file, rows = found
        if header and rows and len(rows[0][1]) == 1:  # the number of images
            rows = rows[1:]
        columns = [column for _, cells in rows[:1] for column in cells if column != "image_id"] if header else [""]
        if header or (rows and rows[0][1][0] == "image_id"):
            rows = rows[1:]
        matches = re.compile(cell).fullmatch
        table: dict[str, list[str]] = {}
        for number, (image, *cells) in rows:
            if len(cells) != len(columns) or not all(map(matches, cells)) or image in table:
                why = "the image is listed twice" if image in table else f"got '{' '.join([image, *cells])[:60]}'"
                raise ValueError(f"root: {file}:{number}: a line is an image and {what.format(len(columns))}; {why}")
            table[image] = cells
        there = set(self.images.images)
        gone, unnamed = sorted(table.keys() - there), sorted(there - table.keys())
        faults = [f"{len(gone):,} images that it names are not there ({some(gone)})"] if gone else []
        faults += [f"{len(unnamed):,} images that are there it does not name ({some(unnamed)})"] if unnamed else []
        if faults:
            raise ValueError(
                f"root: {file} does not match the images: {'; '.join(faults)}; download both again, or cut the file "
                f"to the existing images"
            )
        return _Table(file, table, columns)

    def _rows(self, name: str) -> tuple[str, list[tuple[int, list[str]]]] | None:
        """The name of NAME.txt or NAME.csv, whichever exists, and its lines: number and cells."""
        for file, source, folder in product((f"{name}.txt", f"{name}.csv"), self._sources, LABELS):
            if source.has(f"{folder}{file}"):
                with source.open(f"{folder}{file}") as stream:
                    content = stream.read()
                try:
                    lines = content.decode("utf-8-sig").splitlines()
                    cells = list(csv.reader(lines)) if file.endswith(".csv") else [line.split() for line in lines]
                except (UnicodeDecodeError, csv.Error) as error:
                    raise ValueError(f"root: {file}: it cannot be read ({error})") from error
                return file, [(number, row) for number, row in enumerate(cells, 1) if row]
        return None
