"""The networks of a method, layer by layer, with the paper's tables and the counts of released code.

Layers are read from the networks (``study.inspection.anatomy``); the options only explain the differences from the
paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.table import Table

from models.critics import PUBLISHED_SIDE
from models.layers import halvings
from models.method import Filler, Part, Trained
from study.inspection import anatomy
from study.parts import registries

PRINTED_KINDS = ("conv", "d-conv", "deconv")  # those of the paper's tables
HEAD = "head"  # the module that turns a critic's last maps into scores; no table has it
LAYER = 9  # columns that the name of a layer takes at least
LEGEND = (
    "sees: receptive field, in pixels of the image along a side, of the position that sees most; what the statistics "
    "of norms read is not in it. MMAC: million multiply-accumulates an image."
)


def describe(options: Trained | Filler, image_size: int) -> dict[str, Any]:
    """The networks of a method on images of ``image_size`` pixels, as values for JSON. A filler has none.

    Returns:
        ``networks``, and ``totals`` of their ``parameters`` and ``macs`` (multiply-accumulates per image). A network
        has its totals and

        - ``layers``, each with the paper's row (``paper``) and whether it ``agrees``, or None without a table;
        - ``receptive_field``, for a critic of its last maps, and ``score_receptive_field``: pixels, 'whole image' or
          'whole window';
        - ``paper``, the table for comparison, ``agrees_with_paper``, ``why`` not, and ``unbuilt``, its rows without a
          layer;
        - ``released``, the parameters of public code.
    """
    networks = []
    if isinstance(options, Trained):
        method = options.method(image_size)
        parts = {"generator": method.generator, **{role: critic.network for role, critic in method.critics.items()}}
        networks = [_network(name, part, image_size) for name, part in parts.items()]
    totals = {name: sum(network[name] for network in networks) for name in ("parameters", "macs")}
    return {"image_size": image_size, "networks": networks, "totals": totals}


def _network(name: str, part: Part, side: int) -> dict[str, Any]:
    """One network. ``name``: generator, or a critic's role."""
    whole, score = "whole image", None
    if name == "generator":
        found = anatomy.of_generator(part, side)
        field = found.receptive_field
    else:
        found = anatomy.of_critic(part, side)
        field, score = found.maps_receptive_field, found.receptive_field
        if getattr(registries.CRITICS[part["kind"]], "views", (part.get("view"),)) == ("local",):
            whole = "whole window"
    table = _table(part["kind"], part.get("view", name))
    rows = table["layers"] if table else []
    layers = [
        {**vars(layer), "receptive_field": _pixels(layer.receptive_field, whole), "paper": None, "agrees": None}
        for layer in found.layers
    ]
    body = [layer for layer in layers if layer["kind"] in PRINTED_KINDS and layer["name"] != HEAD]
    for layer, row in zip_longest(body, rows[: len(body)]) if table else ():
        layer["paper"] = row and dict(row)
        layer["agrees"] = bool(row) and all(layer["kind" if cell == "layer" else cell] == row[cell] for cell in row)
    agrees = len(body) == len(rows) and all(layer["agrees"] for layer in body) if table else None
    return {
        "name": name,
        "kind": part["kind"],
        "layers": layers,
        **{total: getattr(found, total) for total in ("parameters", "norm_parameters", "macs")},
        "receptive_field": _pixels(field, whole),
        "score_receptive_field": None if score is None else _pixels(score, whole),
        "paper": f"Table {table['table']}" if table else None,
        "agrees_with_paper": agrees,
        "why": " ".join(_why(part, layers, agrees)) or None,
        "unbuilt": [dict(row) for row in rows[len(body) :]],
        "released": _released("generator" if name == "generator" else "critic", part, found.parameters),
    }


def _pixels(field: float, whole: str) -> int | str:
    return whole if math.isinf(field) else int(field)


def _table(kind: str, name: str) -> Mapping[str, Any] | None:
    """The paper's table of one of its own networks."""
    from reports.analysis.paper import paper

    tables = paper()["architecture"] if kind == "mo_zhou" else ()
    return next((table for table in tables if table["network"] == name), None)


def _why(part: Part, layers: list[dict[str, Any]], agrees: bool | None) -> Iterator[str]:
    """Sentences: why a network does not agree with the paper, or cannot, and which of its layers no table has."""
    if agrees is None:
        yield f"Mo & Zhou print no table of this network{' (R10)' if part.get('view') == 'eighth' else ''}."
        return
    if not agrees:
        yield from list(_departures(part)) or ["Its layers are not those printed."]
    for layer in layers:
        if layer["name"] == HEAD:
            kind = "1x1 convolution" if layer["kind"] == "conv" else "linear layer"
            yield f"Its head, a {kind}, is reading R7 and in no table."


def _departures(part: Part) -> Iterator[str]:
    """Sentences: the options that make a network differ from the paper's table."""
    if part.get("width", 1) != 1:
        yield f"Width {part['width']:g}: outputs are not the published ones."
    if part.get("tables") == "exchanged":
        yield "R6, exchanged: Tables 2 and 3 have each other's captions."
    if part.get("dilations"):
        yield f"Dilations are {', '.join(map(str, part['dilations']))}, not those printed."
    if "view" in part and part["image_side"] != PUBLISHED_SIDE:
        lacking = halvings(PUBLISHED_SIDE) - halvings(part["image_side"])
        yield f"At {part['image_side']} px the last layers are left out, {lacking} in all; the last map keeps its size."


def _released(network: str, part: Part, parameters: int) -> dict[str, Any] | None:
    """The parameters of public code, and whether ours has as many; None if no public code was counted."""
    from reports.analysis.paper import paper

    named = {(entry["kind"], entry["network"]): entry for entry in paper()["released"]}
    if (entry := named.get((part["kind"], network))) is None:
        return None
    other = {key: value for key, value in entry["options"].items() if part.get(key, value) != value}
    theirs, ours = (", ".join(f"{key} {options[key]}" for key in other) for options in (other, part))
    return {
        "parameters": entry["parameters"],
        "agrees": parameters == entry["parameters"],
        "difference": parameters - entry["parameters"],
        "why": f"Released with {theirs}; here {ours}." if other else None,
        "source": entry["source"],
    }


def print_networks(name: str, described: Mapping[str, Any], console: Console) -> None:
    """Prints what ``describe`` returns: a table and a few sentences for each network of the variant ``name``."""
    say = partial(console.print, markup=False, highlight=False)
    if not described["networks"]:
        say(f"{name} has no networks: it is not trained")
        return
    for network in described["networks"]:
        console.print(_layers(network))
        for sentence in _remarks(network):
            say(sentence)
        say("")
    totals = described["totals"]
    say(
        f"{name}, {described['image_size']} px: {len(described['networks'])} networks, "
        f"{totals['parameters']:,} parameters, {_macs(totals['macs'])} an image"
    )
    say(LEGEND)


def _layers(network: Mapping[str, Any]) -> Table:
    title = f"{network['name']} ({network['kind']})"
    table = Table(title=title, box=None, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold", min_width=LAYER)
    table.add_column("kind", no_wrap=True)
    for column in ("kernel", "dil.", "str.", "out", "size", "weights", "MMAC", "sees"):
        table.add_column(column, justify="right", no_wrap=True)
    if network["paper"]:
        table.add_column(network["paper"], overflow="fold")
    for layer in network["layers"]:
        field = layer["receptive_field"]
        table.add_row(
            layer["name"].removesuffix(".0"),  # the only module of a block
            layer["kind"],
            *_geometry(layer),
            f"{layer['size'] or ''}",
            f"{layer['parameters']:,}" if layer["parameters"] else "",
            f"{layer['macs'] / 1e6:,.1f}" if layer["macs"] else "",
            "whole" if isinstance(field, str) else str(field),
            *([_compared(layer["paper"], layer["agrees"])] if network["paper"] else ()),
        )
    for row in network["unbuilt"]:
        table.add_row("(none)", *[""] * 9, _compared(row, False))
    return table


def _geometry(row: Mapping[str, Any]) -> list[str]:
    """Kernel, dilation, stride and outputs of a layer or of a row of the paper, in the paper's notation."""
    kernel, stride = row["kernel"], row["stride"]
    return [
        f"{kernel}x{kernel}" if kernel else "",
        f"{row.get('dilation') or ''}",
        "" if stride is None else f"{stride}" if stride >= 1 else f"1/{round(1 / stride)}",
        f"{row['outputs']}",
    ]


def _compared(row: Mapping[str, Any] | None, agrees: bool | None) -> str:
    """The paper's row, with a mark: == if the layer agrees, != if not."""
    mark = {True: "== ", False: "!= ", None: ""}[agrees]
    return mark + (" ".join(filter(None, [row["layer"], *_geometry(row)])) if row else "" if agrees is None else "none")


def _remarks(network: Mapping[str, Any]) -> Iterator[str]:
    """Sentences: totals, receptive field, and whether the network agrees with the paper and with released code."""
    norms = f" ({network['norm_parameters']:,} of them of norms)" if network["norm_parameters"] else ""
    sees, score = (_in_words(network[key]) for key in ("receptive_field", "score_receptive_field"))
    sees = f"sees {sees}" if score is None else f"sees {sees} at its last maps, its score {score}"
    yield f"{network['parameters']:,} parameters{norms}, {_macs(network['macs'])}; {sees}"
    verdict = {True: f"As {network['paper']} prints it.", False: f"Not as {network['paper']} prints it.", None: ""}
    yield " ".join(filter(None, [verdict[network["agrees_with_paper"]], network["why"]]))
    if released := network["released"]:
        same = "the same" if released["agrees"] else f"ours has {released['difference']:+,}"
        why = f" {released['why']}" if released["why"] else ""
        yield f"Released: {released['parameters']:,} parameters, {same}.{why} ({released['source']})"


def _in_words(field: int | str | None) -> str | None:
    return f"{field} px" if isinstance(field, int) else field and f"the {field}"


def _macs(count: int) -> str:
    return f"{count / 1e9:,.2f} GMAC" if count >= 1e9 else f"{count / 1e6:,.1f} MMAC"
