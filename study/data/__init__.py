"""Data sets. A new kind is a `DataSet` in a file of its own and a line in `DATASETS`."""

from study.data.base import DataSet
from study.data.faces import Faces
from study.data.folder import Folder
from study.data.packed import Packed

DATASETS: dict[str, type[DataSet]] = {"faces": Faces, "folder": Folder}

__all__ = ["DATASETS", "DataSet", "Faces", "Folder", "Packed"]
