"""Perceptual distances, for users who have the weights: LPIPS of each image, FID and KID of a set of images.

Nothing is downloaded: ``weights`` finds what is there. What is not there is said in the results, in place of a number.
"""

from study.metrics.perceptual.gathering import Gathering
from study.metrics.perceptual.options import Perceptual
from study.metrics.perceptual.weights import VERSIONS, Distances, find

__all__ = ["VERSIONS", "Distances", "Gathering", "Perceptual", "find"]
