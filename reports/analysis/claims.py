"""The paper's claims tested on a study: the outcome of each, and the numbers behind it.

Every link has an outcome of its own, and ``all_of`` makes the claim's outcome from them. A link between runs is decided
by the rule of ``reports.analysis.statistics``; a link between networks is computed exactly.
"""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations, product
from operator import eq, ge, gt, le, lt
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.critics import inert
from reports.analysis.frames import Frames
from reports.analysis.links import OF_NETWORKS, Claim, Link, Spec, claims, claims_of, pair
from reports.analysis.naming import METRICS, TUNED, Metric, label
from reports.analysis.published import counterpart, paper, published
from reports.analysis.statistics import (
    ENOUGH_GROUPS,
    ENOUGH_SEEDS,
    LEVEL,
    MANY_SEEDS,
    OF_RUN,
    Comparison,
    Outcome,
    Share,
    compare,
    exact,
    holm,
    least_error,
    level_at,
    percent,
    share_above,
    shares,
    undetected,
)

DECIDED = ("supported", "contradicted", "equivalent", "partly tested")
"""The outcomes that say something, and so can fall to an adjustment."""

MARGINAL = ("equal", "no less", "no more")
"""The directions that are about a margin: to be supported, they need a difference to be absent."""

EXACT = {"more": gt, "less": lt, "no less": ge, "no more": le, "equal": eq}
UNDILATED = {"differs": {"dilated": False}}
"""The generator without dilation: its networks are computed, and it need not be trained."""

FILLERS = ("mean", "biharmonic")
OF_OPTIMIZER = ("optimizer", "rates")
OF_THE_PROPOSED = ("single", "reconstruction_only")
"""Methods with the proposed model's generator, which extend it."""

ARTEFACTS = "artefact_share"
ARTEFACT = 1.0
"""The value of the metric ``artefact`` above which a repair has one."""

SHARP = 0.9
"""From this median sharpness on, detail may be invented but plausible, which the definition does not tell apart."""

WORST_SHOWN = 3
AGAIN = "; run the study again to have it"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of a link in a study. None: unknown, or does not exist.

    Args:
        name: the link's.
        a, b: the variants, or words for what the study lacks. contrast: both in one text.
        outcome: None for a control.
        effect: a - b in ``unit``. level: of its interval, low to high.
        p: the p value, counting the study's looks (at most 5% where the interval decides).
        n: the number of networks, or of seeds (the smaller of a's and b's).
        counts: n in words, with the number of images.
        why: a sentence. reason: the part of it that gives the reason for the outcome.
        comparison: what decided a link by the rule for few seeds; no column.
    """

    name: str
    metric: str
    of: str
    a: str
    b: str
    data: str
    direction: str | None
    margin: float | None
    outcome: Outcome | None
    effect: float | None
    low: float | None
    high: float | None
    level: float | None
    p: float | None
    unit: str
    n: int
    counts: str
    published: float | None
    why: str
    reason: str
    contrast: str
    comparison: Comparison | None = None

    def columns(self) -> dict[str, Any]:
        """The finding as a row of a table."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "comparison"}


def claims_table(frames: Frames) -> pd.DataFrame:
    """A row per claim: the paper's, C1 to C15 in order, then those of plugins. A claim about the critics that the study
    also tests where they matter has a second row, such as C3-scaled, around the variant whose critics have a share of
    the gradient.

    Columns: id, claim, where, evidence, adversarial_share (None: weights as printed), outcome, scope ('paper',
    'reduced', 'other'); link (its name), contrast ('a − b'), effect, low, high (the interval), level (of the interval),
    unit, n (of seeds or networks), counts (n in words) and why (a sentence) of the deciding link, the first with the
    claim's own outcome; p (``claim_p``), p_holm (after Holm's adjustment for all claims with a p value) and
    holds_adjusted (whether the outcome stands at 5% after it; None for an outcome that has no p value or says nothing);
    links and controls, lists of ``Finding``s as mappings. A number that is unknown or does not exist is NaN, in a
    mapping None. The table is computed once per frames; the result is a copy.
    """
    kept: pd.DataFrame = frames.once("claims_table", lambda: _claims_table(frames))
    return kept.copy()


def as_printed(frames: Frames) -> pd.DataFrame:
    """The rows of ``claims_table`` that are the paper's claims with its own weights, one each."""
    table = claims_table(frames)
    return table[table["adversarial_share"].isna() & table["id"].isin([claim.id for claim in claims()])]


def _claims_table(frames: Frames) -> pd.DataFrame:
    table = pd.DataFrame([_row(study, claim) for claim in claims_of(frames.study) for study in _studies(frames, claim)])
    table = table.astype(dict.fromkeys(("effect", "low", "high", "level", "p"), float))
    table["p_holm"] = holm(table["p"])
    table["holds_adjusted"] = [
        bool(adjusted <= 1 - LEVEL) if outcome in DECIDED and np.isfinite(adjusted) else None
        for outcome, adjusted in zip(table["outcome"], table["p_holm"], strict=True)
    ]
    return table.astype({"holds_adjusted": object})


def _studies(frames: Frames, claim: Claim) -> Iterator["_Study"]:
    """The study as printed, and where a claim is asked twice and the study has it, where the critics matter."""
    printed = _Study(frames, frames.study["reference"])
    yield printed
    if claim.twice and (scaled := printed.scaled()):
        yield _Study(frames, scaled)


def _row(study: "_Study", claim: Claim) -> dict[str, Any]:
    links = [found for link in claim.links for found in study.findings(link)]
    controls = [found for link in claim.controls for found in study.findings(link)]
    outcome = all_of([found.outcome for found in links])
    decides = "supported" if outcome == "partly tested" else outcome  # what was tested speaks
    deciding = next(found for found in links if found.outcome in (outcome, decides))
    of_link = ("contrast", "effect", "low", "high", "level", "unit", "n", "counts", "why")
    share = study.share
    return {
        "id": study.id_of(claim),
        "claim": claim.claim if share is None else f"{claim.claim[:-1]}, where the critics matter.",
        **{name: getattr(claim, name) for name in ("where", "evidence")},
        "adversarial_share": share,
        "outcome": outcome,
        "scope": study.scope(claim),
        "link": deciding.name,
        **{name: getattr(deciding, name) for name in of_link},
        "p": claim_p(outcome, links),
        "p_holm": None,
        "holds_adjusted": None,
        "links": [found.columns() for found in links],
        "controls": [found.columns() for found in controls],
    }


def links_table(frames: Frames) -> pd.DataFrame:
    """A row per link and control of every claim, in order.

    Columns: id (of the claim), role ('link' or 'control'), and the fields of ``Finding``. A number that is unknown or
    does not exist is NaN.
    """
    rows = [
        {"id": row["id"], "role": role, **link}
        for row in claims_table(frames).to_dict("records")
        for role in ("link", "control")
        for link in row[f"{role}s"]
    ]
    return pd.DataFrame(rows).astype(
        dict.fromkeys(("margin", "effect", "low", "high", "level", "p", "published"), float)
    )


def findings(
    frames: Frames, chosen: Collection[str] | None = None, *, controls: bool = False
) -> list[tuple[str, Link, Finding]]:
    """The links of the chosen claims (None: of all), or their controls: the id of the claim's row, link and finding."""
    return [
        (study.id_of(claim), link, found)
        for claim in claims_of(frames.study)
        if chosen is None or claim.id in chosen
        for study in _studies(frames, claim)
        for link in (claim.controls if controls else claim.links)
        for found in study.findings(link)
    ]


def all_of(outcomes: Sequence[Outcome | None]) -> Outcome:
    """The outcome of a claim that needs all of its links.

    Contradicted if a link is; otherwise equivalent if one is. A claim whose links are all untested is not tested. If
    some are untested and the others supported, it is partly tested. Otherwise inconclusive if a link is.
    """
    tested = set(outcomes) - {"not tested"}
    for outcome in ("contradicted", "equivalent"):
        if outcome in tested:
            return outcome
    if not tested:
        return "not tested"
    if "inconclusive" in tested:
        return "inconclusive"
    return "supported" if set(outcomes) == {"supported"} else "partly tested"


def claim_p(outcome: Outcome, links: Sequence[Finding]) -> float:
    """The p value of a claim's outcome; NaN if nothing was tested by chance, or an exact link decides.

    A claim needs all of its links, so its p value is their largest. One link is enough to make it contradicted or
    equivalent: then it is the smallest of such links, times the number of links.
    """
    known = [found.p for found in links if found.p is not None]
    if outcome not in ("contradicted", "equivalent"):
        return max(known, default=np.nan)
    deciding = [np.nan if found.p is None else found.p for found in links if found.outcome == outcome]
    return min(1.0, len(known) * min(deciding)) if np.isfinite(deciding).all() else np.nan


class _Lacking(Exception):
    """The study lacks the subject of a link. The message says what is missing, and if it is simple how to add it."""


class _Study:
    """A study in which links are tested, around one reference."""

    def __init__(self, frames: Frames, reference: str | None) -> None:
        self.frames, self.reference = frames, reference
        self.runs = frames.runs
        self.completed = frames.runs[frames.runs["status"] == "completed"]
        self.named = frames.runs.drop_duplicates(["variant", "data"])
        self.left_out: Mapping[str, Mapping[str, Any]] = frames.study["left_out"] or {}
        self.configs: Mapping[str, Mapping[str, Any]] = {**(frames.study["configs"] or {}), **self.left_out}
        self.file = frames.study["file"] or "runs.yaml"
        self.share: float | None = self.options(reference).get("adversarial_share")

    def id_of(self, claim: Claim) -> str:
        """The id of a claim's row in the table."""
        return claim.id if self.share is None else f"{claim.id}-scaled"

    def options(self, variant: str | None) -> Mapping[str, Any]:
        """A variant's options; empty if they are not recorded."""
        options: Mapping[str, Any] = self.configs.get(str(variant), {}).get("options", {})
        return options

    def scaled(self) -> str | None:
        """The first variant that is the reference with the critics' weights scaled to a share of L_r's gradient."""
        theirs = self.options(self.reference)
        for variant in self.named["variant"].unique():
            ours = self.options(variant)
            share = ours.get("adversarial_share")
            if share is not None and differs(ours, theirs, {"adversarial_share": share}):
                return str(variant)
        return None

    def scope(self, claim: Claim) -> str:
        """The study's scope; 'other' if a link is tested on data that stand beside none of the paper's.

        'paper' if the claim needs only networks, and they agree with the paper at its size.
        """
        if claim.evidence == "computed" and self.frames.study["image_size"] == paper()["image_size"]:
            try:
                built = [network for link in claim.links for network in self.networks(link.a, link.of)[1].values()]
            except _Lacking:
                built = [{}]
            if all(network.get("agrees_with_paper") is True for network in built):
                return "paper"
        if any(link.metric not in OF_NETWORKS and self.stand_in(link) for link in claim.links):
            return "other"
        return str(self.frames.study["scope"] or "other")

    def findings(self, link: Link) -> list[Finding]:
        """The findings of a link: one, or one per data set, of which no single one supports the claim."""
        if link.data != "each":
            return [self.finding(link)]
        found = [self.finding(link, data) for data in self.frames.data_sets()]
        if len(found) == 1 and found[0].outcome == "supported":
            alone = f"{found[0].why[:-1]}; this is one kind of image alone."
            return [replace(found[0], outcome="partly tested", why=alone)]
        return found or [self.build(link, why=f"{link.subject}: this study has no data set.")]

    def finding(self, link: Link, data: str | None = None) -> Finding:
        """The finding of a link on a data set, by default on the counterparts of the paper's."""
        if data is None and (own := self.stand_in(link)):
            return self.finding(replace(link, data="each"), own)  # the data under their own name, nothing published
        try:
            if link.metric in OF_NETWORKS:
                return self.computed(link)
            ours = (
                (self.counterpart_of(link.sets[0]), self.counterpart_of(link.sets[1])) if data is None else (data, data)
            )
            if link.metric == ARTEFACTS:
                return self.artefacts(link, ours[0])
            return self.counted(link, ours[0]) if link.metric == "diverged" else self.measured(link, ours)
        except _Lacking as lacking:
            why = "; ".join([f"{link.subject}: {lacking}", *_published_words(link)])
            return self.build(
                link, self.words(link.a), self.words(link.b), data or "", why=f"{why}.", reason=str(lacking)
            )

    def build(
        self,
        link: Link,
        a: str = "",
        b: str = "",
        data: str = "",
        *,
        outcome: Outcome = "not tested",
        numbers: Sequence[float] = (),
        n: int = 0,
        counts: str = "",
        why: str,
        reason: str = "",
        level: float | None = None,
        p: float | None = None,
        comparison: Comparison | None = None,
    ) -> Finding:
        """A finding. ``numbers``: the effect, and where it has an interval low and high. ``p``: without looks."""
        effect, low, high, *_ = (*(number if np.isfinite(number) else None for number in numbers), None, None, None)
        theirs = published_of(link)
        return Finding(
            name=link.name,
            metric=link.metric,
            of=link.of if isinstance(link.of, str) else ", ".join(link.of),
            a=a,
            b=b,
            data=data,
            direction=link.direction,
            margin=link.margin,
            outcome=outcome if link.direction else None,
            effect=effect,
            low=low,
            high=high,
            level=level,
            p=None if p is None or level is None or np.isnan(p) else min(1.0, p * (1 - LEVEL) / (1 - level)),
            unit=link.quantity.unit,
            n=n,
            counts=counts,
            published=theirs[0] - theirs[1] if theirs else None,
            why=why,
            reason=reason or why.rstrip("."),
            contrast=" − ".join(_sides(link, a, b)) if b not in ("", "0") else label(a),
            comparison=comparison,
        )

    # Links between runs

    def measured(self, link: Link, data: tuple[str, str]) -> Finding:
        """The finding by the rule for few seeds and many images."""
        assert link.direction != "differ" and link.b is not None
        a, *others = self.both(link, data)
        b = others[0] if others else float(str(link.b))
        outputs = pair(link.output)
        values = self.values(link, a, data)
        self.recorded(link, values, a, data[0], outputs[0])
        self.recorded(link, values, b, data[1], outputs[1])
        found = compare(
            self.runs,
            values,
            a,
            b,
            metric=link.metric,
            region=str(link.of),
            output=outputs,
            data=data,
            direction=link.direction or "more",
            margin=link.margin,
            level=self.frames.level,
        )
        absent = found.outcome == "equivalent" or (found.outcome == "supported" and link.direction in MARGINAL)
        if link.needs_critics and absent:
            reasons = [inert(self.frames, variant, data[0]) for variant in (a, b) if isinstance(variant, str)]
            if asleep := next(filter(None, reasons), ""):
                why = f"{found.why}, but the critics were inert: {asleep}"
                found = replace(found, outcome="inconclusive", why=why)
        why = _sentence(link, found)
        n = found.n_seeds[0] if _seedless(link, found) else min(found.n_seeds)
        if n < ENOUGH_SEEDS:
            why = f"{why[:-1]}{self.more_seeds()}."
        return self.build(
            link,
            a,
            b if isinstance(b, str) else f"{b:g}",
            " and ".join(dict.fromkeys(data)),
            outcome=found.outcome,
            numbers=(found.difference, found.low, found.high),
            n=n,
            counts=_counts(link, found),
            why=why,
            reason=found.why if link.direction else "",
            level=found.level,
            p=found.p,
            comparison=found,
        )

    def counted(self, link: Link, data: str) -> Finding:
        """The share of seeds that diverged: "no more" by its exact interval and the link's margin."""
        a, b = self.both(link, (data, data))
        lost, of = zip(*diverged(self.frames, (a, b), data), strict=True)
        n, counts = min(of), _seeds(of[0], of[1])
        text = f"{link.subject} on {data}: {lost[0]} of {of[0]} of {label(a)}, {lost[1]} of {of[1]} of {label(b)}"
        if min(of) < ENOUGH_SEEDS:
            few: Outcome = "inconclusive" if min(of) else "not tested"
            why = f"{text}; fewer than {ENOUGH_SEEDS} seeds ended{self.more_seeds()}."
            return self.build(link, a, b, data, outcome=few, n=n, counts=counts, why=why)
        level = self.level(n)
        low, high = shares((lost[0], of[0]), (lost[1], of[1]), level)
        assert link.margin is not None
        outcome = no_more(low, high, link.margin)
        rests = {
            "supported": f"the interval lies below the margin of {link.margin:+g}",
            "contradicted": "the interval lies above zero",
            "inconclusive": f"the interval reaches beyond the margin of {link.margin:+g}",
        }[outcome]
        numbers = (lost[0] / of[0] - lost[1] / of[1], low, high)
        why = f"{text} ({_interval(low, high, 2, level)} of the difference); {rests}."
        sides, margin = ((lost[0], of[0]), (lost[1], of[1])), link.margin
        p = least_error(lambda error: no_more(*shares(*sides, 1 - error), margin) != "inconclusive")
        return self.build(
            link,
            a,
            b,
            data,
            outcome=outcome,
            numbers=numbers,
            n=n,
            counts=counts,
            why=why,
            reason=rests,
            level=level,
            p=p,
        )

    def level(self, n: int) -> float:
        """The level of the intervals with ``n`` seeds: that of its look, in a study that looks several times."""
        return self.frames.level if isinstance(self.frames.level, float) else level_at(self.frames.level, n)

    def artefacts(self, link: Link, data: str) -> Finding:
        """The share of images with an artefact at more than half of the seeds, against the margin by its interval.

        The margin is the definition's rate of false alarms.
        """
        assert link.margin is not None
        a = self.variant(link.a, data)
        rows = self.frames.select("artefact", "hole", "composite", data)
        self.recorded(link, rows, a, data, "composite")
        own = self.completed[(self.completed["variant"] == a) & (self.completed["data"] == data)]
        level = self.level(len(own))
        found = share_above(self.runs, rows, a, ARTEFACT, metric="artefact", data=data, level=level)
        n, counts = len(found.by_seed), f"{_count(len(found.by_seed), 'seed')}, {_count(found.n_images, 'image')}"
        if found.n_groups < found.n_images:
            counts = f"{counts} of {_count(found.n_groups, 'group')}"
        if not found.n_images:
            return self.build(link, a, "0", data, n=n, why=f"{link.subject} on {data}: no finite scores of {label(a)}.")
        outcome, rests = _against_rate(found, link.margin, self.sharpness(a, data))
        by_seed = ", ".join(f"{share:.1%}" for share in found.by_seed.values())
        why = [
            f"{link.subject} on {data}, {label(a)}: {found.share:.1%} have one at more than half of the seeds (exact "
            f"{percent(level)} interval over images, for these seeds, {found.low:.1%} to {found.high:.1%}, n = "
            f"{counts}; by seed {by_seed})",
            f"the rate of false alarms is at most {link.margin:.0%} of clean repairs",
            rests,
            f"the highest values, averaged over seeds, have {', '.join(found.highest[:WORST_SHOWN])}",
        ]
        if found.images_left_out:
            why.append(f"{_count(found.images_left_out, 'image')} left out, not finite or not scored at every seed")
        if found.diverged:
            why.append(f"{_count(found.diverged, 'diverged seed')} not counted")
        numbers, p = (found.share, found.low, found.high), 1.0
        if outcome != "inconclusive":
            p = least_error(lambda error: _excludes(exact(found.share * found.of, found.of, 1 - error), link.margin))
        return self.build(
            link,
            a,
            "0",
            data,
            outcome=outcome,
            numbers=numbers,
            n=n,
            counts=counts,
            why=f"{'; '.join(why)}.",
            reason=rests,
            level=level,
            p=p,
        )

    def sharpness(self, variant: str, data: str) -> float:
        """The median sharpness of a variant's composites over images and completed seeds; NaN if not recorded."""
        rows = self.frames.select("sharpness", "hole", "composite", data)
        own = rows[(rows["variant"] == variant) & rows["run"].isin(self.completed["run"])]
        return float(own["value"].median())

    def values(self, link: Link, a: str, data: tuple[str, str]) -> pd.DataFrame:
        """The values of a link as scores, of images or (with the image ``OF_RUN``) of runs."""
        if link.metric in ("spread", "seconds"):
            rows = self.completed.assign(value=self.completed[link.metric], image=OF_RUN).dropna(subset="value")
        else:
            chosen = product(dict.fromkeys(pair(link.output)), dict.fromkeys(data))
            return pd.concat([self.frames.select(link.metric, str(link.of), *each) for each in chosen])
        return rows.assign(metric=link.metric, region=link.of, output=link.output)

    def recorded(self, link: Link, values: pd.DataFrame, variant: str | float, data: str, output: str) -> None:
        """Raises _Lacking if completed runs did not record this."""
        own = self.completed[(self.completed["variant"] == variant) & (self.completed["data"] == data)]
        if len(own) and not own["run"].isin(values.loc[values["output"] == output, "run"]).any():
            seen = f" ({output})" if output != "composite" else ""
            again = AGAIN if link.metric in (*METRICS, ARTEFACTS) else ""
            if link.metric == "lpips":
                again = f"; to have it, ask for it under protocol.perceptual in {self.file}"
            raise _Lacking(f"not recorded for {variant}{seen} in this output{again}")

    # Computed links

    def computed(self, link: Link) -> Finding:
        """The exact finding from the networks as built. Without b: whether all differ, and the least effect."""
        unit = link.quantity.unit
        a, ours = self.networks(link.a, link.of)
        values = {name: _value(network, link.metric) for name, network in ours.items()}
        b, theirs = self.networks(link.b, link.of) if isinstance(link.b, str | Mapping) else ("", {})
        n = len(ours) + len(theirs)
        counts = _count(n, "network")
        if theirs:
            x, y = sum(values.values()), sum(_value(network, link.metric) for network in theirs.values())
            holds, effect = EXACT[link.direction or "equal"](x, y), x - y
            text = f", {label(a)} against {label(b)}: {_exact(x, unit)} against {_exact(y, unit)}"
        else:
            pairs = list(combinations(values.values(), 2))
            holds = all(x != y for x, y in pairs)
            effect = min(abs(x - y) for x, y in pairs) if holds else 0.0
            text = f" in {label(a)}: " + ", ".join(f"{name} {_exact(value, unit)}" for name, value in values.items())
        outcome: Outcome = "supported" if holds else "contradicted"
        as_claimed = "as claimed" if holds else "against the claim"
        why = f"{link.subject}{text} (exact, n = {counts}); {as_claimed}."
        return self.build(
            link, a, b, outcome=outcome, numbers=(effect,), n=n, counts=counts, why=why, reason=as_claimed
        )

    def networks(self, spec: Spec, of: str | Sequence[str]) -> tuple[str, dict[str, Mapping[str, Any]]]:
        """A variant's name, and by name the networks that a link compares."""
        described = self.frames.study["networks"]
        if not described:
            raise _Lacking(f"what was built is not recorded in this output{AGAIN}")
        try:
            variant = self.variant(spec)
        except _Lacking:
            if spec != UNDILATED:
                raise
            reference, own = self.networks("reference", of)
            if not all(network.get("layers") for network in own.values()):
                raise
            return f"{label(reference)} without dilation", {name: _undilated(each) for name, each in own.items()}
        built = {str(network["name"]): network for network in (described.get(variant) or {}).get("networks", [])}
        names = [of] if isinstance(of, str) else list(of)
        if of == "critics":
            names = [name for name in built if name != "generator"]
        if missing := [name for name in names if name not in built]:
            raise _Lacking(f"{label(variant)} has no network {' and '.join(missing)}")
        return variant, {name: built[name] for name in names}

    # What the study has

    def counterpart_of(self, theirs: str) -> str:
        """The first data set of the study that is a counterpart of the paper's."""
        every = self.frames.data_sets()
        found = next((name for name in every if counterpart(self.frames, name) == theirs), None)
        if found is None:
            raise _Lacking(
                f"no data set of this study stands beside {theirs}; it has {', '.join(every) or 'none'}; to have one, "
                f"put images under data in {self.file}, with like: {theirs}"
            )
        return found

    def stand_in(self, link: Link) -> str | None:
        """The study's first data set, for a link on one set of the paper's if none of the study's stands beside it."""
        every = self.frames.data_sets()
        if link.data == "each" or not isinstance(link.data, str) or link.metric in OF_NETWORKS:
            return None
        beside = any(counterpart(self.frames, name) == link.data for name in every)
        return every[0] if every and not beside else None

    def more_seeds(self) -> str:
        """How to have more seeds, if the command left some out."""
        seeds = ", ".join(map(str, self.frames.study["left_out_seeds"] or []))
        return f"; --seeds left out seed {seeds} of {self.file}: run it without --seeds" if seeds else ""

    def variant(self, spec: Spec, data: str | None = None) -> str:
        """The first variant, on a data set or on any, that matches; the reference comes first."""
        methods = self.methods(data)
        found = self.filler(str(data)) if spec == "filler" else self.matching(spec, methods)
        if found is None:
            on = f" on {data}" if data else ""
            if spec == "filler" and set(FILLERS) & set(methods.values()):
                raise _Lacking(f"no run of a trivial filler has completed{on}")
            raise _Lacking(f"this study has no run of {self.words(spec)}{on}{self.remedy(spec, data)}")
        return found

    def both(self, link: Link, data: tuple[str, str]) -> list[str]:
        """The variants of a link: a's, and b's if it is one. Raises _Lacking with what is missing of both."""
        found, lacking = [], []
        for spec, on in zip((link.a, link.b), data, strict=True):
            try:
                found += [self.variant(spec, on)] if isinstance(spec, str | Mapping) else []
            except _Lacking as fault:
                lacking.append(str(fault))
        if lacking:
            raise _Lacking("; ".join(dict.fromkeys(lacking)))
        return found

    def matching(self, spec: Spec, methods: Mapping[str, str]) -> str | None:
        """The variant among ``methods`` (variant -> method) that a description means, or None."""
        if isinstance(spec, Mapping):
            if "method" not in spec:
                return self.differing(spec, methods)
            plain = self.plain(spec["method"])
            if plain is None:
                return None
            if "tuned" in spec:
                return plain + TUNED if plain + TUNED in methods else None
            return next((variant for variant in methods if self.has_its_optimizer(variant, plain)), None)
        if spec == "filler":
            return next((variant for variant, method in methods.items() if method in FILLERS), None)
        found = self.reference if spec == "reference" else self.plain(spec)
        found = found or str(spec)  # a plugin's claim may name a variant
        return found if found in methods else None

    def plain(self, method: str) -> str | None:
        """The method's own variant, of this study or left out of it: the one of that name, or else the first.

        Cells of ablations and tuned variants are other variants. So are critics with another share of the gradient.
        """
        known = self.methods() | {name: entry["method"] for name, entry in self.left_out.items()}
        own = [name for name, of in known.items() if of == method and ":" not in name and not name.endswith(TUNED)]
        own = [name for name in own if self.options(name).get("adversarial_share", self.share) == self.share]
        return next((name for name in (self.reference, method) if name in own), next(iter(own), None))

    def methods(self, data: str | None = None) -> dict[str, str]:
        """The method of each variant that runs on a data set, or on any."""
        own = self.named if data is None else self.named[self.named["data"] == data]
        return dict(zip(own["variant"].tolist(), own["method"].tolist(), strict=True))

    def has_its_optimizer(self, variant: str, plain: str) -> bool:
        """True if a variant has the reference's optimizer and rates, and is otherwise as ``plain``."""
        nothing: Mapping[str, Any] = {"method": "", "options": {}}
        ours, theirs, reference = (self.configs.get(name) or nothing for name in (variant, plain, str(self.reference)))
        same = all(ours["options"].get(key) == reference["options"].get(key, ...) for key in OF_OPTIMIZER)
        rest = differs(ours["options"], theirs["options"], {key: {} for key in OF_OPTIMIZER})
        return same and rest and ours["method"] == theirs["method"]

    def differing(self, spec: Mapping[str, Any], methods: Mapping[str, str]) -> str | None:
        """The first variant that equals the reference except in the named options."""
        if self.reference not in self.configs:
            raise _Lacking(f"the variants' options are not recorded, so that none is known to be {self.words(spec)}")
        theirs = self.configs[str(self.reference)]
        for variant in dict.fromkeys([self.reference, *methods]):
            ours = self.configs.get(str(variant))
            if variant not in methods or ours is None or ours["method"] != theirs["method"]:
                continue
            wanted = differs(ours["options"], theirs["options"], spec["differs"])
            if wanted and not ("unlike" in spec and differs(ours["options"], theirs["options"], spec["unlike"])):
                return variant
        return None

    def filler(self, data: str) -> str | None:
        """The better trivial filler."""
        return best_filler(self.frames, data)

    def words(self, spec: Spec | float | None) -> str:
        """A description of a variant for a reader."""
        reference = self.reference or "the proposed model"
        if isinstance(spec, Mapping) and "method" in spec:
            return f"tuned {spec['method']}" if "tuned" in spec else f"{spec['method']} with {reference}'s optimizer"
        if isinstance(spec, Mapping):
            text = [
                f"another {key} of {_listed(value)}" if isinstance(value, Mapping) else _listed({key: value})
                for key, value in spec["differs"].items()
                if value != {}
            ]
            return f"{reference} with {' and '.join(text)}"
        if isinstance(spec, str):
            return {"reference": reference, "filler": "a trivial filler"}.get(spec, spec)
        return "" if spec is None else f"{spec:g}"

    def remedy(self, spec: Spec, data: str | None) -> str:
        """How to have a run of a variant (on a data set), if that is simple."""
        left_out = {name: entry["method"] for name, entry in self.left_out.items()}
        here = (name for name, entry in self.left_out.items() if data is None or data in entry.get("data", ()))
        by_claims = {name: left_out[name] for name in here if self.left_out[name].get("by") == "--claims"}
        if self.matching(spec, by_claims):
            return "; --claims left it out: run without --claims, or add a claim that compares it"
        if data and (found := self.matching(spec, self.methods())):
            return f"; to have one, add {found} to variants of data.{data} in {self.file}"
        if found := self.matching(spec, left_out):
            return f"; --only left it out: add --only {shlex.quote(found)}"
        text = self.addition(spec)
        chosen = any(entry.get("by", "--only") == "--only" for entry in self.left_out.values())
        return f"{text}, and add its name to --only" if text and chosen else text

    def addition(self, spec: Spec) -> str:
        """How to add a variant to the study file, if that is simple."""
        reference = self.reference or "proposed"
        if isinstance(spec, str):
            name = {"reference": "proposed", "filler": FILLERS[-1]}.get(spec, spec)
            options = f"extends: {reference}, method: {name}" if name in OF_THE_PROPOSED else f"method: {name}"
        elif "tuned" in spec:
            return (
                f"; to have one, include what this finds: python -m study tune {self.file} --variant {spec['method']}"
            )
        elif "method" in spec:
            name = f"{spec['method']}_same_optimizer"
            options = f"extends: {spec['method']}, optimizer_of: {reference}"
        else:
            changed = spec["differs"]
            if any(isinstance(value, Mapping) or "." in key for key, value in changed.items()):
                return ""
            name = "_".join(f"{key}_{_plain(value)}" for key, value in changed.items())
            options = f"extends: {reference}, {_listed(changed, ': ')}"
        return f"; to have one, put this under variants in {self.file}: {name}: {{{options}}}"


def diverged(frames: Frames, variants: tuple[str, str], data: str) -> list[tuple[int, int]]:
    """For each variant, the number of its runs that diverged, and of those that completed or diverged.

    In a study with looks only seeds that are run of both count, so that seeds added to one of them reopen nothing.
    """
    runs = frames.runs[frames.runs["data"] == data]
    sides = [runs[runs["variant"] == variant] for variant in variants]
    if frames.study["looks"]:
        sides = [side[side["seed"].isin(other["seed"])] for side, other in zip(sides, reversed(sides), strict=True)]
    lost = [int((side["status"] == "diverged").sum()) for side in sides]
    completed = [int((side["status"] == "completed").sum()) for side in sides]
    return [(n, n + others) for n, others in zip(lost, completed, strict=True)]


def _excludes(interval: tuple[float, float], value: float | None) -> bool:
    low, high = interval
    return value is not None and not low <= value <= high


def no_more(low: float, high: float, margin: float) -> Outcome:
    """The outcome of "no more than the margin" for an exact interval of a difference of shares."""
    return "contradicted" if low > 0 else "supported" if high <= margin else "inconclusive"


def hole_psnr(frames: Frames, data: str) -> pd.DataFrame:
    """The PSNR of the hole in the composites of completed runs, as scores."""
    rows = frames.select("psnr", "hole", "composite", data)
    return rows[rows["run"].isin(frames.runs.loc[frames.runs["status"] == "completed", "run"])]


def best_filler(frames: Frames, data: str) -> str | None:
    """The trivial filler with the best mean PSNR of the hole, over the images that all fillers have; None without."""
    runs = frames.runs[(frames.runs["data"] == data) & frames.runs["method"].isin(FILLERS)]
    rows = hole_psnr(frames, data)
    rows = rows[rows["run"].isin(runs["run"])]
    means = rows.groupby(["image", "variant"], observed=True)["value"].mean().unstack().dropna().mean()
    return str(means.idxmax()) if len(means) else None


def _against_rate(found: Share, rate: float, sharpness: float) -> tuple[Outcome, str]:
    """The outcome of "more than the rate" for a share of images with an artefact, and the reason in words."""
    if len(found.by_seed) < ENOUGH_SEEDS:
        return "inconclusive", f"fewer than {ENOUGH_SEEDS} seeds completed"
    if found.n_groups < ENOUGH_GROUPS:
        return "inconclusive", f"fewer than {ENOUGH_GROUPS} independent groups of images"
    if found.high < rate:
        return "contradicted", "the interval lies below the rate of false alarms"
    if found.low <= rate:
        return "inconclusive", "the interval includes the rate of false alarms"
    if sharpness >= SHARP:
        sharp = f"the repairs are as sharp as the truth (median sharpness {sharpness:.2f})"
        return (
            "inconclusive",
            f"the interval lies above the rate of false alarms, but {sharp}, so their detail may be invented",
        )
    return "supported", "the interval lies above the rate of false alarms"


def published_of(link: Link) -> tuple[float, float] | None:
    """The paper's own numbers of a and of b, if its Tables 6 to 8 have both as two numbers."""
    table = published()
    found: list[float] = []
    for spec, data in zip((link.a, link.b), link.sets, strict=True):
        variant = "proposed" if spec == "reference" else spec
        if isinstance(variant, str):
            own = table[(table["data"] == data) & (table["metric"] == link.metric) & (table["variant"] == variant)]
            found += own["value"].tolist()
    one = link.a == link.b and link.sets[0] == link.sets[1]
    return (found[0], found[1]) if len(found) == 2 and not one else None


def differs(options: Mapping[str, Any], reference: Mapping[str, Any], named: Mapping[str, Any]) -> bool:
    """True if options equal the reference's, except that those in ``named`` have the named values.

    Of a mapping only the named keys are compared.
    """

    def rest(flat: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in flat.items() if not any(f"{key}.".startswith(f"{n}.") for n in named)}

    ours = _flat(options)
    asked = all(ours.get(key, ...) == value for key, value in _flat(named).items())
    return asked and rest(ours) == rest(_flat(reference))


def _value(network: Mapping[str, Any], metric: str) -> float:
    """A number of a network; a receptive field of the whole image is infinite."""
    value = network[metric]
    return value if isinstance(value, int | float) else np.inf


def _undilated(network: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same network with dilation 1 throughout: its layers have as many weights and inputs.

    A layer's dilation d widens the field by (kernel - 1) (d - 1) steps between its inputs, counted in pixels.
    """
    step, wider = 1.0, 0.0
    for layer in network["layers"]:
        if (layer.get("dilation") or 1) > 1:
            wider += step * (layer["kernel"] - 1) * (layer["dilation"] - 1)
        step *= layer.get("stride") or 1
    return {**network, "receptive_field": _value(network, "receptive_field") - wider}


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options by dotted keys; an empty mapping has no keys."""
    found = {}
    for key, value in options.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found


# Words


def _sides(link: Link, a: str, b: str) -> list[str]:
    """a and b with their outputs and the paper's data sets, where these differ."""
    sides = [label(a), label(b)]
    for values, form in ((pair(link.output), "{} ({})"), (link.sets, "{} on {}")):
        if values[0] != values[1]:
            sides = [form.format(side, value) for side, value in zip(sides, values, strict=True)]
    return sides


def _sentence(link: Link, found: Comparison) -> str:
    """The effect with its interval and counts, and for a link the reason for its outcome."""
    quantity = link.quantity
    digits = _digits(quantity, found.low, found.high)
    a, b = label(found.a), label(found.b) if isinstance(found.b, str) else f"{found.b:g}"
    on = f" on {found.data}" if isinstance(found.data, str) else ""
    outputs, sets = pair(found.output), pair(found.data)
    if outputs[0] != outputs[1]:
        a, b = f"{a} ({outputs[0]})", f"{b} ({outputs[1]})"
    if sets[0] != sets[1]:
        a, b = f"{a} on {sets[0]}", f"{b} on {sets[1]}"
    text = f"{link.subject}{on}, {a}" + (f" against {b}" if found.b != 0 else "")
    if np.isfinite(found.difference):
        effect = f"{found.difference:+z.{digits}f} {quantity.unit}".rstrip()
        details = [_interval(found.low, found.high, digits, found.level), f"n = {_counts(link, found)}"]
        if np.isfinite(found.low) and (published_of(link) or found.outcome == "inconclusive"):
            details.append(f"minimum detectable effect {found.detectable:.{digits}f}")
        text = f"{text}: {effect} ({', '.join(details)})"
    left_out = [f"{_count(found.images_left_out, 'image')} left out, not finite or not scored by both"]
    rest = [found.why, *(left_out if found.images_left_out else []), *_unseen(found)] if link.direction else []
    return "; ".join([text, *rest, *_published_words(link)]) + "."


def _unseen(found: Comparison) -> Iterator[str]:
    """What so few seeds cannot exclude, beside an outcome that they decide."""
    seeds = min((n for n in found.n_seeds if n), default=0)
    if found.outcome in ("supported", "contradicted", "equivalent") and seeds < MANY_SEEDS:
        yield f"{_count(seeds, 'seed')} cannot exclude a collapse in up to {undetected(seeds):.0%} of seeds"


def _published_words(link: Link) -> Iterator[str]:
    """The paper's own difference, and whether it agrees with the claim."""
    if theirs := published_of(link):
        quantity = link.quantity
        difference = theirs[0] - theirs[1]
        yield f"published {difference:+.{quantity.digits}f} {quantity.unit}".rstrip()
        if difference * {"more": 1, "less": -1}.get(link.direction or "", 0) < 0:
            yield f"the paper's own {theirs[0]:g} and {theirs[1]:g} say otherwise"


def _digits(quantity: Metric, *numbers: float) -> int:
    """The decimals that show on which side of zero each number lies: at most four more than usual."""
    least = min((abs(number) for number in numbers if np.isfinite(number) and number), default=1.0)
    return int(np.clip(np.ceil(-np.log10(2 * least)), quantity.digits, quantity.digits + 4))


def _interval(low: float, high: float, digits: int, level: float) -> str:
    bounds = f"{low:+z.{digits}f} to {high:+z.{digits}f}"
    return f"{percent(level)} interval {bounds}" if np.isfinite(low) else "no interval"


def _seedless(link: Link, found: Comparison) -> bool:
    """True if b is a filler or a number, which has no seeds."""
    return link.b == "filler" or not isinstance(found.b, str)


def _counts(link: Link, found: Comparison) -> str:
    """The unit of n."""
    a, b = found.n_seeds
    seeds = _count(a, "paired seed") if found.paired else _seeds(a, b)
    if _seedless(link, found):
        seeds = _count(a, "seed")
    images = f", {_count(found.n_images, 'image')}" if found.n_images else ""
    groups = f" of {_count(found.n_groups, 'group')}" if found.n_groups < found.n_images else ""
    return f"{seeds}{images}{groups}"


def _seeds(a: int, b: int) -> str:
    return f"{_count(a, 'seed')} each" if a == b else f"{a} and {b} seeds"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _exact(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}".rstrip() if np.isfinite(value) else "the whole image"


def _listed(options: Mapping[str, Any], equals: str = " ") -> str:
    return ", ".join(f"{key}{equals}{_plain(value)}" for key, value in options.items())


def _plain(value: Any) -> str:
    """A value as it is written in a study file."""
    return value if isinstance(value, str) else json.dumps(value)
