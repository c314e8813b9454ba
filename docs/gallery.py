"""Makes docs/gallery, the sample report, and docs/repairs.png, the README's picture: python docs/gallery.py [out]

Runs the demo study into `out` first; what is there already is not made again. Needs the extra `test` (pypdfium2).
"""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pypdfium2

import study
from reports.figures import repairs
from reports.render import render

DOCS = Path(__file__).parent
GALLERY = DOCS / "gallery"
README = """# A sample report

The demo study's report, as `python docs/gallery.py` made it on {day} from commit `{commit}`, of embedded data alone:

- [report.html](report.html): the page. Save it and open it from disk; it loads nothing.
- [report.pdf](report.pdf): the same as a paper.
- [tables](tables): its tables as CSV and LaTeX. [figures](figures): its figures as SVG and PNG.

![The paper's first page](first-page.png)
"""


def command(*words: str) -> str:
    """What the command prints. Raises CalledProcessError where it fails."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent).stdout.strip()


def main(out: Path) -> None:
    """Makes all of it from the study in `out`, a path from the repository's root."""
    subprocess.run([sys.executable, "-m", "study", "run", "runs.yaml", "--out", str(out)], check=True, cwd=DOCS.parent)
    results = study.load(DOCS.parent / out)
    render(results, GALLERY)
    first = pypdfium2.PdfDocument(GALLERY / "report.pdf")[0].render(scale=1.5)
    first.to_pil().save(GALLERY / "first-page.png", optimize=True)
    told = README.format(day=date.today().isoformat(), commit=command("git", "rev-parse", "--short", "HEAD"))
    (GALLERY / "README.md").write_text(told, encoding="utf-8")
    repairs(results, data="faces", limit=3).savefig(DOCS / "repairs.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
