"""Any tree of images, packed: with a seeded split, or with split files that name a relative path a line."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field, model_validator

from study.data import packed
from study.data.base import DataSet, Report
from study.seeds import numpy_rng

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}
Share = Annotated[float, Field(gt=0, lt=1)]
Limit = Annotated[int, Field(ge=1)]


class Folder(DataSet):
    """Images below `root`. Each is cut to its central square and resized with antialiasing.

    `train` and `test` are split files, relative to `root`; without them a seeded share is the test set. A share of the
    training images is kept for validation. `train_limit` and `test_limit` keep the first so many, in a seeded order.
    `like`: which of the paper's data sets the images are of the kind of, for the report.
    """

    version: ClassVar[int] = 1
    kind: Literal["folder"] = "folder"
    root: str
    train: str | None = None
    test: str | None = None
    test_share: Share = 0.2
    validation_share: Share = 0.05
    split_seed: Annotated[int, Field(ge=0)] = 0
    train_limit: Limit | None = None
    test_limit: Limit | None = None
    like: Literal["CelebA", "ImageNet", "Places2"] | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "Folder":
        if (self.train is None) != (self.test is None):
            raise ValueError("name both split files, 'train' and 'test', or neither")
        return self

    def identity(self) -> dict[str, Any]:
        """The options but the root and `like`, and a digest of each image's relative path, size and time of change."""
        root = self._root()
        digest = hashlib.sha256()
        for name in sorted({name for names in self.split().values() for name in names}):
            facts = (root / name).stat()
            digest.update(json.dumps([name, facts.st_size, facts.st_mtime_ns]).encode())
        for file in (self.train, self.test):
            if file is not None:
                digest.update((root / file).read_bytes())
        return self.model_dump(exclude={"root", "like"}) | {"version": self.version, "content": digest.hexdigest()}

    def pack(self, image_size: int, folder: Path, report: Report) -> None:
        split = self.split()
        parts = {part: self._pictures(names, image_size) for part, names in split.items()}
        packed.write(folder, image_size, parts, sum(map(len, split.values())), report)

    def split(self) -> dict[str, list[str]]:
        """The names of each part's images, in the order in which they are packed.

        Raises:
            ValueError: a folder or file is missing, or a part would be empty.
        """
        if self.train is not None and self.test is not None:
            train, test = self._listed(self.train), self._listed(self.test)
            if both := sorted(set(train) & set(test)):
                raise ValueError(f"{self.train} and {self.test} both name {both[0]} ({len(both)} in all)")
            train = self._shuffled(train, "train")
        else:
            names = self._shuffled(self._found(), "split")
            count = max(1, round(self.test_share * len(names)))
            train, test = names[count:], names[:count]
        test = self._shuffled(test, "test")
        for part, found, limit in (("train", train, self.train_limit), ("test", test, self.test_limit)):
            if limit is not None and limit > len(found):
                raise ValueError(f"{part}_limit: {limit} images are asked for, {self.root} has {len(found)}")
        train, test = train[: self.train_limit], test[: self.test_limit]
        held = max(1, round(self.validation_share * len(train)))
        parts = {"train": train[held:], "validation": train[:held], "test": test}
        for part, names in parts.items():
            if not names:
                raise ValueError(f"{self.root}: too few images for the {part} part; at least three are needed")
        return {part: sorted(names) for part, names in parts.items()}

    def _root(self) -> Path:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise ValueError(f"root: there is no folder {self.root}; name one that holds images")
        return root

    def _found(self) -> list[str]:
        root = self._root()
        files = (file.relative_to(root) for file in root.rglob("*") if not file.is_dir())
        names = sorted(
            file.as_posix()
            for file in files
            if file.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in file.parts)
        )
        if not names:
            raise ValueError(f"root: no images below {self.root}; looked for {', '.join(sorted(SUFFIXES))}")
        return names

    def _listed(self, file: str) -> list[str]:
        root = self._root()
        try:
            lines = (root / file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.root}/{file}: the split file cannot be read ({error})") from error
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        for number, name in enumerate(names, 1):
            path = Path(name)
            image = path.suffix.lower() in SUFFIXES and (root / path).is_file()
            if path.is_absolute() or ".." in path.parts or not image:
                raise ValueError(f"{self.root}/{file}: entry {number}, '{name}', is no image below {self.root}")
        if len(set(names)) < len(names):
            raise ValueError(f"{self.root}/{file}: an image is named twice")
        return names

    def _shuffled(self, names: list[str], what: str) -> list[str]:
        order = numpy_rng(self.split_seed, "folder", what).permutation(len(names))
        return [names[place] for place in order]

    def _pictures(self, names: list[str], side: int) -> Iterator[packed.Picture | packed.LeftOut]:
        root = self._root()
        for name in names:
            text = name.encode(errors="backslashreplace").decode()
            if text != name:
                yield packed.LeftOut(text, "its name is not UTF-8")
                continue
            try:
                yield packed.Picture(name, square(root / name, side))
            except Exception as error:  # whatever a damaged file makes the decoder raise
                why = " ".join(str(error).replace(f"{root}/", "").split())
                yield packed.LeftOut(name, why or type(error).__name__)


def square(file: Path, side: int) -> packed.Pixels:
    """An image's central square, (side, side, 3): upright by its EXIF entry, transparency over black.

    Raises:
        OSError and others: whatever Pillow raises of an image that it cannot read.
    """
    with Image.open(file) as opened:
        opened.draft("RGB", (2 * side, 2 * side))  # a JPEG is decoded at a reduced size, never under twice the side
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
            image = Image.fromarray((np.asarray(image, np.float64) / 257).round().clip(0, 255).astype(np.uint8))
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
        image = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
        return np.asarray(image, dtype=np.uint8)
