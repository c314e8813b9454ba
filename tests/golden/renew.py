"""Renews the golden numbers: python tests/golden/renew.py. Before that, raise the version of what changed."""

import json
import sys
import tempfile
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "helpers"), str(HERE.parent / "study" / "training")]

from test_training import GOLDEN, RENEW, TOLERANCE, golden_numbers  # noqa: E402

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
with tempfile.TemporaryDirectory() as folder:
    numbers = golden_numbers(Path(folder))
facts = {"renewed by": RENEW, "threads": 1, "relative tolerance": TOLERANCE, "numbers": numbers}
GOLDEN.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
print(f"{GOLDEN.name}: {sum(map(len, numbers.values()))} numbers")
