"""Copies the answers of docs/results.md into the README: python docs/readme.py. A test fails until it is done."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?<=<!-- answers -->\n).*?(?=<!-- /answers -->)", re.DOTALL)
HEAD = """\
| The paper's claim | Outcome | Measured here | Published | Where critics matter |
| --- | --- | --- | --- | --- |
"""
NOTES = r"Not tested, because|C\d+(-scaled)? needs all of its contrasts|Of so many claims|\*PSNR\* and"
"""The beginnings of the notes of docs/results.md that the README has, too."""


def answers(page: str) -> str:
    """Size, training and seeds of the study, the table of its answers, and the notes that they need."""
    about = re.findall(r"(?m)^- \*\*(?:Size|Training|Seeds):.*(?:\n  .*)*", page)
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| C\d+[.,]", line)]
    notes = [text for text in page.split("\n\n") if re.match(NOTES, text)]
    table = HEAD + "\n".join(f"| {' | '.join(_row(*cells))} |" for cells in rows)
    return "\n\n".join(["\n".join(about), table, *notes]) + "\n"


def _row(claim: str, printed: str, scaled: str) -> list[str]:
    outcome, contrast, *published = printed.split("<br>")
    measured = re.sub(r",\sn\s=\s\d+$", "", contrast)
    return [claim, outcome, measured, (published or ["–"])[0].removeprefix("published: "), scaled.partition("<br>")[0]]


def main() -> None:
    readme, page = ROOT / "README.md", ROOT / "docs" / "results.md"
    table = answers(page.read_text(encoding="utf-8"))
    readme.write_text(BLOCK.sub(lambda _: table, readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
