"""``run --until-resolved``: seeds are added, look by look, to what an undecided link of a claim compares.

At each look the links are judged at the level that this look may spend (``reports.analysis.looks``). The variants of a
link that is open get the seeds of the next look; a link that is decided, or is not likely to be, costs nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, islice, product
from pathlib import Path
from typing import TYPE_CHECKING

from study.cli import options
from study.errors import BadInput
from study.facts import StudyFacts, VariantFacts
from study.plan.graph import Plan
from study.running import costs, driver
from study.store import Store, read_facts

if TYPE_CHECKING:
    from reports.analysis.claims import Finding
    from reports.analysis.frames import Frames
    from reports.analysis.links import Link
    from reports.analysis.looks import Open
    from study.config import Study

MOST = 12
"""The seeds of a variant at most, by default."""

Pair = tuple[str, str]
"""A variant and a data set."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: the ids of claims (None: all), the most seeds of a variant, and the seconds to spend."""

    claims: list[str] | None
    most: int
    budget_s: float | None
    started: float = field(default_factory=time.monotonic)

    def left_s(self) -> float:
        """The seconds of the budget that are left."""
        spent = time.monotonic() - self.started
        return float("inf") if self.budget_s is None else self.budget_s - spent


def request(
    until_resolved: bool, claims: str | None, most: int | None, budget: str | None, seeds: Sequence[int] | None
) -> Request | None:
    """What the options ask for; None without ``--until-resolved``. Raises BadInput."""
    given = {"--claims": claims, "--max-seeds": most, "--budget": budget}
    if not until_resolved:
        if alone := [name for name, value in given.items() if value is not None]:
            raise BadInput(f"{' and '.join(alone)}: only with --until-resolved; add it, or leave this out")
        return None
    from reports.analysis.statistics import ENOUGH_SEEDS

    chosen = None if claims is None else [name.strip().upper() for name in claims.split(",")]
    most = MOST if most is None else most
    if most < ENOUGH_SEEDS:
        few = f"fewer than {ENOUGH_SEEDS} seeds decide nothing"
        raise BadInput(f"--max-seeds {most}: {few}; give {ENOUGH_SEEDS} or more")
    if most > options.MAX_SEEDS:
        raise BadInput(f"--max-seeds {most}: give at most {options.MAX_SEEDS}")
    if seeds is not None and len(seeds) > most:
        raise BadInput(f"--seeds names {len(seeds)} seeds, more than --max-seeds {most}; raise that, or name fewer")
    return Request(claims=chosen, most=most, budget_s=None if budget is None else options.seconds_of(budget))


def check_claims(claims: str | None, asked: Request | None, study: StudyFacts) -> None:
    """Raises BadInput if a claim that is asked for is neither the paper's nor one of the study's plugins."""
    from reports.analysis.links import claims_of

    every = claims_of(study.model_dump(include={"claims", "metrics"}))
    known = [claim.id for claim in every]
    for name in (asked and asked.claims) or ():
        if name in (f"{claim.id}-SCALED" for claim in every if claim.twice):
            claim = name.removesuffix("-SCALED")
            raise BadInput(f"--claims {claims}: {claim}-scaled is decided together with {claim}; give {claim}")
        if name not in known:
            raise BadInput(f"--claims {claims}: '{name}' is not a claim of the paper; choose {', '.join(known)}")


def with_seeds(study: Study, most: int) -> Study:
    """The study with so many seeds: its own first, then the smallest numbers that neither it nor a search used."""
    searched = {seed for tuned in study.tuned.values() for seed in tuned.seeds}
    more = (seed for seed in count() if seed not in {*study.seeds, *searched})
    seeds = [*study.seeds, *islice(more, most)][:most]
    return replace(study, seeds=seeds, left_out_seeds=[seed for seed in study.left_out_seeds if seed not in seeds])


def looks_of(study: StudyFacts, out: Path, asked: Request | None) -> dict[int, float] | None:
    """The looks of a command: those of the output, if they are of the same study (name and profile), or as asked for.

    Raises BadInput if the command asks for other looks than the output has: the error that they share is spent once.
    """
    from reports.analysis.looks import looks_until

    looks = looks_until(asked.most) if asked else None
    try:
        before = StudyFacts.model_validate(read_facts(out / "plan.json").get("study"))
    except ValueError:  # there is none, or it is damaged and is written anew
        return looks
    if not before.looks or (before.name, before.profile) != (study.name, study.profile):
        return looks
    if looks and looks != before.looks:
        *some, last = before.looks
        at = f"{', '.join(map(str, some))} and {last}" if some else f"{last}"
        other = f"{out} has looks at {at} seeds, and their levels can be spent once"
        raise BadInput(f"--max-seeds {max(looks)}: {other}; give --max-seeds {last}, or another --out")
    return before.looks


def until_resolved(
    plan: Plan,
    store: Store,
    asked: Request,
    *,
    make: Callable[[Plan], driver.Summary],
    say: Callable[[str], None],
    workers: int = 1,
) -> tuple[Plan, driver.Summary]:
    """Makes runs look by look until the claims are decided. Returns the plan of the runs that were made, saved.

    Args:
        plan: of all seeds that may be run, in their order, with the study's looks (``looks_of``).
        make: makes what a plan lacks.
        say: prints a line.
        workers: that share the work, for the expected time of a look.

    Raises:
        BadInput: there is nothing to decide, or the budget does not pay the first look.
    """
    from reports.analysis.looks import undecided
    from study.results.frames import frames_of

    looks = plan.study.looks
    assert looks is not None
    seeds = dict.fromkeys(_compared(plan, store.out, asked.claims), min(looks))
    told = _Told(say)
    made, summary = None, driver.Summary()
    for n, following in zip(looks, [*looks, None][1:], strict=True):
        part = _part(plan, seeds)
        if driver.tasks(part, store):
            expected = costs.expected_s(part, store, costs.measured(plan, store), workers)
            if expected >= asked.left_s():
                takes = f"takes {_about(expected)}" if expected else "takes time"
                dear = f"the look at {n} seeds {takes}, more than is left of the budget"
                if made is None:
                    raise BadInput(f"--budget: {dear}; give more time, or leave --budget out")
                say(dear)
                told.stopped("out of budget")
                break
            cost = f", {_about(expected)}" if expected else ""
            say(f"look at {n} seeds: {len(part.runs)} runs, {len(part.stages)} stages{cost}")
            summary = make(part)
        made = part
        if summary.interrupted:
            break
        if summary.failed:
            say(f"stopped in the look at {n} seeds: runs failed; the same command tries them again")
            break
        frames = frames_of(part, store.out)
        found = undecided(frames, asked.claims, asked.most)
        told.look(frames, asked.claims, found, last=following is None)
        still = [one for one in found if one.possible]
        if following is None or not still:
            break
        seeds |= {pair: following for one in still for pair in _pairs(frames, one)}
    assert made is not None
    made.save(store.out)
    return made, summary


def _part(plan: Plan, seeds: Mapping[Pair, int]) -> Plan:
    """The plan of so many seeds of each variant on each data set, the first ones."""
    order = {seed: place for place, seed in enumerate(plan.study.seeds)}
    part = plan.only(lambda run: order[run.seed] < seeds.get((run.variant, run.data), 0))
    left_out = plan.study.left_out | _unneeded(plan, seeds)
    return replace(part, study=part.study.model_copy(update={"left_out": left_out}))


def _unneeded(plan: Plan, seeds: Mapping[Pair, int]) -> dict[str, VariantFacts]:
    """The variants that have no seeds on some data sets, because the chosen claims do not compare them there."""
    without = [run for run in plan.runs if (run.variant, run.data) not in seeds]
    return {
        name: VariantFacts(
            method=run.method,
            options=run.config,
            by="--claims",
            data=list(dict.fromkeys(other.data for other in without if other.variant == run.variant)),
        )
        for run in {run.variant: run for run in without}.values()
        for name in run.names
    }


def _pairs(frames: Frames, one: Open) -> Iterator[Pair]:
    """Whose seeds an open link needs."""
    sets = [data for data in frames.data_sets() if data in one.data.split(" and ")]
    yield from product(one.variants, sets)


# What a claim compares


def _compared(plan: Plan, out: Path, chosen: Collection[str] | None) -> list[Pair]:
    """The variants, each on a data set, that the chosen claims compare; all variants where none is chosen.

    Their controls are among them: they decide nothing, so no look after the first adds seeds to them.

    Raises BadInput if the study has nothing to compare for them.
    """
    from reports.analysis.claims import findings

    frames = _planned_frames(plan, out)
    every = list(dict.fromkeys((run.variant, run.data) for run in plan.runs))
    links = [each for each in findings(frames, chosen) if not _computed(each[1])]
    needed = {pair for _, link, found in links for pair in product(*_sides(frames, link, found))}
    if needed:
        controls = findings(frames, chosen, controls=True)
        needed |= {pair for _, link, found in controls for pair in product(*_sides(frames, link, found))}
        return [pair for pair in every if chosen is None or pair in needed]
    of = ", ".join(chosen or ())
    if not links:
        raise BadInput(f"--claims {of}: computed from the networks, without seeds; choose a claim that runs decide")
    raise BadInput(f"--until-resolved: this study runs nothing that decides {of or 'a claim'}: {links[0][2].why}")


def _planned_frames(plan: Plan, out: Path) -> Frames:
    """The frames of the first seed's runs, made or not: enough to know which variants a link compares."""
    from study.results.frames import frames_of

    return frames_of(plan.only(lambda run: run.seed == plan.study.seeds[0]), out)


def _sides(frames: Frames, link: Link, found: Finding) -> tuple[list[str], list[str]]:
    """The variants and data sets that a link needs; neither where the study lacks some.

    The reference is among them, because others are found by how they differ from it, and so is the control, if the link
    holds only where critics had an effect.
    """
    from reports.analysis.claims import FILLERS
    from reports.analysis.published import counterpart

    methods = dict(zip(frames.runs["variant"], frames.runs["method"], strict=True))
    variants = [found.a] if link.b is None or isinstance(link.b, int | float) else [found.a, found.b]
    if link.b == "filler":
        fillers = [name for name, method in methods.items() if method in FILLERS]
        variants = [found.a, *(fillers or ["a filler"])]  # without one, what is missing has no name
    sets = {data: counterpart(frames, data) for data in frames.data_sets()}
    beside = link.data == "each" or {*link.sets} <= {*sets.values()}
    if not all(name in methods for name in variants) or not (beside or found.data in sets):
        return [], []
    more = [frames.study["reference"], frames.study["control"] if link.needs_critics else None]
    variants += [name for name in more if name]
    if not beside:
        return list(dict.fromkeys(variants)), [found.data]  # the set that serves where none stands beside the paper's
    return list(dict.fromkeys(variants)), [data for data in sets if link.data == "each" or sets[data] in link.sets]


def _computed(link: Link) -> bool:
    from reports.analysis.links import OF_NETWORKS

    return link.metric in OF_NETWORKS


# Words


def _name(claim: str, link: Link, found: Finding) -> str:
    on = f" on {found.data}" if link.data == "each" and found.data else ""
    return f"{claim}, {link.name}{on}"


def _about(seconds: float) -> str:
    return f"about {timedelta(seconds=max(1, round(seconds)))}"


class _Told:
    """Says a line when a link is decided or left, and when that changes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._states: dict[str, str] = {}
        self._open: dict[str, int] = {}

    def look(self, frames: Frames, chosen: Collection[str] | None, found: Sequence[Open], *, last: bool) -> None:
        """Says what a look showed."""
        from reports.analysis.claims import findings

        inconclusive = {(one.claim, one.link, one.data): one for one in found}
        self._open = {}
        for claim, link, finding in findings(frames, chosen):
            one = inconclusive.get((claim, link.name, finding.data))
            name, at = _name(claim, link, finding), f"at {finding.n} seeds"
            state = str(finding.outcome)
            if state == "not tested":
                text = f"not tested: {finding.why}"
            elif one is None or last:
                text = f"{state}, exact" if _computed(link) else f"{state} {at}"
            elif one.possible:
                state, text = "open", f"open again {at}"
                self._open[name] = one.n
            else:
                text = f"{one.why}; left {at}"
            if state != self._states.get(name, "open"):
                self._say(f"{name}: {text}")
            self._states[name] = state
        if not last:
            self._say(f"{len(self._open)} of {len(self._states)} links are open")

    def stopped(self, why: str) -> None:
        """Says why the links that are open stay so."""
        for name, n in self._open.items():
            self._say(f"{name}: {why}; inconclusive at {n} seeds")
