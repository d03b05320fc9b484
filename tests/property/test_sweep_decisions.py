"""A sweep repairs each finding once, by steps of the event-driven path, and decides about nothing that is not its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.domain.copies.entry import NOT_STARTED, EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin, Snapshot, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.sweep.dr import DrFacts, decide_dr
from snapkeep.domain.sweep.findings import EnqueueRepair, ProtectRepair, ReceiveRepair, RetagRepair, SweepDecision
from snapkeep.domain.sweep.primary import PrimaryFacts, decide_primary
from snapkeep.domain.tag_names import MANAGED, ORIGINAL_NAME, ORIGINAL_VOLUME, SOURCE_VOLUME
from snapkeep.domain.tags import tags_for_copy, tags_for_snapshot

SYSTEM, PRIMARY, DR = "snapkeep", "us-east-1", "us-east-2"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
RULE = CopyRule(DR, retention=Retention(keep_last=2), copy_within=timedelta(hours=24))
GOLD = Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=3), (RULE,))
POLICIES = PolicySet((GOLD,), Limits(max_deletions=1000, max_share_percent=100))
VOLUMES = ("vol-00000001", "vol-00000002", "vol-00000003")
VOLUME_3_HAS_NO_TAG = [
    Volume(volume_id, PRIMARY, 8, "gp3", tags={"Backup": "gold"} if volume_id != VOLUMES[2] else {}) for volume_id in VOLUMES
]


@st.composite
def sources(draw: st.DrawFn, number: int) -> Snapshot:
    volume = draw(st.sampled_from((*VOLUMES, "vol-0000dead")))
    start = NOW - timedelta(hours=draw(st.integers(1, 400)))
    snapshot_id = f"snap-{number:08x}"
    origin = Origin(PRIMARY, volume, snapshot_id, start)
    own = tags_for_snapshot(SYSTEM, "gold", origin)
    kind = draw(st.sampled_from(("managed", "managed", "bare", "lost", "another system's", "original")))
    tags = {
        "managed": own,
        "bare": {"Name": "x"},
        "lost": {key: value for key, value in own.items() if key != MANAGED},
        "another system's": own | {MANAGED: "another"},
        "original": {ORIGINAL_NAME: own[ORIGINAL_NAME], ORIGINAL_VOLUME: volume},
    }[kind]
    state = draw(st.sampled_from((SnapshotState.COMPLETED,) * 4 + (SnapshotState.PENDING, SnapshotState.ERROR)))
    return Snapshot(snapshot_id, PRIMARY, state, start, origin, 8, tags=tags)


@st.composite
def copies(draw: st.DrawFn, of: list[Snapshot]) -> list[Snapshot]:
    made = []
    for number, source in enumerate(of):
        for twin in range(draw(st.sampled_from((0, 0, 1, 1, 1, 2)))):
            tags = tags_for_copy(SYSTEM, "gold", source.origin) if draw(st.integers(0, 9)) else {}
            state = draw(st.sampled_from((SnapshotState.COMPLETED,) * 3 + (SnapshotState.PENDING, SnapshotState.ERROR)))
            copy_id = f"snap-c{number:04x}{twin:03x}"
            start = source.start_time + timedelta(minutes=twin)
            origin = source.origin if tags else Origin(DR, "vol-ffffffff", copy_id, start)
            made.append(Snapshot(copy_id, DR, state, start, origin, 8, tags=tags, is_copy=True))
    return made


@st.composite
def entries(draw: st.DrawFn, of: list[Snapshot], made: list[Snapshot]) -> list[QueueEntry]:
    found = []
    for source in of:
        state = draw(st.sampled_from((None, None, *EntryState)))
        if state is None:
            continue
        mine = [copy.id for copy in made if copy.origin.snapshot_id == source.id]
        request = CopyRequest(
            source.origin,
            "gold",
            DR,
            "",
            source.start_time,
            8,
            encrypted=False,
            tags=tags_for_copy(SYSTEM, "gold", source.origin),
        )
        copy_id = mine[0] if mine else "snap-0000dead"
        changed_at = NOW - timedelta(hours=draw(st.integers(0, 48)))
        found.append(
            QueueEntry(request, state, changed_at, changed_at, copy_id="" if state in NOT_STARTED else copy_id, cause="a cause")
        )
    return found


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Snapshot], list[Snapshot], list[QueueEntry]]:
    listed = [draw(sources(number)) for number in range(draw(st.integers(0, 12)))]
    managed = [snapshot for snapshot in listed if snapshot.managed_by(SYSTEM) and snapshot.completed]
    made = draw(copies(managed))
    return listed, made, draw(entries(managed, made))


World = tuple[list[Snapshot], list[Snapshot], list[QueueEntry]]


def primary(world: World, *, adopt: bool = False, reachable: bool = True) -> SweepDecision:
    listed, made, queued = world
    unfinished = (
        {entry.request.snapshot_in_region: entry for entry in queued if entry.state is not EntryState.DONE} if reachable else {}
    )
    listings = {DR: made} if reachable else {}
    waiting = frozenset(place for place, one in unfinished.items() if one.is_open)
    waiting |= {(copy.origin.snapshot_id, DR) for copy in made if copy.state is SnapshotState.PENDING}
    facts = RegionFacts(PRIMARY, VOLUME_3_HAS_NO_TAG, listed, listings, waiting)
    plan = plan_region(facts, POLICIES, NOW, system=SYSTEM)
    return decide_primary(
        PrimaryFacts(
            system=SYSTEM,
            plan=plan,
            volumes={volume.id: volume for volume in VOLUME_3_HAS_NO_TAG},
            snapshots=listed,
            copies_by_region=listings,
            queued=unfinished,
            reachable=frozenset(listings),
            since=NOW - timedelta(hours=300),
            adopt=adopt,
        ),
        POLICIES,
        NOW,
    )


def dr(world: World) -> SweepDecision:
    _, made, queued = world
    plan = plan_region(RegionFacts(DR, (), made), POLICIES, NOW, system=SYSTEM)
    return decide_dr(
        DrFacts(
            system=SYSTEM,
            plan=plan,
            snapshots=made,
            queued=[entry for entry in queued if entry.state is not EntryState.DONE],
            done=[entry for entry in queued if entry.state is EntryState.DONE],
        ),
        POLICIES,
    )


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_only_managed_snapshots_are_deleted_and_the_newest_of_a_volume_never(world: World) -> None:
    for decision, listed in ((primary(world), world[0]), (dr(world), world[1])):
        for verdict in decision.deletions:
            assert verdict.snapshot.managed_by(SYSTEM)
            assert verdict.snapshot.completed
        gone = {verdict.snapshot.id for verdict in decision.deletions}
        counted = [snapshot for snapshot in listed if snapshot.managed_by(SYSTEM) and snapshot.completed]
        for lineage in {snapshot.origin.lineage for snapshot in counted}:
            members = [snapshot for snapshot in counted if snapshot.origin.lineage == lineage]
            newest = max(snapshot.origin.start_time for snapshot in members)
            assert [snapshot for snapshot in members if snapshot.origin.start_time == newest and snapshot.id not in gone]


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_without_consent_no_history_is_touched_and_nothing_of_another_system(world: World) -> None:
    by_id = {snapshot.id: snapshot for snapshot in world[0]}
    for finding in primary(world).findings:
        assert not isinstance(finding.repair, RetagRepair)
        if isinstance(finding.repair, ProtectRepair):
            snapshot = by_id[finding.repair.snapshot.id]
            assert snapshot.completed
            assert snapshot.tags.get(MANAGED) in (None, SYSTEM)
            assert snapshot.start_time >= NOW - timedelta(hours=300) or SOURCE_VOLUME in snapshot.tags
            assert snapshot.origin.volume_id != VOLUMES[2] or "Backup" in snapshot.tags


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_a_copy_is_requested_only_where_none_exists_or_is_in_progress(world: World) -> None:
    _, made, queued = world
    alive = {
        copy.origin.snapshot_id for copy in made if copy.tags and copy.state in (SnapshotState.PENDING, SnapshotState.COMPLETED)
    }
    under_way = {entry.request.origin.snapshot_id for entry in queued if entry.is_open}
    requested = [finding.repair.snapshot.id for finding in primary(world).findings if isinstance(finding.repair, EnqueueRepair)]
    assert len(requested) == len(set(requested))
    assert not set(requested) & (alive | under_way)


def test_a_copy_in_progress_is_not_requested_again() -> None:
    start = NOW - timedelta(hours=30)
    sources = []
    for number in range(2):
        origin = Origin(PRIMARY, VOLUMES[0], f"snap-{number:08x}", start)
        tags = tags_for_snapshot(SYSTEM, "gold", origin)
        sources.append(Snapshot(origin.snapshot_id, PRIMARY, SnapshotState.COMPLETED, start, origin, 8, tags=tags))
    newest = sources[1]
    tags = tags_for_copy(SYSTEM, "gold", newest.origin)
    copy = Snapshot("snap-c0001000", DR, SnapshotState.PENDING, start, newest.origin, 8, tags=tags, is_copy=True)
    request = CopyRequest(newest.origin, "gold", DR, "", start, 8, encrypted=False, tags=tags)
    failed = QueueEntry(request, EntryState.FAILED, NOW, NOW - timedelta(days=2), copy_id=copy.id, cause="an old cause")
    requested = [
        finding.repair.snapshot.id
        for finding in primary((sources, [copy], [failed])).findings
        if isinstance(finding.repair, EnqueueRepair)
    ]
    assert newest.id not in requested


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_about_a_region_out_of_reach_nothing_is_concluded(world: World) -> None:
    decision = primary(world, reachable=False)
    assert not [finding for finding in decision.findings if isinstance(finding.repair, EnqueueRepair)]
    assert decision.deletions == ()


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_every_end_that_the_queue_has_not_seen_is_received_once(world: World) -> None:
    _, made, queued = world
    states = {copy.id: copy.state for copy in made}
    ended = {
        entry.copy_id
        for entry in queued
        if entry.state is EntryState.RUNNING and states.get(entry.copy_id) is not SnapshotState.PENDING
    }
    failed = {copy.id for copy in made if copy.managed_by(SYSTEM) and copy.state is SnapshotState.ERROR}
    received = [finding.repair.ended.copy_id for finding in dr(world).findings if isinstance(finding.repair, ReceiveRepair)]
    assert set(received) == ended | failed
    assert all(
        copy_id in failed
        or received.count(copy_id) == sum(entry.copy_id == copy_id and entry.state is EntryState.RUNNING for entry in queued)
        for copy_id in received
    )


@settings(max_examples=200, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_a_listing_does_not_matter(world: World, dice: object) -> None:
    shuffled = (list(world[0]), list(world[1]), world[2])
    for one in shuffled[:2]:
        dice.shuffle(one)  # type: ignore[attr-defined]
    assert primary(shuffled).findings == primary(world).findings
    assert {one.snapshot.id for one in dr(shuffled).deletions} == {one.snapshot.id for one in dr(world).deletions}
