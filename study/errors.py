"""The study's own errors: each says what is wrong, where, and what to do. ``study.cli`` turns them into exit codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class StudyError(Exception):
    """Something that the user can mend; shown without a traceback. Exit code 1 unless a subclass says otherwise."""

    exit_code = 1


class BadInput(StudyError):
    """A study file, an option or a folder that cannot be meant: every fault of it at once. Exit code 2."""

    exit_code = 2

    def __init__(self, faults: Sequence[str] | str) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))


class Interrupted(BaseException):
    """SIGINT or SIGTERM: not an error, and never swallowed by ``except Exception``. Exit code 130."""


def near(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'wgan'?)`` where one of ``words`` is close to ``word``, else nothing."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""


def unknown(word: object, words: Iterable[str], what: str = "") -> str:
    """``'wgam' is unknown; choose js, wgan (did you mean 'wgan'?)``."""
    known = sorted(words)
    choice = f"choose {', '.join(known)}" if known else "there is none"
    return f"{shown(word)} is {what or 'unknown'}; {choice}{near(str(word), known)}"


def shown(value: object) -> str:
    """A value of a study file as a message shows it: as YAML writes it, text in quotes, 60 characters at most."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    text = f"'{value}'" if isinstance(value, str) and value.isprintable() else text
    return text if len(text) <= 60 else text[:57] + "..."
