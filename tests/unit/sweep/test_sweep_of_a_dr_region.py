"""Findings of a DR region's sweep: missed ends of copies, failed copies, lost tags, adoptable copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.events import CopyEndEvent
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.sweep.dr import DrFacts, decide_dr
from snapkeep.domain.sweep.findings import FindingKind, ReceiveRepair, Repair, RetagRepair, SweepDecision
from snapkeep.domain.tag_names import MANAGED, ORIGINAL_NAME, ORIGINAL_REGION, ORIGINAL_VOLUME, POLICY, SOURCE_VOLUME
from snapkeep.domain.tags import tags_for_copy
from support.lineages import SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DR = "us-east-2"
POLICIES = PolicySet((Policy("gold", Selector(), Retention(keep_last=1), (CopyRule(DR, retention=Retention(keep_last=1)),)),))
ALONE = PolicySet((Policy("gold", Selector(), Retention(keep_last=1)),))
SOURCE = snapshot("2026-11-20T03:00", 1)


def tagged(one: Snapshot, *, without: str = "", **changed: str) -> Snapshot:
    had = tags_for_copy(SYSTEM, "gold", one.origin)
    return replace(one, tags={key: value for key, value in had.items() if key != without} | changed)


def copy(number: int = 1, state: SnapshotState = SnapshotState.COMPLETED, message: str = "") -> Snapshot:
    return replace(tagged(copy_of(SOURCE, DR, number, state=state)), state_message=message)


def entry(state: EntryState, copy_id: str, **carried: str) -> QueueEntry:
    tags = tags_for_copy(SYSTEM, "gold", SOURCE.origin) | carried
    return QueueEntry(
        CopyRequest(SOURCE.origin, "gold", DR, "", NOW, 8, encrypted=False, tags=tags), state, NOW, NOW, copy_id=copy_id
    )


def decided(*listed: Snapshot, policies: PolicySet = POLICIES, **facts: Any) -> SweepDecision:
    plan = plan_region(RegionFacts(DR, (), listed), policies, NOW, system=SYSTEM)
    return decide_dr(DrFacts(system=SYSTEM, plan=plan, snapshots=listed, **facts), policies)


def found(*listed: Snapshot, **facts: Any) -> Sequence[tuple[FindingKind, str, Repair | None]]:
    return [(finding.kind, finding.subject, finding.repair) for finding in decided(*listed, **facts).findings]


def received(copy_id: str, cause: str = "") -> ReceiveRepair:
    return ReceiveRepair(CopyEndEvent(copy_id, DR, SOURCE.id, SOURCE.region, succeeded=not cause, cause=cause))


@pytest.mark.parametrize(
    ("listed", "cause"),
    [
        ([copy()], ""),
        ([copy(state=SnapshotState.ERROR, message="no key")], "failed: no key"),
        ([copy(state=SnapshotState.ERROR)], "failed: no message"),
        ([copy(2)], "was deleted"),
    ],
    ids=["completed", "failed", "failed in silence", "gone"],
)
def test_a_missed_end_of_a_copy_is_received_once(listed: list[Snapshot], cause: str) -> None:
    running = entry(EntryState.RUNNING, copy().id)
    assert found(*listed, queued=[running]) == [(FindingKind.COPY_UNSEEN, SOURCE.id, received(copy().id, cause))]


@pytest.mark.parametrize(
    "queued",
    [
        entry(EntryState.RUNNING, copy().id),
        entry(EntryState.RUNNING, ""),
        entry(EntryState.WAITING, ""),
        entry(EntryState.FAILED, "snap-0gone"),
    ],
    ids=["under way", "without a copy", "to come", "failed"],
)
def test_a_pending_copy_is_no_missed_end(queued: QueueEntry) -> None:
    assert found(copy(state=SnapshotState.PENDING), queued=[queued]) == []


def test_only_our_failed_copies_are_removed() -> None:
    failed = copy(state=SnapshotState.ERROR, message="no key")
    theirs = replace(copy(2, SnapshotState.ERROR), tags={MANAGED: "another"})
    own = tagged(snapshot("2026-11-21T03:00", 3, region=DR, state=SnapshotState.ERROR))
    assert found(failed, theirs, own) == [(FindingKind.FAILED_COPY, failed.id, received(failed.id, "no key"))]


@pytest.mark.parametrize("key", sorted(tags_for_copy(SYSTEM, "gold", SOURCE.origin)))
def test_each_own_tag_that_a_finished_copy_lost_is_written_again(key: str) -> None:
    bare = tagged(copy(), without=key)
    had = tags_for_copy(SYSTEM, "gold", SOURCE.origin)
    lost = (FindingKind.TAGS_LOST, bare.id, RetagRepair(bare.id, {key: had[key]}))
    assert lost in found(bare, done=[entry(EntryState.DONE, bare.id)])


def test_people_may_change_a_copys_system_and_policy_but_not_its_origin() -> None:
    done = [entry(EntryState.DONE, copy().id)]
    both = replace(POLICIES, policies=(*POLICIES.policies, replace(POLICIES.policies[0], name="silver")))
    for key, value in ((POLICY, "silver"), (MANAGED, "another")):
        assert found(tagged(copy(), **{key: value}), policies=both, done=done) == []
    moved = tagged(copy(), **{SOURCE_VOLUME: "vol-0else"})
    repair = RetagRepair(moved.id, {SOURCE_VOLUME: SOURCE.origin.volume_id})
    assert found(moved, done=done) == [(FindingKind.TAGS_LOST, moved.id, repair)]


def test_only_our_tags_are_restored_and_only_on_completed_copies() -> None:
    assert found(copy(), done=[entry(EntryState.DONE, copy().id, Name="web")]) == []
    for state in (SnapshotState.PENDING, SnapshotState.ERROR):
        kinds = {kind for kind, *_ in found(tagged(copy(state=state), without=POLICY), done=[entry(EntryState.DONE, copy().id)])}
        assert FindingKind.TAGS_LOST not in kinds


def original(number: int = 1, **changes: Any) -> Snapshot:
    tags = {ORIGINAL_NAME: "vol-0a_2026", ORIGINAL_VOLUME: "vol-0a", ORIGINAL_REGION: SOURCE.region}
    return replace(copy(number), tags=tags, **changes)


def test_the_original_systems_copy_is_adopted_with_consent_and_policy() -> None:
    assert found(original()) == [(FindingKind.ADOPTABLE, original().id, None)]
    repair = RetagRepair(original().id, tags_for_copy(SYSTEM, "gold", SOURCE.origin))
    assert found(original(), adopt=True) == [(FindingKind.ADOPTABLE, original().id, repair)]
    assert found(original(), policies=ALONE, adopt=True) == []


@pytest.mark.parametrize("state", [SnapshotState.PENDING, SnapshotState.ERROR])
def test_the_original_systems_pending_copy_is_not_adopted(state: SnapshotState) -> None:
    assert found(original(state=state), adopt=True) == []


def test_snapshots_of_local_volumes_are_not_adopted_as_copies() -> None:
    own = original(origin=Origin(DR, "vol-0a", original().id, SOURCE.start_time))
    assert found(own, adopt=True) == []


def test_the_sweep_deletes_copies_past_retention_and_no_snapshots_of_local_volumes() -> None:
    newer = tagged(copy_of(snapshot("2026-11-21T03:00", 2), DR, 2))
    own = [snapshot(f"2026-11-{day}T03:00", day, region=DR) for day in (20, 21)]
    assert [verdict.snapshot.id for verdict in decided(copy(), newer, *own).deletions] == [copy().id]
    assert decided(*own, policies=ALONE).deletions == ()


def test_the_dr_sweep_reports_an_unknown_policy_of_copies_only() -> None:
    bronze = snapshot("2026-11-21T03:00", 2, policy="bronze")
    assert [(kind, subject) for kind, subject, _ in found(copy_of(bronze, DR, 2))] == [(FindingKind.POLICY_PROBLEM, "vol-0a")]
    assert found(replace(bronze, region=DR, origin=replace(bronze.origin, region=DR))) == []
