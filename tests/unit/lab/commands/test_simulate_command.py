"""`snapkeep simulate` reports wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snapkeep.cli.errors import WrongUse
from snapkeep.lab.commands.simulate import app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--world", "{file}", "--tag", "a=b"], "--tag says what is made by chance, and the volumes come from --world"),
        (["--from-account", "--volumes", "3"], "--volumes says what is made by chance, and the volumes come from --from-account"),
    ],
)
def test_options_of_generated_volumes_are_refused_with_other_volumes(tmp_path: Path, arguments: list[str], words: str) -> None:
    file = tmp_path / "world.yaml"
    file.touch()
    refused = CliRunner().invoke(app, [argument.format(file=file) for argument in arguments]).exception
    assert isinstance(refused, WrongUse)
    assert str(refused) == words


def test_a_time_between_snapshots_that_never_passes_is_refused() -> None:
    refused = CliRunner().invoke(app, ["--every", "inf"])
    assert refused.exit_code == 2
    assert "--every" in refused.output


WORLD = """
version: 1
regions: [us-east-1, us-east-2]
volumes: [{name: data, region: us-east-1, size_gib: 8, used_gib: 2}]
faults: {script: [{kind: copy_fails, region: us-east-2, times: 0}]}
"""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "us-east-2 is not among them, and gets copies"),
        (["--region", "eu-west-1"], "eu-west-1 is not among them, and is the primary"),
    ],
)
def test_a_world_without_a_region_that_is_needed_is_refused_by_name(tmp_path: Path, arguments: list[str], problem: str) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(WORLD.replace(", us-east-2]", "]"), encoding="utf-8")
    refused = CliRunner().invoke(app, ["--world", str(file), *arguments]).exception
    assert isinstance(refused, WrongUse)
    assert str(refused) == f"{file}: regions: {problem}"


@pytest.mark.parametrize("share", ["0", "0.01"])
def test_a_share_of_faults_leaves_a_world_its_own(tmp_path: Path, share: str) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(WORLD, encoding="utf-8")
    done = CliRunner().invoke(app, ["--world", str(file), "--days", "2", "--faults", share, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)[0]["copies"] == 0
