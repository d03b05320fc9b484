"""A comparison of policies announces exactly the locks that LockSnapshots then makes of the snapshots that are there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.cli.views.locks import lock_lines, lock_note, locks_as_data
from snapkeep.cli.views.policy import comparison_lines
from snapkeep.domain.locks import DAY, LockLimits, LockOrder
from snapkeep.domain.model import LockState, Snapshot, SnapshotLock, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, LockMode, LockRule, Policy, PolicySet, Retention, Selector, Vault
from snapkeep.domain.retention.comparison import Comparison, compare
from snapkeep.domain.sweep.locks import missing_locks, required_locks
from snapkeep.domain.tag_names import PROOF
from snapkeep.lab.simulator.memory_ports import MemoryNotices
from snapkeep.usecases.locks import LockSnapshots
from snapkeep.usecases.retention.plan_regions import RegionListing, facts_of, make_plans
from support.lineages import REGION, SYSTEM, copy_of, snapshot

DR = "us-east-2"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WEEK = LockRule(LockMode.GOVERNANCE, 7 * DAY)
COMPLIANCE = LockRule(LockMode.COMPLIANCE, 14 * DAY, timedelta(hours=24))
LIMITS = LockLimits(30, compliance=True)


@dataclass
class Region:
    """Guards, reader, locker and clock of one region."""

    region: str
    snapshots_there: list[Snapshot]
    locked: dict[str, SnapshotLock] = field(default_factory=dict)
    orders: list[LockOrder] = field(default_factory=list)

    def now(self) -> datetime:
        return NOW

    def images_using(self, _: Collection[str]) -> dict[str, tuple[str, ...]]:
        return {}

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        return {each: lock for each, lock in self.locked.items() if each in snapshot_ids}

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        return {each.id: each for each in self.snapshots_there if each.id in snapshot_ids}

    def lock(self, order: LockOrder) -> None:
        self.orders.append(order)


def policies(lock: LockRule | None = None, of_copies: LockRule | None = None, keep: int = 0) -> PolicySet:
    rule = CopyRule(DR, copy_within=timedelta(hours=4), retention=Retention(), lock=of_copies)
    return PolicySet((Policy("gold", Selector(), Retention(keep_last=keep), (rule,), lock=lock),))


def comparisons(
    primary: Region, dr: Region, before: PolicySet, after: PolicySet, limits: LockLimits | None = LIMITS
) -> list[Comparison]:
    volumes = [Volume("vol-0a", REGION, 8, "gp3")]
    facts = facts_of(REGION, [RegionListing(REGION, primary.snapshots_there, volumes), RegionListing(DR, dr.snapshots_there)])
    old, new = (
        make_plans(
            [primary, dr],  # type: ignore[list-item]
            facts,
            dict.fromkeys((REGION, DR), one),
            NOW,
            system=SYSTEM,
            lock_limits=dict.fromkeys((REGION, DR), limits),
        )
        for one in (before, after)
    )
    return [compare(*pair) for pair in zip(old, new, strict=True)]


def announced(comparison: Comparison) -> set[tuple[str, str]]:
    return {(one.id, locks.mode) for locks in comparison.locks or () if locks.until for one in locks.snapshots}


def locked_by(region: Region, after: PolicySet, limits: LockLimits = LIMITS) -> list[LockOrder]:
    """Return the orders of LockSnapshots over the completed snapshots, which sweeps have locked."""
    ports: Any = region
    made = LockSnapshots(
        system=SYSTEM, reader=ports, locker=ports, policies=lambda: after, notices=MemoryNotices(), clock=ports, limits=limits
    )
    ids = [one.id for one in region.snapshots_there if one.completed]
    return list(made.run(ids).locked) if ids else []


def source(hours: int, number: int) -> Snapshot:
    made = snapshot(NOW - timedelta(hours=hours), number)
    return replace(made, completed_at=made.start_time)


def copy(of: Snapshot, number: int, *, proved: bool = True) -> Snapshot:
    tags = {PROOF: "PROVED structure 2026-11-30T12:00:00.000Z"} if proved else {}
    made = copy_of(of, DR, number)
    return replace(made, start_time=of.start_time, completed_at=of.start_time, tags=made.tags | tags)


RULES = st.none() | st.builds(
    lambda days, compliance: (
        LockRule(LockMode.COMPLIANCE, days * DAY, timedelta(hours=24))
        if compliance
        else LockRule(LockMode.GOVERNANCE, days * DAY)
    ),
    st.integers(1, 40),
    st.booleans(),
)
FORMER = st.none() | st.tuples(st.sampled_from(LockState), st.integers(1, 40 * 24))


@settings(max_examples=60)
@given(
    drawn=st.lists(st.tuples(st.integers(1, 40 * 24), st.booleans(), FORMER, st.booleans()), max_size=5),
    before=st.tuples(RULES, RULES),
    after=st.tuples(RULES, RULES),
    limits=st.builds(LockLimits, st.sampled_from([0, 10, 60]), st.booleans()),
)
def test_announced_are_the_locks_that_lock_snapshots_makes(
    drawn: list[tuple[int, bool, tuple[LockState, int] | None, bool]],
    before: tuple[LockRule | None, LockRule | None],
    after: tuple[LockRule | None, LockRule | None],
    limits: LockLimits,
) -> None:
    primary, dr = Region(REGION, []), Region(DR, [])
    for number, (hours, proved, lock, pending) in enumerate(drawn, start=1):
        made = source(hours, number)
        copied = copy(made, number, proved=proved)
        primary.snapshots_there.append(made)
        dr.snapshots_there.append(replace(copied, state=SnapshotState.PENDING, completed_at=None) if pending else copied)
        if lock is not None:
            held = SnapshotLock(lock[0], NOW + timedelta(hours=lock[1]), lock[1] // 24 + 1)
            primary.locked[made.id] = dr.locked[copied.id] = held
    found = comparisons(primary, dr, policies(*before), policies(*after), limits)
    for region, comparison, old, new in zip((primary, dr), found, before, after, strict=True):
        if old == new:
            assert comparison.locks == ()
            continue
        orders = locked_by(region, policies(*after), limits)
        assert announced(comparison) == {(order.snapshot_id, order.mode) for order in orders}
        sizes = sum(order.days for order in orders)
        now = [locks for locks in comparison.locks or () if locks.until]
        assert sum(locks.usd for locks in now) == pytest.approx(8 * 0.05 * sizes / 30, rel=0.05)
        for locks in now:
            days = [order.days for order in orders if order.mode is locks.mode]
            assert locks.until == NOW + max(days) * DAY


def test_an_unproved_copy_is_announced_for_both_modes() -> None:
    dr = Region(DR, [copy(source(24, 1), 1, proved=False), copy(source(48, 2), 2)])
    [_, comparison] = comparisons(Region(REGION, []), dr, policies(), policies(None, COMPLIANCE))
    lines = [line.split("  ")[-1].strip() for line in lock_lines(comparison)]
    unproved, proved = (one.id for one in dr.snapshots_there)
    assert lines == [
        "copy would be locked in compliance mode by the next sweeps, until 2026-12-12 12:00 UTC and for 0.16 USD at most",
        proved,
        "copy would be locked in governance mode by the next sweeps, until 2026-12-13 12:00 UTC and for 0.17 USD at most",
        unproved,
        "copy would be locked in compliance mode once proved, for 14 d from then and for 0.19 USD at most",
        unproved,
    ]
    assert [line in list(comparison_lines(DR, comparison)) for line in lock_lines(comparison)] == [True] * 6
    later = (locks_as_data(comparison) or [])[-1]
    assert (later["mode"], later["after_proof"], later["until"], later["days"]) == ("compliance", True, None, 14)


def test_a_snapshot_that_retention_would_delete_is_kept_and_locked_too() -> None:
    primary = Region(REGION, [source(72, 1), source(24, 2)])
    dr = Region(DR, [copy(one, number) for number, one in enumerate(primary.snapshots_there, start=1)])
    [comparison, _] = comparisons(primary, dr, policies(keep=1), policies(WEEK, keep=1))
    assert announced(comparison) == {(one.id, "governance") for one in primary.snapshots_there}


@pytest.mark.parametrize(("minutes", "settling"), [(14, 1), (15, 0)])
def test_young_sources_are_announced_as_such_as_sweeps_pass_over_them(minutes: int, settling: int) -> None:
    made = snapshot(NOW - timedelta(minutes=minutes), 1)
    young = replace(made, completed_at=made.start_time)
    after = policies(WEEK, WEEK)
    primary, dr = comparisons(Region(REGION, [young, source(2, 2)]), Region(DR, [copy(young, 3)]), policies(), after)
    assert [locks.settling for comparison in (primary, dr) for locks in comparison.locks or ()] == [settling, 0]
    swept = missing_locks(required_locks([young], after, SYSTEM), {}, after, NOW, LIMITS, system=SYSTEM)
    assert len(swept) == 1 - settling
    note = " (1 of them once it is 15 minutes old)" if settling else ""
    assert f"snapshots would be locked in governance mode by the next sweeps{note}, until" in " ".join(lock_lines(primary))


def test_without_a_stack_the_locks_are_not_known() -> None:
    primary = Region(REGION, [source(24, 1)])
    [comparison, _] = comparisons(primary, Region(DR, []), policies(), policies(WEEK), None)
    assert comparison.locks is None
    assert not comparison.empty
    assert "not known" in next(lock_lines(comparison))
    assert locks_as_data(comparison) is None


def test_a_note_names_the_locks_that_stacks_must_allow() -> None:
    assert lock_note(policies()) == ""
    assert lock_note(policies(WEEK)) == "note: MaxLockDays of the stacks must allow the locks, of at most 7 d"
    assert lock_note(policies(WEEK, COMPLIANCE)).endswith("of at most 14 d, and AllowComplianceLocks compliance mode")


def test_the_lock_of_a_vault_needs_no_permission_of_productions_stacks() -> None:
    """A vault's 35 days in compliance mode were asked of production, whose locks have 7 in governance mode."""
    vault = Vault("bunker", "210987654321", DR, DR, Retention(), lock=replace(COMPLIANCE, duration=35 * DAY))
    of_vault = "MaxLockDays of the vaults' stacks must allow the locks, of at most 35 d, and AllowComplianceLocks compliance mode"
    assert lock_note(replace(policies(), vaults=(vault,))) == f"note: {of_vault}"
    assert lock_note(replace(policies(WEEK), vaults=(vault,))) == f"{lock_note(policies(WEEK))}; {of_vault}"
