"""Sweeps look at every copy that is shared with a vault, and leave it alone until the vault has copied it."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.policy.model import Policy, PolicySet, Vault
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, SweepReport
from snapkeep.domain.vault.copy_event import VaultCopyEvent
from snapkeep.lab.simulator.functions import sharing_of
from snapkeep.usecases.look.status import Destination, StatusTotal, SystemStatus, gather_status
from support.flows import DAY, DR, HOUR, PRIMARY
from support.sweeping_world import SweepingWorld, gold

ACCOUNT, STRANGER = "210987654321", "999988887777"
VAULT = Vault("bunker", ACCOUNT, DR, DR, gold().policies[0].retention)


def with_vault(key: str, *, keep_copies: int = 3, vault: Vault = VAULT) -> PolicySet:
    policies = gold(keep_copies=keep_copies)
    policy: Policy = policies.policies[0]
    copies = (replace(policy.copies[0], kms_key=key),)
    return replace(policies, policies=(replace(policy, copies=copies, vault="bunker"),), vaults=(vault,))


def shared_copy() -> tuple[SweepingWorld, str, str]:
    """A world in which a copy is shared with the vault; its volume, and the copy."""
    world = SweepingWorld(verify=True, vault_accounts=(ACCOUNT,))
    key = world.world.client("kms", DR, caller="person").create_key()["KeyMetadata"]["Arn"]
    world.policies = with_vault(key)
    volume = world.volume()
    world.snapshot(volume)
    world.later(2 * HOUR)
    (record,) = world.snapshots(DR)
    return world, volume, str(record["SnapshotId"])


def ids(world: SweepingWorld) -> set[str]:
    return {record["SnapshotId"] for record in world.snapshots(DR)}


def found(report: SweepReport) -> set[tuple[FindingKind, str]]:
    noted = {FindingKind.SHARING_NOT_BLOCKED}
    return {(item.kind, item.subject) for item in report.items if item.kind not in noted}


def test_a_share_older_than_a_day_is_counted_and_found() -> None:
    world, _, copy = shared_copy()
    report = world.sweep(DR)
    assert found(report) == set()
    assert (report.counts[Figure.COPIES_SHARED], report.counts[Figure.COPIES_IN_VAULT]) == (1, 0)
    world.later(DAY)
    assert found(world.sweep(DR)) == {(FindingKind.SHARE_STALE, copy)}
    sharing_of(world.composition(), DR).withdraw(VaultCopyEvent(copy, "snap-0fedcba9876543210", ACCOUNT))
    report = world.sweep(DR)
    assert found(report) == set()
    assert (report.counts[Figure.COPIES_SHARED], report.counts[Figure.COPIES_IN_VAULT]) == (0, 1)


def test_the_event_of_another_account_withdraws_no_share() -> None:
    world, _, copy = shared_copy()
    assert not sharing_of(world.composition(), DR).withdraw(VaultCopyEvent(copy, "snap-0fedcba9876543210", STRANGER))
    assert world.sweep(DR).counts[Figure.COPIES_SHARED] == 1


def test_the_status_counts_vault_copies_and_waiting_shares() -> None:
    world, _, copy = shared_copy()

    def seen() -> SystemStatus:
        composition = world.composition()
        destination = Destination(reader=composition.reader(DR), queue=composition.queue_of(DR))
        return gather_status(
            composition.reader(PRIMARY), [destination], world.policies, composition.clock.now(), system="snapkeep"
        )

    def totals() -> dict[StatusTotal, int]:
        return {total: count for total, count in seen().totals.items() if total.value in ("copies_shared", "copies_in_vault")}

    assert totals() == {StatusTotal.COPIES_SHARED: 1, StatusTotal.COPIES_IN_VAULT: 0}
    assert [(one.vault.name, one.shared, one.late) for one in seen().vaults] == [("bunker", 1, False)]
    world.later(DAY)
    assert [one.late for one in seen().vaults] == [True]
    assert not seen().healthy
    sharing_of(world.composition(), DR).withdraw(VaultCopyEvent(copy, "snap-0fedcba9876543210", ACCOUNT))
    assert totals() == {StatusTotal.COPIES_SHARED: 0, StatusTotal.COPIES_IN_VAULT: 1}
    assert [(one.copied, one.shared, one.late) for one in seen().vaults] == [(1, 0, False)]


def test_the_next_sweep_finds_an_unknown_account_besides_the_vault() -> None:
    """INV-22."""
    world, _, copy = shared_copy()
    grant = {"Attribute": "createVolumePermission", "OperationType": "add"}
    world.ec2_dr.modify_snapshot_attribute(SnapshotId=copy, UserIds=[STRANGER], **grant)
    assert found(world.sweep(DR)) == {(FindingKind.SHARED, copy)}


def test_a_vault_that_the_stack_may_not_share_with_is_found() -> None:
    world, _, copy = shared_copy()
    world.policies = replace(world.policies, vaults=(replace(VAULT, account=STRANGER),))
    assert found(world.sweep(DR)) == {(FindingKind.VAULT_NOT_ALLOWED, "bunker")}
    sharing_of(world.composition(), DR).catch_up()
    assert world.world.region_account(DR).permissions.get(copy) is None


def test_a_shared_copy_outlives_newer_ones_until_the_vault_has_it() -> None:
    world, volume, copy = shared_copy()
    world.policies = with_vault(world.policies.policies[0].copies[0].kms_key, keep_copies=1)
    world.later(HOUR)
    world.snapshot(volume)
    world.later(2 * HOUR)
    assert copy in ids(world)
    sharing_of(world.composition(), DR).withdraw(VaultCopyEvent(copy, "snap-0fedcba9876543210", ACCOUNT))
    world.sweep(DR)
    assert copy not in ids(world)
