"""The readings of a study: what its variants choose where the paper leaves something open."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from models.method import Optimizer, Rate, Trained
from study.config.schema import Variant
from study.facts import ReadingFacts, TreatmentFacts

SHARED = {
    "optimizer": ("R16", "the generator's optimizer"),
    "rates": ("R16", "the generator's learning rate by stage"),
    "loss.optimizer": ("R14, R16", "the critics' optimizer"),
    "norm": ("R4", "the normalisation inside the generator"),
    "loss.norm": ("R8", "the normalisation inside the critics"),
    "init_std": ("R4", "the spread of the generator's first weights"),
    "batch": ("", "the batch size"),
    "steps": ("", "the number of updates"),
    "width": ("", "the share of the published width"),
    "flips": ("R22", "whether training images are flipped"),
    "mask": ("R22", "where the hole is in training"),
}
"""Settings that the paper does not give, or gives for all methods: the reading and the meaning of each."""


def treatments(variants: Sequence[Variant], image_size: int) -> Iterator[TreatmentFacts]:
    """How the trained methods that the paper compares are treated in the settings of ``SHARED``.

    These are the first variants of the proposed model and of each baseline.
    """
    for variant in compared(variants):
        options = variant.options
        assert isinstance(options, Trained)
        own_paper = type(options)(width=options.width) if options.as_published else None
        usual = _treatment(own_paper, image_size) if own_paper else {}
        for key, value in _treatment(options, image_size).items():
            reading, meaning = SHARED[key]
            yield TreatmentFacts(
                variant=variant.name,
                key=key,
                value=value,
                reading=reading,
                meaning=meaning,
                origin="as in its own paper" if usual.get(key) == value else "chosen here",
            )


def compared(variants: Sequence[Variant]) -> list[Variant]:
    """The first variant of the proposed model and of each baseline."""
    first: dict[str, Variant] = {}
    for variant in variants:
        options = variant.options
        if isinstance(options, Trained) and (options.as_published or variant.method == "proposed"):
            first.setdefault(variant.method, variant)
    return list(first.values())


def _treatment(options: Trained, image_size: int) -> dict[str, str]:
    """The value of each setting of ``SHARED`` that a method has, in words."""
    method = options.method(image_size)
    recipe = next((critic.recipe for critic in method.critics.values()), None)
    treatment = {
        "optimizer": _optimizer(method.optimizer),
        "rates": ", ".join(f"{stage} {_rate(rate)}" for stage, rate in method.rates.items()) or "the optimizer's",
        "init_std": "He's rule" if method.init_std is None else f"{method.init_std:g}",
        "batch": str(options.batch),
        "steps": f"{options.steps.generator:,}",
        "width": f"{options.width:g}",
        "flips": "yes" if options.flips else "no",
        "mask": options.mask.kind,
    }
    if "norm" in method.generator:
        treatment["norm"] = method.generator["norm"]
    if recipe:
        treatment |= {"loss.optimizer": _optimizer(recipe.optimizer), "loss.norm": recipe.norm}
    return treatment


def _optimizer(optimizer: Optimizer) -> str:
    betas = f", betas {optimizer.betas[0]:g} and {optimizer.betas[1]:g}" if optimizer.betas else ""
    return f"{optimizer.kind} at {optimizer.lr:g}{betas}"


def _rate(rate: Rate) -> str:
    if rate.constant:
        return f"{rate.lr:g}"
    return " and ".join(f"{lr:.3g}" + (f" after {share:.0%}" if share else "") for share, lr in rate.changes())


def readings(variant: Variant) -> Iterator[ReadingFacts]:
    """A variant's choices where the paper leaves something open.

    A baseline is compared with its own paper, whose values are the defaults of its options.
    """
    options, published = variant.options, None
    if isinstance(options, Trained) and options.as_published:
        published = type(options)().model_dump(mode="json", by_alias=True)
    yield from _readings(variant.name, "", options, published)


def _readings(variant: str, prefix: str, options: Any, published: Any) -> Iterator[ReadingFacts]:
    dumped = options.model_dump(mode="json", by_alias=True)
    for name, info in type(options).model_fields.items():
        key = info.alias or name
        value, plain = getattr(options, name), dumped[key]
        extra = info.json_schema_extra
        own = published.get(key) if published is not None else None
        if isinstance(extra, dict) and "reading" in extra:
            if plain is None:  # this loss does not have the option
                continue
            text = extra["paper"]
            yield ReadingFacts(
                variant=variant,
                key=prefix + key,
                value=plain if isinstance(plain, str) else json.dumps(plain),
                reading=str(extra["reading"]),
                meaning=info.description,
                departs=plain != own if published is not None else text is not None and plain != text,
            )
        elif hasattr(type(value), "model_fields"):
            yield from _readings(variant, f"{prefix}{key}.", value, own)
