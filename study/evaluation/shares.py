"""How much of each test image is hole: computed from what names the holes, so it is known of old evaluations, too.

out/holes/DIGEST.npy    float64 (images,), 0..1, of a data set's test images under a protocol: a cache, as strokes take
                        milliseconds an image to draw
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from study.data import Packed
from study.data.holes import drawn_holes
from study.errors import StudyError
from study.evaluation.scoring import holes_of
from study.plan.graph import Stage, json_digest
from study.store import Store, write_atomically

FOLDER = "holes"


def hole_shares(stage: Stage, store: Store, count: int) -> NDArray[np.float64] | None:
    """The share of each test image that is hole, in the order of the packed images, for an evaluate stage.

    Args:
        count: the number of test images.

    None where it cannot be known: the stage's inputs are lost, or its kind of mask belongs to a plugin that is not
    loaded. No plugin is loaded for this.
    """
    protocol = stage.options["protocol"]
    inputs = [stage.needs["data"], stage.needs.get("masks")]
    file = store.out / FOLDER / f"{json_digest([protocol['mask'], protocol['seed'], inputs])}.npy"
    with suppress(OSError, ValueError, EOFError):
        shares: NDArray[np.float64] = np.load(file, allow_pickle=False)
        if shares.shape == (count,) and shares.dtype == np.float64:
            return shares
    try:
        packed = Packed(store.verified(stage.needs["data"]))
        draw = drawn_holes(protocol["mask"], stage.needs, store, packed.image_size, "test")
    except (StudyError, ValidationError):
        return None
    shares = np.array([holes_of(draw, protocol["seed"], np.array([place])).mean() for place in range(count)])
    content = BytesIO()
    np.save(content, shares, allow_pickle=False)
    with suppress(OSError):  # an output may be read-only
        write_atomically(file, content.getvalue())
    return shares
