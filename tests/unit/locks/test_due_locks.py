"""The call of LockSnapshot that brings a snapshot to what its rule wants, if one is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapkeep.domain.locks import DAY, SETTLING, LockLimits, LockOrder, due_lock, is_settling, lock_rule_of
from snapkeep.domain.model import LockState, Snapshot, SnapshotLock, SnapshotState
from snapkeep.domain.other_tools import BACKUP_TAG
from snapkeep.domain.policy.model import CopyRule, LeaveAlone, LockMode, LockRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from support.lineages import SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = LockLimits(30, compliance=True)
GOVERNANCE = LockRule(LockMode.GOVERNANCE, 14 * DAY)
COMPLIANCE = LockRule(LockMode.COMPLIANCE, 14 * DAY, timedelta(hours=48))
SOURCE = replace(snapshot(NOW - HOUR), completed_at=NOW)
COPY = replace(copy_of(SOURCE, "us-east-2", 1), completed_at=NOW)
PENDING = replace(COPY, state=SnapshotState.PENDING, completed_at=None)
PROVED = replace(COPY, tags={**COPY.tags, PROOF: "PROVED structure 2026-11-30T12:00:00.000Z"})


def due(
    rule: LockRule, target: Snapshot, lock: SnapshotLock | None = None, now: datetime = NOW, limits: LockLimits = LIMITS
) -> tuple[str, int, int] | None:
    order = due_lock(rule, target, lock, now, limits)
    assert order is None or order.snapshot_id == target.id
    return order and (order.mode.value, order.days, order.cool_off_hours)


def locked(state: LockState, until: datetime | None = NOW + 14 * DAY, days: int = 14) -> SnapshotLock:
    return SnapshotLock(state, until, days)


def test_a_pending_copy_is_locked_for_the_whole_duration() -> None:
    assert due(GOVERNANCE, PENDING) == ("governance", 14, 0)


def test_a_lock_lasts_from_the_completion_on_in_whole_days() -> None:
    assert due(GOVERNANCE, SOURCE) == ("governance", 14, 0)
    assert due(GOVERNANCE, SOURCE, now=NOW + 3 * DAY) == ("governance", 11, 0)
    assert due(GOVERNANCE, SOURCE, now=NOW + 3 * DAY + HOUR) == ("governance", 11, 0)
    assert due(GOVERNANCE, SOURCE, now=NOW + 14 * DAY - HOUR) == ("governance", 1, 0)
    assert due(GOVERNANCE, SOURCE, now=NOW + 14 * DAY) is None


def test_ec2_may_not_say_when_a_snapshot_completed() -> None:
    assert due(GOVERNANCE, replace(SOURCE, completed_at=None), now=NOW + 13 * DAY) == ("governance", 1, 0)


def test_a_copy_is_locked_in_compliance_mode_only_once_it_is_proved() -> None:
    assert due(COMPLIANCE, PENDING) == due(COMPLIANCE, COPY) == ("governance", 14, 0)
    assert due(COMPLIANCE, COPY, locked(LockState.GOVERNANCE)) is None
    assert due(COMPLIANCE, PROVED, locked(LockState.GOVERNANCE)) == ("compliance", 14, 48)
    assert due(COMPLIANCE, PROVED) == ("compliance", 14, 48)


def test_a_source_needs_no_proof() -> None:
    assert due(COMPLIANCE, SOURCE) == ("compliance", 14, 48)


@pytest.mark.parametrize("state", [LockState.COMPLIANCE, LockState.COOL_OFF])
@pytest.mark.parametrize("rule", [GOVERNANCE, COMPLIANCE])
def test_a_lock_in_compliance_mode_is_never_changed(rule: LockRule, state: LockState) -> None:
    assert due(rule, PROVED, locked(state, NOW + DAY, 1)) is None


def test_a_lock_in_a_state_that_this_version_does_not_know_stays() -> None:
    assert due(COMPLIANCE, PROVED, locked(LockState("legal-hold"), NOW + DAY, 1)) is None
    assert SnapshotLock(LockState("legal-hold")).text == "locked (unknown)"


def test_no_lock_is_longer_than_its_rule_where_the_clock_is_behind() -> None:
    assert due(GOVERNANCE, SOURCE, now=NOW - timedelta(seconds=2)) == ("governance", 14, 0)


def test_a_governance_lock_that_ends_too_early_is_extended() -> None:
    assert due(GOVERNANCE, SOURCE, locked(LockState.GOVERNANCE, NOW + DAY, 1)) == ("governance", 14, 0)
    assert due(GOVERNANCE, SOURCE, locked(LockState.GOVERNANCE, NOW + 14 * DAY - HOUR)) is None
    assert due(GOVERNANCE, PENDING, locked(LockState.GOVERNANCE, None, 13)) == ("governance", 14, 0)
    assert due(GOVERNANCE, PENDING, locked(LockState.GOVERNANCE, None, 14)) is None


def test_a_lock_is_extended_to_the_most_that_the_stack_allows() -> None:
    month = LockRule(LockMode.GOVERNANCE, 30 * DAY)
    assert due(month, SOURCE, locked(LockState.GOVERNANCE)) == ("governance", 30, 0)


def test_a_lock_that_ec2_shows_before_the_completion_goes_by_its_days() -> None:
    assert due(GOVERNANCE, PENDING, locked(LockState.GOVERNANCE)) is None
    assert due(GOVERNANCE, PENDING, locked(LockState.GOVERNANCE, days=13)) == ("governance", 14, 0)


def test_a_source_snapshot_settles_for_a_while_after_its_completion() -> None:
    assert is_settling(SOURCE, NOW + SETTLING - timedelta(seconds=1))
    assert not is_settling(SOURCE, NOW + SETTLING)
    assert not is_settling(COPY, NOW)


def test_a_longer_lock_of_a_person_stays() -> None:
    assert due(GOVERNANCE, SOURCE, locked(LockState.GOVERNANCE, NOW + 20 * DAY, 20)) is None
    assert due(COMPLIANCE, PROVED, locked(LockState.GOVERNANCE, NOW + 20 * DAY, 20)) == ("compliance", 20, 48)
    assert due(COMPLIANCE, PROVED, locked(LockState.GOVERNANCE, NOW + 40 * DAY, 40)) is None


def test_the_stack_allows_no_locks_or_shorter_ones() -> None:
    assert due(GOVERNANCE, SOURCE, limits=LockLimits()) is None
    assert due(GOVERNANCE, SOURCE, limits=LockLimits(7)) == ("governance", 7, 0)
    assert due(COMPLIANCE, PROVED, limits=LockLimits(30)) == ("governance", 14, 0)


@pytest.mark.parametrize("state", [SnapshotState.ERROR, SnapshotState.RECOVERABLE, SnapshotState.RECOVERING])
def test_nothing_but_pending_and_completed_snapshots_can_be_locked(state: SnapshotState) -> None:
    assert due(GOVERNANCE, replace(PENDING, state=state)) is None


@given(
    age=st.integers(0, 40 * 24),
    days=st.integers(1, 40),
    former=st.none() | st.tuples(st.integers(1, 40), st.integers(0, 40 * 24)),
    compliance=st.booleans(),
)
def test_no_order_shortens_a_lock(age: int, days: int, former: tuple[int, int] | None, compliance: bool) -> None:
    """Whether EC2 counts a changed duration from the call, or from the start of the lock."""
    completed = NOW - age * HOUR
    rule = LockRule(LockMode.COMPLIANCE if compliance else LockMode.GOVERNANCE, days * DAY, timedelta(hours=24 * compliance))
    started = completed if former is None else min(completed + former[1] * HOUR, NOW)
    lock = None if former is None else SnapshotLock(LockState.GOVERNANCE, started + former[0] * DAY, former[0])
    if lock is not None and lock.until is not None and lock.until <= NOW:
        lock = None
    order = due_lock(rule, replace(PROVED, completed_at=completed), lock, NOW, LIMITS)
    if order is not None:
        assert 1 <= order.days <= LIMITS.max_days
        start = NOW if lock is None else min(started, NOW)
        wanted = completed + min(days, LIMITS.max_days) * DAY
        assert start + order.days * DAY >= max(wanted - DAY * (lock is not None), lock.until if lock and lock.until else NOW)


POLICY = Policy(
    "gold",
    Selector(),
    Retention(),
    (CopyRule("us-east-2", lock=COMPLIANCE), CopyRule("us-west-2")),
    leave_alone=LeaveAlone({"OwnedBy": ("*",)}),
    lock=GOVERNANCE,
)
POLICIES = PolicySet((POLICY,))


def test_a_source_and_a_copy_have_the_lock_of_their_own_rule() -> None:
    assert lock_rule_of(POLICIES, SOURCE, SYSTEM) == GOVERNANCE
    assert lock_rule_of(POLICIES, PENDING, SYSTEM) == COMPLIANCE
    assert lock_rule_of(POLICIES, replace(PENDING, region="us-west-2"), SYSTEM) is None
    assert lock_rule_of(POLICIES, replace(PENDING, region="eu-west-1"), SYSTEM) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(SOURCE, tags={}),
        snapshot(NOW, policy="silver"),
        replace(COPY, tags={**COPY.tags, CHECK: WRONG}),
        replace(SOURCE, tags={**SOURCE.tags, BACKUP_TAG: "x"}),
        replace(SOURCE, tags={**SOURCE.tags, "velero.io/backup": "x"}),
        replace(SOURCE, tags={**SOURCE.tags, "OwnedBy": "somebody"}),
    ],
)
def test_snapshots_of_others_and_wrong_copies_are_not_locked(other: Snapshot) -> None:
    assert lock_rule_of(POLICIES, other, SYSTEM) is None


def test_the_order_has_the_parameters_of_the_call() -> None:
    assert due_lock(COMPLIANCE, SOURCE, None, NOW, LIMITS) == LockOrder(SOURCE.id, LockMode.COMPLIANCE, 14, 48)
