"""Two systems drill in one account and region: neither touches what the other made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.drills.run import make_run
from snapkeep.domain.sweep.drills import DrillFacts, drill_findings
from snapkeep.domain.tag_names import DRILL, DRILL_END, MANAGED, SYSTEM
from snapkeep.domain.tags import format_time
from snapkeep.usecases.drills.ports import Removal
from snapkeep.usecases.drills.remove import MOST_ROUNDS, RemoveAfterDrill
from snapkeep.usecases.recovery.states import Attachment, MadeSnapshot, VolumeState
from support.drilling import RULE, DrillLab
from support.flows import DR

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RUN = "drill-20260301T000000-vol-1-abcdef"
OWN, OTHER = "snapkeep", "snapkeep-back"


class StoppedClock:
    def now(self) -> datetime:
        return NOW


@dataclass
class StubEc2:
    """Volumes and snapshots of one run; a deletion leaves a volume in a state."""

    volumes: dict[str, VolumeState] = field(default_factory=dict)
    snapshots: dict[str, MadeSnapshot] = field(default_factory=dict)
    after: str = ""
    """The state of a deleted volume; empty where it is not listed any more."""
    deleted: list[str] = field(default_factory=list)

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        return [volume for volume in self.volumes.values() if tags.items() <= volume.tags.items()]

    def images_of(self, tags: Mapping[str, str]) -> list[Any]:
        return []

    def instances_of(self, tags: Mapping[str, str]) -> list[Any]:
        return []

    def snapshots_of(self, tags: Mapping[str, str]) -> list[MadeSnapshot]:
        return [snapshot for snapshot in self.snapshots.values() if tags.items() <= snapshot.tags.items()]

    def delete_volume(self, volume_id: str) -> None:
        self.deleted.append(volume_id)
        volume = self.volumes.pop(volume_id)
        if self.after:
            self.volumes[volume_id] = replace(volume, state=self.after)

    def delete_snapshot(self, snapshot_id: str) -> None:
        self.deleted.append(snapshot_id)
        del self.snapshots[snapshot_id]


def volume(volume_id: str, system: str = "", state: str = "available") -> VolumeState:
    return VolumeState(volume_id, state, {DRILL: RUN} | ({SYSTEM: system} if system else {}))


def remover(ec2: StubEc2) -> RemoveAfterDrill:
    return RemoveAfterDrill(ec2, StoppedClock(), OWN)


def test_a_removal_leaves_resources_of_another_system() -> None:
    """Drills of earlier versions named no system: what they made is removed."""
    volumes = [volume("vol-own", OWN), volume("vol-other", OTHER), volume("vol-earlier")]
    snapshots = [MadeSnapshot(f"snap-{one.id}", "completed", one.tags) for one in volumes]
    ec2 = StubEc2({one.id: one for one in volumes}, {one.id: one for one in snapshots})
    remover(ec2).run(RUN)
    assert ec2.deleted == ["vol-own", "vol-earlier", "snap-vol-own", "snap-vol-earlier"]


def test_a_sweep_leaves_resources_of_another_system() -> None:
    ended = {DRILL_END: format_time(NOW - timedelta(hours=1))}
    volumes = {f"vol-{system}": {DRILL: f"drill-{system}", SYSTEM: system, **ended} for system in (OWN, OTHER)}
    volumes["vol-earlier"] = {DRILL: "drill-earlier", **ended}
    facts = DrillFacts(system=OWN, rules=(), snapshots=(), made=volumes, ledger=DrillLedger(), now=NOW)
    assert [finding.subject for finding in drill_findings(facts)] == ["drill-earlier", f"drill-{OWN}"]


def test_two_systems_name_their_drills_of_one_volume_differently() -> None:
    lab = DrillLab()
    [copy] = lab.lab.runner.composition.points(DR).all_snapshots()
    runs = [make_run(RULE, [replace(copy, tags={**copy.tags, MANAGED: system})], NOW, NOW) for system in (OWN, OTHER)]
    assert len({run.id for run in runs}) == 2
    assert [run.tags[SYSTEM] for run in runs] == [OWN, OTHER]


def test_a_run_of_an_earlier_version_has_no_tag_of_a_system() -> None:
    lab = DrillLab()
    lab.begin.run()
    [run] = lab.ledger.open
    assert SYSTEM not in replace(run, system="").tags


def test_a_volume_that_a_person_attached_is_left_at_once() -> None:
    attached = replace(volume("vol-1", OWN, "in-use"), attachments={"i-1": Attachment("/dev/sdf", "attached")})
    ec2 = StubEc2({"vol-1": attached})
    removal = remover(ec2).run(RUN)
    assert (removal.more, removal.left) == (False, ("vol-1 is attached to i-1: detach it, and a sweep removes it",))
    assert ec2.deleted == []


@pytest.mark.parametrize("state", ["creating", "deleting", "available"])
def test_a_removal_ends_though_ec2_never_does(state: str) -> None:
    ec2 = StubEc2({"vol-1": volume("vol-1", OWN, state)}, after="deleting")
    removal: Removal | None = None
    rounds = 0
    while removal is None or removal.more:
        removal = remover(ec2).run(RUN, removal)
        rounds += 1
        assert rounds <= MOST_ROUNDS
    assert rounds == MOST_ROUNDS
    [left] = removal.left
    assert left.startswith("vol-1 is still ")
