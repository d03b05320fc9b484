"""A month beside other tools: what they made stays theirs, and counts for the RPO where it is a backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType

import pytest

from snapkeep.domain import tags
from snapkeep.domain.creation import due_times
from snapkeep.domain.other_tools import NOT_CARRIED
from snapkeep.domain.policy import selection
from snapkeep.domain.policy.model import SnapshotRule
from snapkeep.domain.tag_names import MADE, MANAGED
from snapkeep.domain.wildcards import matches_any
from snapkeep.lab.ebs_model.store.tags import BACKUP_TAG, flat
from snapkeep.usecases.retention import plan_regions
from support.flows import DAY, DR, HOUR, PRIMARY
from support.making import MakingWorld, making

RPO = timedelta(hours=30)
TICK = 1200.0
CLUSTER = {"Backup": "yes", "kubernetes.io/cluster/shop": "owned"}
DRS = "AWSElasticDisasterRecoveryManaged"


@dataclass
class Tool:
    """Another tool that makes snapshots of a volume, and deletes its own."""

    world: MakingWorld
    volume: str
    tag: str
    every_hours: float
    keeps: int
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.lab.runner.kernel.after(60.0, self.make)

    def make(self) -> None:
        lab = self.world.lab
        ec2, written = lab.ec2(), [{"Key": self.tag, "Value": "theirs"}] if self.tag != BACKUP_TAG else []
        given = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": written}]} if written else {}
        self.made.append(ec2.create_snapshot(VolumeId=self.volume, **given)["SnapshotId"])
        if self.tag == BACKUP_TAG:
            # No request can write the tag of AWS Backup.
            place = lab.world.region_account(PRIMARY)
            place.set_tags(place.snapshots[self.made[-1]], flat({BACKUP_TAG: self.volume}))
        elif len(self.made) > self.keeps:
            ec2.delete_snapshot(SnapshotId=self.made.pop(0))
        lab.runner.kernel.after(self.every_hours * HOUR, self.make)


class Neighbours:
    """A world in which each of five volumes has another tool, or none, beside the system."""

    def __init__(self) -> None:
        self.world = MakingWorld(making(SnapshotRule(when="rpo"), rpo=RPO, keep=3))
        make = self.world.lab.make_volume
        self.alone = make()
        self.csi = Tool(self.world, make(CLUSTER), "CSIVolumeSnapshotName", 12, keeps=10)
        self.backup = Tool(self.world, make(), BACKUP_TAG, 12, keeps=0)
        self.velero = Tool(self.world, make(CLUSTER), "velero.io/backup", 48, keeps=5)
        self.drs = Tool(self.world, make(), DRS, 12, keeps=10)
        self.tools = (self.csi, self.backup, self.velero, self.drs)

    def live(self, days: float) -> None:
        lab = self.world.lab
        ends = lab.world.now() + days * DAY
        while lab.world.now() < ends:
            self.world.tick()
            lab.runner.advance(TICK)
            self.world.look()

    def wrong(self) -> list[str]:
        """Return what the system did wrong to the other tools or to its volumes, sorted by its kind."""
        lab = self.world.lab
        wrong = {f"RPO missed: {item.split(' ')[0]}" for item in self.world.missed}
        for tool in self.tools:
            gone = set(tool.made) - set(lab.ids())
            wrong |= {f"deleted: {tool.tag}"} if gone else set()
            for made in set(tool.made) - gone:
                if tool.tag not in lab.tags(made) or MADE in lab.tags(made):
                    wrong.add(f"claimed: {tool.tag}")
        wrong |= {f"claimed: {DRS}" for made in self.drs.made if MANAGED in lab.tags(made)}
        sources = {tool.volume: tool.tag for tool in self.tools}
        for copy in lab.snapshots(DR):
            if any(matches_any(key, self.not_carried) for key in lab.tags(copy.id, DR)):
                wrong.add(f"carried: {sources[self.world.watch.truths[copy.id].volume_id]}")
        return sorted(wrong)

    not_carried = tuple(key for key in NOT_CARRIED if not key.startswith("snapkeep:"))


@pytest.mark.slow
def test_nothing_of_theirs_is_deleted_or_claimed_and_the_rpo_counts_it() -> None:
    there = Neighbours()
    there.live(30)
    assert there.wrong() == []
    assert there.world.watch.violations == []
    assert there.world.lab.runner.unexpected == []
    made = {volume: len(there.world.made(volume)) for volume in (there.csi.volume, there.backup.volume)}
    assert set(made.values()) == {0}, "theirs are enough"
    assert all(there.world.made(volume) for volume in (there.alone, there.velero.volume, there.drs.volume))
    assert len(there.backup.made) == 60


PLANTED: Mapping[str, tuple[ModuleType, str, Callable[..., object], str]] = {
    "retention deletes what other tools own": (plan_regions, "tool_holds", lambda _: {}, "deleted: CSIVolumeSnapshotName"),
    "working material counts": (due_times, "tool_of", lambda _: None, "RPO missed"),
    "working material is handled": (selection, "_working_material", lambda _: None, f"claimed: {DRS}"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_noticed(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, wrong, noticed = PLANTED[bug]
    monkeypatch.setattr(module, name, wrong)
    there = Neighbours()
    there.live(3)
    assert [item for item in there.wrong() if item.startswith(noticed)]


def test_tags_that_are_carried_to_copies_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "NOT_CARRIED", ("aws:*", "snapkeep:*"))
    there = Neighbours()
    there.live(1)
    assert "carried: CSIVolumeSnapshotName" in there.wrong()
