"""The study file: read, checked, and turned into a ``Study``."""

from study.config.schema import Study
from study.config.study_file import load

__all__ = ["Study", "load"]
