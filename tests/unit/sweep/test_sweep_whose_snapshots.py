"""The sweep of a primary region leaves another system's snapshots alone and adopts history only with consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.sweep.findings import FindingKind, ProtectRepair, Repair, RetagRepair
from snapkeep.domain.sweep.primary import PrimaryFacts, decide_primary
from snapkeep.domain.tag_names import MANAGED, ORIGINAL_NAME, ORIGINAL_VOLUME, POLICY, SOURCE_VOLUME
from snapkeep.domain.tags import tags_for_snapshot
from support.lineages import REGION, SYSTEM, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICIES = PolicySet((Policy("gold", Selector(), Retention(keep_last=9)),))
VOLUME = Volume("vol-0a", REGION, 8, "gp3")


def tagged(one: Snapshot, *, system: str = SYSTEM, without: str = "") -> Snapshot:
    own = tags_for_snapshot(system, "gold", one.origin)
    return replace(one, tags={key: value for key, value in own.items() if key != without})


OURS = tagged(snapshot("2026-11-20T03:00", 1))
LATER = snapshot("2026-11-21T03:00", 2)


def found(
    *listed: Snapshot, adopt: bool = False, queued: Sequence[QueueEntry] = ()
) -> list[tuple[FindingKind, str, Repair | None]]:
    plan = plan_region(RegionFacts(REGION, [VOLUME], list(listed)), POLICIES, NOW, system=SYSTEM)
    facts = PrimaryFacts(
        system=SYSTEM,
        plan=plan,
        volumes={VOLUME.id: VOLUME},
        snapshots=listed,
        queued={entry.request.snapshot_in_region: entry for entry in queued},
        since=NOW - timedelta(days=30),
        adopt=adopt,
    )
    return [(finding.kind, finding.subject, finding.repair) for finding in decide_primary(facts, POLICIES, NOW).findings]


def test_another_systems_snapshot_is_left_alone_with_or_without_tags() -> None:
    theirs = tagged(LATER, system="another")
    for listed in (theirs, tagged(LATER, system="another", without=ORIGINAL_NAME)):
        assert found(OURS, listed) == [(FindingKind.OTHER_SYSTEM, LATER.id, None)]
        assert found(OURS, listed, adopt=True) == [(FindingKind.OTHER_SYSTEM, LATER.id, None)]
    assert [kind for kind, *_ in found(OURS, tagged(LATER, without=ORIGINAL_NAME))] == [FindingKind.TAGS_LOST]


def test_a_restored_volume_whose_tags_name_another_system_is_no_other_systems() -> None:
    restored = replace(LATER, tags={MANAGED: "another", SOURCE_VOLUME: "vol-0before"})
    assert [kind for kind, *_ in found(OURS, restored)] == [FindingKind.UNHANDLED]


def test_the_finding_and_the_verdict_name_the_other_system() -> None:
    theirs = tagged(LATER, system="another")
    plan = plan_region(RegionFacts(REGION, [VOLUME], [theirs]), POLICIES, NOW, system=SYSTEM)
    (verdict,) = plan.verdicts
    assert "'another'" in verdict.reasons[0].text
    facts = PrimaryFacts(system=SYSTEM, plan=plan, volumes={VOLUME.id: VOLUME}, snapshots=[theirs])
    (finding,) = decide_primary(facts, POLICIES, NOW).findings
    assert "'another'" in finding.text
    assert "renamed or destroyed" in finding.kind.advice


def test_a_snapshot_that_lost_its_system_and_policy_tags_is_repaired() -> None:
    """It was reported as one that the original system made, and left alone."""
    bare = tagged(LATER, without=MANAGED)
    bare = replace(bare, tags={key: value for key, value in bare.tags.items() if key != POLICY})
    assert found(OURS, bare) == [(FindingKind.TAGS_LOST, LATER.id, ProtectRepair(bare))]
    restored = replace(bare, tags=dict(bare.tags) | {SOURCE_VOLUME: "vol-0another"})
    assert [kind for kind, *_ in found(OURS, restored)] == [FindingKind.ADOPTABLE]


def test_the_original_systems_snapshots_are_adopted_only_with_consent() -> None:
    tags = {ORIGINAL_NAME: "vol-0a_2026", ORIGINAL_VOLUME: "vol-0a"}
    original = replace(LATER, tags=tags)
    assert found(OURS, original) == [(FindingKind.ADOPTABLE, LATER.id, None)]
    ((kind, subject, repair),) = found(OURS, original, adopt=True)
    assert (kind, subject) == (FindingKind.ADOPTABLE, LATER.id)
    assert isinstance(repair, RetagRepair)


def test_snapshots_as_old_as_the_first_protected_one_are_history() -> None:
    twin = snapshot(OURS.start_time, 2, managed=False)
    assert found(OURS, twin) == [(FindingKind.ADOPTABLE, twin.id, None)]
    later = snapshot(OURS.start_time + timedelta(milliseconds=1), 2, managed=False)
    assert [(kind, subject) for kind, subject, _ in found(OURS, later)] == [(FindingKind.UNHANDLED, later.id)]


def test_an_entry_of_another_regions_snapshot_is_no_orphan_of_this_one() -> None:
    gone = replace(OURS.origin, snapshot_id="snap-0gone")
    request = CopyRequest(gone, "gold", "us-east-2", "", NOW, 8, encrypted=False)
    entry = QueueEntry(request, EntryState.WAITING, NOW, NOW)
    elsewhere = replace(entry, request=replace(request, origin=replace(gone, region="eu-west-1")))
    assert found(OURS, queued=[entry]) == [(FindingKind.ENTRY_ORPHANED, "snap-0gone", None)]
    assert found(OURS, queued=[elsewhere]) == []


def test_a_volume_with_uncopyable_snapshots_is_one_finding() -> None:
    """Copies of snapshots in Local Zones and on Outposts were refused, and requested again each day, for ever."""
    policies = PolicySet((Policy("gold", Selector(), Retention(keep_last=1), (CopyRule("us-east-2"),)),))
    listed = [
        replace(tagged(snapshot(f"2026-11-2{day}T03:00", day)), not_copyable="it is on an Outpost, op-1") for day in range(1, 4)
    ]
    copies: dict[str, list[Snapshot]] = {"us-east-2": []}
    plan = plan_region(RegionFacts(REGION, [VOLUME], listed, copies_by_region=copies), policies, NOW, system=SYSTEM)
    facts = PrimaryFacts(
        system=SYSTEM,
        plan=plan,
        volumes={VOLUME.id: VOLUME},
        snapshots=listed,
        copies_by_region=copies,
        reachable=frozenset(copies),
    )
    decision = decide_primary(facts, policies, NOW)
    assert [(finding.kind, finding.subject) for finding in decision.findings] == [(FindingKind.NOT_COPYABLE, VOLUME.id)]
    assert decision.deletions == ()
