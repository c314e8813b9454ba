"""The command itself: its version, its help, its completion."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from study import __version__
from study.cli import app


def test_it_says_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"study {__version__}\n"


def test_its_help_has_examples_and_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "study run runs.yaml" in shown
    assert all(f" {command} " in shown for command in ("run", "plan", "claims", "inpaint", "data"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_it(shell: str) -> None:
    completed = CliRunner().invoke(app, [], prog_name="study", env={"_STUDY_COMPLETE": f"source_{shell}"})
    assert "_STUDY_COMPLETE=complete_" in completed.output
