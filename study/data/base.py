"""What a data set is: options that can be named in a key, and a way to pack its images into one file."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

Report = Callable[[int, int], None]
"""Called as `report(done, total)` now and then, in images. It may raise, to stop the packing."""


class DataSet(BaseModel, ABC):
    """The options of a data set. A kind is a subclass with a `kind` of its own and a line in `DATASETS`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: ClassVar[int]  # raised whenever the same options come to mean other bytes

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything beside the image size that decides the packed bytes, fit for JSON.

        Raises:
            ValueError: the images cannot be had as asked; the sentence says what is wrong and what to do.
        """

    @abstractmethod
    def pack(self, image_size: int, folder: Path, report: Report) -> None:
        """Writes the images, `image_size` px square, into `folder` as `packed.write` does.

        Raises:
            ValueError: as `identity` does, or if a part is left without an image.
        """
