"""``study data write``: writes the test images of a study as files, for external methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.masking import erase
from study.data.holes import as_mask
from study.errors import BadInput
from study.external.join import Test
from study.external.pairs import Listener, silent

PARTS = ("truth", "mask", "masked")


def hand_out(out: Path, folder: Path, data: str | None, *, heard: Listener = silent) -> tuple[str, Sequence[str]]:
    """Writes truth, mask (white in the hole) and masked (black in the hole) as PNG. Returns the data set and its names.

    Raises BadInput if the folder is not empty, or the study's images are not packed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: there is something there already; name a new folder, or an empty one")
    test = Test.of(out, data)
    for place, name in enumerate(test.names):
        heard("written", place, len(test.names))
        pixels = test.image(place).pixels
        hole = test.holes([place])[0]
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        masked = erase(image, as_mask(hole[None], torch.device("cpu")), 0)[0].permute(1, 2, 0).numpy()
        for part, values in zip(PARTS, (pixels, hole.astype(np.uint8) * 255, masked), strict=True):
            file = folder / part / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(file)
    return test.data, test.names
