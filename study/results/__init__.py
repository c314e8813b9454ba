"""The results of a study: tidy frames, status, and the difference of two outputs. Does not import torch."""

from study.results.frames import Results, load

__all__ = ["Results", "load"]
