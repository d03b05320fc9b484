"""Sweeps report snapshots that EC2 copies to no other region once for each volume."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapkeep.adapters import ec2_reader
from snapkeep.domain.sweep.findings import FindingKind
from support.sweeping_world import DAY, HOUR, SweepingWorld, gold, kinds


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SweepingWorld:
    """A world whose snapshots are all in a Local Zone."""
    monkeypatch.setattr(ec2_reader, "_why_not_copyable", lambda _: "it is in the Local Zone us-east-1-bos-1a")
    return SweepingWorld()


def reported(world: SweepingWorld) -> list[str]:
    report = world.sweep()
    return [item.subject for item in report.items if item.kind is FindingKind.NOT_COPYABLE]


def test_each_volume_is_reported_once(world: SweepingWorld) -> None:
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    assert reported(world) == [volume]
    other = world.volume()
    for expected in ([other], [], []):
        world.later(DAY)
        world.snapshot(volume)
        world.snapshot(other)
        world.later(HOUR)
        assert reported(world) == expected


def test_a_volume_is_reported_again_when_a_policy_requests_copies_again(world: SweepingWorld) -> None:
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    assert reported(world) == [volume]
    (policy,) = world.policies.policies
    world.policies = replace(world.policies, policies=(replace(policy, copies=()),))
    assert reported(world) == []
    world.policies = gold()
    assert reported(world) == [volume]
    assert reported(world) == []


def test_only_a_missed_rpo_of_snapshots_is_repeated(world: SweepingWorld) -> None:
    volume = world.volume()
    world.snapshot(volume)
    world.later(DAY)
    assert kinds(world.sweep())[FindingKind.RPO_MISSED] == 0
    world.later(DAY)
    assert kinds(world.sweep())[FindingKind.RPO_MISSED] == 1
