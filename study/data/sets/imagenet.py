"""ImageNet's ILSVRC 2012 and subsets of it: folders of classes, or the distributed tars, read in place.

Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from study.data.base import Like
from study.data.files.source import Source, Together, first_of
from study.data.sets.distributed import Distributed, bases, tops

FOLDERS = ("ILSVRC/Data/CLS-LOC/", "Data/CLS-LOC/", "CLS-LOC/", "")


class ImageNet(Distributed):
    """Images of ILSVRC 2012; see ``Distributed``. Its training tar holds a tar for each class."""

    version: ClassVar[int] = 1
    kind: Literal["imagenet"] = "imagenet"
    like: Like | None = "ImageNet"
    licence: str | None = (
        "ImageNet: non-commercial research and education only, by its terms of access; "
        "the images' copyright is their owners'"
    )

    def distributed(self, root: Source, which: str) -> tuple[Source, Sequence[str], list[str]]:
        places = [*(f"{folder}{which}" for folder in FOLDERS), f"ILSVRC2012_img_{which}", f"ILSVRC2012_img_{which}.tar"]
        found = next(
            (found for base in bases(root) if (found := first_of(base, *places) or _in_pieces(base, which))), None
        )
        if found is None and which == "train" and Path(self.root).expanduser().is_file() and root.images:
            found = root  # the training tar itself
        if found is None:
            raise self.none(root, which, "ImageNet", places)
        return found, found.images, []


def _in_pieces(base: Source, which: str) -> Source | None:
    """The folders ``train.X1``, ``train.X2`` and so on, as a subset of 100 classes comes; None if there are none."""
    names = [name[:-1] for name in tops(base) if name.startswith(f"{which}.X") and name.endswith("/")]
    found = {name: piece for name in names if (piece := base.at(name)) is not None}
    return Together(found) if found else None
