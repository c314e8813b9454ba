"""Streams: named, apart from each other, and the same on every machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.seeds import numpy_rng, seed_of

PARTS = st.lists(st.one_of(st.integers(), st.text(max_size=5)), min_size=1, max_size=4).map(tuple)


@given(a=PARTS, b=PARTS)
def test_names_that_differ_are_streams_that_differ(a: tuple[str | int, ...], b: tuple[str | int, ...]) -> None:
    assert (seed_of(*a) == seed_of(*b)) == (a == b)
    assert 0 <= seed_of(*a) < 2**64


def test_nothing_runs_together() -> None:
    names: list[tuple[str | int, ...]] = [(1,), ("1",), (1, 1), (11,), ("ab", "c"), ("a", "bc"), ('a","b',), ("a", "b")]
    assert len({seed_of(*name) for name in names}) == len(names)


@pytest.mark.parametrize("part", [True, 1.0, None, np.int64(1), ("a",)])
def test_other_kinds_of_names_are_refused(part: object) -> None:
    with pytest.raises(TypeError, match="named by str and int"):
        seed_of("a", part)  # type: ignore[arg-type]


def test_the_streams_never_change() -> None:
    """Numbers of 2026: everything that was ever trained stands on them."""
    assert seed_of(2020, "flips", 3) == 7427437518817773294
    assert numpy_rng(0, "order", 0).permutation(8).tolist() == [6, 1, 4, 7, 2, 0, 5, 3]


def test_no_global_state_is_read_or_left() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    first = numpy_rng(1, "a").random()
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[arg-type]
    np.random.seed(1)
    assert numpy_rng(1, "a").random() == first
