"""A search's trials as studies, and the tuned variant's file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from study.config import paths
from study.config.schema import Study, Variant
from study.config.space import with_settings
from study.search.trials import FOLDER
from study.store import write_atomically


def data_of(study: Study) -> str:
    """The data set whose validation images judge a search."""
    return study.search.data or next(iter(study.data))


def as_study(study: Study, variant: Variant) -> Study:
    """A trial's study: one variant on one data set, with the search's seeds, and without pictures."""
    data = data_of(study)
    return replace(
        study,
        variants={variant.name: variant},
        seeds=list(study.search.seeds),
        data={data: study.data[data]},
        ablations={},
        multiverses={},
        protocol=study.protocol.model_copy(update={"pictures": 0, "worst": 0}),
    )


def write_tuned(
    out: Path, study: Study, variant: Variant, settings: Mapping[str, Any], facts: Mapping[str, Any]
) -> Path:
    """Writes the best setting as a variant that a study file can include. Returns the file.

    ``facts``: ``trials``, ``trial`` and ``validation_psnr_db``.
    """
    name = f"{variant.name}_tuned"
    tuned = with_settings(variant, settings).options.model_dump(mode="json", by_alias=True, exclude_none=True)
    own: dict[str, Any] = {"extends": variant.name}
    for key, value in settings.items():
        if key.partition(".")[0] == "loss":  # whole: the variant may name its recipe by one word
            own["loss"] = tuned["loss"]
        else:
            paths.put(own, key, value)
    origin = {"extends": variant.name, "seeds": list(study.search.seeds), **facts}
    file = out / FOLDER / f"{name}.yaml"
    here = paths.seen_from(study.file, file)
    text = (
        f"# The best of {facts['trials']} trials of '{variant.name}' in {study.file.name}, profile "
        f"{study.profile or 'none'}.\n"
        "# Its score is on the validation images and the search's own seeds, so it is not a result.\n"
        "# To run it with fresh seeds, add to the study file:\n"
        f"#     include: [{here}]\n"
    )
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump({"variants": {name: own}, "tuned": {name: origin}}, stream)
    write_atomically(file, text + stream.getvalue())
    return file
