"""The application that each module adds its commands to."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Reproduce a paper: train its model, baselines and ablations, and report the results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

data_app = typer.Typer(help="Pack, inspect and export data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
