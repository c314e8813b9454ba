"""Writes docs/results.md from the study on photographs: python docs/results.py OUT

The page is the study's report as Markdown, without pictures: only numbers and curves. The study file is
docs/studies/photographs.yaml.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import study
from reports.analysis.claims import claims_table
from reports.analysis.frames import Frames
from reports.analysis.published import paper
from reports.analysis.statistics import OUTCOMES
from reports.document import Block, Cell, Facts, FigureView, Heading, Note, TableView, block_or_note, words
from reports.figures import style
from reports.sections import ablations, provenance, results, summary, training

DOCS = Path(__file__).parent
FIGURES = DOCS / "results"
SECTIONS = (
    summary.summary,
    results.results,
    results.contrasts,
    ablations.ablations,
    training.mechanism,
    training.curves,
    training.cost,
)
"""The report's sections that show no pictures."""

HEAD = """# Results on three sets of photographs

The study [`docs/studies/photographs.yaml`](studies/photographs.yaml) runs on photographs that stand in for the paper's
CelebA, ImageNet and Places2. This page is its report without the pictures, written by `python docs/results.py OUT`. No
photograph of these sets is stored or shown here.

- `faces`: FairFace, adult near-frontal faces, CC BY 4.0; split by image, because identities are not known
- `objects`: Caltech-101, CC BY 4.0, and TensorFlow's flower photographs, CC BY 2.0; square crops
- `scenes`: Urban100, and CID22, CC BY-SA 4.0; whole photographs and tiles of them; all tiles of a photograph are one
  group

```sh
{command}
python -m study claims {out}
python docs/results.py {out}
```

## Outcomes of the claims

{outcomes}

## Training budget

{budget}

"""


def markdown(blocks: Iterable[Block]) -> Iterator[str]:
    """Yields the Markdown of each block."""
    for block in blocks:
        match block:
            case TableView():
                text = table(block)
                yield f"<details><summary>{block.caption}</summary>\n\n{text}\n</details>" if block.folded else text
                if block.more is not None:
                    yield from markdown([block.more])
            case FigureView():
                FIGURES.mkdir(exist_ok=True)
                (FIGURES / f"{block.name}.png").write_bytes(style.png(block.drawn))
                yield f"![{plain(block.alt)}](results/{block.name}.png)\n\n*{plain(block.caption)}*"
            case Heading():
                yield f"### {plain(block.text)}"
            case Facts():
                yield "\n".join(f"- {plain(name)}: {plain(text)}" for name, text in block.pairs)
            case Note():
                yield plain(block.text)


def table(view: TableView) -> str:
    """A table with its caption above; a collapsed table is given without it."""
    rows = [[plain(heading) for heading in view.headings], ["---"] * len(view.headings)]
    rows += [[cell(one) for one in row] for row in view.rows]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return lines if view.folded else f"*{plain(view.caption)}*\n\n{lines}"


def cell(one: Cell) -> str:
    """A cell as one line."""
    text = f"**{plain(one.text)}**" if one.strong and one.text else plain(one.text)
    return f"{text}<br>{plain(one.below)}" if one.below else text


def plain(text: str) -> str:
    """Escapes text for Markdown."""
    for character in "\\|<>*_`[]":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", "<br>")


def outcomes(frames: Frames) -> str:
    """The claims by outcome, one line per outcome."""
    table = claims_table(frames)
    lines = []
    for outcome in OUTCOMES:
        rows = table[table["outcome"] == outcome].itertuples()
        claims = "; ".join(f"{row.id}, {row.claim[0].lower()}{row.claim[1:].rstrip('.')}" for row in rows)
        lines.append(f"- {outcome}: {claims or 'none'}")
    return "\n".join(lines)


def budget(frames: Frames) -> str:
    """The training budget, compared with the paper's."""
    theirs, own = paper(), frames.study["configs"][frames.study["reference"]]["options"]
    updates, batch, side = (frames.study[name] for name in ("generator_updates", "batch", "image_size"))
    most = (theirs["steps"]["pretrain"] + theirs["steps"]["joint"]) * theirs["batch"]
    return (
        f"A run trains its generator with {updates:,} updates of batch {batch}: {updates * batch:,} images, "
        f"{updates * batch / most:.2%} of the paper's {most:,}, at {side} px instead of {theirs['image_size']}, and "
        f"every layer has {own['width']:g} of its published outputs. All {len(frames.runs)} runs took "
        f"{frames.study['seconds'] / 3600:.1f} hours of machine time ({words(frames.study['devices'])}); the paper "
        f"reports {theirs['cost']} for one run."
    )


def main(out: Path) -> None:
    """Writes docs/results.md and its figures from the study in ``out``."""
    frames = study.load(out)
    for old in FIGURES.glob("*.png"):
        old.unlink()
    head = {"command": frames.study["command"], "outcomes": outcomes(frames), "budget": budget(frames)}
    sections = [section(frames) for section in SECTIONS]
    parts = ["## The data", *markdown([block_or_note(provenance.data, frames)])]
    for section in sections:
        parts += [f"## {section.title}", *markdown(section.blocks)]
    (DOCS / "results.md").write_text(HEAD.format(out=out, **head) + "\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
