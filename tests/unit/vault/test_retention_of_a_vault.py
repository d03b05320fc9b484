"""Retention in a vault goes by the vault's own document, whatever production does (INV-24)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.locks import LockLimits
from snapkeep.domain.model import EBS_KEY
from snapkeep.domain.policy.model import (
    AWS_MANAGED,
    CopyRule,
    GoneRetention,
    LockMode,
    LockRule,
    Policy,
    PolicySet,
    Retention,
    Selector,
    VerifyRule,
)
from snapkeep.domain.policy.vaults import vault_policies
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.tags import description_of_copy
from snapkeep.lab.ebs_model import FaultRule
from support.vaulting import DR, PRIMARY, VAULT_ACCOUNT, VaultLaboratory, vault


def test_only_the_vaults_entry_becomes_its_policy() -> None:
    production = Policy(
        "gold", Selector(), Retention(keep_last=1), (CopyRule(DR),), gone=GoneRetention(keep_last=1), vault="bunker"
    )
    other = vault(name="other", account="999999999999", retention=Retention(keep_last=1))
    policies = vault_policies(PolicySet((production,), vaults=(other, vault())), VAULT_ACCOUNT, DR)
    (policy,) = policies.policies
    assert policies.vaults == (vault(),)
    assert (policy.name, policy.gone, policy.hold_tags) == ("bunker", None, {})
    rule = CopyRule(DR, EBS_KEY, retention=vault().retention, carry_tags=False, verify=VerifyRule(structure="never"))
    assert policy.copies == (rule,)
    assert vault().kms_key == AWS_MANAGED


def test_older_copies_are_deleted_by_the_vaults_retention() -> None:
    lab = VaultLaboratory(vaults=(vault(retention=Retention(keep_last=2)),))
    volume_id = lab.make_volume()
    shared = []
    for _ in range(4):
        shared.append(lab.offer(volume_id))
        lab.settle()
    assert lab.sources() == shared[-2:]


def production_loses_everything(lab: VaultLaboratory, volume_id: str) -> None:
    """The volume, its snapshots and the DR copies are deleted; the shares went with them."""
    for region in (DR, PRIMARY):
        for snapshot_id in list(lab.world.region_account(region).snapshots):
            lab.ec2(region).delete_snapshot(SnapshotId=snapshot_id)
    lab.ec2(PRIMARY).delete_volume(VolumeId=volume_id)


def test_deletions_in_production_delete_nothing_in_the_vault() -> None:
    """INV-24."""
    lab = VaultLaboratory()
    volume_id = lab.make_volume()
    shared = []
    for _ in range(3):
        shared.append(lab.offer(volume_id))
        lab.settle()
    production_loses_everything(lab, volume_id)
    for _ in range(3):
        lab.runner.advance(40 * 86_400)
        report = lab.sweep()
        assert {item.kind for item in report.items} <= {FindingKind.SHARING_NOT_BLOCKED}
    assert lab.sources() == shared


def test_withdrawn_shares_count_for_nothing() -> None:
    lab = VaultLaboratory(withdraws=False)
    volume_id = lab.make_volume()
    shared = [lab.offer(volume_id) for _ in range(3)]
    lab.settle()
    for snapshot_id in shared:
        lab.withdraw(snapshot_id)
    lab.sweep()
    assert lab.sources() == shared


@pytest.mark.parametrize(
    "vaults",
    [(), (vault(name="renamed", retention=Retention(keep_last=1)),), (vault(account="999999999999"),), (vault(region=PRIMARY),)],
)
def test_a_document_that_does_not_name_the_copies_vault_keeps_everything(vaults: tuple[Any, ...]) -> None:
    lab = VaultLaboratory(withdraws=False)
    volume_id = lab.make_volume()
    shared = [lab.offer(volume_id) for _ in range(3)]
    lab.settle()
    lab.vaults = vaults
    found = {item.kind for item in lab.sweep().items}
    assert lab.sources() == shared
    assert found & {FindingKind.VAULT_IDLE, FindingKind.POLICY_PROBLEM}


def test_a_source_region_that_does_not_answer_stops_nothing() -> None:
    """The vault reads no other region but the one that is shared in: a disaster of production must not keep it from working."""
    lab = VaultLaboratory(vaults=(vault(retention=Retention(keep_last=1)),))
    volume_id = lab.make_volume()
    older = lab.dr_copy(volume_id)
    newer = lab.dr_copy(volume_id)
    lab.world.add_fault(FaultRule("region_unreachable", region=PRIMARY))
    for copy_id in (older, newer):
        lab.share(copy_id)
        lab.settle()
    assert lab.sources() == [newer]


def test_a_locked_copy_stays_past_its_retention() -> None:
    lab = VaultLaboratory(vaults=(vault(retention=Retention(keep_last=1)),))
    volume_id = lab.make_volume()
    first = lab.offer(volume_id)
    lab.settle()
    (copy,) = lab.copies()
    lab.ec2(account_id=VAULT_ACCOUNT).lock_snapshot(SnapshotId=copy.id, LockMode="governance", LockDuration=35)
    second = lab.offer(volume_id)
    lab.settle()
    assert lab.sources() == [first, second]
    lab.runner.advance(timedelta(days=36).total_seconds())
    lab.sweep()
    assert lab.sources() == [second]


def test_worthless_copies_with_forged_starts_displace_no_locked_copy() -> None:
    """An administrator of production can share any number of copies whose descriptions name later starts on the same days."""
    kept = Retention(keep_daily=5)
    lock = LockRule(LockMode.GOVERNANCE, timedelta(days=35))
    lab = VaultLaboratory(vaults=(vault(retention=kept, lock=lock),))
    lab.runner.composition.layout = replace(lab.runner.layout, lock_limits=LockLimits(35))
    volume_id, other = lab.make_volume(), lab.make_volume()
    good = []
    for _ in range(3):
        good.append(lab.offer(volume_id))
        lab.settle()
        lab.runner.advance(timedelta(days=1).total_seconds())
    for point in lab.runner.composition.points(DR).snapshots([copy.id for copy in lab.copies()]).values():
        origin = point.origin
        copy_id = lab.dr_copy(other)
        forged = replace(origin, snapshot_id=f"snap-{copy_id[-8:]}", start_time=origin.start_time + timedelta(hours=1))
        lab.world.region_account(DR).snapshots[copy_id].description = description_of_copy(forged)
        lab.share(copy_id)
        lab.settle()
    lab.runner.advance(timedelta(days=30).total_seconds())
    lab.sweep()
    assert set(good) < set(lab.sources()), "while they are locked"
    lab.runner.advance(timedelta(days=10).total_seconds())
    lab.sweep()
    assert set(good[1:]).isdisjoint(lab.sources()), "what cannot be prevented: of each day the latest start stays"
