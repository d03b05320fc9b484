"""A push, a rollback and a difference warn of what the policies leave unprotected, in the words of `policy check`."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.policy import app
from snapkeep.usecases.policies import stored_text
from support.lineages import REGION
from support.volume_plans import DOCUMENT, DR, World

SHADOWED = DOCUMENT + DOCUMENT.partition("policies:\n")[2].replace("name: default", "name: again")
TEXT = "again governs only volumes whose tag snapkeep:policy names it: default, an earlier policy, takes all others"


def policy(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--region", REGION])


@pytest.fixture
def shadowed(document: Path) -> Path:
    document.write_text(SHADOWED, encoding="utf-8")
    return document


@pytest.fixture
def former(world: World) -> World:
    """Two versions in force one after the other, of which the first has a policy without volumes."""
    for region in (REGION, DR):
        world.documents[region] = [stored_text(yaml.safe_load(text)) for text in (SHADOWED, DOCUMENT)]
    return world


@pytest.mark.parametrize("command", ["push", "diff"])
def test_a_file_has_the_warnings_of_a_check(command: str, shadowed: Path, world: World) -> None:
    (warning,) = CliRunner().invoke(app, ["check", str(shadowed)]).stderr.splitlines()
    assert warning == f"{shadowed}:9: warning: {TEXT}"
    assert warning in policy(command, str(shadowed)).stderr.splitlines()
    assert world.documents[REGION] == []  # the warning precedes the consent, which was not given


@pytest.mark.usefixtures("world")
def test_the_json_has_the_warnings_of_a_check(shadowed: Path) -> None:
    expected = [{"line": 9, "path": "policies[1].select", "text": TEXT}]
    check = CliRunner().invoke(app, ["check", str(shadowed), "--json"])
    for shown in (check, policy("diff", str(shadowed), "--json"), policy("push", str(shadowed), "--json", "--yes")):
        assert json.loads(shown.stdout)["warnings"] == expected
        assert TEXT not in shown.stderr


@pytest.mark.usefixtures("former")
@pytest.mark.parametrize("command", ["rollback", "diff"])
def test_a_version_has_them_by_its_number(command: str) -> None:
    assert f"document, version 1: warning: {TEXT}" in policy(command, "1").stderr.splitlines()


def test_a_document_without_gaps_has_no_warning(document: Path, world: World) -> None:
    assert "warning" not in policy("push", str(document), "--yes").output
    assert len(world.documents[REGION]) == 1
    assert json.loads(policy("diff", str(document), "--json").stdout)["warnings"] == []
