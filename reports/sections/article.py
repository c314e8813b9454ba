"""The paper: the study's answer in six to eight pages, from the same views and numbers as the whole report."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reports import figures
from reports.analysis import tables
from reports.analysis.claims import as_printed, claims_table
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import label, metric_of
from reports.analysis.published import paper
from reports.analysis.statistics import OUTCOMES, undetected
from reports.document import Block, Document, Heading, Note, Section, TableView, block_or_note, number, words
from reports.sections import ablations, answer, architecture, claims, repairs, results, training
from reports.sections.common import NO_DATA_SET, difference, intervals, protocol, records

LEFT_OUT = ("each seed", "Notes", "Images", "n", "Seeds are")
"""The columns of the report's tables that the paper leaves to the supplement."""
MOST = 40
"""The maximum number of rows of a table; the supplement has all."""
DECISIVE = ("C1", "C2", "C3")
ASKED_AGAIN = re.compile(r"C\d+-scaled\.")
"""The beginning of the row of a claim that was asked again."""
INTRODUCTION = (
    "Image inpainting fills a hole in a picture so that neither the repair nor its edge shows. Mo and Zhou (2020) "
    "train a generator with dilated convolutions against four critics: one looks at the hole's window, one at the "
    "whole image, and two at the image down-sampled by 2 and by 4. They report a higher PSNR and SSIM than CE "
    "(Pathak et al. 2016) and GLCIC (Iizuka et al. 2017), from one run each, without intervals and without an "
    "ablation of the critics.",
    "We ask of each claim whether it holds when all methods have the same budget, several seeds and a control, and of "
    "each part that the paper credits what it contributes. Every number is computed from the scores of single images. "
    "The supplement (supplement.pdf) and the page (report.html) have every seed, every contrast behind a claim, the "
    "networks as built, the training curves, and what was chosen where the paper is open.",
)
METHODS = (
    "CE, GLCIC and GIICA (Yu et al. 2018) are trained with their own losses and optimizers. Controls show whether "
    "the critics are the reason for a gain: the same generator with the reconstruction loss alone, the same with a "
    "single critic, and the baselines with the proposed model's optimizer. Two fillers are not trained: the mean of "
    "the surround, and a biharmonic surface. Critics trained with the WGAN loss have clipped weights (Arjovsky et "
    "al. 2017)."
)
SCORED = (
    "PSNR and SSIM (Wang et al. 2004) are of the composite, which is the repair in the hole and the original around "
    "it. The paper does not say of which region its numbers are, so both regions are given. Poisson blending (Pérez "
    "et al. 2003) is scored apart."
)
STATISTICS = (
    "Seeds and test images are both random samples. Each interval adds the variance from seeds (paired where two "
    "variants share their start, otherwise Welch's) and from images (always paired), with a t quantile for each; "
    "outcomes rest on {intervals}. Supported: the interval lies on the claimed side of zero. Contradicted: on the "
    "other side. Equivalent: the 90% interval lies within the margin, the paper's own gain over GLCIC (0.16 dB of "
    "PSNR, 0.006 of SSIM). Otherwise a claim is inconclusive, and always with fewer than 3 seeds. A claim needs all "
    "of its links. Where the critics were inert, the absence of a difference is no result. Holm's method (1979) "
    "adjusts for the number of claims."
)
CRITICS = (
    "A difference between critics is a result only if the critics were awake: they must tell real images from repaired "
    "ones, and their gradient must reach the generator. The table shows this for the proposed model; the figure shows "
    "what each method gains in sharpness and at the seam, and what it pays in PSNR."
)
LIMITS = (
    "PSNR and SSIM reward blur, and neither measures how a person judges a repair. Where the paper is open we chose; "
    "another choice may give another outcome."
)
REFERENCES = (
    "Arjovsky, M., Chintala, S. and Bottou, L. (2017). Wasserstein generative adversarial networks. ICML, 214–223.",
    "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics "
    "6(2), 65–70.",
    "Iizuka, S., Simo-Serra, E. and Ishikawa, H. (2017). Globally and locally consistent image completion. ACM "
    "Transactions on Graphics 36(4), 107.",
    "Pathak, D., Krähenbühl, P., Donahue, J., Darrell, T. and Efros, A. A. (2016). Context encoders: feature learning "
    "by inpainting. CVPR, 2536–2544.",
    "Pérez, P., Gangnet, M. and Blake, A. (2003). Poisson image editing. ACM Transactions on Graphics 22(3), 313–318.",
    "Wang, Z., Bovik, A. C., Sheikh, H. R. and Simoncelli, E. P. (2004). Image quality assessment: from error "
    "visibility to structural similarity. IEEE Transactions on Image Processing 13(4), 600–612.",
    "Yu, J., Lin, Z., Yang, J., Shen, X., Lu, X. and Huang, T. S. (2018). Generative image inpainting with contextual "
    "attention. CVPR, 5505–5514.",
)


def article(frames: Frames) -> Document:
    """The paper of a study, with numbered tables and figures. A part without data says why.

    Its tables and figures have the names that they have in the whole report, where their other columns and rows are.
    """
    name = frames.study["name"] or "a study"
    kind = "A demonstration" if answer.is_demo(frames) else "A reproduction"
    return Document(
        title="Do multi-scale critics repair images better? Testing Mo & Zhou (2020)",
        question=f"{kind} ({name})",
        citation=paper()["citation"],
        doi=paper()["doi"],
        made=str(frames.study["made"] or ""),
        sections=[
            Section(id="abstract", title="Abstract", blocks=[Note(abstract(frames))]),
            Section(id="introduction", title="Introduction", blocks=introduction(frames)),
            Section(id="method", title="Method", blocks=method(frames)),
            Section(id="claims", title="Which claims held up", blocks=outcomes(frames)),
            Section(id="results", title="Published and measured: Tables 6 to 8", blocks=measured(frames)),
            Section(id="ablations", title="What each part contributes", blocks=contributions(frames)),
            Section(id="critics", title="What the critics did", blocks=mechanism(frames)),
            Section(id="conclusions", title="Conclusions and limits", blocks=conclusions(frames)),
            Section(id="references", title="References", blocks=references()),
        ],
    ).numbered()


def abstract(frames: Frames) -> str:
    """The answer in numbers."""
    rows = list(records(as_printed(frames)))
    seeds = len(frames.study["seeds"] or [])
    return " ".join(
        [
            "Mo and Zhou (2020) hold that critics at several scales improve image inpainting. We trained their model "
            f"beside its baselines and controls under one budget with {_count(seeds, 'seed')}, and tested "
            f"{_count(len(rows), 'claim')} of the paper, each with an interval over seeds and test images: "
            f"{tally(rows)}.",
            *(in_short(row) for row in rows if row["id"] in DECISIVE),
            answer.scope(frames),
            "It cannot confirm or refute the paper." if answer.is_demo(frames) else "",
        ]
    ).strip()


def introduction(frames: Frames) -> list[Block]:
    """The question, the model, and what is where."""
    return [Note(INTRODUCTION[0]), block_or_note(architecture.network, frames), Note(INTRODUCTION[1])]


def method(frames: Frames) -> list[Block]:
    """Data, budget, methods, protocol, statistics and readings."""
    study, given, readings = frames.study, paper(), frames.readings
    sets = [
        f"{entry['name']} ({words(entry.get('train'))} training and {words(entry.get('test'))} test images)"
        for entry in study["data"] or []
    ]
    updates = given["steps"]["pretrain"] + given["steps"]["joint"]
    budget = (
        f"The data are {_and(sets) or 'not recorded'}, at {words(study['image_size'])} px (the paper: "
        f"{given['image_size']}). Each trained method gets {words(study['generator_updates'])} updates of its "
        f"generator with batch {words(study['batch'])} (the paper: {updates:,}, batch {given['batch']}, "
        f"{given['cost']}). The seeds are {words(study['seeds'])}; runs of one seed meet the same images, holes and "
        "flips in the same order, and variants with the same generator start from the same pretrained weights."
    )
    departing = readings.loc[readings["departs"].astype(bool), "reading"].nunique()
    scored = [protocol(frames, data) for data in answer.main_data(frames)]
    return [
        Heading("Data and budget"),
        Note(budget),
        Heading("Methods and controls"),
        Note(METHODS),
        Heading("Protocol"),
        Note(" ".join([SCORED, *scored])),
        Heading("Statistics"),
        Note(STATISTICS.format(intervals=intervals(frames))),
        Heading("Choices"),
        Note(
            f"The paper leaves {_count(readings['reading'].nunique(), 'choice')} open or contradicts itself there. "
            f"What was chosen departs from its literal text, or from that of a baseline's paper, in {departing}."
        ),
    ]


def outcomes(frames: Frames) -> list[Block]:
    """The table of claims, those that were asked again, and what decided C1 to C3."""
    rows = list(records(claims_table(frames)))
    again = [row for row in rows if row["adversarial_share"] is not None and np.isfinite(row["adversarial_share"])]
    by_chance = [row for row in rows if row["holds_adjusted"] is not None]
    stand = [row["id"] for row in by_chance if row["holds_adjusted"]]
    blocks: list[Block] = [
        Note(f"Of the paper's claims, {tally([row for row in rows if row not in again])}."),
        narrow(claims.claims_view, frames),
    ]
    if again:
        share = again[0]["adversarial_share"]
        blocks.append(
            Note(
                f"{_count(len(again), 'claim').capitalize()} about critics were asked again where the critics matter, "
                f"with weights scaled once so that their gradient is {share:.0%} of the reconstruction loss's: "
                f"{tally(again)} ({_and([row['id'].removesuffix('-scaled') for row in again])})."
            )
        )
    if by_chance:
        held = f"{_and(stand)} {'stands' if len(stand) == 1 else 'stand'}" if stand else "none of them stands"
        blocks.append(Note(f"{_count(len(by_chance), 'outcome')} could err by chance. Adjusted for it, {held} at 5%."))
    return blocks + [Note(f"{row['id']}. {row['why']}") for row in rows if row["id"] in DECISIVE]


def measured(frames: Frames) -> list[Block]:
    """Tables 6 to 8, the contrasts and the repairs."""
    blocks: list[Block] = []
    for data in answer.main_data(frames):
        blocks += [
            results.beside(frames, data),
            *(narrow(results.results_view, frames, data, metric) for metric in ("psnr", "ssim")),
            compared(frames, data),
            block_or_note(results.contrast_figure, frames, data),
            block_or_note(repairs.grid, frames, data),
        ]
    return [*blocks, narrow(results.table_8, frames)] if blocks else [NO_DATA_SET]


def compared(frames: Frames, data: str) -> Note:
    """The contrasts in PSNR in words, beside the published ones."""
    try:
        table = tables.contrast_table(frames, data)
    except NoDataError as error:
        return Note(str(error), "nothing")
    table = table[(table["metric"] == "psnr") & (table["region"] == "hole") & table["difference"].notna()]
    found = []
    for row in records(table):
        ours = " ".join(difference({**row, "effect": row["difference"], "unit": "dB"}))
        published = number(row["published"], metric_of("psnr").digits, sign="+")
        theirs = f"; published {published.text}" if published.value is not None else ""
        found.append(f"{label(row['a'])} − {label(row['b'])} {ours} ({row['outcome']}{theirs})")
    return Note(f"Differences in PSNR of the hole on {data}: {'; '.join(found)}.")


def contributions(frames: Frames) -> list[Block]:
    """The ablations as a figure and a table."""
    drawn = [data for data in frames.data_sets() if figures.ablation_parts(frames, data)]
    data = next((data for data in answer.main_data(frames) if data in drawn), next(iter(drawn), None))
    if data is None:
        return [Note("The study has no ablation with a result.", "nothing")]
    table = ablations.all_values(frames, data)
    assert table.frame is not None
    tested = table.frame.dropna(subset=["difference_low"])
    margin = metric_of("psnr").margin or 0.0
    beyond = (tested["difference_low"] > 0) | (tested["difference_high"] < 0)
    within = (tested["difference_low"] > -margin) & (tested["difference_high"] < margin)
    more = figures.ablation_parts(frames, data) > 1 or len(table.rows) > MOST
    text = (
        f"Each ablation changes stated options of the proposed model and nothing else. Of "
        f"{_count(len(tested), 'difference')} from it on {data}, {beyond.sum()} exclude zero with their interval, and "
        f"{within.sum()} lie with it within ±{margin:g} dB, the paper's own gain over GLCIC."
    )
    rest = " The supplement has the rest of the figure and of the table." if more else ""
    return [Note(text + rest), ablations.forest(frames, data), narrow(lambda: table)]


def mechanism(frames: Frames) -> list[Block]:
    """What the reference's critics did."""
    reference = str(frames.study["reference"])
    blocks: list[Block] = [Note(CRITICS)]
    for data in answer.main_data(frames):
        blocks += [block_or_note(training.sharpness, frames, data), narrow(training.awake, frames, data, of=reference)]
    return blocks


def conclusions(frames: Frames) -> list[Block]:
    """What can be concluded, and what cannot."""
    rows = list(records(as_printed(frames)))
    by = {outcome: [row["id"] for row in rows if row["outcome"] == outcome] for outcome in OUTCOMES}
    lost = int((frames.runs["status"] != "completed").sum())
    lacking = [row["id"] for row in rows if row["outcome"] in ("not tested", "partly tested")]
    seeds = len(frames.study["seeds"] or [])
    limits = [
        answer.scope(frames),
        f"{_count(seeds, 'seed')} cannot exclude a collapse in up to {undetected(seeds):.0%} of all seeds."
        if seeds
        else "",
        f"{_count(lost, 'run')} of {len(frames.runs):,} did not complete." if lost else "",
        f"Data for all or a part of {_and(lacking)} are lacking." if lacking else "",
        LIMITS,
    ]
    return [
        Note(f"{'; '.join(f'{outcome.capitalize()}: {_and(ids)}' for outcome, ids in by.items() if ids)}."),
        *(Note(detectable(frames, data)) for data in answer.main_data(frames)),
        Heading("Limits"),
        Note(" ".join(filter(None, limits))),
    ]


def detectable(frames: Frames, data: str) -> str:
    """What effect the study could have seen, in a sentence."""
    try:
        table = tables.detectable_table(frames, data)
    except NoDataError as error:
        return str(error)
    table = table[(table["metric"] == "psnr") & table["detectable"].notna()]
    named = metric_of("psnr")
    found = [f"{row['detectable']:.{named.digits}f} dB against {label(row['b'])}" for row in records(table)]
    if not found:
        return "With fewer than two seeds the minimum detectable effect is not known."
    return (
        f"The minimum detectable effect in PSNR of the hole (80% power) is {_and(found)}. The paper's own gain over "
        f"GLCIC is {named.margin:g} dB."
    )


def references() -> list[Block]:
    """The references in the order of the alphabet."""
    own = f"{paper()['citation'].strip()} doi:{paper()['doi']}"
    return [Note(text) for text in sorted([own, *REFERENCES])]


def narrow(make: Callable[..., TableView], *arguments: Any, of: str = "") -> Block:
    """A table of the report without what the paper leaves to the supplement: columns, folded rows, rows after ``MOST``.

    ``of``: the rows of this variant alone. Claims that were asked again are left out.
    """
    view = block_or_note(make, *arguments)
    if not isinstance(view, TableView):
        return view
    columns = [place for place, heading in enumerate(view.headings) if heading not in LEFT_OUT]
    variants = view.frame["variant"].tolist() if of and view.frame is not None else [of] * len(view.rows)
    rows = [
        place
        for place, (row, variant) in enumerate(zip(view.rows, variants, strict=False))
        if variant == of and not ASKED_AGAIN.match(row[0].text)
    ][:MOST]
    return replace(
        view,
        headings=[view.headings[place] for place in columns],
        rows=[[view.rows[place][column] for column in columns] for place in rows],
        groups=[view.groups[place] for place in rows] if view.groups else [],
        more=None,
        folded=False,
    )


def tally(rows: Sequence[Mapping[str, Any]]) -> str:
    """The number of claims of each outcome: "1 is supported and 3 are inconclusive"."""
    found = [str(row["outcome"]) for row in rows]
    counts = {outcome: found.count(outcome) for outcome in OUTCOMES}
    return _and([f"{count} {'is' if count == 1 else 'are'} {outcome}" for outcome, count in counts.items() if count])


def in_short(row: Mapping[str, Any]) -> str:
    """A claim with its outcome and its effect, in a sentence."""
    effect = " ".join(filter(None, difference(row)))
    shown = f" ({row['contrast']} {effect})" if effect else ""
    return f"{row['claim'].rstrip('.')} ({row['id']}): {row['outcome']}{shown}."


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _and(parts: Sequence[str]) -> str:
    """The parts with commas and "and"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
