"""The command itself: its version, its help, its completion."""

from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from study import __version__
from study.cli import EXAMPLES, app


def test_it_says_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"study {__version__}\n"


COMMANDS = [name for name in EXAMPLES if name]


def help_of(name: str) -> list[str]:
    """The help of a command in a pipe, as lines, for a terminal of 80 columns."""
    done = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}, color=True)
    assert done.exit_code == 0
    return done.output.splitlines()


def test_its_help_has_examples_and_every_command() -> None:
    shown = "\n".join(help_of(""))
    assert "study run runs.yaml" in shown
    assert all(f" {command} " in shown for command in ("run", "plan", "claims", "inpaint", "data"))


@pytest.mark.parametrize("name", ["", "data", *COMMANDS])
def test_help_is_plain_text_of_80_columns_and_cuts_nothing(name: str) -> None:
    usage, *lines = help_of(name)
    assert all(len(line) <= 80 and "\x1b" not in line for line in [usage, *lines])
    assert not any(line.endswith("...") for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_with_options_that_it_has(name: str) -> None:
    lines = help_of(name)
    assert EXAMPLES[name] and all(f"    {example}" in lines for example in EXAMPLES[name])
    text = "\n".join(lines)
    for example in EXAMPLES[name]:
        assert f"{example} ".startswith(f"study {name} ")
        options = [word for word in example.split() if word.startswith("-")]
        assert all(re.search(rf"^  (-\w, )?{option}\b|, {option}\b", text, re.MULTILINE) for option in options), options


def test_every_command_is_among_the_examples() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = [*(set(commands) - {"data"}), *(f"data {name}" for name in commands["data"].commands)]
    assert sorted(names) == sorted(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_it(shell: str) -> None:
    completed = CliRunner().invoke(app, [], prog_name="study", env={"_STUDY_COMPLETE": f"source_{shell}"})
    assert "_STUDY_COMPLETE=complete_" in completed.output
