"""Draws docs/repairs.png, the README's picture, from the output of the demo: python docs/picture.py [out]"""

import sys
from pathlib import Path

import study
from reports.figures import repairs

results = study.load(sys.argv[1] if len(sys.argv) > 1 else "out")
figure = repairs(results, data="faces", limit=3)
figure.savefig(Path(__file__).with_name("repairs.png"), dpi=110, facecolor="white")
