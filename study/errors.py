"""Errors for users: each says what is wrong, where, and what to do. ``study.cli`` turns them into exit codes."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


class StudyError(Exception):
    """An error that the user can fix, shown without a traceback. Exit code 1, unless a subclass sets another."""

    exit_code = 1


class BadInput(StudyError):
    """A wrong study file, option or folder, with all its faults at once. Exit code 2."""

    exit_code = 2

    def __init__(self, faults: Sequence[str] | str) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


class Interrupted(KeyboardInterrupt):
    """Ends work that was asked to stop. Like Ctrl-C it is not an error, and the exit code is 130."""


REMEDIES = {
    errno.ENOSPC: "free some space there, or choose another folder; nothing that is finished is lost",
    errno.EDQUOT: "your quota is used up: free some space there; nothing that is finished is lost",
    errno.EFBIG: "the system limits the size of files: see ulimit -f",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    errno.ENFILE: "close other programs, or allow more open files",
    errno.ENOMEM: "use fewer workers (--jobs), or a smaller batch",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a place that you have the rights for",
    errno.EPERM: "choose a place that you have the rights for",
    errno.EIO: "the disk or the network is failing; copy what is there to another",
    errno.ENAMETOOLONG: "choose shorter names",
    errno.ELOOP: "a link leads back to itself; remove it",
}
"""What to do after errors of the operating system; for others, the path is wrong."""


OF_NO_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that any file would give."""
NO_MEMORY = ("DefaultCPUAllocator", "OutOfMemoryError")
"""What torch's errors say where memory is full."""


def in_words(error: BaseException) -> str:
    """An error as one sentence: what happened, where, and for errors of the machine what to do."""
    if isinstance(error, StudyError):
        return str(error)
    if isinstance(error, SystemExit):  # of a plugin
        return f"it ended this program, with exit code {error.code}; raise an exception instead"
    if isinstance(error, MemoryError) or any(word in f"{type(error).__name__}: {error}" for word in NO_MEMORY):
        why = " ".join(str(error).split())
        return f"there is not enough memory{f' ({why})' if why else ''}; {REMEDIES[errno.ENOMEM]}"
    code = code_of(error)
    if code is None:
        return f"{type(error).__name__}: {error}"
    place = getattr(error, "filename", None)
    what = (error.strerror if isinstance(error, OSError) else None) or os.strerror(code)
    where = f"{place}: " if place is not None else "" if code in OF_NO_FILE else "a file: "
    return f"{where}{what}; {REMEDIES.get(code, 'check the path')}"


def code_of(error: BaseException) -> int | None:
    """The number of an error of the operating system; a library written in Rust has it in its message."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d{1,4})\)", str(error))
    return int(found[1]) if found else None


@contextmanager
def at_file(file: object) -> Iterator[None]:
    """Names a file, or the folder where one is written, in an error of the system that names none."""
    try:
        yield
    except Exception as error:
        if code_of(error) is not None and getattr(error, "filename", None) is None:
            error.filename = str(file)  # type: ignore[attr-defined]
        raise


@contextmanager
def prefixed(place: object) -> Iterator[None]:
    """Puts a place before the message of a ValueError."""
    try:
        yield
    except ValueError as fault:
        raise ValueError(f"{place}: {fault}") from fault


MANY = 100
"""Choices that a message names, and faults after which the rest of a file is not read."""
LONG = 100
"""Characters of a wrong word that are compared with the right ones."""


def near(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'wgan'?)`` if one of ``words`` is close to ``word``, otherwise an empty string."""
    matches = difflib.get_close_matches(word[:LONG], list(words)[:MANY], n=1, cutoff=0.6)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def unknown(word: object, words: Iterable[str], what: str = "") -> str:
    """``'wgam' is unknown; choose js, wgan (did you mean 'wgan'?)``."""
    known = sorted(words)
    more = f" and {len(known) - MANY:,} more" if len(known) > MANY else ""
    choice = f"choose {', '.join(known[:MANY])}{more}" if known else "there is none"
    return f"{shown(word)} is {what or 'unknown'}; {choice}{near(str(word), known)}"


def few(names: Sequence[object], most: int, joint: str = ", ") -> str:
    """``a, b and 3 more``, or with a joint of ``; ``: ``a; b; and 3 more``."""
    more = f"{joint.strip(', ')} and {len(names) - most} more" if len(names) > most else ""
    return joint.join(map(str, names[:most])) + more


def shown(value: object) -> str:
    """A value for a message: as YAML writes it, text in quotes, at most 60 characters."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    text = f"'{value}'" if isinstance(value, str) and value.isprintable() else text
    return text if len(text) <= 60 else text[:57] + "..."


PASSWORD = re.compile(
    r"(?i)(://[^/\s:@]*:)[^\s\"'<>]*(?=@)|([?&;](?:\w*password|passwd|pwd|\w*token|\w*secret|\w*key)=)[^&;\s'\"]*"
)
SECRET = re.compile(r"(?i).*(password|passwd|pwd|token|secret|api_?key)")
"""A password in an address, and the name of an option that is one."""


def hidden(value: Any) -> Any:
    """A value for a message or a record, with ``***`` for the passwords in its addresses and options."""
    if isinstance(value, str):
        return PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", value)
    if isinstance(value, Mapping):
        return {
            key: "***" if isinstance(entry, str) and entry and SECRET.fullmatch(str(key)) else hidden(entry)
            for key, entry in value.items()
        }
    return [hidden(entry) for entry in value] if isinstance(value, list | tuple) else value
