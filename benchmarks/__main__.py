"""Runs benchmarks: ``python -m benchmarks [NAME ...] [--json]``. Without names, all of them."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

import benchmarks
from benchmarks.timing import Disagreement, NotMeasured, Row
from study.training.machine import machine, versions

SHARED = ("__main__", "faults", "fuzz", "timing", "training")
"""Modules of this folder that are no benchmarks. ``faults`` and ``fuzz`` are commands of their own."""

VERSIONS = ("python", "torch", "numpy", "scikit-image", "sacred", "safetensors", "pillow")

NAMES = tuple(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in SHARED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, and prints tables or JSON. Returns the exit code: 0, or 1 if two sides did not agree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; one or more of {', '.join(NAMES)}")
    parser.add_argument("--json", action="store_true", help="print device, date, versions and rows as JSON")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in NAMES:
            parser.error(f"NAME: there is no benchmark '{name}'; choose {', '.join(NAMES)}")
    found, wrong = facts(), False
    for name in options.names or NAMES:
        result = measured(name, quiet=options.json)
        found["benchmarks"][name] = result
        if "error" in result:
            print(f"{name}: {result['error']}", file=sys.stderr)
            wrong = True
    if options.json:
        print(json.dumps(found, indent=1))
    return int(wrong)


def facts() -> dict[str, Any]:
    """Where and when: device, cores, load, date, versions. ``benchmarks`` is empty."""
    card = torch.device("cuda") if torch.cuda.is_available() else None
    return {
        "device": machine(torch.device("cpu"))["device"],
        "accelerator": machine(card)["device"] if card else None,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: versions()[name] for name in VERSIONS},
        "benchmarks": {},
    }


def measured(name: str, *, quiet: bool) -> dict[str, Any]:
    """What a benchmark compares, and its rows; or why it is not measured, or how its sides disagree. Prints rows."""
    module = importlib.import_module(f"benchmarks.{name}")
    what = str(module.__doc__).partition("\n")[0]
    found: list[dict[str, Any]] = []
    result: dict[str, Any] = {"what": what, "rows": found}
    if not quiet:
        print(f"\n{name}: {what}", flush=True)
    try:
        for row in module.rows():
            found.append(row._asdict())
            if not quiet:
                print(line(row), flush=True)
    except NotMeasured as reason:
        result["not_measured"] = str(reason)
        if not quiet:
            print(f"  not measured: {reason}")
    except Disagreement as error:
        result["error"] = str(error)
    return result


def line(row: Row) -> str:
    """A row as a line of text."""
    peer = "" if row.peer is None else f" (peer {row.peer:.4g})"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} times"
    return f"  {row.name:<44} {f'{row.ours:.4g}{peer} {row.unit}':<34} {ratio}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
