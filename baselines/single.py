"""A single critic, as the paper describes its first comparison (section 5).

"... using only one discriminator acting on the repairing area": the proposed generator with only the local critic. The
paper calls it GIICA, but GIICA's own paper has two critics (READING R26). So this is a separate method.
"""

from __future__ import annotations

from models.method import Method
from models.proposed import CriticOptions


class Single(CriticOptions):
    """The proposed generator with only the local critic."""

    def method(self, image_size: int) -> Method:
        """Describes the paper's generator with D_l."""
        return self.with_critics(["local"], image_size)
