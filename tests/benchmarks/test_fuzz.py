"""The fuzzer, for a moment: no input gives a traceback or a hang."""

from __future__ import annotations

from pathlib import Path

from benchmarks import fuzz


def test_a_hundred_inputs_are_taken_or_refused_with_a_sentence() -> None:
    faults: list[str] = []
    rows = fuzz.run(100, seed=1, say=faults.append)
    assert faults == [] and not any(row.tracebacks or row.hangs for row in rows)
    assert all(row.taken + row.refused == row.inputs > 0 for row in rows)
    assert "| mask files |" in fuzz.table(rows)


def test_a_fault_is_counted_and_named(tmp_path: Path) -> None:
    def broken(out: Path) -> fuzz.Input:
        def one(rng: object, folder: Path) -> None:
            raise KeyError("x")

        return one

    fuzz.KINDS["broken"] = fuzz.Kind("broken", 1, broken)
    try:
        found = fuzz.fuzz("broken", 3, 0, tmp_path)
    finally:
        del fuzz.KINDS["broken"]
    assert found.tracebacks == 3 and len(found.faults) == 1 and "KeyError" in found.faults[0]
