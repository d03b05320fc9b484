"""An unusual change of a volume is a finding of the DR region's sweep for some days."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.recovery.changes import UnusualChange
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import ReportItem
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.recovery.measure_changes import keep_unusual
from snapkeep.usecases.sweep.shared import SweepOptions
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold


class Refusing(MemoryDocuments):
    """A bucket that may not be listed."""

    def keys(self, prefix: str) -> list[str]:
        raise AwsRefused(f"list {prefix}: AccessDenied")


def found(world: SweepingWorld) -> list[ReportItem]:
    return [item for item in world.sweep(DR).items if item.kind is FindingKind.UNUSUAL_CHANGE]


def test_an_unusual_change_is_found_for_a_week_while_its_copy_exists() -> None:
    world = SweepingWorld(policies=gold(keep=3, keep_copies=3))
    volume_id = world.volume()
    snapshot_id = world.snapshot(volume_id)
    composition = world.runner.composition
    began = composition.clock.now()
    world.later(2 * HOUR)
    documents = composition.documents_of(DR)
    keep_unusual(documents, UnusualChange(PRIMARY, volume_id, snapshot_id, began, 4096, 6))
    keep_unusual(documents, UnusualChange(PRIMARY, volume_id, "snap-0deleted", began, 4096, 6))
    (item,) = found(world)
    assert (item.subject, item.volume_id) == (snapshot_id, volume_id)
    assert "at least 2.0 GiB changed" in item.text
    world.later(timedelta(days=7).total_seconds())
    assert found(world) == []


def test_a_bucket_that_cannot_be_read_is_a_finding() -> None:
    world = SweepingWorld(policies=gold(keep=3, keep_copies=3))
    world.snapshot(world.volume())
    sweep = replace(world.make_sweep(DR), documents=Refusing())
    items = sweep.run("sweep-1", SweepOptions()).report.items
    (item,) = [item for item in items if item.kind is FindingKind.OUT_OF_REACH]
    assert item.subject == "changes of volumes"
