"""Every random number is a function of (seed, stream name, step): no global state, no ``hash()``.

So nothing depends on which other variants, critics or workers exist: runs pair, and resumed runs are exact.
"""

import hashlib
import json

import numpy as np


def seed_of(*parts: str | int) -> int:
    """The seed, in 0..2**64 - 1, of the stream named by ``parts``, such as ``(2020, "flips", step)``.

    ``1`` and ``"1"`` differ, and so do ``("ab", "c")`` and ``("a", "bc")``. Raises TypeError for parts of other types.
    """
    for part in parts:
        if type(part) not in (str, int):
            raise TypeError(f"a stream is named by str and int, not by {part!r}")
    digest = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def numpy_rng(*parts: str | int) -> np.random.Generator:
    """NumPy's generator for the stream named by ``parts`` (see ``seed_of``)."""
    return np.random.Generator(np.random.PCG64(seed_of(*parts)))
