"""What is expected of data sets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from study.conformance.expectation import IMAGES, Fault, defaulted, expect
from study.data import Packed
from study.parts import registries


def packs(name: str) -> str | None:
    """identity() is fit for JSON and stable; pack writes uint8 images of the asked size, the same bytes twice."""
    told, contents = [], []
    for _ in range(2):
        data = small(registries.DATASETS[name])
        try:
            told.append(json.loads(json.dumps(data.identity(), allow_nan=False)))
        except TypeError as error:
            raise Fault(f"identity() is not fit for JSON: {error}; write numbers, text, lists, dictionaries") from error
        with tempfile.TemporaryDirectory() as place:
            data.pack(16, Path(place), lambda done, total: None)
            _packed(Path(place), data.identity())
            contents.append({file.name: file.read_bytes() for file in Path(place).iterdir()})
    expect(told[0] == told[1], "identity() says otherwise the second time; it is what tells this data set from others")
    other = sorted(name for name, content in contents[0].items() if contents[1].get(name) != content)
    expect(contents[0] == contents[1], f"pack writes other bytes the second time: {', '.join(other)}")
    return None


def _packed(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raises Fault where a folder does not hold a packed data set of 16 px that is as ``identity`` says."""
    lacking = [name for name in ("images.npy", "data.json") if not (folder / name).is_file()]
    expect(not lacking, f"pack leaves no {', '.join(lacking)}; let study.data.packed.write write them")
    packed = Packed(folder)
    expect(packed.image_size == 16, f"asked for 16 px, pack says that it wrote {packed.image_size}")
    for part in IMAGES:
        images = packed.part(part)
        expect(
            images.dtype == np.uint8 and images.shape[1:] == (16, 16, 3) and len(images),
            f"its part {part} is {images.dtype} {images.shape}; expected one or more images, uint8 (N, 16, 16, 3)",
        )
        said = identity.get(part)
        expect(not isinstance(said, int) or said == len(images), f"identity() says {said} {part}, pack {len(images)}")


def small(kind: type[BaseModel]) -> Any:
    """A data set of few images, where its options say how many; else as it is by default."""
    try:
        return kind.model_validate({"kind": kind.model_fields["kind"].default, **IMAGES})
    except ValidationError:
        return defaulted(kind)
