"""`snapkeep simulate`: wrong use is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from snapkeep.cli.errors import WrongUse
from snapkeep.cli.simulate import app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--world", "{file}", "--tag", "a=b"], "--tag says what is made by chance, and the volumes come from --world"),
        (["--from-account", "--volumes", "3"], "--volumes says what is made by chance, and the volumes come from --from-account"),
    ],
)
def test_what_describes_made_volumes_is_refused_beside_volumes_from_elsewhere(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    file = tmp_path / "world.yaml"
    file.touch()
    refused = CliRunner().invoke(app, [one.format(file=file) for one in arguments]).exception
    assert isinstance(refused, WrongUse)
    assert str(refused) == words


def test_a_time_between_snapshots_that_never_passes_is_refused() -> None:
    refused = CliRunner().invoke(app, ["--every", "inf"])
    assert refused.exit_code == 2
    assert "--every" in refused.output
