"""Shells complete commands, options and values."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from snapkeep.cli.application import COMMANDS, make_application


def completions(line: str) -> list[str]:
    """Return the completions of a line in bash, by the program that its script runs."""
    words = line.split(" ")
    environment = os.environ | {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_SNAPKEEP_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "snapkeep"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.splitlines()


def test_commands_options_and_values_are_completed() -> None:
    assert completions("snapkeep st") == ["status"]
    assert "--state" in completions("snapkeep status --s")
    assert completions("snapkeep status --state no_") == ["no_snapshot", "no_recovery_point", "no_policy"]
    assert completions("snapkeep policy pu") == ["push"]


@pytest.mark.parametrize(("shell", "part"), [("bash", "complete -o default"), ("zsh", "compdef"), ("fish", "complete --command")])
def test_a_script_has_its_installation_instructions(shell: str, part: str) -> None:
    script = CliRunner().invoke(make_application(), ["completion", shell]).stdout
    assert part in script
    assert script.splitlines()[-1].startswith("# To install it, ")
    assert f"snapkeep completion {shell}" in script.splitlines()[-1]
    assert "_SNAPKEEP_COMPLETE" in script


def test_the_script_for_bash_is_read_by_bash() -> None:
    script = CliRunner().invoke(make_application(), ["completion", "bash"]).stdout
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_command_is_completed() -> None:
    assert set(completions("snapkeep ")) == {lazy.name for lazy in COMMANDS}
