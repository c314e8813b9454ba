"""A harness that reproduces a paper. ``results = study.load("out")`` returns a study's results as tidy frames."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.results import Results, load

__version__ = "0.1.0"
__all__ = ["Results", "load"]

OURS = ("models", "baselines", "reports")
"""The packages that belong to this one."""
PLACE = str(Path(__file__).resolve().parents[1])


class _Ours:
    """Finds our packages where ``study`` lies, also in a folder with modules of the same names."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [PLACE]) if name in OURS else None


sys.meta_path.insert(0, _Ours)


def __dir__() -> list[str]:
    """The names of this module, with those that ``__getattr__`` imports."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Imports ``study.results`` on first use, because it imports pandas."""
    if name in __all__:
        other = getattr(sys.modules.get("reports"), "__file__", None)
        if other is not None and not other.startswith(PLACE):
            raise ImportError(
                f"{other} was imported before and hides the package 'reports' of study; import study first"
            )
        from study import results

        return getattr(results, name)
    raise AttributeError(f"module 'study' has no attribute '{name}'")
