"""The commands' common root, to which each room adds its own."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Trains a paper's model, its baselines and its ablations, and reports what came of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

data_app = typer.Typer(help="Data sets: pack them, look at them, hand them out.", no_args_is_help=True)
app.add_typer(data_app, name="data")
