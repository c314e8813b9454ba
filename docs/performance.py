"""Measures everything and writes docs/performance.md: python docs/performance.py [RESULTS]

Without RESULTS it runs all benchmarks, about half an hour on two idle cores, and keeps their results in
docs/performance.json. RESULTS is such a file, or what ``python -m benchmarks NAME --json`` printed; the page then has
only what is in it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
KEPT = DOCS / "performance.json"

ORDER = (
    *("step", "counted", "gpu", "compiled", "sharing", "checkpoints", "records"),
    *("report", "batches", "holes", "blending", "ssim"),
)
"""The benchmarks as the page shows them."""

HEAD = """# Performance

Each table is a benchmark of `benchmarks/`. Run one with `python -m benchmarks NAME`, all with `python -m benchmarks`.
`python -m benchmarks.fuzz` and `python -m benchmarks.faults` count faults instead: see [Reliability](reliability.md).
This page is written by `python docs/performance.py`, which measures everything again.

- Measured on {date}: {device}, {cores} cores, load {load} at the start. {accelerator}
- Versions: {versions}.
- *Ours* and the *peer* run in turn. The shortest of at least five times counts, unless a benchmark takes minutes.
  *Times* says how many times better ours is. `benchmarks/` says in each file what exactly is compared.
"""

COUNTED = """
No CUDA card was at hand: figures for GPUs on this page are **counted, not measured**. They are the operations of a
training step, and the rates in data sheets or measured elsewhere.
"""

PRECISION = """
bf16 changes the demo's scores by less than another seed does. These commands train its proposed model in bf16 on a CPU
and compare: PSNR of the hole +0.08 dB (95% interval −0.30 to +0.45), SSIM +0.001 (−0.011 to +0.014), three seeds each.

```sh
python -m study run runs.yaml --only proposed --set numerics.precision=bf16 --out out-bf16
python -m study diff out out-bf16
```

With `numerics.compile=true`, stages of 20,000 steps and more train networks that `torch.compile` has compiled. Nobody
has measured that on a card yet: there, `python -m benchmarks compiled` says after how many steps it pays, and how far
the weights are from those of eager networks. `numerics.offload=true` keeps activations in main memory: it takes less
of the card's, is slower, and changes no result.
"""


def measured() -> dict[str, Any]:
    """The results of all benchmarks, each in a process of its own. The facts of the machine are those of the first."""
    found: dict[str, Any] = {}
    for name in ORDER:
        command = [sys.executable, "-m", "benchmarks", name, "--json"]
        done = subprocess.run(command, cwd=DOCS.parent, stdout=subprocess.PIPE, text=True)
        if not done.stdout:
            sys.exit(f"the benchmark {name} printed no results; docs/performance.md is unchanged")
        result = json.loads(done.stdout)
        found = found or result
        found["benchmarks"] |= result["benchmarks"]
    return found


def page(found: dict[str, Any]) -> str:
    """The page of a run's results, as Markdown."""
    facts = {name: found[name] for name in ("date", "device", "cores", "load")}
    facts["accelerator"] = f"{found['accelerator']}." if found["accelerator"] else "No accelerator."
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    text = HEAD.format(**facts) + ("" if found["accelerator"] else COUNTED) + PRECISION
    return text + "".join(section(name, result) for name, result in found["benchmarks"].items())


def section(name: str, result: dict[str, Any]) -> str:
    """A benchmark's heading, what it compares, and its table."""
    text = f"\n## {name}\n\n{result['what']}\n"
    for why in ("not_measured", "error"):
        if why in result:
            text += f"\n{why.replace('_', ' ').capitalize()}: {result[why]}.\n"
    if result["rows"]:
        text += "\n| | ours | peer | unit | times |\n| --- | ---: | ---: | --- | ---: |\n"
    for row in result["rows"]:
        peer, ratio = ("" if row[name] is None else number(row[name]) for name in ("peer", "ratio"))
        text += f"| {row['name']} | {number(row['ours'])} | {peer} | {row['unit']} | {ratio} |\n"
    return text


def number(value: float) -> str:
    """Three significant digits; large numbers whole, with commas."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main(results: str = "") -> None:
    if not results:
        KEPT.write_text(json.dumps(measured(), indent=1) + "\n", encoding="utf-8")
    found = json.loads((Path(results) if results else KEPT).read_text(encoding="utf-8"))
    (DOCS / "performance.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:2])
