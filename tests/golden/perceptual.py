"""Records what the reference packages say: python tests/golden/perceptual.py.

It needs lpips 0.1.4, pytorch-fid 0.3.0 and torch-fidelity 0.4.0, and with them torchvision, which is no dependency of
the tests; so their numbers are kept. They are of weights and images drawn from seeds, not of the published weights
(tests/helpers/references.py). The recorded ones were made without torchvision, by a stand-in for the layers that
these packages take from it: AlexNet's and VGG-16's as its documentation prints their source, Inception's blocks as
torch-fidelity copies them.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "helpers")]

from references import EVERY  # noqa: E402

torch.set_num_threads(1)
packages = {name: version(name) for name in ("lpips", "pytorch-fid", "torch-fidelity", "numpy", "scipy", "torch")}
numbers = {name: ask() for name, ask in EVERY.items()}
facts = {"renewed by": "python tests/golden/perceptual.py", "packages": packages, "numbers": numbers}
file = HERE / "perceptual.json"
file.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
print(f"{file.name}: {len(numbers)} answers")
