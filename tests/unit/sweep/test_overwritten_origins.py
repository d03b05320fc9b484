"""A principal that may only tag overwrites a copy's origin: no good copy is deleted for it, in this pass or later."""

from __future__ import annotations

import pytest

from snapkeep.adapters import ec2_writers
from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.model import Origin
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.domain.tag_names import SOURCE_SNAPSHOT, SOURCE_START
from snapkeep.domain.tags import format_time
from support.sweeping_world import DR, HOUR, SweepingWorld, gold, kinds

YOUNGER = "snap-0aaaaaaaaaaaaaaaa"


def described_by_an_earlier_version(origin: Origin) -> str:
    return f"[Snapkeep: {origin.snapshot_id} of {origin.volume_id} from {origin.region}]"


def sources(world: SweepingWorld) -> dict[str, str]:
    """Return each copy's id by its source, as the tags name it."""
    return {
        next(tag["Value"] for tag in copy["Tags"] if tag["Key"] == SOURCE_SNAPSHOT): copy["SnapshotId"]
        for copy in world.managed(DR)
    }


@pytest.mark.parametrize("version", ["this version", "an earlier one"])
def test_a_copy_that_is_made_to_look_younger_displaces_no_other(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep repaired the start of the older copy, and deleted the newer one in the same pass, as beyond the last."""
    if version == "an earlier one":
        monkeypatch.setattr(ec2_writers, "description_of_copy", described_by_an_earlier_version)
    world = SweepingWorld(policies=gold(keep_copies=2))
    volume = world.volume()
    older = world.snapshot(volume)
    world.later(300)
    newer = world.snapshot(volume)
    world.later(60)
    younger = tag_list({SOURCE_START: format_time(world.runner.composition.clock.now())})
    world.later(HOUR)
    copies = sources(world)
    world.ec2_dr.create_tags(Resources=[copies[older]], Tags=younger)
    world.policies = gold(keep_copies=1)
    assert kinds(world.sweep(DR), Handling.REPAIRED)[FindingKind.TAGS_LOST] == 1
    world.sweep(DR)
    assert sources(world) == {newer: copies[newer]}


def test_a_copy_with_an_overwritten_origin_does_not_count_until_repaired() -> None:
    """The copy of one volume was taken for the newest of another, whose only copy was deleted as beyond the last."""
    world = SweepingWorld(policies=gold(keep_copies=1))
    own, other = world.snapshot(world.volume()), world.snapshot(world.volume())
    world.later(HOUR)
    copies = sources(world)
    tags = {tag["Key"]: tag["Value"] for copy in world.managed(DR) if copy["SnapshotId"] == copies[other] for tag in copy["Tags"]}
    overwritten = tags | {SOURCE_SNAPSHOT: YOUNGER}
    world.ec2_dr.create_tags(Resources=[copies[own]], Tags=tag_list(overwritten))
    report = world.sweep(DR)
    assert kinds(report, Handling.REPAIRED) == {FindingKind.TAGS_LOST: 1}
    assert sources(world) == copies
    assert kinds(world.sweep(DR)) == {}
    assert sources(world) == copies
