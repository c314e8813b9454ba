"""ImageNet's ILSVRC 2012: folders of classes, or the distributed tars, read in place.

Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from study.data.base import Like
from study.data.files.source import Source, first_of
from study.data.sets.distributed import Distributed

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
        found = first_of(root, *places)
        if found is None and which == "train" and Path(self.root).expanduser().is_file() and root.images:
            found = root  # the training tar itself
        if found is None:
            looked = ", ".join(places)
            raise ValueError(f"root: there is no set '{which}' of ImageNet at {self.root}; looked for {looked}")
        return found, found.images, []
