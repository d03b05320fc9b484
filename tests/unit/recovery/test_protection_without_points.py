"""Snapshots and copies that cannot be restored protect no volume, and the reasons are named by identifier."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.model import KeyFault, Snapshot, Unusable, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.protection import VolumeHealth, VolumeProtection, volume_protections
from snapkeep.domain.recovery.points import keys_at_risk
from support.lineages import REGION, SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DR = timedelta(hours=1), "us-east-2"
COPIED = Policy("gold", Selector(), Retention(), (CopyRule(DR),), rpo=24 * HOUR)
ALONE = Policy("alone", Selector(), Retention(), rpo=24 * HOUR)


def unusable(taken: Snapshot, reason: Unusable = Unusable.KEY_DISABLED) -> Snapshot:
    return replace(taken, key_fault=KeyFault("arn:key", reason))


def protection(policy: Policy, sources: list[Snapshot], copies: list[Snapshot]) -> VolumeProtection:
    volumes = [Volume("vol-0a", REGION, 8, "gp3")]
    [found] = volume_protections(REGION, volumes, sources, {DR: copies}, PolicySet((policy,)), NOW, system=SYSTEM)
    return found


OLD, NEW = snapshot(NOW - 30 * HOUR, 1), snapshot(NOW - HOUR, 2)


def test_the_rpo_age_is_that_of_the_newest_usable_copy() -> None:
    copies = [copy_of(OLD, DR, 1), unusable(copy_of(NEW, DR, 2))]
    late = protection(COPIED, [OLD, NEW], copies)
    assert (late.health, late.age) == (VolumeHealth.LATE, 30 * HOUR)
    assert late.why.endswith("others cannot be restored: its key is disabled (1)")
    assert protection(COPIED, [OLD, NEW], [copies[0], copy_of(NEW, DR, 2)]).health is VolumeHealth.PROTECTED


@pytest.mark.parametrize(
    ("reason", "health"),
    [
        (Unusable.KEY_MISSING, VolumeHealth.NO_RECOVERY_POINT),
        (Unusable.KEY_PENDING_DELETION, VolumeHealth.NO_RECOVERY_POINT),
        (Unusable.KEY_NOT_KNOWN, VolumeHealth.UNKNOWN),
    ],
)
def test_a_volume_whose_points_cannot_be_restored_is_not_protected(reason: Unusable, health: VolumeHealth) -> None:
    copied = protection(COPIED, [NEW], [unusable(copy_of(NEW, DR, 1), reason)])
    alone = protection(ALONE, [unusable(NEW, reason)], [])
    assert (copied.health, copied.age, copied.recovery_points) == (health, None, ())
    assert (alone.health, alone.age, alone.recovery_points) == (health, None, ())
    assert copied.why.endswith(f": {reason.label} (1)")


def test_a_new_volume_with_an_unusable_copy_is_not_first_copy_pending() -> None:
    assert protection(COPIED, [NEW], []).health is VolumeHealth.FIRST_COPY_PENDING
    assert protection(COPIED, [NEW], [unusable(copy_of(NEW, DR, 1))]).health is VolumeHealth.NO_RECOVERY_POINT


def test_copies_protect_a_volume_whose_own_snapshots_cannot_be_restored() -> None:
    assert protection(COPIED, [unusable(NEW)], [copy_of(NEW, DR, 1)]).health is VolumeHealth.PROTECTED


def test_unusable_snapshots_and_an_unreadable_dr_region_give_no_age() -> None:
    volumes = [Volume("vol-0a", REGION, 8, "gp3")]
    [unknown] = volume_protections(REGION, volumes, [unusable(NEW)], {}, PolicySet((COPIED,)), NOW, system=SYSTEM)
    assert (unknown.health, unknown.age, unknown.why) == (VolumeHealth.UNKNOWN, None, f"{DR} could not be read")


def test_a_key_at_risk_names_its_snapshots_and_copies() -> None:
    listed = [unusable(NEW), unusable(copy_of(OLD, DR, 1)), copy_of(NEW, DR, 2)]
    [key] = keys_at_risk(DR, listed, SYSTEM)
    assert (key.snapshots, key.copies, key.policies) == (1, 1, ("gold",))
    assert key.text == (
        "its key is disabled. 1 snapshot and 1 copy of vol-0a (policy gold) cannot be restored: "
        "aws kms enable-key --key-id arn:key --region us-east-2"
    )
