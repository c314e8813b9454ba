"""What all data sets of image files have in common, wherever the files are and however they are split."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from study import processes
from study.data import packed, splits
from study.data.base import DataSet, Report
from study.data.files.census import Census, census, why_none
from study.data.files.checksums import checksums
from study.data.files.image import Unfit, decoded
from study.data.files.source import LeftOut, Source, printable
from study.data.files.tree import OUTSIDE, opened
from study.errors import StudyError
from study.files import read_file

MOST_THREADS = 16
TIFF = 2  # the version of how TIFFs are read; the first guessed the range of integers of 32 bits
PLACES = {"root", "groups", "follow_links"}  # options that say where the files are; names and bytes identify a set


class Images(DataSet):
    """Image files below ``root``: a folder, a zip or a tar. Each is cut to its central square and resized.

    follow_links: follow links to folders wherever they lead, and not only those to folders below ``root``.

    A kind implements ``chosen``, which splits the images.
    """

    root: str
    follow_links: bool = False
    split_seed: Annotated[int, Field(ge=0)] = 0

    @abstractmethod
    def chosen(self) -> splits.Split:
        """The images of each part.

        Raises:
            ValueError: a folder or file is missing or malformed, or there are too few images.
        """

    def identity(self) -> dict[str, Any]:
        """The options that decide pixels, except the root; and digests of the split and of the images."""
        chosen = self.chosen()
        options = self.deciding() | {part: len(names) for part, names in chosen.parts.items()}
        return self.identified(options, chosen, [json.dumps(chosen.parts, sort_keys=True).encode()])

    def names(self) -> Mapping[str, Sequence[str]]:
        return self.chosen().parts

    def identified(self, options: Mapping[str, Any], chosen: splits.Split, files: Sequence[bytes]) -> dict[str, Any]:
        """The identity of options but the root, of the names and bytes of the images, the groups, and other files."""
        names = sorted({name for part in chosen.parts.values() for name in part})
        digest = hashlib.sha256()
        for name, facts in zip(names, checksums(self.root, chosen.source, names, threads=processors()), strict=True):
            digest.update(json.dumps([name, *facts]).encode())
        for content in files:
            digest.update(content)
        identity = {name: value for name, value in options.items() if name not in PLACES}
        if chosen.groups:
            identity["groups"] = hashlib.sha256(json.dumps(chosen.groups, sort_keys=True).encode()).hexdigest()
        if any(name.lower().endswith((".tif", ".tiff")) for name in names):
            identity["tiff"] = TIFF
        return identity | {"version": self.version, "content": digest.hexdigest()}

    def opened(self) -> Source:
        """The files below ``root``. Raises ValueError if there is nothing."""
        return opened(self.root, follow=self.follow_links)

    def census(self) -> tuple[Census, int]:
        """The files below ``root``, and how many of its images are in no part."""
        chosen = self.chosen()
        found = census(chosen.source)
        return found, found.images - sum(map(len, chosen.parts.values()))

    def why_none(self, source: Source) -> str:
        """``files.census.why_none``, with the option that follows links."""
        return "; ".join(part for part in (why_none(source), *hint(source)) if part)

    def pack(self, image_size: int, folder: Path, report: Report) -> None:
        chosen = self.chosen()
        found = census(chosen.source)
        read = partial(picture, chosen.source, side=image_size)
        packed.write(
            folder,
            image_size,
            chosen.parts,
            read,
            report,
            threads=processors(),
            groups=chosen.groups,
            left_out=chosen.source.left_out,
            notes=[*chosen.notes, *(found.sentences() if found.would_decode else ())],
        )


class Grouped(Images):
    """Images with an optional file of groups: ``groups``, or ``groups.csv`` in ``root`` or next to an archive."""

    groups: str | None = None

    def grouped(self, source: Source) -> dict[str, str]:
        """The group of each image; empty without a file. Raises ValueError as ``splits.grouped`` does."""
        root = self.opened()
        if self.groups is None and root.has(splits.GROUPS):
            with root.open(splits.GROUPS) as stream:
                return splits.grouped(stream.read(), f"{self.root}/{splits.GROUPS}", source)
        file = self._folder() / splits.GROUPS if self.groups is None else self.beside(self.groups)
        if self.groups is None and not file.is_file():
            return {}
        try:
            content = read_file(file)
        except (OSError, ValueError) as error:
            raise ValueError(f"groups: {self.groups or file}: it cannot be read ({error})") from error
        return splits.grouped(content, self.groups or str(file), source)

    def beside(self, file: str) -> Path:
        """The path of a file that is named relative to the root, or to the folder of an archive.

        Falls back to the current directory, because a root may be read-only.
        """
        here = Path(file).expanduser()
        return here if here.is_file() and not (self._folder() / file).is_file() else self._folder() / file

    def _folder(self) -> Path:
        """The root, or the folder of its archive."""
        root = Path(self.root).expanduser()
        return next((place for place in (root, *root.parents) if place.is_dir()), root)


def hint(found: Source | Census) -> list[str]:
    """The option that reads what links outside the root hold, where there are any."""
    outside = any(why == OUTSIDE for _, why in found.left_out)
    return ["follow_links: true follows links to folders outside the root"] if outside else []


def picture(source: Source, name: str, side: int) -> packed.Picture | LeftOut:
    """One image of a source to pack, or why it is left out. Raises StudyError if the disk fails, not the image."""
    if any(character in name for character in "\n\r"):
        return LeftOut(printable(name), "its name has a line break")
    if any("\udc80" <= character <= "\udcff" for character in name):
        return LeftOut(printable(name), "its name is not UTF-8")
    try:
        with source.open(name) as file:
            pixels, size = decoded(file, side)
        return packed.Picture(name, pixels, size)
    except MemoryError:
        raise
    except Unfit as error:
        return LeftOut(name, str(error))
    except PermissionError:
        return LeftOut(name, "it may not be read")
    except Exception as error:  # whatever a damaged file makes the decoder raise
        if isinstance(error, OSError) and error.errno is not None:
            raise StudyError(f"{source.place}/{name}: {error.strerror}; run the same command again") from error
        why = " ".join(str(error).split()) or type(error).__name__
        return LeftOut(name, f"it is damaged: {why}")


def processors() -> int:
    """The number of threads that read images."""
    return min(processes.processors(), MOST_THREADS)
