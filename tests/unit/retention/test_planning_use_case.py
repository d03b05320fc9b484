"""Planning over readers: one listing of each region, one look at what holds, and nothing written."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from snapkeep.domain.copies.known_copies import KnownCopies
from snapkeep.domain.model import LockState, Snapshot, SnapshotLock, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.tag_names import MANAGED
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.lineages import REGION, SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DR = "us-east-2"
LOCK = SnapshotLock(LockState.COMPLIANCE, datetime(2027, 1, 1, 3, tzinfo=UTC), 14)
PENDING_LOCK = SnapshotLock(LockState.GOVERNANCE, None, 14)
POLICIES = PolicySet((Policy("gold", Selector(), Retention(keep_last=1), (CopyRule(DR),)),))
SOURCES = [snapshot(f"2026-11-{day}T03:00", day) for day in (21, 22, 23)]


@dataclass
class CountingReader:
    """A reader that records its reads. It has no method that writes."""

    region: str
    listed: list[Snapshot]
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    locked: dict[str, SnapshotLock] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def all_volumes(self) -> Iterator[Volume]:
        self.reads.append("volumes")
        return iter([Volume("vol-0a", REGION, 8, "gp3")] if self.region == REGION else [])

    def all_snapshots(self) -> Iterator[Snapshot]:
        self.reads.append("snapshots")
        return iter(self.listed)

    def images_using(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        self.reads.append("images")
        return {snapshot_id: self.images[snapshot_id] for snapshot_id in snapshot_ids if snapshot_id in self.images}

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        self.reads.append("locks")
        return {snapshot_id: self.locked[snapshot_id] for snapshot_id in snapshot_ids if snapshot_id in self.locked}


def plans(primary: CountingReader, dr: CountingReader) -> list[dict[str, tuple[str, list[str]]]]:
    readers = [primary, dr]
    made = make_plans(readers, gather_all_facts(primary, [dr]), {REGION: POLICIES, DR: POLICIES}, NOW, system=SYSTEM)
    return [{v.snapshot.id: (v.action.value, [reason.text for reason in v.reasons]) for v in plan.verdicts} for plan in made]


def test_each_region_and_its_holds_are_read_once() -> None:
    primary = CountingReader(REGION, SOURCES)
    dr = CountingReader(DR, [copy_of(source, DR, number) for number, source in enumerate(SOURCES, start=1)])
    plans(primary, dr)
    assert primary.reads == ["volumes", "snapshots", "locks", "images"]
    assert dr.reads == ["snapshots", "locks", "images"]


def test_a_kept_snapshot_shows_its_image_and_its_lock_too() -> None:
    newest = SOURCES[2]
    primary = CountingReader(REGION, [newest], images={newest.id: ("ami-1",)}, locked={newest.id: PENDING_LOCK})
    made, _ = plans(primary, CountingReader(DR, [copy_of(newest, DR, 1)]))
    assert made[newest.id] == ("keep", ["newest", "last 1 of 1", "in use by ami-1", PENDING_LOCK.text])


def test_holds_of_a_region_without_snapshots_are_not_read() -> None:
    dr = CountingReader(DR, [])
    plans(CountingReader(REGION, SOURCES[:1]), dr)
    assert dr.reads == ["snapshots"]


def test_images_and_locks_hold_with_their_names() -> None:
    primary = CountingReader(REGION, SOURCES, images={SOURCES[0].id: ("ami-1",)}, locked={SOURCES[1].id: LOCK})
    made, _ = plans(primary, CountingReader(DR, [copy_of(SOURCES[2], DR, 1)]))
    assert made[SOURCES[0].id] == ("keep", ["in use by ami-1"])
    assert made[SOURCES[1].id] == ("keep", [f"{LOCK.text}, at most 0.52 USD until then"])


def test_a_pending_copy_in_the_listing_counts_as_waiting() -> None:
    pending = copy_of(SOURCES[1], DR, 2, state=SnapshotState.PENDING)
    made, _ = plans(CountingReader(REGION, SOURCES), CountingReader(DR, [copy_of(SOURCES[2], DR, 1), pending]))
    assert made[SOURCES[1].id] == ("keep", ["held: its copy to us-east-2 is waiting or running"])
    assert made[SOURCES[0].id][0] == "delete"


def test_a_pending_copy_of_another_system_holds_no_source() -> None:
    pending = copy_of(SOURCES[1], DR, 2, state=SnapshotState.PENDING)
    theirs = replace(pending, tags={**pending.tags, MANAGED: "other"})
    made, _ = plans(CountingReader(REGION, SOURCES), CountingReader(DR, [copy_of(SOURCES[2], DR, 1), theirs]))
    assert made[SOURCES[1].id][0] == "delete"


def test_own_snapshots_of_a_dr_region_are_no_part_of_its_plan() -> None:
    own = [snapshot(f"2026-11-{day}T03:00", 90 + day, region=DR, volume="vol-0d") for day in (21, 22)]
    _, made = plans(CountingReader(REGION, SOURCES), CountingReader(DR, [copy_of(SOURCES[2], DR, 1), *own]))
    assert len(made) == 1


def test_a_plan_names_deletions_that_follow_its_copies() -> None:
    """Adoption of history showed no deletion, for missing copies held all; the sweeps made them, and retention deleted."""
    history = [replace(source, tags={}) for source in SOURCES]
    readers = [CountingReader(REGION, history), CountingReader(DR, [])]
    facts = gather_all_facts(readers[0], readers[1:])
    primary, dr = make_plans(readers, facts, {REGION: POLICIES, DR: POLICIES}, NOW, system=SYSTEM, adopt=True)
    assert primary.deletions == []
    assert [verdict.snapshot.id for verdict in primary.deletions_after_copies] == [SOURCES[0].id, SOURCES[1].id]
    assert dr.deletions_after_copies == ()


def test_a_plan_names_deletions_that_wait_for_newer_copies() -> None:
    copies = [copy_of(SOURCES[0], DR, 1), copy_of(SOURCES[1], DR, 2, state=SnapshotState.PENDING)]
    policies = PolicySet((replace(POLICIES.policies[0], copies=(CopyRule(DR, retention=Retention(keep_last=1)),)),))
    readers = [CountingReader(REGION, SOURCES), CountingReader(DR, copies)]
    facts = gather_all_facts(readers[0], readers[1:], {DR: KnownCopies(frozenset({(SOURCES[1].id, DR)}))})
    primary, dr = make_plans(readers, facts, {REGION: policies, DR: policies}, NOW, system=SYSTEM)
    assert [verdict.snapshot.id for verdict in primary.deletions] == [SOURCES[0].id]
    assert [verdict.snapshot.id for verdict in primary.deletions_after_copies] == [SOURCES[1].id]
    assert [verdict.snapshot.id for verdict in dr.deletions_after_copies] == [copy.id for copy in copies]


def test_a_copy_that_failed_holds_its_source_also_later() -> None:
    failed = copy_of(SOURCES[2], DR, 1, state=SnapshotState.ERROR)
    readers = [CountingReader(REGION, SOURCES[1:]), CountingReader(DR, [failed])]
    facts = gather_all_facts(readers[0], readers[1:])
    policies = PolicySet((replace(POLICIES.policies[0], copies=(CopyRule(DR, retention=Retention(keep_last=1)),)),))
    primary, _ = make_plans(readers, facts, {REGION: policies, DR: policies}, NOW, system=SYSTEM)
    assert primary.deletions_after_copies == ()
