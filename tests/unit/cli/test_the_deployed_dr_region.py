"""Without `--dr-region` every command works on the DR region of the deployed system."""

from __future__ import annotations

import json

import pytest

from snapkeep.cli.commands.doctor import examined
from snapkeep.cli.commands.sweep import _stacks
from snapkeep.cli.common import RegionScope
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.deploy.doctor import examination
from snapkeep.deploy.doctor.examination import System
from snapkeep.domain.system import StackKind
from support.installed_stacks import Settings, Stacks

PRIMARY, DR, FURTHER = "eu-central-1", "eu-west-1", "eu-north-1"
STACKS: Stacks = {
    (PRIMARY, "snapkeep-primary"): {"DRRegion": DR, "Retention": "7"},
    (DR, "snapkeep-dr"): {"Retention": "3"},
    (FURTHER, "snapkeep-dr"): {"Retention": "4"},
    ("us-east-2", "snapkeep-dr"): {"Retention": "5"},
}
COPIES = [{"region": region, "retention": {"keep_last": 1}} for region in (DR, FURTHER)]
TO_BOTH = json.dumps(
    {
        "version": 1,
        "policies": [{"name": "gold", "select": {}, "retention": {"keep_last": 3}, "copies": COPIES}],
    }
)


def installed(stacks: Stacks = STACKS, dr_region: str = "", document: str = "") -> InstalledSystem:
    return InstalledSystem(Settings(PRIMARY, dr_region, stacks=stacks, documents={PRIMARY: document} if document else {}))


def test_the_deployed_dr_region_is_that_of_the_primary_stack() -> None:
    assert installed().dr_region == DR
    assert installed().stack_parameters("dr") == {"Retention": "3"}
    assert set(installed().policies_in_force()) == {PRIMARY, DR}


def test_the_option_precedes_the_deployed_dr_region() -> None:
    assert installed(dr_region=FURTHER).dr_region == FURTHER


def test_the_default_applies_without_a_deployment() -> None:
    assert installed({}).dr_region == "us-east-2"


def test_another_partition_has_no_default() -> None:
    with pytest.raises(WrongUse, match="no default for the primary region cn-north-1"):
        InstalledSystem(Settings("cn-north-1", "")).dr_region  # noqa: B018 - it raises


def test_a_sweep_covers_every_dr_region_of_the_policies_before_the_primary() -> None:
    system = installed(document=TO_BOTH)
    assert _stacks(system, RegionScope.BOTH) == [("dr", DR), ("dr", FURTHER), ("primary", PRIMARY)]
    assert _stacks(system, RegionScope.DR) == [("dr", DR), ("dr", FURTHER)]
    assert _stacks(system, RegionScope.PRIMARY) == [("primary", PRIMARY)]


def test_a_sweep_covers_only_the_dr_region_of_the_option() -> None:
    assert _stacks(installed(dr_region=FURTHER, document=TO_BOTH), RegionScope.DR) == [("dr", FURTHER)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({StackKind.DR: {}}, DR), ({StackKind.DR: {}, StackKind.PRIMARY: {"DRRegion": FURTHER}}, FURTHER)],
)
def test_deploying_a_further_dr_stack_moves_no_key(
    monkeypatch: pytest.MonkeyPatch, given: dict[StackKind, dict[str, str]], expected: str
) -> None:
    seen: list[System] = []
    monkeypatch.setattr(examination, "examine", lambda system, *_, **__: seen.append(system) or [])
    examined(installed(dr_region=FURTHER).settings, given, deploying=True)
    assert [system.primary.parameters["DRRegion"] for system in seen] == [expected]
