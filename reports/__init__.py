"""Frames in, pages out: statistics, tables, figures and one self-contained page. Imports nothing else of ours."""

from reports.analysis.frames import Frames, NoDataError
from reports.render import render

__all__ = ["Frames", "NoDataError", "render"]
