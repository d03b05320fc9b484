"""A change far beyond a volume's own is found, and quiet fleets raise no finding."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.cli.views.recoverable import as_data, lines
from snapkeep.domain.recovery.blocks import BLOCKS_PER_GIB
from snapkeep.domain.recovery.changes import COMPARED, FEWEST, KEPT, ChangeHistory, most_usual, newest_by_volume, unusual
from snapkeep.domain.recovery.choice import Target
from snapkeep.domain.recovery.methods import STRUCTURE
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.recovery.find_points import find_points
from snapkeep.usecases.recovery.measure_changes import MeasureChanges, unusual_changes
from support.proving import DR, PRIMARY, ProvingWorld

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = st.integers(1, 65_536)


def history(changed: list[int]) -> ChangeHistory:
    return ChangeHistory("snap-0", START, tuple(changed))


@given(st.lists(st.integers(0, 10**8), max_size=FEWEST - 1), st.integers(0, 10**9), SIZES)
def test_nothing_is_unusual_after_few_changes(changed: list[int], latest: int, size_gib: int) -> None:
    assert not unusual(history(changed), latest, size_gib)


@given(st.lists(st.integers(0, 10**7), min_size=FEWEST, max_size=COMPARED), SIZES, st.data())
def test_the_usual_change_depends_on_no_order_and_has_one_limit(changed: list[int], size_gib: int, data: st.DataObject) -> None:
    most = most_usual(changed, size_gib)
    assert most is not None
    assert most_usual(data.draw(st.permutations(changed)), size_gib) == most
    assert most >= sorted(changed)[len(changed) // 2] or most >= size_gib * BLOCKS_PER_GIB // 10
    assert not unusual(history(changed), most, size_gib)
    assert unusual(history(changed), most + 1, size_gib)


@given(st.integers(1, 1000), st.data())
def test_a_volume_that_is_overwritten_is_found_unless_it_changes_by_halves(size_gib: int, data: st.DataObject) -> None:
    blocks = size_gib * BLOCKS_PER_GIB
    changed = data.draw(st.lists(st.integers(0, blocks // 8), min_size=FEWEST, max_size=KEPT))
    assert unusual(history(changed), blocks, size_gib)


@given(st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=2 * KEPT))
def test_a_history_keeps_the_newest_known_changes(changes: list[int | None]) -> None:
    kept = ChangeHistory("snap-0", START)
    for number, changed in enumerate(changes):
        kept = kept.after(f"snap-{number}", START + timedelta(days=number), changed)
    assert list(kept.changed) == [one for one in changes if one is not None][-KEPT:]


class Quiet(NamedTuple):
    """A fleet whose daily changes spread log-normally, with fewer at weekends and a larger one on one day a week."""

    usual: float
    """The largest usual change, as a share of the volume."""
    spread: float
    batch: int = 2
    """How many times the usual changes on that day."""
    volumes: int = 60


@pytest.mark.parametrize("fleet", [Quiet(0.03, 0.4, volumes=200), Quiet(0.05, 0.5), Quiet(0.05, 0.4, batch=4)])
def test_a_quiet_fleet_has_at_most_one_false_finding_a_month(fleet: Quiet) -> None:
    """The limit of smaller fleets is as much smaller. Each volume is overwritten in the end, which is found."""
    chance = random.Random(16)
    false_findings = 0
    for _ in range(fleet.volumes):
        size_gib = chance.choice((8, 30, 100, 500, 2000))
        usual, spread, batch = chance.uniform(0.0005, fleet.usual), chance.uniform(0.1, fleet.spread), chance.randrange(7)
        changes = ChangeHistory("", START)
        for day in range(365):
            share = usual * chance.lognormvariate(0, spread) * (fleet.batch if day % 7 == batch else 0.3 if day % 7 > 4 else 1)
            changed = int(min(share, 1) * size_gib * BLOCKS_PER_GIB)
            false_findings += unusual(changes, changed, size_gib)
            changes = changes.after("", START, changed)
        assert unusual(changes, int(0.9 * size_gib * BLOCKS_PER_GIB), size_gib)
    assert false_findings <= 12 * fleet.volumes / 200


def test_a_weekly_job_of_ten_times_the_usual_is_unusual_once() -> None:
    changes, found = history([]), []
    for day in range(90):
        changed = 10_000 if day % 7 == 6 and day > 30 else 1_000
        if unusual(changes, changed, size_gib=20):
            found.append(day)
        changes = changes.after("", START, changed)
    assert found == [34]
    assert unusual(changes, 20_001, size_gib=20)


def test_an_overwritten_volume_is_found_after_a_large_change_too() -> None:
    restored = history([10] * 20 + [70 * BLOCKS_PER_GIB])
    assert unusual(restored, 81 * BLOCKS_PER_GIB, size_gib=100)
    assert not unusual(restored, 79 * BLOCKS_PER_GIB, size_gib=100)


class Volume:
    """A volume whose snapshots are copied and compared, a day apart."""

    def __init__(self) -> None:
        self.world = ProvingWorld(size_gib=1, written=200)
        self.documents = MemoryDocuments()
        self.reader = self.world.blocks_of(PRIMARY)
        self.measure = MeasureChanges(documents=self.documents, blocks_of=lambda _: self.reader)

    def protect(self, first: int, count: int) -> str:
        self.world.write(first, count)
        self.world.clock.pause(86_400)
        copy = self.world.new_copy()
        self.world.verify(copy, STRUCTURE, changes=self.measure)
        return copy.origin.snapshot_id

    def quiet_days(self, days: int) -> None:
        for day in range(days):
            self.protect(day, 5 + day % 3)


def test_a_volume_overwritten_by_random_blocks_is_found() -> None:
    volume = Volume()
    volume.quiet_days(9)
    assert unusual_changes(volume.documents) == []
    source_id = volume.protect(0, 2000)
    (change,) = unusual_changes(volume.documents)
    assert (change.volume_id, change.snapshot_id, change.usual) == (volume.world.volume_id, source_id, 6)
    assert change.changed > 0.1 * BLOCKS_PER_GIB
    volume.quiet_days(2)
    assert newest_by_volume(unusual_changes(volume.documents)) == {volume.world.volume_id: change}


def test_a_copy_that_is_compared_again_changes_nothing() -> None:
    volume = Volume()
    volume.quiet_days(3)
    before = dict(volume.documents.documents)
    copy = volume.world.read(next(iter(volume.world.dr.describe_snapshots(OwnerIds=["self"])["Snapshots"]))["SnapshotId"])
    volume.world.verify(copy, STRUCTURE, changes=volume.measure)
    assert volume.documents.documents == before


def test_a_change_that_cannot_be_listed_is_not_known() -> None:
    volume = Volume()
    volume.quiet_days(8)
    for snapshot in volume.world.primary.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        volume.world.primary.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    volume.protect(0, 2000)
    assert unusual_changes(volume.documents) == []
    (document,) = volume.documents.documents.values()
    assert len(json.loads(document.text)["changed"]) == 7, "a change that is not known is compared with no other"


def test_the_last_point_before_an_unusual_change_is_marked() -> None:
    volume = Volume()
    volume.quiet_days(8)
    volume.protect(0, 2000)
    volume.quiet_days(1)
    (change,) = unusual_changes(volume.documents)
    reader = Ec2Reader(client=volume.world.dr, region=DR)
    (found,) = find_points({DR: reader}, Target(), volume.world.clock.now(), newest_by_volume([change]))
    before = found.before[volume.world.volume_id].point
    assert before is not None
    copies = sorted(reader.all_snapshots(), key=lambda copy: copy.origin.start_time)
    assert before == copies[-3]
    (line,) = [line for line in lines([found], volume.world.clock.now()) if "unusual" in line]
    assert change.snapshot_id in line
    assert line.endswith(f"the last point before it: {before.id} of {before.origin.start_time:%Y-%m-%d %H:%M} UTC")
    (point,) = as_data([found])[0]["owners"][0]["points"]
    assert point["unusual_change"]["last_point_before"]["snapshot_id"] == before.id


@pytest.mark.parametrize("key", ["", "proofs/unusual/", "proofs/unusual/us-east-1/vol-1/snap-1.json"])
def test_other_documents_are_no_changes(key: str) -> None:
    documents = MemoryDocuments()
    documents.put(key, "{}")
    assert unusual_changes(documents) == []
