"""What a metric is."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

REGIONS = ("hole", "whole", "boundary")


class Metric(ABC):
    """A number an image, with a unit and a direction. Called with (B, 3, H, W), the same, and (B, 1, H, W), float64."""

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    better: ClassVar[Literal["higher", "lower"]]
    regions: ClassVar[tuple[str, ...]]
    version: ClassVar[int] = 1

    @abstractmethod
    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The metric by region, each (B,)."""
