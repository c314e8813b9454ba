"""The harness: takes a paper apart. ``results = study.load("out")`` gives a study's output as tidy frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from study.results import Results, load

__version__ = "0.1.0"
__all__ = ["Results", "load"]


def __getattr__(name: str) -> Any:
    """Loads ``study.results`` when it is first asked for: the other modules do without pandas."""
    if name in __all__:
        from study import results

        return getattr(results, name)
    raise AttributeError(f"module 'study' has no attribute '{name}'")
