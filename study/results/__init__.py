"""What a study found: tidy frames, status, the difference of two outputs. Without torch."""

from study.results.frames import Results, load

__all__ = ["Results", "load"]
