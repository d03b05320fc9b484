from __future__ import annotations

from typing import Any

import pytest
from tests.support.lineages import at

from snapkeep.adapters.ec2_reader import snapshot_from
from snapkeep.lab.simulator.system_ports import RememberedSnapshots

REGION = "us-east-1"


def described(number: int = 1, **fields: Any) -> dict[str, Any]:
    tags = [{"Key": "Name", "Value": "web"}]
    names = {"SnapshotId": f"snap-{number:017x}", "VolumeId": f"vol-{number:017x}"}
    return {**names, "State": "pending", "Progress": "4%", "StartTime": at("2026-11-23 03:00"), "Tags": tags, **fields}


def test_a_snapshot_that_did_not_change_is_converted_once() -> None:
    remembered = RememberedSnapshots()
    assert remembered(described(), REGION) is remembered(described(), REGION)


@pytest.mark.parametrize("change", [{"State": "completed"}, {"Progress": "5%"}, {"Tags": []}, {"StorageTier": "archive"}])
def test_a_snapshot_that_changed_is_converted_again(change: dict[str, Any]) -> None:
    remembered = RememberedSnapshots()
    remembered(described(), REGION)
    assert remembered(described(**change), REGION) == snapshot_from(described(**change), REGION)


def test_snapshots_of_another_region_are_others() -> None:
    remembered = RememberedSnapshots()
    assert [remembered(described(), region).region for region in (REGION, "eu-west-1")] == [REGION, "eu-west-1"]


def test_no_more_than_a_number_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RememberedSnapshots, "MOST", 2)
    remembered = RememberedSnapshots()
    first = remembered(described(1), REGION)
    remembered(described(2), REGION)
    remembered(described(3), REGION)
    assert remembered(described(1), REGION) is not first
    assert remembered(described(1), REGION) == first
