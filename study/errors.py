"""Errors for users: each says what is wrong, where, and what to do. ``study.cli`` turns them into exit codes."""

from __future__ import annotations

import difflib
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


@contextmanager
def prefixed(place: object) -> Iterator[None]:
    """Puts a place before the message of a ValueError."""
    try:
        yield
    except ValueError as fault:
        raise ValueError(f"{place}: {fault}") from fault


def near(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'wgan'?)`` if one of ``words`` is close to ``word``, otherwise an empty string."""
    matches = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def unknown(word: object, words: Iterable[str], what: str = "") -> str:
    """``'wgam' is unknown; choose js, wgan (did you mean 'wgan'?)``."""
    known = sorted(words)
    choice = f"choose {', '.join(known)}" if known else "there is none"
    return f"{shown(word)} is {what or 'unknown'}; {choice}{near(str(word), known)}"


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
