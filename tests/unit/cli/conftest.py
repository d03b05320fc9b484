"""Fixtures of the tests of `snapkeep plan` and `snapkeep policy`: the commands over a world in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.plan import app as plan_app
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.domain.policy.model import Limits, from_dr_parameters, from_parameters
from snapkeep.usecases.policies import in_force
from support.lineages import REGION
from support.volume_plans import DOCUMENT, DR, SOURCES, Reader, Store, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("COLUMNS", raising=False)  # workers of pytest-xdist have 80
    made = World()
    parameters = {
        REGION: from_parameters("none", DR, 2, 1, "", 24, Limits(), region=REGION),
        DR: from_dr_parameters(DR, 1, Limits()),
    }
    monkeypatch.setattr(RegionalAdapters, "points_of", lambda _, region: Reader(made, region))
    monkeypatch.setattr(RegionalAdapters, "guards_of", lambda _, region: Reader(made, region))
    monkeypatch.setattr(RegionalAdapters, "policy_store_of", lambda _, region: Store(made, region))
    monkeypatch.setattr(InstalledSystem, "waiting", lambda *_: frozenset({(SOURCES[3].id, DR)}))
    monkeypatch.setattr(InstalledSystem, "parameters_as_policies", lambda *_: dict(parameters))
    monkeypatch.setattr(
        InstalledSystem,
        "policies_in_force",
        lambda *_: {region: in_force(Store(made, region), one) for region, one in parameters.items()},
    )
    monkeypatch.setattr(
        InstalledSystem, "stack_parameters", lambda _, kind, region="": {"Retention": "2"} if region in made.stacks else {}
    )
    return made


@pytest.fixture
def plan(world: World) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(plan_app, ["--region", REGION, *arguments])


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    return path
