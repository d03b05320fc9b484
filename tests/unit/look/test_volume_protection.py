"""How a volume stands, to the second: what is still in time, which region counts, who is named first, and the figures over all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from snapkeep.domain.model import Snapshot, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.protection import (
    PolicyAges,
    RuleAges,
    VolumeHealth,
    VolumeProtection,
    ages_by_policy,
    ages_by_rule,
    protections_by_copies,
    volume_protections,
)
from snapkeep.domain.tag_names import MANAGED
from support.lineages import REGION, SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEAR, FAR = "us-east-2", "us-west-2"
DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
GOLD = Policy("gold", Selector(tags={"Backup": ("gold",)}), Retention(), (CopyRule(NEAR), CopyRule(FAR)), rpo=DAY)
ALONE = Policy("alone", Selector(tags={"Backup": ("alone",)}), Retention(), rpo=DAY)
POLICIES = PolicySet((GOLD, ALONE))
NUMBERS = count(1)


def volume(name: str, policy: str = "gold") -> Volume:
    return Volume(name, REGION, 8, "gp3", tags={"Backup": policy})


def taken(age: timedelta, of: str = "vol-0a", state: SnapshotState = SnapshotState.COMPLETED) -> Snapshot:
    return snapshot(NOW - age, next(NUMBERS), volume=of, state=state)


def copied(source: Snapshot, region: str, state: SnapshotState = SnapshotState.COMPLETED) -> Snapshot:
    return copy_of(source, region, next(NUMBERS), state=state)


def protections(
    snapshots: Iterable[Snapshot], copies: Mapping[str, Iterable[Snapshot]], volumes: Iterable[Volume] = (volume("vol-0a"),)
) -> list[VolumeProtection]:
    return volume_protections(REGION, volumes, snapshots, {NEAR: (), FAR: (), **copies}, POLICIES, NOW, system=SYSTEM)


def everywhere(*sources: Snapshot) -> dict[str, list[Snapshot]]:
    return {region: [copied(snapshot, region) for snapshot in sources] for region in (NEAR, FAR)}


@pytest.mark.parametrize(("age", "expected"), [(DAY, VolumeHealth.PROTECTED), (DAY + SECOND, VolumeHealth.LATE)])
def test_a_copy_is_late_one_second_after_the_rpo(age: timedelta, expected: VolumeHealth) -> None:
    source = taken(age)
    (one,) = protections([source], everywhere(source))
    assert (one.health, one.age) == (expected, age)
    (alone,) = protections([source], {}, [volume("vol-0a", "alone")])
    assert (alone.health, alone.age, alone.copies) == (expected, age, ())
    assert alone.recovery_points == (alone.snapshot,)


def test_the_region_furthest_behind_counts() -> None:
    old, new = taken(2 * DAY), taken(SECOND)
    for behind, ahead in ((NEAR, FAR), (FAR, NEAR)):
        (one,) = protections([old, new], {behind: [copied(old, behind)], ahead: [copied(old, ahead), copied(new, ahead)]})
        assert (one.health, one.age) == (VolumeHealth.LATE, 2 * DAY)
        assert one.why == f"its copy in {behind} is behind its newest snapshot"


@pytest.mark.parametrize(
    ("newest", "why"), [(DAY, f"its copy in {NEAR} is behind its newest snapshot"), (DAY + SECOND, "no snapshot for 1 d")]
)
def test_the_cause_is_the_old_snapshot_and_not_its_copy(newest: timedelta, why: str) -> None:
    old = taken(2 * DAY)
    (one,) = protections([old, taken(newest)], everywhere(old))
    assert (one.health, one.why) == (VolumeHealth.LATE, why)


@pytest.mark.parametrize(("waited", "expected"), [(DAY, VolumeHealth.FIRST_COPY_PENDING), (DAY + SECOND, VolumeHealth.LATE)])
def test_a_first_copy_may_take_as_long_as_the_rpo(waited: timedelta, expected: VolumeHealth) -> None:
    first, second = taken(waited), taken(timedelta(hours=1))
    for listed in ([first, second], [second, first]):
        (one,) = protections(listed, {NEAR: [copied(second, NEAR)], FAR: [copied(first, FAR, SnapshotState.PENDING)]})
        assert (one.health, one.age) == (expected, None)
        assert FAR in one.why


def test_pending_and_failed_snapshots_are_counted_and_protect_nothing() -> None:
    failed, running = taken(SECOND, state=SnapshotState.ERROR), taken(SECOND, state=SnapshotState.PENDING)
    source = taken(timedelta(hours=1))
    copies = {NEAR: [copied(source, NEAR, SnapshotState.ERROR)], FAR: [copied(source, FAR, SnapshotState.PENDING)]}
    (one,) = protections([failed, running, source], copies)
    assert (one.snapshots, one.failed, one.pending) == (1, 2, 2)
    assert (one.snapshot.id, [copy.there for copy in one.copies]) == (source.id, [False, False])


def test_volumes_are_ordered_worst_first() -> None:
    ages = {"vol-0late": 3 * DAY, "vol-0later": 4 * DAY, "vol-0fine": 2 * SECOND, "vol-0finer": SECOND}
    sources = [taken(age, of) for of, age in ages.items()]
    volumes = [volume("vol-0none", "no such"), *(volume(name) for name in (*ages, "vol-0awaited", "vol-0never"))]
    listed = [*sources, taken(SECOND, "vol-0awaited")]
    assert [snapshot.volume.id for snapshot in protections(listed, everywhere(*sources), volumes)] == [
        "vol-0never",
        "vol-0later",
        "vol-0late",
        "vol-0awaited",
        "vol-0fine",
        "vol-0finer",
        "vol-0none",
    ]


def test_a_policy_has_the_worst_and_median_age_and_late_volumes() -> None:
    ages = {"vol-01": timedelta(hours=1), "vol-02": timedelta(hours=2), "vol-03": 3 * DAY}
    sources = [taken(age, of) for of, age in ages.items()]
    found = protections(sources, everywhere(*sources), [volume(name) for name in ages])
    assert ages_by_policy(found) == [PolicyAges("gold", DAY, 3, 1, 3 * DAY, timedelta(hours=2))]


def test_the_median_of_an_even_number_is_the_lower_age() -> None:
    sources = [taken(timedelta(hours=2), "vol-02"), taken(timedelta(hours=1), "vol-01")]
    found = protections(sources, everywhere(*sources), [volume("vol-01"), volume("vol-02")])
    assert [ages.median for ages in ages_by_policy(found)] == [timedelta(hours=1)]


def test_a_copy_rule_counts_old_and_overdue_copies_as_late() -> None:
    copies = {"vol-01": timedelta(hours=1), "vol-02": DAY, "vol-03": 3 * DAY}
    ages = copies | {"vol-04": timedelta(hours=1), "vol-05": 2 * DAY, "vol-06": 2 * DAY}
    sources = [taken(age, of) for of, age in ages.items()]
    found = protections(sources, everywhere(*sources[: len(copies)]), [volume(name) for name in ages])
    assert ages_by_rule(found, NOW) == [
        RuleAges("gold", region, DAY, known=True, volumes=6, without_copy=3, late=3, worst=3 * DAY, median=DAY)
        for region in (NEAR, FAR)
    ]


def test_an_unreadable_region_has_no_figures() -> None:
    source = taken(timedelta(hours=1))
    listings = {NEAR: [copied(source, NEAR)]}
    (one,) = volume_protections(REGION, [volume("vol-0a")], [source], listings, POLICIES, NOW, system=SYSTEM)
    assert (one.health, one.age) == (VolumeHealth.UNKNOWN, None)
    assert ages_by_rule([one], NOW)[1] == RuleAges("gold", FAR, DAY, known=False, volumes=1)


def test_an_unreadable_region_makes_no_old_volume_late() -> None:
    old, new = taken(2 * DAY), taken(SECOND)
    read = {NEAR: [copied(old, NEAR), copied(new, NEAR)]}
    (one,) = volume_protections(REGION, [volume("vol-0a")], [old, new], read, POLICIES, NOW, system=SYSTEM)
    assert (one.health, one.why) == (VolumeHealth.UNKNOWN, f"{FAR} could not be read")


def test_only_managed_completed_snapshots_of_this_region_count() -> None:
    ours = taken(timedelta(hours=2))
    theirs = replace(taken(SECOND), tags={MANAGED: "another"})
    elsewhere = snapshot(NOW - SECOND, next(NUMBERS), volume="vol-0a", region="eu-west-1")
    (one,) = protections([ours, theirs, elsewhere], everywhere(ours))
    assert (one.snapshot.id, one.snapshots, one.age) == (ours.id, 1, timedelta(hours=2))


def by_copies(copies: Mapping[str, Iterable[Snapshot]]) -> list[VolumeProtection]:
    return protections_by_copies(REGION, copies, POLICIES, NOW, system=SYSTEM)


def test_copies_show_the_volumes_of_an_unreadable_primary_region() -> None:
    new, old = taken(SECOND), taken(2 * DAY, "vol-0b")
    other_region = replace(copied(old, NEAR), origin=replace(old.origin, region="eu-west-1"))
    protections = by_copies({**everywhere(new, old), NEAR: [copied(new, NEAR), copied(old, NEAR), other_region]})
    assert [(one.volume.id, one.health, one.age, one.why) for one in protections] == [
        ("vol-0b", VolumeHealth.LATE, 2 * DAY, f"its newest copy in {NEAR} is 2 d old"),
        ("vol-0a", VolumeHealth.PROTECTED, SECOND, ""),
    ]
    assert not any(one.snapshot.known for one in protections)


def test_the_newest_managed_completed_copy_shows_its_volume() -> None:
    sizes = {size: replace(copied(taken(size * SECOND), NEAR), size_gib=size) for size in (1, 2, 3, 4)}
    pending = replace(sizes[1], state=SnapshotState.PENDING)
    foreign = replace(sizes[2], tags={**sizes[2].tags, MANAGED: "another"})
    for listed in ([pending, foreign, sizes[3], sizes[4]], [sizes[4], sizes[3], foreign, pending]):
        (one,) = by_copies({NEAR: listed, FAR: ()})
        assert one.volume.size_gib == 3


def test_the_oldest_of_all_copies_shows_how_long_one_is_missing() -> None:
    (one,) = by_copies({NEAR: [copied(taken(2 * DAY), NEAR)], FAR: (), "eu-west-1": [copied(taken(SECOND), "eu-west-1")]})
    assert (one.health, one.why) == (VolumeHealth.LATE, f"no copy in {FAR}, 2 d after its first snapshot")


def test_a_volume_without_copy_rules_is_not_known_without_its_region() -> None:
    (one,) = by_copies({NEAR: [copied(snapshot(NOW - SECOND, next(NUMBERS), policy="alone"), NEAR)]})
    assert (one.health, one.why) == (VolumeHealth.UNKNOWN, f"{REGION} could not be read")


def test_nothing_is_concluded_about_a_second_unreadable_region() -> None:
    (one,) = by_copies({NEAR: [copied(taken(SECOND), NEAR)]})
    assert (one.health, one.why) == (VolumeHealth.UNKNOWN, f"{FAR} could not be read")
    assert [point.region for point in one.recovery_points] == [NEAR]


def test_unrestorable_copies_are_listed_without_the_primary_region() -> None:
    archived = {region: [replace(copy, archived=True) for copy in copies] for region, copies in everywhere(taken(SECOND)).items()}
    (one,) = by_copies(archived)
    assert (one.health, one.recovery_points) == (VolumeHealth.NO_RECOVERY_POINT, ())


def test_a_copy_of_an_unknown_policy_is_not_called_protected() -> None:
    (one,) = by_copies({NEAR: [copied(snapshot(NOW - SECOND, next(NUMBERS), policy="former"), NEAR)]})
    assert (one.health, one.age) == (VolumeHealth.UNKNOWN, None)
    assert "former" in one.why_policy


def test_volumes_with_one_cause_have_it_without_figures() -> None:
    sources = [taken(age, of) for age, of in ((2 * DAY, "vol-0a"), (3 * DAY, "vol-0b"))]
    late = protections(sources, everywhere(*sources), [volume("vol-0a"), volume("vol-0b")])
    assert {one.cause for one in late} == {"no snapshot within the RPO"}
    assert {one.why for one in late} == {"no snapshot for 2 d", "no snapshot for 3 d"}
