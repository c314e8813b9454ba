"""Data sets: read, packed into one array file, and drawn as batches with holes.

A new kind is a ``DataSet`` in a file of its own and a line in ``DATASETS``.
"""

from study.data.base import DataSet
from study.data.packed import Packed
from study.data.portraits.faces import Faces
from study.data.sets.celeba import CelebA
from study.data.sets.folder import Folder
from study.data.sets.imagenet import ImageNet
from study.data.sets.places2 import Places2

DATASETS: dict[str, type[DataSet]] = {
    "faces": Faces,
    "folder": Folder,
    "celeba": CelebA,
    "imagenet": ImageNet,
    "places2": Places2,
}

__all__ = ["DATASETS", "CelebA", "DataSet", "Faces", "Folder", "ImageNet", "Packed", "Places2"]
