"""A finished study, whose networks are exported and repair images."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

VARIANTS = {
    "proposed": tiny.PROPOSED,
    "again": {"extends": "proposed"},
    "ce": {"method": "ce"},
    "mean_fill": {"extends": "proposed", "method": "reconstruction_only", "fill": "mean"},
    "noise_fill": {"extends": "proposed", "method": "reconstruction_only", "fill": "noise"},
    "giica": {"method": "giica", "loss": "wgan_gp"},
    "mean": {"method": "mean"},
    "biharmonic": {"method": "biharmonic", "images": 2},
}
FACES = {"kind": "faces", "seed": 1, "train": 12, "validation": 2, "test": 4}


@pytest.fixture(scope="session")
def out(made_once: Callable[..., Path]) -> Path:
    """A finished study of two data sets and two seeds."""
    study = {"seeds": [0, 1], "data": {"faces": FACES, "another": {**FACES, "seed": 2}}}
    return made_once("use", lambda folder: tiny.recorded(*tiny.planned(folder, VARIANTS, **study))) / "out"
