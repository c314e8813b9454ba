"""The paper's claims as data: paper.yaml lists what decides each of them.

A claim is a chain of links, each about one quantity of two variants, of one variant, or of networks as built.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Literal, get_args

from reports.analysis.naming import LABELS, METRICS, Metric
from reports.analysis.published import paper
from reports.analysis.statistics import Direction

Spec = str | Mapping[str, Any]
"""A description of a variant: 'reference', a method's name, 'filler', or one of the mappings of ``SPECS``."""

SPECS: tuple[set[str], ...] = ({"differs"}, {"differs", "unlike"}, {"method", "optimizer_of"}, {"method", "tuned"})
"""{differs}: the reference but for these options; unlike: and not with those. {method, optimizer_of: reference}: a
method with the optimizer and rates of the reference's generator. {method, tuned: true}: a method, tuned by a search."""

OF_NETWORKS = {
    "receptive_field": Metric("Receptive field", "px", 1, 0),
    "parameters": Metric("Parameters", "", -1, 0),
    "macs": Metric("Multiply-accumulates an image", "", -1, 0),
}
OF_RUNS = {
    "spread": Metric("Spread (95th to 5th percentile) of the adversarial gradient about its trend", "decades", -1, 2),
    "seconds": Metric("Time of a run", "s", -1, 1),
    "diverged": Metric("Share of seeds that diverged", "", -1, 2),
}
QUANTITIES = {
    **METRICS,
    **OF_RUNS,
    **OF_NETWORKS,
    "artefact_share": Metric("Share of images with an artefact", "", -1, 3),
}
"""The quantities that a link can compare."""

PARTS = {
    "hole": " of the hole",
    "whole": " of the whole image",
    "boundary": " at the hole's boundary",
    "generator": " of the generator",
    "critics": " of all critics",
}
"""Words for a link's ``of``; other values need none."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One statement of a claim about a - b.

    Args:
        of: a region of the image, 'run', 'critics', or networks by name.
        output, data: one, or a's and b's; ``data`` 'each' means every data set of the study.
        direction: None for a control, which is shown and decides nothing.
        margin: by default the metric's own.
        needs_critics: a result of "no difference" counts only where the critics could have made one.
    """

    name: str
    a: Spec
    b: Spec | float | None = None
    metric: str
    of: str | Sequence[str]
    output: str | Sequence[str] = "composite"
    data: str | Sequence[str] = "CelebA"
    direction: Direction | Literal["differ"] | None = None
    margin: float | None = None
    needs_critics: bool = False
    own: Metric | None = None  # what a plugin's metric is called

    @property
    def quantity(self) -> Metric:
        """What is compared, with its unit."""
        return self.own or QUANTITIES[self.metric]

    @property
    def sets(self) -> tuple[str, str]:
        """The paper's data sets of a and of b."""
        return pair(self.data)

    @property
    def subject(self) -> str:
        """The quantity and its region or network, for a reader."""
        return self.quantity.label + (PARTS.get(self.of, "") if isinstance(self.of, str) else "")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim in our words, ``where`` the paper makes it, and what decides it.

    ``evidence``: 'measured' in runs, 'computed' from the networks, or 'both'. ``twice``: asked a second time where the
    critics' weights are scaled to a share of the gradient, if the study has such variants.
    """

    id: str
    claim: str
    where: str
    evidence: str
    links: tuple[Link, ...]
    controls: tuple[Link, ...] = ()
    twice: bool = False


@cache
def claims() -> tuple[Claim, ...]:
    """The claims of paper.yaml, in its order."""
    return read_claims(paper()["claims"])


def claims_of(study: Mapping[str, Any]) -> tuple[Claim, ...]:
    """The paper's claims, and those of a study's plugins (``Frames.study``: claims, metrics)."""
    own, metrics = study.get("claims") or {}, own_metrics(study.get("metrics") or {})
    return (*claims(), *(own_claim(name, entry, metrics) for name, entry in own.items()))


def own_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Metric]:
    """The metrics of plugins by name, from their title, unit and direction."""
    return {
        name: Metric(entry["title"], entry["unit"], 1 if entry["better"] == "higher" else -1, 4)
        for name, entry in metrics.items()
    }


def own_claim(name: str, entry: Any, metrics: Mapping[str, Metric]) -> Claim:
    """A plugin's claim from plain data: as in paper.yaml, but variants are any names, and metrics also its own.

    ``where`` and ``evidence`` may be left out. Raises ValueError with the place, the value and the allowed values.
    """
    usual = {"where": "a claim of this study", "evidence": "measured"}
    try:
        (claim,) = read_claims([{**usual, **entry, "id": name} if isinstance(entry, Mapping) else entry], metrics)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"paper.yaml: claims.{name}").lstrip(".: ")) from error
    return claim


def read_claims(entries: Sequence[Mapping[str, Any]], own: Mapping[str, Metric] | None = None) -> tuple[Claim, ...]:
    """Claims from plain data. Raises ValueError with the place, the value and the allowed values.

    ``own``: of a plugin's claims, the metrics of plugins. Such a claim may name any variant.
    """
    found = []
    for number, entry in enumerate(entries):
        place = f"claims.{entry.get('id', number)}"
        _keys(entry, Claim, place)
        _one_of(entry["evidence"], ("measured", "computed", "both"), f"{place}.evidence")
        links = [_link(link, f"{place}.links.{n}", own, decides=True) for n, link in enumerate(entry["links"])]
        controls = [
            _link(link, f"{place}.controls.{n}", own, decides=False) for n, link in enumerate(entry.get("controls", ()))
        ]
        found.append(Claim(**{**entry, "links": tuple(links), "controls": tuple(controls)}))
    return tuple(found)


def _link(entry: Mapping[str, Any], place: str, own: Mapping[str, Metric] | None, *, decides: bool) -> Link:
    _keys(entry, Link, place)
    _one_of(entry["metric"], quantities := {**QUANTITIES, **(own or {})}, f"{place}.metric")
    for key, values in (("data", (*paper()["data"], "each")), ("output", ("composite", "raw", "blended"))):
        sides = entry.get(key, values[0])
        if not isinstance(sides, str) and not (isinstance(sides, list) and len(sides) == 2):
            raise ValueError(f"paper.yaml: {place}.{key}: {sides!r} is neither one nor a list of two")
        for value in pair(sides):
            _one_of(value, values, f"{place}.{key}")
    if decides:
        _one_of(entry.get("direction"), (*get_args(Direction), "differ"), f"{place}.direction")
    if "b" not in entry and entry.get("direction") != "differ":
        raise ValueError(f"paper.yaml: {place}: 'b' is missing")
    by_chance = entry["metric"] not in OF_NETWORKS
    margin = entry.get("margin", quantities[entry["metric"]].margin)
    if by_chance and entry.get("direction") in ("no less", "no more", "equal") and margin is None:
        raise ValueError(f"paper.yaml: {place}: 'margin' is missing; {entry['direction']!r} is said of one")
    _spec(entry["a"], f"{place}.a", own is not None)
    if not isinstance(entry.get("b", 0), int | float):
        _spec(entry["b"], f"{place}.b", own is not None)
    return Link(**{**entry, "margin": margin if by_chance else None, "own": (own or {}).get(entry["metric"])})


def _spec(spec: Any, place: str, any_name: bool) -> None:
    """Raises ValueError if a description of a variant is none that ``Spec`` allows."""
    if not isinstance(spec, Mapping):
        if not (any_name and isinstance(spec, str)):
            _one_of(spec, ("reference", "filler", *LABELS), place)
        return
    for key, allowed in spec.items():
        _one_of(key, ("differs", "unlike", "method", "optimizer_of", "tuned"), place)
        if key in ("differs", "unlike") and not isinstance(allowed, Mapping):
            raise ValueError(f"paper.yaml: {place}.{key}: {allowed!r} is not a mapping of options")
    if set(spec) not in SPECS:
        forms = "; ".join(", ".join(sorted(form)) for form in SPECS)
        raise ValueError(f"paper.yaml: {place}: {', '.join(spec)} do not go together; choose one of: {forms}")
    for key, values in (("method", LABELS), ("optimizer_of", ("reference",)), ("tuned", (True,))):
        if key in spec and not (any_name and key == "method"):
            _one_of(spec[key], values, f"{place}.{key}")


def _keys(entry: Any, kind: type[Any], place: str) -> None:
    if not isinstance(entry, Mapping):
        raise ValueError(f"paper.yaml: {place}: {entry!r} is not a mapping")
    known = {field.name: field.default is MISSING for field in fields(kind) if field.name != "own"}
    for key in entry:
        _one_of(key, known, place)
    for key, needed in known.items():
        if needed and key not in entry:
            raise ValueError(f"paper.yaml: {place}: {key!r} is missing")


def _one_of(value: Any, allowed: Iterable[Any], place: str) -> None:
    known = list(allowed)  # a value may be a list, which a set or a mapping cannot look up
    if value not in known:
        raise ValueError(f"paper.yaml: {place}: {value!r} is unknown; choose {', '.join(map(str, known))}")


def pair(value: str | Sequence[str]) -> tuple[str, str]:
    """The values of a and of b; a single value is for both."""
    return (value, value) if isinstance(value, str) else (value[0], value[1])
