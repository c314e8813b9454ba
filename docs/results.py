"""Writes docs/results.md, docs/results/tables.md and three figures from a finished study: python docs/results.py OUT

docs/results.md is one page: the question, the answers in one table, three figures, the commands. The tables behind it
are in docs/results/tables.md. Every number comes from the frames of OUT. No image of a data set is shown or stored, and
no path of the machine. The study file is docs/studies/photographs.yaml; other studies work, too.
"""

import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import results_figures as figures
from matplotlib.figure import Figure

import study
from reports.analysis import tables
from reports.analysis.claims import claims_table, links_table
from reports.analysis.critics import critics_table
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.links import PARTS, QUANTITIES
from reports.analysis.looks import LOOKS, looks_in_words, power_table, undecided
from reports.analysis.published import counterpart, paper
from reports.analysis.statistics import OUTCOMES, undetected
from reports.document import (
    NONE,
    Block,
    Cell,
    Facts,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    interval,
    number,
    words,
)
from reports.figures import style
from reports.sections import ablations, provenance, results, training
from reports.sections import answer as first
from reports.sections import claims as by_claim
from reports.sections import runs as ran
from reports.sections.common import records, table_view
from study.errors import BadInput

DOCS = Path(__file__).parent

PHOTOGRAPHS = {
    "faces": "FairFace, adult near-frontal faces, CC BY 4.0; split by image, because identities are not known",
    "objects": "Caltech-101, CC BY 4.0, and TensorFlow's flower photographs, CC BY 2.0; square crops",
    "scenes": "Urban100, and CID22, CC BY-SA 4.0; whole photographs and tiles, and all tiles of one are one group",
}
"""What the data sets of docs/studies/photographs.yaml are."""

PAGE = """# Results of the study {name}

Which claims of Mo & Zhou (2020) hold up if their model, its baselines and its ablations are trained again? This page is
written by `python docs/results.py OUT` from the results of [`{file}`]({link}).

{warning}

{scope}

## The answers

{answers}

{table}

{notes}

## Published and measured

![PSNR and SSIM of each method, published and measured](results/methods.png)

{methods}

## The contrasts behind the answers

![Differences between variants in PSNR, SSIM and sharpness, with intervals and margins](results/contrasts.png)

{contrasts}

## What the critics do

![PSNR and sharpness against the critics' share of the gradient](results/critics.png)

{critics}

## What is decided, and what is not

{seeds}

## The commands

```sh
{command}
python -m study claims out/{name}
python docs/results.py out/{name}
```

{images}

The numbers behind this page, claim by claim and method by method, are in
[`docs/results/tables.md`](results/tables.md).
"""

DRAWN = "The images are drawn from a seed: the commands make the same ones."
IMAGES = "The lists of images are not published: the study can be repeated on other images, not on these."

MACHINE = re.compile(r"(?:/(?:home|root|tmp|work|Users|mnt)/|\bC:\\)")
"""The beginning of a path of one machine."""


def main(out: Path, docs: Path = DOCS) -> None:
    """Writes the page, the tables and the figures of the study in ``out`` below ``docs``. Removes older figures."""
    frames = study.load(out)
    texts = {"results.md": page(frames), "results/tables.md": long_tables(frames)}
    for name, text in texts.items():
        if found := MACHINE.search(text):
            raise ValueError(f"{name}: {found[0]!r} begins a path of this machine")
    drawn = {f"results/{name}.png": style.png(figure) for name, figure in drawings(frames).items()}
    (docs / "results").mkdir(exist_ok=True)
    for old in (docs / "results").glob("*.png"):
        old.unlink()
    for name, text in texts.items():
        (docs / name).write_text(text, encoding="utf-8")
    for name, figure in drawn.items():
        (docs / name).write_bytes(figure)


def page(frames: Frames) -> str:
    """The text of docs/results.md."""
    file = study_file(frames)
    return PAGE.format(
        name=frames.study["name"],
        file=file,
        link=file.removeprefix("docs/") if file.startswith("docs/") else f"../{file}",
        warning=wrapped(f"**{first.scope(frames)}**"),
        scope=bullets(scope(frames)),
        answers=answers(frames),
        table=table(claims(frames)),
        notes=paragraphs(notes(frames)),
        methods=wrapped(METHODS),
        contrasts=wrapped(CONTRASTS),
        critics=paragraphs(of_critics(frames)),
        seeds=bullets(of_seeds(frames)),
        images=wrapped(IMAGES if any(entry["kind"] == "folder" for entry in frames.study["data"]) else DRAWN),
        command=neutral(str(frames.study["command"]), str(frames.study["name"])),
    )


def study_file(frames: Frames) -> str:
    """The study file as the command names it, relative to the repository's root; its name where that is elsewhere."""
    named = re.search(r"(?<=\s)(?![/~.])\S+\.ya?ml\b", str(frames.study["command"]))
    return named[0] if named else str(frames.study["file"])


def drawings(frames: Frames) -> dict[str, Figure]:
    """The page's figures by name."""
    sets = run_on(frames)
    return {
        "methods": figures.methods(frames, sets),
        "contrasts": figures.contrasts(frames),
        "critics": figures.critics(frames, sets[0]),
    }


def run_on(frames: Frames) -> list[str]:
    """The data sets with completed runs. Raises NoDataError if there is none."""
    done = set(frames.runs.loc[frames.runs["status"] == "completed", "data"])
    if not done:
        raise NoDataError("No run of the study has completed.")
    return [data for data in frames.data_sets() if data in done]


def seeds_of(frames: Frames) -> pd.Series:
    """The number of completed seeds of each trained variant on each data set."""
    trained = frames.trained()
    return trained[trained["status"] == "completed"].groupby(["variant", "data"])["seed"].nunique()


# The question


def scope(frames: Frames) -> Iterator[str]:
    """How the study compares with the paper's: data, size, training, seeds, cost."""
    theirs, facts = paper(), frames.study
    for entry in facts["data"]:
        if entry["name"] in run_on(frames):
            like = counterpart(frames, entry["name"])
            what = PHOTOGRAPHS.get(entry["name"], "") if entry["kind"] == "folder" else "drawn by the harness"
            stands = f" in place of {like} ({theirs['data'][like]['images']})" if like else ""
            counts = f"{entry['train']:,} images for training, {entry['test']:,} for the test"
            yield f"**Data:** `{entry['name']}`{stands}: {counts}" + (f" ({what})" if what else "")
    option = facts["configs"][facts["reference"]]["options"]
    width = f"every layer has {option['width']:g} of its published outputs"
    yield f"**Size:** {facts['image_size']} px (the paper: {theirs['image_size']}); {width}"
    images = facts["generator_updates"] * facts["batch"]
    most = (theirs["steps"]["pretrain"] + theirs["steps"]["joint"]) * theirs["batch"]
    yield (
        f"**Training:** {facts['generator_updates']:,} updates of the generator, batch {facts['batch']}: {images:,} "
        f"images, {images / most:.1%} of the paper's {most:,}"
    )
    seeds = span(seeds_of(frames), "{:.0f}")
    yield f"**Seeds:** {seeds} of each trained variant; the paper gives one number per method"
    ended = ", ".join(f"{count} {status}" for status, count in frames.runs["status"].value_counts().items())
    yield (
        f"**Cost:** {facts['seconds'] / 3600:.1f} machine hours ({words(facts['devices'])}) for {len(frames.runs)} "
        f"runs of {frames.runs['variant'].nunique()} variants, {ended}; the paper: {theirs['cost']} for one run"
    )


def neutral(command: str, name: str) -> str:
    """The command without paths of this machine: ``--out out/NAME``, and path/to/... for other paths elsewhere."""
    parts = shlex.split(command)
    text = " ".join(["python", *parts[parts.index("-m") :]] if "-m" in parts else parts)
    text = re.sub(r"--out[ =]\S+", f"--out out/{name}", text)
    text = re.sub(r"(?<=[ =])(?:\.\.|~)?/(?:[^\s/]+/)*([^\s/]+)", r"path/to/\1", text)
    return re.sub(r" (?=--(?:set|until)\b)", " \\\n    ", text)


# The answers


def answers(frames: Frames) -> str:
    """How many questions have which outcome, and what was not tested."""
    asked = claims_table(frames)
    lines = []
    for outcome in OUTCOMES:
        ids = asked.loc[asked["outcome"] == outcome, "id"].tolist()
        if ids:
            lines.append(f"**{outcome}:** {', '.join(ids)}")
    printed = paper()["training"]["weights"]
    twice = asked.dropna(subset="adversarial_share")
    text = f"A claim is answered with the weights of the critics as printed, {printed:g} each."
    if not twice.empty:
        share = twice["adversarial_share"].iloc[0]
        text += (
            f" The right column ({twice['id'].iloc[0]} and so on) asks again *where the critics matter*: their weights "
            f"are scaled once, so that at the start of joint training their gradient is {share:.0%} of the "
            "reconstruction loss's."
        )
    shown = "A row shows the contrast that decides, and each other contrast that the paper prints."
    return paragraphs(
        [bullets(lines), f"{text} {shown} In brackets its interval; n counts seeds, or networks where it is exact."]
    )


def claims(frames: Frames) -> TableView:
    """A row per tested claim, as printed and where the critics matter: the outcome and the link that decides it.

    Each other link with a published number has a row of its own.
    """
    found = {row["id"]: row for row in records(claims_table(frames))}
    twice = any(name.endswith("-scaled") for name in found)
    rows = []
    for name, row in found.items():
        if name.endswith("-scaled") or row["outcome"] == "not tested":
            continue
        again = found.get(f"{name}-scaled")
        links = {link["name"]: link for link in row["links"]}
        rows.append([Cell(f"{name}. {row['claim']}"), answer(row, links.pop(row["link"])), scaled_answer(again)])
        rows += [
            [Cell(f"{name}, {link['name']}"), answer(link, link), Cell(NONE)]
            for link in links.values()
            if link["published"] is not None and link["outcome"] != "not tested"
        ]
    headings = ["Claim", "Weights as printed", "Where the critics matter"]
    kept = slice(None if twice else 2)
    return TableView(name="claims", caption="", headings=headings[kept], rows=[row[kept] for row in rows])


def scaled_answer(row: dict[str, Any] | None) -> Cell:
    """The answer to a claim where the critics matter, if it has one."""
    if row is None or row["outcome"] == "not tested":
        return Cell(NONE)
    return answer(row, next(link for link in row["links"] if link["name"] == row["link"]))


def answer(row: dict[str, Any], link: dict[str, Any]) -> Cell:
    """An outcome, and the contrast behind it: effect, interval, number of seeds or networks, and the paper's effect."""
    quantity = QUANTITIES[link["metric"]]
    bounds = [abs(end) for end in (link["low"], link["high"]) if end]
    digits = quantity.digits + (min(bounds, default=1.0) < 0.5 / 10**quantity.digits)
    unit = unbroken(f" {quantity.unit}") if quantity.unit else ""
    ours, theirs = (number(link[name], digits, sign="+").text + unit for name in ("effect", "published"))
    ends = interval(link["low"], link["high"], digits, "+") if link["low"] is not None else "exact"
    of = quantity.label.partition(" (")[0] + PARTS.get(link["of"], "")
    of = of if of[:2].isupper() else of[0].lower() + of[1:]
    n = unbroken(f"n = {link['n']}")
    text = f"{link['contrast']}, {of}: {ours} {unbroken(ends)}, {n}"
    beside = "" if link["published"] is None else f"\npublished: {theirs}"
    beside += ", which contradicts the claim, too" if "say otherwise" in link["why"] else ""
    return Cell(row["outcome"], below=text + beside, strong=True)


def unbroken(text: str) -> str:
    """Text that stays on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def notes(frames: Frames) -> Iterator[str]:
    """Controls, what was not tested, what could fall to chance, and what the table's words mean."""
    links = links_table(frames)
    controls = links[(links["role"] == "control") & (links["id"] == "C1")]
    if shown := [of_control(link) for link in records(controls[controls["n"] > 0])]:
        yield f"Controls of C1, which decide nothing: {'; '.join(shown)}."
    without = links[(links["role"] == "control") & (links["n"] == 0)]
    if len(without):
        yield f"Controls that were not run: {listed(links, without)}."
    lacking = links[(links["outcome"] == "not tested") & (links["role"] == "link")]
    if len(lacking):
        yield f"Not tested, because the study did not run what they compare: {listed(links, lacking)}."
    asked = claims_table(frames)
    if len(fallen := asked[asked["holds_adjusted"].eq(False)]):
        yield (
            "Of so many claims some are decided by chance. After Holm's adjustment for all of them these outcomes do "
            f"not stand: {', '.join(fallen['id'])}."
        )
    yield from disagreements(links)
    if spent := looks_in_words(frames):
        claims_asked = re.search(r"--claims[ =](\S+)", str(frames.study["command"]))
        yield spent + (f" This was done for {claims_asked[1].replace(',', ', ')}." if claims_asked else "")
    margins = [f"{QUANTITIES[name].margin:g} {QUANTITIES[name].unit}".strip() for name in ("psnr", "ssim")]
    least = int(seeds_of(frames).min())
    yield (
        "*PSNR* and *SSIM*: more is better. *Sharpness*: of the repair against the original; 1 is as sharp. *Decade*: "
        "a factor of ten; the spread is how much the critics' gradient varies within a training. *Recipes*: each loss "
        "with an optimizer, rate and norm of its own. *Matched pair*: both losses with those of WGAN."
    )
    yield " ".join(
        [
            *(f"*{name.capitalize()}*: {meaning}" for name, meaning in OUTCOMES.items()),
            f"The margin is the paper's own gain over GLCIC, {margins[0]} of PSNR and {margins[1]} of SSIM.",
            f"An interval is over seeds and test images; {least} seeds cannot exclude a collapse in up to",
            f"{undetected(least):.0%} of seeds.",
        ]
    )


def disagreements(links: pd.DataFrame) -> Iterator[str]:
    """Claims of which some contrasts support what others contradict."""
    tested = links[(links["role"] == "link") & links["outcome"].isin(["supported", "contradicted"])]
    for claim, own in tested.groupby("id", sort=False):
        if own["outcome"].nunique() == 2:
            parts = [f"{outcome} in {effects(sided)}" for outcome, sided in own.groupby("outcome")]
            yield f"{claim} needs all of its contrasts, and they disagree: {'; '.join(parts)}."


def effects(links: pd.DataFrame) -> str:
    """Links by name, each with its effect and unit."""
    return ", ".join(f"*{link['name']}* ({measured(link)})" for link in records(links))


def measured(link: dict[str, Any]) -> str:
    """The effect of a link with its sign and unit."""
    quantity = QUANTITIES[link["metric"]]
    return f"{number(link['effect'], quantity.digits, sign='+').text} {quantity.unit}".strip()


def of_control(link: dict[str, Any]) -> str:
    """A control with its effect, as text."""
    digits = QUANTITIES[link["metric"]].digits
    theirs = f" (published {number(link['published'], digits, sign='+').text})" if pd.notna(link["published"]) else ""
    effect = f"{measured(link)} {interval(link['low'], link['high'], digits, '+')}"
    return f"*{link['name']}*, {link['contrast']}, {effect}{theirs}"


def listed(links: pd.DataFrame, chosen: pd.DataFrame) -> str:
    """Chosen links by claim, "C1 (over CE), C2": the names are left out where all links of the same role are chosen."""
    parts = []
    for claim, own in chosen.groupby("id", sort=False):
        names = list(dict.fromkeys(own["name"]))
        every = links[(links["id"] == claim) & (links["role"] == own["role"].iloc[0])]["name"].nunique()
        parts.append(str(claim) if len(names) == every else f"{claim} ({'; '.join(names)})")
    return ", ".join(parts)


METHODS = (
    "*The paper does not say which region its numbers are of; ours are of the hole (PSNR) and of the whole image "
    "(SSIM), with 95% intervals over seeds and test images. The published numbers are of other images, of another "
    "size: compare the order of the methods, not the values.*"
)
CONTRASTS = (
    "*A row is a contrast, named by the claims that need it; a mark is one link with its interval. In the grey band, "
    "the margin, a difference is smaller than the paper's own gain over GLCIC. A claim needs all of its links.*"
)
CRITICS = (
    "*PSNR and sharpness of the hole against the critics' gradient at the generator's output, in the last fifth of "
    "joint training. Vertical bars are 95% intervals, horizontal ones the seeds' range. Filled marks have scaled "
    "weights. The dashed line and its band are the model without critics.*"
)


def of_critics(frames: Frames) -> Iterator[str]:
    """The figure's caption, whether the critics were awake, and how hard they pull."""
    yield CRITICS
    data = run_on(frames)[0]
    pull = tables.mechanism_table(frames, data).set_index("variant")[["ratio_least", "ratio_greatest"]]
    critics = critics_table(frames)
    for variant in (str(frames.study["reference"]), *figures.scaled(frames)):
        own = critics[(critics["variant"] == variant) & (critics["data"] == data)]
        if own.empty:
            continue
        states = own["state"].value_counts()
        asleep = own[own["state"] != "awake"]
        seen = "All" if asleep.empty else f"{states.get('awake', 0)} of the"
        yield (
            f"{seen} {len(own)} critics of `{variant}` ({own['network'].nunique()} at each of {own['run'].nunique()} "
            "seeds) were [awake](critics.md): "
            f"they score the real image above its repair in {span(100 * own['accuracy'], '{:.0f}')}% of pairs, and "
            f"together their gradient is {span(100 * pull.loc[variant], '{:.2g}', '{:,.0f}')}% of the reconstruction "
            f"loss's.{''.join(why_asleep(asleep))}{effect(frames, variant)}"
        )


def effect(frames: Frames, variant: str) -> str:
    """How much sharper a variant is than the model without critics."""
    links = links_table(frames)
    links = links[(links["a"] == variant) & (links["name"] == "critics add detail") & links["effect"].notna()]
    return "".join(
        f" Against {link['b']} they change the sharpness of the hole by {link['effect']:+.3f} "
        f"{interval(link['low'], link['high'], 3, '+')}."
        for link in records(links)
    )


def why_asleep(asleep: pd.DataFrame) -> Iterator[str]:
    """Which critics were not awake, and why."""
    for (network, state), own in asleep.groupby(["network", "state"], observed=True, sort=False):
        yield f" The {network} critic was {state} at {len(own)} seed{'s' * (len(own) > 1)}: {own['why'].iloc[0]}."


# What is decided


def of_seeds(frames: Frames) -> Iterator[str]:
    """Which links were decided at how many seeds, which were not, and why."""
    links = links_table(frames)
    links = links[(links["role"] == "link") & links["level"].notna() & (links["outcome"] != "not tested")]
    several = links.duplicated(["id", "name"], keep=False)
    most = LOOKS if isinstance(frames.level, float) else frames.level
    whys = {(one.claim, one.link, one.data): reason(one.why) for one in undecided(frames, None, max(most))}
    keys = zip(links["id"], links["name"], links["data"], strict=True)
    links = links.assign(
        why=[whys.get(key, "") for key in keys],
        name=links["name"].mask(several, links["name"] + " on " + links["data"]),
    )
    for n, own in links[links["why"] == ""].groupby("n"):
        yield f"**decided with {n} seeds:** {listed(links, own)}"
    for (n, why), own in links[links["why"] != ""].groupby(["n", "why"], sort=False):
        yield f"**inconclusive with {n} seeds:** {listed(links, own)}: {why}"


def reason(why: str) -> str:
    """Why a link is open: where the critics were inert (docs/critics.md), this alone."""
    return why[why.index("the critics were inert") :] if "the critics were inert" in why else why


# The tables behind the page

SECTIONS: Sequence[Callable[[Frames], Section]] = (
    by_claim.claims,
    ran.runs,
    results.results,
    results.contrasts,
    ablations.ablations,
    training.mechanism,
    training.cost,
)
"""The report's sections that have tables of results."""

TABLES = """# The tables behind the results of {name}

[The page](../results.md) gives the answers. These tables are those of the report, `python -m study report out/{name}`.

"""


def long_tables(frames: Frames) -> str:
    """The text of docs/results/tables.md: the tables of the report's sections, without figures and pictures."""
    parts = ["## The data", *markdown([block_or_note(provenance.data, frames)])]
    for make in SECTIONS:
        section = make(frames)
        shown = [each for each in section.blocks if isinstance(each, TableView | Heading | Facts)]
        parts += [f"## {section.title}", *markdown(shown)]
    parts += ["## Seeds for an answer", *markdown([power(frames)])]
    return TABLES.format(name=frames.study["name"]) + "\n\n".join(parts) + "\n"


def power(frames: Frames) -> TableView:
    """The seeds that an answer to each link would take."""

    def seeds(count: float) -> Cell:
        if np.isinf(count):
            return Cell("never", kind="number")
        return number(count)

    return table_view(
        power_table(frames),
        lambda row: [
            Cell(f"{row['id']}: {row['link']}"),
            Cell(row["contrast"], below=row["data"]),
            number(row["n"]),
            *(seeds(row[f"seeds_for_{question}"]) for question in ("published", "measured", "margin")),
        ],
        name="power",
        caption="Seeds that an answer would take (95% level, 80% power): to tell the published or the measured effect "
        "from zero, or to show that a true difference of zero is within the margin. They assume that the seeds vary as "
        "those that ran. Never: it takes more test images.",
        headings=["Link", "Contrast", "Seeds now", "For the published", "For the measured", "For the margin"],
    )


# Markdown


def markdown(blocks: Iterable[Block]) -> Iterator[str]:
    """The Markdown of each block; figures are left out."""
    for block in blocks:
        match block:
            case TableView():
                text = f"*{plain(block.caption)}*\n\n{table(block)}"
                if block.folded:
                    text = f"<details><summary>{block.caption}</summary>\n\n{table(block)}\n</details>"
                yield text
                if block.more is not None:
                    yield from markdown([block.more])
            case Heading():
                yield f"### {plain(block.text)}"
            case Facts():
                yield bullets(f"{plain(name)}: {plain(text)}" for name, text in block.pairs)
            case Note():
                yield plain(block.text)


def table(view: TableView) -> str:
    """The rows of a table."""
    rows = [[plain(heading) for heading in view.headings], ["---"] * len(view.headings)]
    rows += [[cell(one) for one in row] for row in view.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(one: Cell) -> str:
    """A cell as one line."""
    text = f"**{plain(one.text)}**" if one.strong and one.text else plain(one.text)
    return f"{text}<br>{plain(one.below)}" if one.below else text


def plain(text: str) -> str:
    """Escapes text for Markdown."""
    for character in "\\|<>*_`[]":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", "<br>")


def bullets(lines: Iterable[str]) -> str:
    """A list, wrapped."""
    return "\n".join(wrapped(f"- {line}", "  ") for line in lines)


def paragraphs(texts: Iterable[str]) -> str:
    """Paragraphs with an empty line between, wrapped; a list stays as it is."""
    return "\n\n".join(text if text.startswith("- ") else wrapped(text) for text in texts)


def wrapped(text: str, indent: str = "") -> str:
    """Lines of at most 120 characters."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def span(values: pd.Series, form: str, large: str = "") -> str:
    """The least and the greatest value, "3 to 5"; ``large`` is the form of values of 10 or more."""
    low, high = ((large if large and value >= 10 else form).format(value) for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (BadInput, NoDataError) as fault:
        print(f"docs/results.py: {fault}", file=sys.stderr)
        raise SystemExit(2) from None
