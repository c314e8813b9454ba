"""Turns a study's frames into its report: one HTML page, a PDF, and its tables and figures as files."""

from reports.analysis.frames import Frames, NoDataError
from reports.render import render

__all__ = ["Frames", "NoDataError", "render"]
