"""Turns a study's frames into its report: one HTML page, a PDF, and its tables and figures as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.analysis.frames import Frames, NoDataError
    from reports.render import render

__all__ = ["Frames", "NoDataError", "render"]


def __getattr__(name: str) -> Any:
    """Imports what it names on first use: pandas, and for ``render`` Matplotlib."""
    if name == "render":
        from reports.render import render

        return render
    if name in __all__:
        from reports.analysis import frames

        return getattr(frames, name)
    raise AttributeError(f"module 'reports' has no attribute '{name}'")
