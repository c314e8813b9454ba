"""What a data set is: options that can be named in a key, and a way to pack its images into one file."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Report = Callable[[int, int], None]
"""Called as `report(done, total)` now and then, in images. It may raise, to stop the packing."""

Like = Literal["CelebA", "ImageNet", "Places2"]


class DataSet(BaseModel, ABC):
    """The options of a data set. A kind is a subclass with a `kind` of its own and a line in `DATASETS`.

    Three options decide no pixel: `like`, which of the paper's data sets the images are of the kind of, for the report;
    `licence`, under which terms they may be used, for whoever is handed a model; `variants`, names or patterns of the
    study's variants that are run on this set, where not all are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: ClassVar[int]  # raised whenever the same options come to mean other bytes
    ABOUT: ClassVar[frozenset[str]] = frozenset({"like", "licence", "variants"})  # what `deciding` leaves out

    like: Like | None = None
    licence: str | None = None
    variants: Annotated[list[str], Field(min_length=1)] | None = None

    def deciding(self) -> dict[str, Any]:
        """The options that decide what is packed: all but `ABOUT`."""
        return self.model_dump(exclude=set(self.ABOUT))

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything beside the image size that decides the packed bytes, fit for JSON.

        Raises:
            ValueError: the images cannot be had as asked; the sentence says what is wrong and what to do.
        """

    @abstractmethod
    def pack(self, image_size: int, folder: Path, report: Report) -> None:
        """Writes the images, `image_size` px square, into `folder` as `packed.write` does.

        What an interrupted packing left in `folder` is gone on from, and the bytes are the same as without.

        Raises:
            ValueError: as `identity` does, or if a part is left without an image.
        """
