"""The time when a snapshot is due: snapshots by any principal count, and the RPO includes the duration of copies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.creation.batch import DueVolume, choose
from snapkeep.domain.creation.due_times import AFTER_FAILURE, SLACK, may_be_due, next_due
from snapkeep.domain.model import NEVER, Snapshot, SnapshotState, Volume, VolumeRole
from snapkeep.domain.policy.model import CONSISTENT_VOLUME, CopyRule, Policy, Retention, Selector, SnapshotRule
from snapkeep.domain.tag_names import MADE
from support.flows import DR
from support.lineages import VOLUME, snapshot

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
WEB = Volume(VOLUME, "us-east-1", 8, "gp3")
BY_RPO = SnapshotRule(when="rpo")


def policy(
    rule: SnapshotRule | None = BY_RPO, *copies: CopyRule, rpo: timedelta = 8 * HOUR, consistent: str = "instance"
) -> Policy:
    return Policy("gold", Selector(), Retention(keep_last=3), copies, rpo, snapshots=rule, consistent=consistent)


def started(hours_ago: float, number: int = 1, *, took: timedelta | None = None, **more: object) -> Snapshot:
    start = NOW - timedelta(hours=hours_ago)
    return replace(snapshot(start, number, managed=False), completed_at=start + took if took else None, **more)  # type: ignore[arg-type]


def copy_of(source: Snapshot, took: timedelta) -> Snapshot:
    return replace(source, id=f"{source.id}c", region=DR, is_copy=True, completed_at=source.start_time + took)


def test_a_policy_without_snapshots_makes_none() -> None:
    assert next_due(WEB, policy(None), [], {}, NOW) is None


@pytest.mark.parametrize("rule", [BY_RPO, SnapshotRule(every=4 * HOUR), SnapshotRule(cron="0 3 * * ? *")])
def test_a_volume_without_a_snapshot_is_due_at_once(rule: SnapshotRule) -> None:
    failed = started(2, state=SnapshotState.ERROR)
    assert next_due(WEB, policy(rule), [], {}, NOW) == NEVER
    assert next_due(WEB, policy(rule), [failed], {}, NOW) == NEVER


def test_a_snapshot_is_due_before_its_copy_would_be_too_late() -> None:
    copies = {DR: [copy_of(started(hours, hours), timedelta(minutes=10 * hours)) for hours in range(1, 6)]}
    due = next_due(WEB, policy(BY_RPO, CopyRule(DR)), [started(1)], copies, NOW)
    assert due == NOW - HOUR + 8 * HOUR - timedelta(minutes=50) - SLACK


def test_one_late_copy_of_twenty_is_no_measure() -> None:
    copies = [copy_of(started(hours, hours), timedelta(minutes=10)) for hours in range(1, 20)]
    copies.append(copy_of(started(20, 20), 40 * HOUR))
    due = next_due(WEB, policy(BY_RPO, CopyRule(DR)), [started(1)], {DR: copies}, NOW)
    assert due == NOW + 7 * HOUR - timedelta(minutes=10) - SLACK


def test_long_copies_leave_at_least_half_of_the_rpo() -> None:
    copies = {DR: [copy_of(started(20, 5), 9 * HOUR)]}
    assert next_due(WEB, policy(BY_RPO, CopyRule(DR)), [started(1)], copies, NOW) == NOW + 3 * HOUR


def test_of_several_regions_the_slowest_decides() -> None:
    both = policy(BY_RPO, CopyRule(DR), CopyRule("eu-west-1"))
    copies = {DR: [copy_of(started(5, 5), 2 * HOUR)], "eu-west-1": [copy_of(started(5, 5), HOUR)]}
    for listed in (copies, dict(zip(copies, reversed(copies.values()), strict=True))):
        assert next_due(WEB, both, [started(1)], listed, NOW) == NOW - HOUR + 6 * HOUR - SLACK


def test_without_copies_the_time_of_snapshots_counts() -> None:
    due = next_due(WEB, policy(), [started(1, took=timedelta(minutes=30))], {}, NOW)
    assert due == NOW + 7 * HOUR - timedelta(minutes=30) - SLACK


@pytest.mark.parametrize("state", [SnapshotState.PENDING, SnapshotState.COMPLETED])
def test_a_snapshot_by_any_principal_counts(state: SnapshotState) -> None:
    assert next_due(WEB, policy(SnapshotRule(every=4 * HOUR)), [started(1, state=state)], {}, NOW) == NOW + 2.5 * HOUR


@pytest.mark.parametrize("rule", [BY_RPO, SnapshotRule(every=4 * HOUR)])
def test_working_material_of_other_tools_does_not_count(rule: SnapshotRule) -> None:
    copies_all = policy(rule, CopyRule(DR))
    backup, material = started(7.5, 1), started(0.2, 2, tags={"AWSElasticDisasterRecoveryManaged": ""})
    alone = next_due(WEB, copies_all, [backup], {}, NOW)
    assert alone is not None
    assert alone <= NOW
    assert next_due(WEB, copies_all, [backup, material], {}, NOW) == alone
    assert may_be_due(copies_all, [backup, material], NOW)


def test_for_copies_others_snapshots_that_ec2_does_not_copy_do_not_count() -> None:
    local = started(0.2, 2, not_copyable="it is in a Local Zone")
    assert next_due(WEB, policy(BY_RPO, CopyRule(DR)), [local], {}, NOW) == NEVER
    due = next_due(WEB, policy(BY_RPO), [local], {}, NOW)
    assert due is not None
    assert due > NOW
    # The system's own do, or it would make one at each tick.
    own = next_due(WEB, policy(BY_RPO, CopyRule(DR)), [replace(local, tags={MADE: "now"})], {}, NOW)
    assert own is not None
    assert own > NOW


def test_of_a_period_without_a_snapshot_one_is_due_since_its_beginning() -> None:
    rule = SnapshotRule(every=4 * HOUR, timezone="Asia/Kathmandu")
    assert next_due(WEB, policy(rule), [started(6)], {}, NOW) == datetime(2026, 11, 20, 6, 15, tzinfo=UTC)


def test_a_moment_of_the_expression_makes_one_due() -> None:
    rule = SnapshotRule(cron="0 3,9 * * ? *")
    assert next_due(WEB, policy(rule), [started(6)], {}, NOW) == NOW - HOUR / 2
    assert next_due(WEB, policy(rule), [started(0.2)], {}, NOW) == NOW + 17.5 * HOUR


def test_a_snapshot_that_would_not_be_copied_is_not_made() -> None:
    """Of a day's snapshots one is copied: another one in the same day cannot help."""
    daily = CopyRule(DR, every=timedelta(days=1))
    long_ago = {DR: [copy_of(started(hours, hours), 5 * HOUR) for hours in (30, 60)]}
    due = next_due(WEB, policy(BY_RPO, daily, rpo=30 * HOUR), [started(9)], long_ago, NOW)
    assert due == datetime(2026, 11, 21, 0, 30, tzinfo=UTC)  # 00:00 + 30 h - 5 h - 30 min
    short = next_due(WEB, policy(BY_RPO, daily, rpo=25 * HOUR), [started(9)], long_ago, NOW)
    assert short == datetime(2026, 11, 21, 0, 0, tzinfo=UTC)


def test_the_system_waits_after_its_own_failure() -> None:
    failed = started(0.1, 2, state=SnapshotState.ERROR, tags={MADE: "now"})
    assert next_due(WEB, policy(SnapshotRule(every=4 * HOUR)), [started(6), failed], {}, NOW) == failed.start_time + AFTER_FAILURE
    others = replace(failed, tags={})
    assert next_due(WEB, policy(SnapshotRule(every=4 * HOUR)), [started(6), others], {}, NOW) == NOW - 1.5 * HOUR


def test_history_is_read_only_where_it_could_matter() -> None:
    assert not may_be_due(policy(), [started(3.9)], NOW)
    assert may_be_due(policy(), [started(4)], NOW)
    assert may_be_due(policy(), [], NOW)
    assert may_be_due(policy(BY_RPO, CopyRule(DR, every=4 * HOUR)), [started(1)], NOW)


def volume(number: int, *, instance: str = "", role: VolumeRole = VolumeRole.UNATTACHED, kind: str = "gp3") -> Volume:
    return Volume(f"vol-{number:04x}", "us-east-1", 8, kind, role=role, instance_ids=(instance,) if instance else ())


def due(*volumes: Volume, consistent: str = "instance") -> list[DueVolume]:
    chosen = policy(consistent=consistent)
    return [DueVolume(item, chosen, NOW - HOUR * (10 - number)) for number, item in enumerate(volumes)]


def pending(of: Volume, number: int, *, ours: bool = False, hours_ago: float = 1) -> Snapshot:
    made = started(hours_ago, number, state=SnapshotState.PENDING, tags={MADE: "x"} if ours else {})
    return replace(made, origin=replace(made.origin, volume_id=of.id))


def started_ids(
    waiting: list[DueVolume], volumes: list[Volume], snapshots: list[Snapshot], **more: object
) -> list[tuple[str, ...]]:
    given = {"intentions": {}, "now": NOW, "quota": 100_000} | more
    return [creation.volume_ids for creation in choose(waiting, volumes, snapshots, **given).creations]  # type: ignore[arg-type]


def test_volumes_of_one_instance_are_one_set() -> None:
    root, data, other = volume(1, instance="i-1", role=VolumeRole.ROOT), volume(2, instance="i-1"), volume(3, instance="i-1")
    waiting = due(data, other)
    (creation,) = choose(waiting, [root, data, other], [], {}, NOW, quota=1000).creations
    assert (creation.volume_ids, creation.instance_id, creation.exclude_root) == ((data.id, other.id), "i-1", True)
    assert creation.excluded_ids == ()
    assert started_ids(due(root), [root, data, other], []) == [(root.id,)]
    assert started_ids(due(data, other, consistent=CONSISTENT_VOLUME), [root, data, other], []) == [(data.id,), (other.id,)]


def test_a_set_with_too_many_exclusions_is_made_one_by_one() -> None:
    chosen = [volume(number, instance="i-1") for number in range(2)]
    others = [volume(100 + number, instance="i-1") for number in range(41)]
    assert started_ids(due(*chosen), [*chosen, *others], []) == [(chosen[0].id,), (chosen[1].id,)]


def test_a_volume_of_several_instances_is_in_no_set() -> None:
    shared = replace(volume(1), instance_ids=("i-1", "i-2"))
    others = [volume(2, instance="i-1"), volume(3, instance="i-1")]
    assert started_ids(due(shared, *others), [shared, *others], []) == [(shared.id,), (others[0].id, others[1].id)]


def test_pending_copies_take_no_place() -> None:
    one = volume(1, kind="st1")
    copies = [replace(pending(one, number, ours=True, hours_ago=0), is_copy=True) for number in range(90)]
    assert started_ids(due(one), [one], copies) == [(one.id,)]


def test_at_most_one_own_snapshot_is_pending() -> None:
    one = volume(1)
    assert started_ids(due(one), [one], [pending(one, 1, ours=True)]) == []
    assert started_ids(due(one), [one], [pending(one, 1)]) == [(one.id,)]


@pytest.mark.parametrize(("kind", "most"), [("gp3", 5), ("st1", 1), ("sc1", 1)])
def test_the_quota_of_a_volume_holds(kind: str, most: int) -> None:
    one = volume(1, kind=kind)
    others = [pending(one, number) for number in range(most)]
    assert started_ids(due(one), [one], others) == []
    assert started_ids(due(one), [one], others[1:]) == [(one.id,)]


def test_snapshots_of_a_volume_are_fifteen_seconds_apart() -> None:
    one = volume(1)
    assert started_ids(due(one), [one], [pending(one, 1, hours_ago=14 / 3600)]) == []
    assert started_ids(due(one), [one], [pending(one, 1, hours_ago=15 / 3600)]) == [(one.id,)]


def test_the_most_overdue_start_within_the_region_s_quota_of_pending_ones() -> None:
    volumes = [volume(number) for number in (3, 2, 1)]
    busy = [pending(volume(1000 + number), number) for number in range(88)]
    assert started_ids(due(*volumes), volumes, busy) == [(volumes[0].id,), (volumes[1].id,)]
    intended = {f"vol-{number:08x}": NOW - timedelta(minutes=5) for number in range(1)}
    assert started_ids(due(*volumes), volumes, busy, intentions=intended) == [(volumes[0].id,)]


def test_near_the_quota_of_snapshots_none_is_made() -> None:
    one = volume(1)
    listed = [replace(pending(one, number), state=SnapshotState.COMPLETED) for number in range(95)]
    batch = choose(due(one), [one], listed, {}, NOW, quota=100)
    assert (batch.creations, batch.quota_near) == ((), True)


def test_a_set_beyond_the_quota_of_snapshots_is_reported_as_waiting() -> None:
    pair = [volume(number, instance="i-1") for number in (1, 2)]
    listed = [replace(pending(pair[0], number), state=SnapshotState.COMPLETED) for number in range(94)]
    batch = choose(due(*pair), pair, listed, {}, NOW, quota=100)
    assert (batch.creations, batch.quota_near) == ((), True)


def test_a_set_larger_than_may_be_pending_is_made_one_by_one() -> None:
    many = [volume(number, instance="i-1") for number in range(91)]
    assert len(started_ids(due(*many), many, [])) == 90


def test_an_intention_counts_until_ec2_must_show_its_snapshot() -> None:
    one = volume(1)
    assert started_ids(due(one), [one], [], intentions={one.id: NOW - timedelta(minutes=9)}) == []
    assert started_ids(due(one), [one], [], intentions={one.id: NOW - timedelta(minutes=10)}) == [(one.id,)]
