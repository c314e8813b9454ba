"""Makes the sample report docs/gallery and the README's picture docs/repairs.png: python docs/gallery.py [out]

Runs the demo study into ``out`` first; finished parts are reused. The report shows this path, so it is relative to the
repository's root. Needs the extra ``test`` (pypdfium2).
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

The report of the demo study, which needs no data. `python docs/gallery.py` wrote it on {day} from commit
`{commit}`.

- [report.html](report.html): the HTML page. Save it and open it from disk; it is self-contained.
- [report.pdf](report.pdf): the paper, and [supplement.pdf](supplement.pdf): the rest.
- [tables](tables): the tables as CSV and LaTeX.
- [figures](figures): the figures as SVG, PNG and PDF.

![The first page of the PDF](first-page.png)
"""


def command(*words: str) -> str:
    """Runs a command and returns its output. Raises CalledProcessError if it fails."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent).stdout.strip()


def main(out: Path) -> None:
    """Makes everything from the study in ``out``, a path relative to the repository's root. Exits with 2 otherwise."""
    if out.is_absolute():
        print(f"docs/gallery.py: {out} would be in the report; give one relative to the repository", file=sys.stderr)
        raise SystemExit(2)
    subprocess.run([sys.executable, "-m", "study", "run", "runs.yaml", "--out", str(out)], check=True, cwd=DOCS.parent)
    results = study.load(DOCS.parent / out)
    render(results, GALLERY)
    first = pypdfium2.PdfDocument(GALLERY / "report.pdf")[0].render(scale=1.5)
    first.to_pil().save(GALLERY / "first-page.png", optimize=True)
    text = README.format(day=date.today().isoformat(), commit=command("git", "rev-parse", "--short", "HEAD"))
    (GALLERY / "README.md").write_text(text, encoding="utf-8")
    repairs(results, data="faces", limit=3).savefig(DOCS / "repairs.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
