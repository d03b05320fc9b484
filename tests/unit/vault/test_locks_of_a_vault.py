"""Locks in a vault: from the start of a copy on, in compliance mode once it is checked; a missing one is found (INV-23)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.locks import LockLimits
from snapkeep.domain.policy.model import LockMode, LockRule, Retention
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.lab.ebs_model import Speeds
from support.vaulting import DR, VAULT_ACCOUNT, VaultLaboratory, vault

DAYS_35 = timedelta(days=35)
GOVERNANCE = LockRule(LockMode.GOVERNANCE, DAYS_35)
COMPLIANCE = LockRule(LockMode.COMPLIANCE, DAYS_35, timedelta(hours=24))


def locking(rule: LockRule = GOVERNANCE, limits: LockLimits = LockLimits(365, compliance=True)) -> VaultLaboratory:  # noqa: B008
    lab = VaultLaboratory(vaults=(vault(lock=rule, retention=Retention(keep_last=1)),), speeds=Speeds(copy_base_seconds=900.0))
    lab.runner.composition.layout = replace(lab.runner.layout, lock_limits=limits)
    return lab


def locks(lab: VaultLaboratory) -> dict[str, str]:
    listed = lab.ec2(account_id=VAULT_ACCOUNT).describe_locked_snapshots()["Snapshots"]
    return {lock["SnapshotId"]: lock["LockState"] for lock in listed if lock["LockState"] != "expired"}


def missing(lab: VaultLaboratory) -> list[tuple[str, Handling]]:
    return [(item.subject, item.handling) for item in lab.sweep().items if item.kind is FindingKind.LOCK_MISSING]


def test_no_completed_copy_is_ever_without_its_lock() -> None:
    lab = locking()
    lab.offer(lab.make_volume())
    seen_pending = False
    while not lab.runner.idle:
        lab.runner.advance(5)
        account = lab.world.region_account(DR, VAULT_ACCOUNT)
        locked = locks(lab)
        assert [copy.id for copy in lab.copies() if copy.state == "completed" and copy.id not in locked] == []
        seen_pending |= any(copy.state == "pending" and copy.id in locked for copy in account.snapshots.values())
    assert seen_pending
    assert missing(lab) == []


def test_compliance_mode_waits_for_the_check_on_arrival_and_for_no_proof() -> None:
    """Shared copies were proved in production; a vault cannot compare them, and locks them in compliance mode at once."""
    lab = locking(COMPLIANCE)
    lab.offer(lab.make_volume())
    lab.run_until(lambda: bool(lab.copies()) and bool(locks(lab)))
    assert set(locks(lab).values()) == {"governance"}, "a copy that may still be wrong is not paid for to the end"
    lab.run_until(lambda: set(locks(lab).values()) == {"compliance-cooloff"})
    assert [copy.state for copy in lab.copies()] == ["completed"]
    lab.runner.advance(25 * 3600)
    assert set(locks(lab).values()) == {"compliance"}


def test_a_locked_copy_outlives_its_retention_until_the_lock_ends() -> None:
    lab = locking()
    volume_id = lab.make_volume()
    shared = [lab.offer(volume_id)]
    lab.settle()
    shared.append(lab.offer(volume_id))
    lab.settle()
    lab.sweep()
    assert lab.sources() == shared
    lab.runner.advance(36 * 86_400)
    lab.sweep()
    assert lab.sources() == shared[1:]


@pytest.mark.parametrize("limits", [LockLimits(), LockLimits(14)])
def test_a_lock_that_the_stack_does_not_allow_is_found(limits: LockLimits) -> None:
    lab = locking(limits=limits)
    lab.offer(lab.make_volume())
    lab.settle()
    (copy,) = lab.copies()
    assert missing(lab) == [(copy.id, Handling.NEEDS_ATTENTION)]
    report = lab.sweeper.reports[-1]
    assert report.items[0].kind is FindingKind.LOCK_MISSING, "of the highest rank"
    assert str(report.outcome) != "OK"


def test_a_lock_that_was_removed_is_found_and_made_again() -> None:
    lab = locking()
    lab.offer(lab.make_volume())
    lab.settle()
    (copy,) = lab.copies()
    lab.ec2(account_id=VAULT_ACCOUNT).unlock_snapshot(SnapshotId=copy.id)
    assert missing(lab) == [(copy.id, Handling.REPAIRED)]
    assert list(locks(lab)) == [copy.id]
    assert missing(lab) == []


def test_copies_from_before_a_lock_rule_are_locked_by_the_next_sweep() -> None:
    lab = locking()
    lab.vaults = (replace(lab.vaults[0], lock=None),)
    lab.offer(lab.make_volume())
    lab.settle()
    assert locks(lab) == {}
    lab.vaults = (replace(lab.vaults[0], lock=GOVERNANCE),)
    (copy,) = lab.copies()
    assert missing(lab) == [(copy.id, Handling.REPAIRED)]
    assert list(locks(lab)) == [copy.id]
