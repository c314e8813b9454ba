"""``DataSet``: options that identify a set of images, and a method that packs the images into one file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Report = Callable[[int, int], None]
"""Called now and then as ``report(done, total)``, in images. It may raise, which stops the packing."""

Like = Literal["CelebA", "ImageNet", "Places2"]
Count = Annotated[int, Field(ge=1)]


class DataSet(BaseModel, ABC):
    """The options of a data set. A kind is a subclass with a ``kind`` of its own and a line in ``DATASETS``.

    Three options have no effect on pixels: ``like``, the paper's data set that the images resemble, for the report;
    ``licence``, the terms of use, for the card of an exported model; ``variants``, names or patterns of the variants
    to run on this set, by default all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    version: ClassVar[int]  # raised whenever the same options give other bytes
    ABOUT: ClassVar[frozenset[str]] = frozenset({"like", "licence", "variants"})  # what `deciding` leaves out

    like: Like | None = None
    licence: str | None = None
    variants: Annotated[list[str], Field(min_length=1)] | None = None

    def deciding(self) -> dict[str, Any]:
        """The options that decide the packed bytes: all but ``ABOUT``."""
        return self.model_dump(exclude=set(self.ABOUT))

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything except the image size that decides the packed bytes, fit for JSON.

        Raises:
            ValueError: the options do not fit the images; the sentence says what is wrong and what to do.
        """

    def names(self) -> Mapping[str, Sequence[str]] | None:
        """The names of each part's images before they are packed. None if only packing tells."""
        return None

    @abstractmethod
    def pack(self, image_size: int, folder: Path, report: Report) -> None:
        """Writes the images, ``image_size`` px square, into ``folder`` with ``packed.write``.

        Resumes an interrupted packing in the same folder; the bytes are the same as without the interruption.

        Raises:
            ValueError: as ``identity`` does, or a part has no image.
        """
