"""Fixtures of the tests of `snapkeep plan` and `snapkeep policy`: the commands over a world in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.plan import app as plan_app
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.domain.copies.known_copies import KnownCopies
from snapkeep.domain.system import StackKind
from support.lineages import REGION
from support.volume_plans import DOCUMENT, DR, SOURCES, Reader, Store, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("COLUMNS", raising=False)  # workers of pytest-xdist have 80
    made = World()
    parameters = {StackKind.PRIMARY: {"Retention": "2"}, StackKind.DR: {"Retention": "1"}}
    monkeypatch.setattr(RegionalAdapters, "points_of", lambda _, region: Reader(made, region))
    monkeypatch.setattr(RegionalAdapters, "guards_of", lambda _, region: Reader(made, region))
    monkeypatch.setattr(RegionalAdapters, "policy_store_of", lambda _, region: Store(made, region))
    monkeypatch.setattr(RegionalAdapters, "hold_store_of", lambda _, region: made.holds[region])
    known = KnownCopies(frozenset({(SOURCES[3].id, DR)}))
    monkeypatch.setattr(InstalledSystem, "known_copies", lambda *_: known)

    def stack_parameters(_: InstalledSystem, kind: StackKind, region: str = "") -> dict[str, str]:
        return parameters[kind] if (region or (REGION if kind is StackKind.PRIMARY else DR)) in made.stacks else {}

    monkeypatch.setattr(InstalledSystem, "stack_parameters", stack_parameters)
    monkeypatch.setattr(InstalledSystem, "deployed_at", lambda _: None)
    return made


@pytest.fixture
def plan(world: World) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(plan_app, ["--region", REGION, *arguments])


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    return path
