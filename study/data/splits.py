"""Which images are for training, validation and test, and which of them belong together (groups).

A random draw is a function of the seed, the stream's name and the images' names alone.
"""

import csv
import io
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from study.data.files.source import Source, composed, is_image, printable, some
from study.data.packed import PARTS
from study.files import read_file
from study.seeds import numpy_rng

GROUPS = "groups.csv"
LONGEST = 4096  # characters of a path, on any system
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how a list begins that PowerShell wrote
HEADER = ["image", "group"]


class Split:
    """The names of each part's images, in packing order, and the source that they are read from.

    groups: the group of each image, by name; an image without one is a group of its own. notes: sentences for the user.

    Raises ValueError if a part has no image.
    """

    def __init__(
        self, parts: Mapping[str, Sequence[str]], source: Source, groups: Mapping[str, str], notes: Sequence[str] = ()
    ) -> None:
        self.parts = {part: sorted(parts[part]) for part in PARTS}
        self.source, self.groups = source, groups
        self.notes = [*notes, *_alike_but_for_case(name for names in parts.values() for name in names)]
        for part in (part for part, names in self.parts.items() if not names):
            why = f"no image is left for the {part} part; ask for fewer in the others"
            if self.groups:
                why = (
                    f"no group is left for the {part} part, as whole groups go into one part; "
                    f"ask for another share or fewer images in the others"
                )
            elif sum(map(len, self.parts.values())) < len(self.parts):
                why = f"too few images for the {part} part; at least three are needed"
            raise ValueError(f"{self.source.place}: {why}")


def shuffled(names: Sequence[str], *stream: str | int) -> list[str]:
    """The names in a random order, a function of the stream."""
    return [names[place] for place in numpy_rng(*stream).permutation(len(names))]


def cut(names: Sequence[str], count: int, groups: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The first ``count`` names, and the rest, both in order.

    With groups, takes whole groups in the order of their first images as long as they fit in ``count``; if no group
    fits, the smallest one.
    """
    if count <= 0 or not groups:
        return list(names[:count]), list(names[count:])
    members: dict[str, list[str]] = defaultdict(list)
    for name in names:
        members[groups.get(name, name)].append(name)
    taken: set[str] = set()
    for own in members.values():
        if len(taken) + len(own) <= count:
            taken.update(own)
    if not taken and len(members) > 1:
        taken = {*min(members.values(), key=len)}
    return [name for name in names if name in taken], [name for name in names if name not in taken]


def counted(
    names: Sequence[str], counts: Mapping[str, int], groups: Mapping[str, str], place: str
) -> tuple[dict[str, list[str]], list[str]]:
    """Splits names, given in random order, into parts of ``counts`` images; returns the parts and notes.

    Parts are drawn in the order of ``counts``, so a part does not depend on the counts after it. Each group stays in
    one part, so a part may hold a few images fewer.

    Raises:
        ValueError: there are too few images; says how many, and what to set.
    """
    if sum(counts.values()) > len(names):
        asked = ", ".join(f"{count:,} for {part}" for part, count in counts.items())
        raise ValueError(
            f"root: {sum(counts.values()):,} images are asked for ({asked}), and {place} has {len(names):,} to choose "
            f"from; set {', '.join(counts)} to fewer"
        )
    found: dict[str, list[str]] = {}
    notes: list[str] = []
    rest = list(names)
    for part, count in counts.items():
        found[part], rest = cut(rest, count, groups)
        if len(found[part]) != count:
            notes.append(f"{len(found[part]):,} images for {part}, not {count:,}, so that no group is in two parts")
    return found, notes


def _alike_but_for_case(names: Iterable[str]) -> list[str]:
    """A note on names that differ only in case; empty if there are none."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        spellings[name.lower()].append(name)
    pairs = [" and ".join(map(printable, found)) for found in spellings.values() if len(found) > 1]
    note = (
        f"names that differ only in case are images of their own here: {some(pairs)}; a disk that does not tell case "
        f"apart holds one of each"
    )
    return [note] if pairs else []


def listed(file: Path, shown: str, source: Source) -> list[str]:
    """The images that a split file names: one relative path per line, '#' begins a comment.

    A name may also be an absolute path below the source, have backslashes, or be followed by a label.

    Raises:
        ValueError: the file cannot be read or is empty, or an entry is a duplicate or not an image of the source.
    """
    try:
        content = read_file(file)
        lines = content.decode("utf-16" if content[:2] in UTF_16 else "utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"{shown}: the split file cannot be read ({error})") from error
    entries = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not entries:
        raise ValueError(f"{shown}: it names no image")
    names = []
    for number, entry in enumerate(entries, 1):
        name = next((spelling for spelling in _spellings(source, entry) if _is_below(source, spelling)), None)
        if name is None:
            raise ValueError(f"{shown}: entry {number}, '{printable(entry)}', {_not_below(source, entry)}")
        names.append(composed(name))
    if len({posixpath.normpath(name) for name in names}) < len(names):
        raise ValueError(f"{shown}: an image is named twice")
    return names


def _spellings(source: Source, entry: str) -> Iterator[str]:
    """The names that an entry of a split file may mean, the likeliest first."""
    yield entry
    root = Path(source.place).expanduser()
    above = sorted({f"{place.as_posix()}/" for place in (root.absolute(), root.resolve())})
    for text in (entry, _unlabelled(entry)):
        for name in (text, text.replace("\\", "/")):
            yield name
            yield from (name.removeprefix(start) for start in above if name.startswith(start))
            yield name.lstrip("/")  # as the lists of Places365 have it


def _unlabelled(entry: str) -> str:
    """An entry of a list without what follows the name of the image: 'a.png 3' or 'a.png,cat'."""
    ends = [found.start() for found in re.finditer(r"\s+|\s*[,;]\s*", entry[:LONGEST])]
    return next((name for end in reversed(ends) if is_image(name := entry[:end])), entry)


def _is_below(source: Source, name: str) -> bool:
    """True if a name is that of an image below the source."""
    return not (name.startswith("/") or ".." in name.split("/")) and is_image(name) and source.has(name)


def _not_below(source: Source, entry: str) -> str:
    """What is wrong with a name that is not an image of the source, with the name that may be meant."""
    return f"is not an image below {source.place}{_hint(source, _unlabelled(entry).replace(chr(92), '/'))}"


def _hint(source: Source, name: str) -> str:
    """The image whose name is nearest to a wrong one, in words; '' if none is near."""
    if ".." in name.split("/"):
        return ""
    folded = composed(name).casefold()
    by_case = next((other for other in source.images if other.casefold() == folded), None)
    if by_case:
        return f"; there is '{printable(by_case)}', whose case differs"
    if not is_image(name) and (found := next((one for one in source.images if one.startswith(f"{name}.")), None)):
        return f"; there is '{printable(found)}'; write its suffix too"
    base = posixpath.basename(folded)
    near = [other for other in source.images if posixpath.basename(other).casefold() == base]
    for other in near:
        if f"/{folded}".endswith(f"/{other.casefold()}"):
            return f"; there is '{printable(other)}'; write the names relative to the root"
    return f"; there is '{printable(near[0])}'" if len(near) == 1 else ""


def grouped(content: bytes, shown: str, source: Source) -> dict[str, str]:
    """The group of each image in a CSV file with the columns image and group.

    Raises:
        ValueError: the file cannot be read, or a line is wrong; says which line and why.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"groups: {shown}: it cannot be read ({error})") from error
    if not rows or [cell.strip() for cell in rows[0]] != HEADER:
        raise ValueError(f"groups: {shown}:1: the first line has to be '{','.join(HEADER)}'")
    groups: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        cells = [cell.strip() for cell in row]
        if len(cells) != len(HEADER) or not all(cells):
            raise ValueError(
                f"groups: {shown}:{number}: a line is an image and its group, got '{printable(','.join(row))}'"
            )
        spellings = (posixpath.normpath(composed(spelling)) for spelling in _spellings(source, cells[0]))
        name = next((each for each in spellings if _is_below(source, each)), posixpath.normpath(cells[0]))
        group = cells[1]
        if name in groups:
            raise ValueError(f"groups: {shown}:{number}: the image {printable(name)} is listed twice")
        if not _is_below(source, name):
            raise ValueError(f"groups: {shown}:{number}: '{printable(cells[0])}' {_not_below(source, cells[0])}")
        groups[name] = group
    for group in sorted(set(groups.values())):
        if group not in groups and is_image(group) and source.has(group):
            raise ValueError(
                f"groups: {shown}: the group '{printable(group)}' is called as an image that the file does not "
                f"name; name that image too, with its group, or call the group otherwise"
            )
    return groups


def check_groups(parts: Mapping[str, Sequence[str]], groups: Mapping[str, str], why: str) -> None:
    """Raises ValueError, which goes on with ``why``, if a group has images in two parts."""
    first: dict[str, tuple[str, str]] = {}
    for part in PARTS:
        for name in parts[part]:
            group = groups.get(posixpath.normpath(name))
            if group is not None and (before := first.setdefault(group, (part, name)))[0] != part:
                raise ValueError(f"groups: {before[1]} and {name} both belong to '{group}', and {why}")
