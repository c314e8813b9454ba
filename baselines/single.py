"""The single critic: what the paper says of its first comparison (section 5).

"... using only one discriminator acting on the repairing area": the proposed generator with the local critic alone.
The paper names GIICA there, whose own paper has two critics (READING R26); so this is a row of its own.
"""

from __future__ import annotations

from models.method import Method
from models.proposed import CriticOptions


class Single(CriticOptions):
    """The proposed generator with the local critic alone."""

    def method(self, image_size: int) -> Method:
        """The paper's generator and D_l."""
        return self.with_critics(["local"], image_size)
