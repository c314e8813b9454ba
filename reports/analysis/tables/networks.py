"""Tables 1 to 5 compared with the networks as built."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.published import paper

GEOMETRY = ("layer", "kernel", "dilation", "stride", "outputs")
"""The columns of Tables 1 to 5; only Table 1 has the dilation."""


def networks_of(frames: Frames, variant: str) -> list[Mapping[str, Any]]:
    """The recorded facts of a variant's networks as built; empty if there are none."""
    return list(((frames.study["networks"] or {}).get(variant) or {}).get("networks") or [])


def architecture_table(frames: Frames, table: int) -> pd.DataFrame:
    """One of Tables 1 to 5 compared with the proposed model's network as built, a row per layer.

    Columns: layer, kernel, dilation, stride, outputs (as printed: strides of 1/2 are 0.5; None where no row is printed,
    as of a pool or a critic's head); name, built_layer, built_kernel, built_dilation, built_stride, built_outputs,
    size (side of its maps, px), parameters, macs (an image), receptive_field (px, or 'whole image'); all None where no
    layer is built; agrees (bool: every printed cell is as built), differs (the cells that are not, in words), why (the
    network's options that cause a difference).

    Raises NoDataError if the reference's networks are not recorded or it has no such network, and ValueError where
    ``table`` is none of 1 to 5.
    """
    printed = {entry["table"]: entry for entry in paper()["architecture"]}
    if table not in printed:
        raise ValueError(
            f"table: {table!r} is none of the paper's tables of networks; choose {', '.join(map(str, printed))}"
        )
    networks = networks_of(frames, str(frames.study["reference"]))
    if not networks:
        raise NoDataError("What was built is not recorded.")
    network = next((network for network in networks if network["paper"] == f"Table {table}"), None)
    if network is None:
        raise NoDataError(f"The proposed model has no network of Table {table} in this study.")
    layers, why = network["layers"], network["why"]
    rows = [_layer(layer.get("paper"), layer, why) for layer in layers]
    after = max((place for place, layer in enumerate(layers, 1) if layer.get("paper")), default=len(layers))
    rows[after:after] = [_layer(row, {}, why) for row in network["unbuilt"]]
    return pd.DataFrame(rows, dtype=object).astype({"agrees": bool})


def _layer(row: Mapping[str, Any] | None, layer: Mapping[str, Any], why: str | None) -> dict[str, Any]:
    """A printed row and the layer built for it; either may be missing."""
    built = {name: layer.get("kind" if name == "layer" else name) for name in GEOMETRY}
    if row is None:
        differs = "not printed"
    elif not layer:
        differs = "not built"
    else:
        differs = ", ".join(f"{name} {built[name]}, not {value}" for name, value in row.items() if built[name] != value)
    return {
        **{name: (row or {}).get(name) for name in GEOMETRY},
        "name": layer.get("name"),
        **{f"built_{name}": value for name, value in built.items()},
        **{name: layer.get(name) for name in ("size", "parameters", "macs", "receptive_field")},
        "agrees": not differs,
        "differs": differs,
        "why": (why or "") if differs else "",
    }
