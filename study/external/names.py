"""Names of other people's files: ``case1_raw.png``, ``case1_mask.png`` and ``case1_output.png`` are one image.

A pattern such as ``{name}_raw`` says which part of a file's name, without its suffix, names the image.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from study.errors import BadInput

NAME = "{name}"
WORDS = {
    "truth": "raw gt truth real orig original image img target input",
    "mask": "mask m hole",
    "output": "output out fake pred result completed inpainted repaired inpaint comp fake_b",
}
"""What people write beside the image's name, by the kind of file: the usual ones first."""


def patterns(text: str | None, *roles: str) -> dict[str, str]:
    """The patterns in ``--match``, by role; ``{name}`` without one.

    Args:
        roles: what the patterns are for, in order.

    Raises BadInput if their number is another, or one has not exactly one ``{name}``.
    """
    if text is None:
        return dict.fromkeys(roles, NAME)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(roles) or any(part.count(NAME) != 1 or "/" in part for part in parts):
        example = ",".join(f"{NAME}_{WORDS[role].split()[0]}" for role in roles)
        raise BadInput(f"--match {text}: write a pattern for {', '.join(roles)}, each with one {NAME}: '{example}'")
    return dict(zip(roles, parts, strict=True))


def match(pattern: str, path: str) -> str | None:
    """The part of a path that stands for ``{name}`` in a pattern; None if the path is not like it."""
    before, _, after = pattern.partition(NAME)
    folder, slash, last = path.rpartition("/")
    fits = last.startswith(before) and last.endswith(after) and len(last) > len(before) + len(after)
    return folder + slash + last[len(before) : len(last) - len(after)] if fits else None


def hint(given: Mapping[str, tuple[str, Collection[str]]], names: Collection[str] | None = None) -> str:
    """``--match`` with patterns that pair files, and how many; empty if none fits.

    Args:
        given: by role, 'truth', 'mask' or 'output': the folder, and the paths of its files without suffix.
        names: the names of the images, where they are known.
    """
    best, most = [NAME], 0
    tried = [
        [(folder, pattern, _named(pattern, paths)) for pattern in _likely(role, paths)]
        for role, (folder, paths) in given.items()
    ]
    for first in [[one] for one in tried[0]] if names is None else [[]]:
        chosen, common = list(first), first[0][2] if names is None else set(names)
        for rivals in tried[len(chosen) :]:
            free = [one for one in rivals if one[:2] not in [other[:2] for other in chosen]]  # a file has one role
            if not free:
                break
            chosen.append(max(free, key=lambda one: len(common & one[2])))
            common = common & chosen[-1][2]
        if len(common) > most and len(chosen) == len(tried):
            best, most = [pattern for _, pattern, _ in chosen], len(common)
    return f"--match '{','.join(best)}' pairs {most} of them" if set(best) != {NAME} else ""


def _named(pattern: str, paths: Collection[str]) -> set[str]:
    return {name for path in paths if (name := match(pattern, path)) is not None}


def _likely(role: str, paths: Collection[str]) -> Iterator[str]:
    """Patterns that the names of files of a role may have, the likelier first: with its usual words, then with any."""
    ends: Counter[str] = Counter()
    for path in paths:
        last = path.rpartition("/")[2]
        ends.update(NAME + last[cut.start() :] for cut in re.finditer(r"[_.-]", last) if cut.start())
        ends.update(last[: cut.end()] + NAME for cut in re.finditer(r"[_.-]", last) if cut.end() < len(last))
    words = WORDS[role].split()
    usual = [one for one in ends if one.replace(NAME, "").strip("_.-").lower() in words]
    usual.sort(key=lambda one: words.index(one.replace(NAME, "").strip("_.-").lower()))
    common = [one for one, count in ends.most_common(8) if count == len(paths)]
    yield from dict.fromkeys([*usual, NAME, *common])
