"""A harness that reproduces a paper. ``results = study.load("out")`` returns a study's results as tidy frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.results import Results, load

__version__ = "0.1.0"
__all__ = ["Results", "load"]


def __dir__() -> list[str]:
    """The names of this module, with those that ``__getattr__`` imports."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Imports ``study.results`` on first use, because it imports pandas."""
    if name in __all__:
        from study import results

        return getattr(results, name)
    raise AttributeError(f"module 'study' has no attribute '{name}'")
