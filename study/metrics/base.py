"""The base class of metrics."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

REGIONS = ("hole", "whole", "boundary")


class Metric(ABC):
    """A number per image, with a unit and a direction.

    Attributes:
        name: in the registry and in results.
        title: in reports.
        unit: such as 'dB'; '' if it has none.
        better: the direction, 'higher' or 'lower'.
        regions: those of ``REGIONS`` that it measures.
        version: raise it when the same images give other numbers.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    better: ClassVar[Literal["higher", "lower"]]
    regions: ClassVar[tuple[str, ...]]
    version: ClassVar[int] = 1

    @abstractmethod
    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Computes the metric of ``output`` and ``image`` (B, 3, H, W) and ``mask`` (B, 1, H, W, 1 = hole), float64.

        Returns:
            The values by region, (B,) each.
        """
