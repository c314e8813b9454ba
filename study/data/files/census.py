"""What becomes of each file below a root: an image by its name, none by its name, hidden, or left out with a reason."""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from study.data.files.image import decoded
from study.data.files.source import SHOWN, LeftOut, Source, is_archive, is_image, printable, some

LOOKED_AT = 100  # files of each suffix that are decoded to see whether they are images after all
SUFFIXES_SHOWN = 5


@dataclass(frozen=True)
class Census:
    """The files below a root, without side files of other systems.

    images: the number of images by their names. others: the names of other files, by suffix in small letters.
    would_decode: the others that are images by their content, of ``LOOKED_AT`` files of each suffix.
    """

    images: int
    others: dict[str, list[str]] = field(default_factory=dict)
    would_decode: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The counts and names; without ``left_out``, which a packed set lists."""
        others = {suffix: len(names) for suffix, names in self.others.items()}
        return {"images": self.images, "others": others, "would_decode": self.would_decode, "hidden": self.hidden}

    def sentences(self) -> Iterator[str]:
        """A sentence each on files that are no images by their names, and on hidden ones, if there are any."""
        if names := sorted(name for each in self.others.values() for name in each):
            text = f"{len(names):,} files are no images by their names and not read: {some(names)}"
            yield f"{text}{self._suffixes() if len(names) > SHOWN else ''}{self._decodable()}"
        if self.hidden:
            yield f"{len(self.hidden):,} hidden files or folders are not read: {some(self.hidden)}"

    def _suffixes(self) -> str:
        parts = [f"{len(names):,} {printable(suffix) or 'without'}" for suffix, names in self.others.items()]
        more = [f"and {len(parts) - SUFFIXES_SHOWN:,} others"] if len(parts) > SUFFIXES_SHOWN else []
        return f" (by suffix: {', '.join([*parts[:SUFFIXES_SHOWN], *more])})"

    def _decodable(self) -> str:
        if not self.would_decode:
            return ""
        count = len(self.would_decode)
        sample = f" (of {LOOKED_AT} tried of each suffix)" if max(map(len, self.others.values())) > LOOKED_AT else ""
        return (
            f"; {count:,} of them would decode{sample}: {some(self.would_decode)}; to use them, give them an image's "
            f"suffix, such as .jpg"
        )


def census(source: Source) -> Census:
    """Counts everything below a source. Decodes some of the files that are no images by their names."""
    by_suffix: dict[str, list[str]] = defaultdict(list)
    for name in source.names:
        if not is_image(name):
            by_suffix[posixpath.splitext(name)[1].lower()].append(name)
    tried = [name for names in by_suffix.values() for name in _spread(names)]
    return Census(
        images=len(source.images),
        others=dict(sorted(by_suffix.items(), key=lambda pair: (-len(pair[1]), pair[0]))),
        would_decode=sorted(name for name in tried if _decodes(source, name)),
        hidden=source.listing.hidden,
        left_out=source.left_out,
    )


def why_none(source: Source) -> str:
    """Why a source has no images, to follow a sentence that says so: what is there, and why it is not read.

    Empty for a source that holds nothing.
    """
    found = census(source)
    parts = list(found.sentences())
    if found.left_out:
        whys = Counter(why for _, why in found.left_out)
        first = {why: name for name, why in reversed(found.left_out)}
        reasons = [f"{printable(first[why])} ({why}{_as_well(n)})" for why, n in whys.most_common(SHOWN)]
        more = f" and for {len(whys) - SHOWN:,} other reasons" if len(whys) > SHOWN else ""
        parts.append(f"{len(found.left_out):,} left out: {', '.join(reasons)}{more}")
    if archives := [name for name in source.names if is_archive(name)]:
        parts.append(f"archives are not looked into unless one is named as root (there: {some(archives)})")
    return "; ".join(parts)


def _as_well(count: int) -> str:
    return f", as {count - 1:,} more" if count > 1 else ""


def _spread(names: list[str]) -> list[str]:
    """At most ``LOOKED_AT`` of the names, evenly spread."""
    places = np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).round().astype(int))
    return [names[place] for place in places]


def _decodes(source: Source, name: str) -> bool:
    try:
        with source.open(name) as file:
            decoded(file, 8)
    except Exception:  # whatever a file that is no image makes the decoder raise
        return False
    return True
