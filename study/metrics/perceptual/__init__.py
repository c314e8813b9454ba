"""Perceptual distances: LPIPS of each image, FID and KID of a set of images.

They need weights, which are never downloaded. If a file is missing, the results say so in place of the number.
"""

from study.metrics.perceptual.gathering import Gathering
from study.metrics.perceptual.options import Perceptual
from study.metrics.perceptual.weights import VERSIONS, Distances, find

__all__ = ["VERSIONS", "Distances", "Gathering", "Perceptual", "find"]
