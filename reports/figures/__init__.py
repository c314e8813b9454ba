"""Draws the report's figures: frames in, matplotlib figures out. Reads no files and keeps no pyplot state."""

from reports.figures.ablation import ablation, ablation_parts, ablations
from reports.figures.answer import published_and_measured
from reports.figures.contrasts import forest_of_contrasts
from reports.figures.curves import training_curves
from reports.figures.generator import generator
from reports.figures.holes import by_hole
from reports.figures.mechanism import mechanism, sharpness
from reports.figures.network import network
from reports.figures.repairs import repairs, worst
from reports.figures.search import history, importances, slices
from reports.figures.specification import specification

__all__ = [
    "ablation",
    "ablation_parts",
    "ablations",
    "by_hole",
    "forest_of_contrasts",
    "generator",
    "history",
    "importances",
    "mechanism",
    "network",
    "published_and_measured",
    "repairs",
    "sharpness",
    "slices",
    "specification",
    "training_curves",
    "worst",
]
