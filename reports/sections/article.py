"""The paper: the study's answer in six to eight pages, from the same views and numbers as the whole report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reports import figures
from reports.analysis import tables
from reports.analysis.claims import claims_table
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import label, metric_of
from reports.analysis.published import counterpart, paper
from reports.analysis.statistics import OUTCOMES
from reports.document import (
    NONE,
    Block,
    Cell,
    Document,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    interval,
    number,
    words,
)
from reports.sections import ablations, answer, architecture, repairs, results
from reports.sections.common import NO_DATA_SET, difference, intervals, protocol, records, table_view

LEFT_OUT = ("each seed", "Notes", "Images")
"""The columns of the report's tables that the paper leaves to the supplement."""
DECISIVE = ("C1", "C2", "C3")
CELLS = 40
"""The paper's table of ablations has at most this many rows; the supplement has all."""
REFERENCES = (
    "Iizuka, S., Simo-Serra, E. and Ishikawa, H. (2017). Globally and locally consistent image completion (GLCIC). ACM "
    "Transactions on Graphics 36(4), 107.",
    "Pathak, D., Krähenbühl, P., Donahue, J., Darrell, T. and Efros, A. A. (2016). Context encoders: feature learning "
    "by inpainting (CE). CVPR, 2536–2544.",
    "Yu, J., Lin, Z., Yang, J., Shen, X., Lu, X. and Huang, T. S. (2018). Generative image inpainting with contextual "
    "attention (GIICA). CVPR, 5505–5514.",
    "Arjovsky, M., Chintala, S. and Bottou, L. (2017). Wasserstein generative adversarial networks. ICML, 214–223.",
    "Pérez, P., Gangnet, M. and Blake, A. (2003). Poisson image editing. ACM Transactions on Graphics 22(3), 313–318.",
    "Wang, Z., Bovik, A. C., Sheikh, H. R. and Simoncelli, E. P. (2004). Image quality assessment: from error "
    "visibility to structural similarity. IEEE Transactions on Image Processing 13(4), 600–612.",
    "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics "
    "6(2), 65–70.",
)


def article(frames: Frames) -> Document:
    """The paper of a study, with numbered tables and figures. A part without data says why.

    Its tables and figures have the names that they have in the whole report, where the rest of their columns stands.
    """
    parts = _Parts(frames)
    return Document(
        title="Do multi-scale critics repair images better? A reproduction of Mo & Zhou (2020)",
        question=f"{frames.study['name'] or 'Study'}: {'a demonstration' if parts.demo else 'report'}, with a "
        "supplement",
        citation=paper()["citation"],
        doi=paper()["doi"],
        made=str(frames.study["made"] or ""),
        sections=[
            Section(id="abstract", title="Abstract", blocks=[Note(parts.abstract())]),
            Section(id="introduction", title="Introduction", blocks=parts.introduction()),
            Section(id="method", title="Method", blocks=parts.method()),
            Section(id="claims", title="Which claims held up", blocks=parts.claims()),
            Section(id="results", title="Tables 6 to 8, published and measured", blocks=parts.results()),
            Section(id="ablations", title="What each part contributes", blocks=parts.ablations()),
            Section(id="conclusions", title="Conclusions and limits", blocks=parts.conclusions()),
            Section(id="references", title="References", blocks=[Note(text) for text in _references()]),
        ],
    ).numbered()


class _Parts:
    """The parts of the paper. ``data``: the data set that stands beside the paper's CelebA, otherwise the first."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.study = frames.study
        self.demo = "demo" in (self.study["profile"], self.study["scope"])
        sets = frames.data_sets()
        self.data = next((name for name in sets if counterpart(frames, name) == "CelebA"), next(iter(sets), None))
        table = claims_table(frames)
        self.printed = list(records(table[table["adversarial_share"].isna()]))
        self.scaled = list(records(table[table["adversarial_share"].notna()]))

    def abstract(self) -> str:
        """The answer in numbers."""
        decisive = [row for row in self.printed if row["id"] in DECISIVE]
        return " ".join(
            [
                "Mo and Zhou (2020) hold that critics at several scales improve image inpainting over one critic or "
                f"two. We trained their model beside its baselines and controls, {self.budget()}, and tested "
                f"{_count(len(self.printed), 'claim')} of the paper, each with an interval over seeds and test images.",
                f"{_sentence(tally(self.printed))}.",
                *(f"{_short(row)}." for row in decisive),
                answer.scope(self.frames),
            ]
        )

    def budget(self) -> str:
        """The budget in the middle of a sentence."""
        seeds = len(self.study["seeds"] or [])
        return (
            f"each with {words(self.study['generator_updates'])} updates of the generator and {_count(seeds, 'seed')} "
            f"on images of {words(self.study['image_size'])} px"
        )

    def introduction(self) -> list[Block]:
        """The question, and what is where."""
        return [
            Note(
                "Image inpainting fills a hole in a picture so that neither the fill nor its edge shows. Mo and Zhou "
                "(2020) train a generator with dilated convolutions against four critics: one looks at the hole's "
                "window, one at the whole image, and two at the image down-sampled by 2 and by 4. They report a higher "
                "PSNR and SSIM than CE (Pathak et al. 2016) and GLCIC (Iizuka et al. 2017), of one run each, without "
                "intervals and without an ablation of the critics."
            ),
            block_or_note(architecture.network, self.frames),
            Note(
                "We ask of each claim whether it holds when all methods have the same budget, several seeds and a "
                "control, and of each part that the paper credits what it contributes. Every number here is computed "
                "from the scores of single images; the supplement (supplement.pdf) and the page (report.html) hold "
                "every seed, every link behind a claim, the networks as built, the training curves and the readings "
                "of what the paper leaves open."
            ),
        ]

    def method(self) -> list[Block]:
        """Model, data, budget, protocol and statistics."""
        given = paper()
        data = [
            f"{entry['name']} ({words(entry.get('train'))} training, {words(entry.get('test'))} test images)"
            for entry in self.study["data"] or []
        ]
        open_readings = self.frames.readings["reading"].nunique()
        departs = self.frames.readings.loc[self.frames.readings["departs"].astype(bool), "reading"].nunique()
        steps = self.study["steps"]
        return [
            Heading("Data and budget"),
            Note(
                f"The data are {_and(data) or 'not recorded'}, at {words(self.study['image_size'])} px "
                f"(the paper: {given['image_size']} px). Each trained method gets "
                f"{words(self.study['generator_updates'])} updates of its generator in batches of "
                f"{words(self.study['batch'])} (the paper: {given['steps']['pretrain'] + given['steps']['joint']:,}, "
                f"batch {given['batch']}, {given['cost']}); the stages have the steps {words(steps)}. Seeds: "
                f"{words(self.study['seeds'])}. Runs of one seed meet the same images, holes and flips in the same "
                "order, and variants that share a generator start from the same pretrained weights."
            ),
            Heading("Methods and controls"),
            Note(
                "Beside CE, GLCIC and GIICA (Yu et al. 2018) stand what must be beaten for the "
                "critics to be the reason: the same generator with the reconstruction loss alone, the same with a "
                "single critic, the baselines with the proposed model's optimizer, and two fillers that are not "
                "trained. Their numbers are of the methods as trained here."
            ),
            Heading("Protocol"),
            Note(
                (f"{protocol(self.frames, self.data)} " if self.data else "")
                + "Scores are of the composite, the repair in the hole and the original around it; the paper does not "
                "say of which region its numbers are, so both are given."
            ),
            Heading("Statistics"),
            Note(
                "Seeds and test images are both random samples. Each interval adds the variance from seeds "
                "(paired where two variants share their start, otherwise Welch's) and from images (always paired), "
                f"with t quantiles for each; outcomes rest on {intervals(self.frames)}. Supported: the interval lies "
                "on the claimed side of zero. Contradicted: on the other. Equivalent: the 90% interval lies within the "
                "margin, which is the paper's own gain over GLCIC (0.16 dB of PSNR, 0.006 of SSIM). Otherwise "
                "inconclusive, and always with fewer than 3 seeds. A claim needs all of its links, and where the "
                "critics were inert no difference counts as a result. Holm's method (1979) adjusts for the number of "
                "claims."
            ),
            Heading("What the paper leaves open"),
            Note(
                f"The paper leaves {_count(open_readings, 'choice')} open or contradicts itself there; what "
                f"was chosen departs from its literal text in {departs}. The supplement lists them all."
            ),
        ]

    def claims(self) -> list[Block]:
        """The table of claims."""
        blocks: list[Block] = [
            Note(
                f"Of the paper's {_count(len(self.printed), 'claim')}, {tally(self.printed)}. Each row of the table "
                "names the contrast that decides its claim."
            ),
            claims_view(self.frames),
        ]
        if self.scaled:
            share = self.scaled[0]["adversarial_share"]
            blocks.append(
                Note(
                    f"{_count(len(self.scaled), 'claim').capitalize()} about the critics were asked again where the "
                    f"critics matter: with weights scaled once so that their gradient is {share:.0%} of the "
                    f"reconstruction loss's. Of these, {tally(self.scaled)}."
                )
            )
        stands = [row["id"] for row in (*self.printed, *self.scaled) if row["holds_adjusted"] is True]
        tested = [row for row in (*self.printed, *self.scaled) if row["holds_adjusted"] is not None]
        if tested:
            standing = (
                f"{_and(stands)} {'stands' if len(stands) == 1 else 'stand'}" if stands else "none of them stands"
            )
            count = _count(len(tested), "outcome").capitalize()
            blocks.append(Note(f"{count} could be due to chance. After Holm's adjustment {standing} at 5%."))
        blocks += [Note(f"{row['id']}: {row['why']}") for row in self.printed if row["id"] in DECISIVE]
        return blocks

    def results(self) -> list[Block]:
        """Tables 6 to 8, the contrasts and the repairs."""
        if self.data is None:
            return [NO_DATA_SET]
        return [
            results.beside(self.frames, self.data),
            *(narrow(results.results_view, self.frames, self.data, metric) for metric in ("psnr", "ssim")),
            *self.compared(self.data),
            block_or_note(results.contrast_figure, self.frames, self.data),
            block_or_note(repairs.grid, self.frames, self.data),
            narrow(results.table_8, self.frames),
        ]

    def compared(self, data: str) -> list[Note]:
        """The contrasts in words: what the paper gains, and what we find."""
        try:
            table = tables.contrast_table(self.frames, data)
        except NoDataError as error:
            return [Note(str(error), "nothing")]
        table = table[(table["metric"] == "psnr") & (table["region"] == "hole") & table["difference"].notna()]
        digits = metric_of("psnr").digits
        sentences = []
        for row in records(table):
            measured = f"{_signed(row['difference'], digits)} dB {interval(row['low'], row['high'], digits, '+')}"
            printed = f"; published {_signed(row['published'], digits)} dB" if np.isfinite(row["published"]) else ""
            sentences.append(f"{label(row['a'])} − {label(row['b'])} {measured} ({row['outcome']}{printed})")
        return [Note(f"Differences in PSNR of the hole on {data}: {'; '.join(sentences)}.")] if sentences else []

    def ablations(self) -> list[Block]:
        """The ablation as a figure and a table."""
        sets = [data for data in self.frames.data_sets() if figures.ablation_parts(self.frames, data)]
        if not sets:
            return [Note("The study has no ablation with a result.", "nothing")]
        data = self.data if self.data in sets else sets[0]
        parts = figures.ablation_parts(self.frames, data)
        table = tables.all_ablations(self.frames, data)
        tested = table.dropna(subset=["difference_low"])
        beyond = tested[(tested["difference_low"] > 0) | (tested["difference_high"] < 0)]
        margin = metric_of("psnr").margin or 0.0
        within = tested[(tested["difference_low"] > -margin) & (tested["difference_high"] < margin)]
        return [
            Note(
                f"Each ablation changes stated factors of {label(str(self.study['reference']))} and nothing else. Of "
                f"{_count(len(tested), 'difference')} from it on {data}, {len(beyond)} are resolved (the interval "
                f"excludes zero) and {len(within)} lie within the paper's own gain over GLCIC, ±{margin:g} dB, with "
                "their whole interval."
            ),
            ablations.forest(self.frames, data),
            *([Note("The supplement shows the further parts of the figure.")] if parts > 1 else []),
            cells_view(self.frames, data),
        ]

    def conclusions(self) -> list[Block]:
        """What can be concluded, and what cannot."""
        by = {outcome: [row["id"] for row in self.printed if row["outcome"] == outcome] for outcome in OUTCOMES}
        said = [f"{outcome}: {_and(ids)}" for outcome, ids in by.items() if ids]
        runs = self.frames.runs
        lost = runs[~runs["status"].isin(["completed"])]
        seeds = len(self.study["seeds"] or [])
        limits = [
            answer.scope(self.frames),
            f"{_count(seeds, 'seed').capitalize()} cannot exclude a collapse in up to {1 - 0.05 ** (1 / seeds):.0%} of "
            "all seeds."
            if seeds
            else "",
            f"{_count(len(lost), 'run')} of {len(runs):,} did not complete and enter no mean."
            if len(lost)
            else f"All {len(runs):,} runs completed.",
            "PSNR and SSIM reward blur; neither measures how a person judges a repair.",
            "What the paper leaves open was chosen by us: another reading may give another outcome.",
        ]
        missing = [row["id"] for row in self.printed if row["outcome"] in ("not tested", "partly tested")]
        if missing:
            limits.append(f"The study lacks data for all or a part of {_and(missing)}.")
        return [
            Note(f"Of the claims as the paper prints them, we find {'; '.join(said)}."),
            *([Note(self.detectable())] if self.data else []),
            Note(f"Limits. {' '.join(filter(None, limits))}"),
        ]

    def detectable(self) -> str:
        """What effect the study could have seen."""
        try:
            table = tables.detectable_table(self.frames, str(self.data))
        except NoDataError as error:
            return str(error)
        table = table[(table["metric"] == "psnr") & table["detectable"].notna()]
        digits = metric_of("psnr").digits
        found = [f"{row['detectable']:.{digits}f} dB against {label(row['b'])}" for row in records(table)]
        gain = metric_of("psnr").margin
        return (
            f"The minimum detectable effect in PSNR of the hole (80% power) is {_and(found)}; the paper's own gain "
            f"over GLCIC is {gain} dB."
            if found
            else "With one seed no minimum detectable effect is known."
        )


def claims_view(frames: Frames) -> TableView:
    """The claims as printed with their outcomes: the report's table, without those that were asked again."""
    table = claims_table(frames)
    table = table[table["adversarial_share"].isna()].drop(columns=["links", "controls"])

    def row(found: dict[str, Any]) -> list[Cell]:
        adjusted = {True: "stands after Holm", False: "not after Holm"}.get(found["holds_adjusted"], "")
        effect, bounds = difference(found)
        return [
            Cell(f"{found['id']}. {found['claim']}", below=found["where"]),
            Cell(found["contrast"], below=found["link"]),
            Cell(effect or NONE, below=bounds, kind="number"),
            Cell(found["outcome"], below=adjusted, strong=True),
        ]

    return table_view(
        table,
        row,
        name="claims",
        caption="The claims of the paper, the contrast that decides each, its effect with its interval, and the "
        "outcome.",
        headings=["Claim", "Deciding contrast", "Effect", "Outcome"],
    )


def narrow(make: Callable[..., TableView], *arguments: Any) -> Block:
    """A table of the report without what the paper leaves to the supplement: columns, and folded rows."""
    view = block_or_note(make, *arguments)
    if not isinstance(view, TableView):
        return view
    kept = [place for place, heading in enumerate(view.headings) if heading not in LEFT_OUT]
    rows = [[row[place] for place in kept] for row in view.rows]
    return replace(view, headings=[view.headings[place] for place in kept], rows=rows, more=None, folded=False)


def cells_view(frames: Frames, data: str) -> TableView:
    """The first rows of the table of all ablations."""
    view = ablations.all_values(frames, data)
    rest = f" The supplement has the other {len(view.rows) - CELLS} rows." if len(view.rows) > CELLS else ""
    return replace(view, caption=view.caption + rest, rows=view.rows[:CELLS], groups=view.groups[:CELLS], folded=False)


def tally(rows: Sequence[Mapping[str, Any]]) -> str:
    """The number of claims of each outcome: "1 is supported, 3 are inconclusive"."""
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in OUTCOMES}
    return _and([f"{count} {'is' if count == 1 else 'are'} {outcome}" for outcome, count in counts.items() if count])


def _short(row: Mapping[str, Any]) -> str:
    """A claim, its outcome and its effect, in a sentence without a full stop."""
    claim = f"{row['id']}, {row['claim'][:1].lower()}{row['claim'][1:].rstrip('.')}"
    if pd.isna(row["effect"]):
        return f"Claim {claim}: {row['outcome']}"
    return f"Claim {claim}: {row['outcome']}, {row['contrast']} {' '.join(difference(row)).rstrip()}"


def _signed(value: float, digits: int) -> str:
    return number(value, digits, sign="+").text


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _and(parts: Sequence[str]) -> str:
    """The parts with commas and "and"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _references() -> list[str]:
    """The references in the order of the alphabet."""
    return sorted([f"{paper()['citation'].strip()} doi:{paper()['doi']}", *REFERENCES])
