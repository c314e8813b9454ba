"""Checks of data sets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from study.conformance.expectation import IMAGES, Fault, Part, defaulted, expect
from study.data import Packed


def packs(part: Part) -> None:
    """identity() is JSON and stable; pack() writes uint8 images of the requested size, the same bytes twice."""
    identities, contents = [], []
    for _ in range(2):
        data = small(part.entry)
        try:
            identities.append(json.loads(json.dumps(data.identity(), allow_nan=False)))
        except TypeError as error:
            sentence = f"identity() is not JSON: {error}; return numbers, text, lists and dictionaries"
            raise Fault(sentence) from error
        with tempfile.TemporaryDirectory() as place:
            data.pack(16, Path(place), lambda done, total: None)
            _check_packed(Path(place), data.identity())
            contents.append({file.name: file.read_bytes() for file in Path(place).iterdir()})
    expect(identities[0] == identities[1], "identity() differs between two calls; it identifies the data set")
    different = sorted(name for name, content in contents[0].items() if contents[1].get(name) != content)
    expect(contents[0] == contents[1], f"pack writes different bytes the second time: {', '.join(different)}")


def _check_packed(folder: Path, identity: Mapping[str, Any]) -> None:
    missing = [name for name in ("images.npy", "data.json") if not (folder / name).is_file()]
    expect(not missing, f"pack does not write {', '.join(missing)}; call study.data.packed.write")
    packed = Packed(folder)
    expect(packed.image_size == 16, f"pack writes images of {packed.image_size} px; 16 px were requested")
    for part in IMAGES:
        images = packed.part(part)
        expect(
            images.dtype == np.uint8 and images.shape[1:] == (16, 16, 3) and len(images),
            f"its part {part} is {images.dtype} {images.shape}; expected one or more images, uint8 (N, 16, 16, 3)",
        )
        count = identity.get(part)
        expect(
            not isinstance(count, int) or count == len(images),
            f"identity() gives {count} {part} images, pack writes {len(images)}",
        )


def small(kind: type[BaseModel]) -> Any:
    """A data set of few images, if its options give their number; otherwise its default."""
    try:
        return kind.model_validate({"kind": kind.model_fields["kind"].default, **IMAGES})
    except ValidationError:
        return defaulted(kind)
