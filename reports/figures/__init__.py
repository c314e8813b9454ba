"""Figures: frame in, matplotlib Figure out. No pyplot, no files. NoDataError says why there is nothing to show."""

from reports.figures.ablation import ablation
from reports.figures.curves import training_curves
from reports.figures.repairs import repairs
from reports.figures.specification import specification

__all__ = ["ablation", "repairs", "specification", "training_curves"]
