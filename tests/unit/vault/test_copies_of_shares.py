"""The copies that a vault makes of shared snapshots, and the words that it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.tag_names import MANAGED, POLICY, SOURCE_SNAPSHOT, SOURCE_VOLUME
from snapkeep.domain.tags import description_of_copy
from snapkeep.lab.ebs_model import Faults, Quotas
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.usecases.copies.pull import NO_OWNERS
from support.vaulting import DR, PRIMARY, VAULT_ACCOUNT, VaultLaboratory, vault

STRANGER = "333333333333"
HOUR = 3600.0


def findings(lab: VaultLaboratory) -> list[FindingKind]:
    return [item.kind for item in lab.sweep().items if item.kind is not FindingKind.SHARING_NOT_BLOCKED]


def test_a_shared_copy_is_copied_under_the_vaults_key_with_its_origin() -> None:
    lab = VaultLaboratory()
    volume_id = lab.make_volume()
    shared_id = lab.offer(volume_id)
    lab.settle()
    (copy,) = lab.copies()
    shared = lab.world.region_account(DR).snapshots[shared_id]
    source = lab.world.region_account(PRIMARY).snapshots[shared.source_id]
    assert (copy.source_id, copy.state) == (shared_id, "completed")
    assert copy.key_arn.split(":")[4] == VAULT_ACCOUNT
    # The description of the first copy, so that both have the same origin.
    assert copy.description == description_of_copy(Origin(PRIMARY, volume_id, source.id, utc(source.start)))
    tags = lab.tags(copy.id)
    assert (tags[MANAGED], tags[POLICY]) == ("snapkeep", "bunker")
    assert (tags[SOURCE_VOLUME], tags[SOURCE_SNAPSHOT]) == (volume_id, source.id)


def test_events_are_sent_from_completion_until_the_share_ends() -> None:
    lab = VaultLaboratory()
    shared_id = lab.offer(lab.make_volume())
    lab.run_until(lambda: lab.entries(EntryState.RUNNING) == 1)
    lab.runner.pull(DR)
    assert lab.words == []
    lab.settle()
    lab.pull()
    lab.pull()
    assert lab.words == [shared_id]


def test_events_are_sent_again_while_the_share_stays() -> None:
    lab = VaultLaboratory(withdraws=False)
    shared_id = lab.offer(lab.make_volume())
    lab.settle()
    lab.pull()
    lab.sweep()
    assert lab.words == [shared_id, shared_id]
    assert len(lab.copies()) == 1, "word again is not a copy again"


def test_without_any_event_sweeps_copy_and_send_events() -> None:
    lab = VaultLaboratory(faults=Faults(event_lost=1.0))
    shared_id = lab.offer(lab.make_volume())
    lab.runner.advance(HOUR)
    assert lab.copies() == []
    for _ in range(3):  # it is copied, its end is seen, and word is sent
        lab.sweeper.start()
        lab.runner.advance(6 * HOUR)
    assert (lab.sources(), lab.words) == ([shared_id], [shared_id])


def test_snapshots_of_accounts_that_are_no_owners_are_not_copied() -> None:
    lab = VaultLaboratory(owners=(STRANGER,))
    lab.offer(lab.make_volume())
    lab.settle()
    assert findings(lab) == []
    assert (lab.copies(), lab.words) == ([], [])


def test_a_vault_without_owners_copies_nothing_and_reports_why() -> None:
    lab = VaultLaboratory()
    lab.share(lab.dr_copy(lab.make_volume()))
    done = replace(lab.runner.composition.pull(DR), owners=()).run()
    assert (done.problem, done.requested) == (NO_OWNERS, ())


def test_a_public_snapshot_of_an_owner_is_not_copied() -> None:
    lab = VaultLaboratory()
    copy_id = lab.dr_copy(lab.make_volume(), key="")
    lab.ec2().modify_snapshot_attribute(
        SnapshotId=copy_id, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]
    )
    assert findings(lab) == []
    assert lab.copies() == []


def test_a_shared_snapshot_that_names_no_source_is_refused() -> None:
    lab = VaultLaboratory()
    snapshot_id = str(lab.ec2(PRIMARY).create_snapshot(VolumeId=lab.make_volume())["SnapshotId"])
    lab.run_until(lambda: lab.state(snapshot_id, PRIMARY) == "completed")
    copied = lab.ec2().copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id, Description="by hand")
    copy_id = str(copied["SnapshotId"])
    lab.run_until(lambda: lab.state(copy_id) == "completed")
    lab.share(copy_id)
    lab.settle()
    assert findings(lab) == [FindingKind.SHARE_REFUSED]
    assert lab.copies() == []


def test_a_vault_in_the_sources_own_region_copies_nothing() -> None:
    """There a copy could not be distinguished from a source of its own."""
    lab = VaultLaboratory()
    copy_id = lab.dr_copy(lab.make_volume())
    shared = lab.world.region_account(DR).snapshots[copy_id]
    shared.description = shared.description.replace(f"from {PRIMARY}", f"from {DR}")
    lab.share(copy_id)
    lab.settle()
    assert findings(lab) == [FindingKind.SHARE_REFUSED]


def test_a_start_in_the_future_counts_as_the_shared_copys_own() -> None:
    """Otherwise one forged description would make every true copy the older one."""
    lab = VaultLaboratory()
    copy_id = lab.dr_copy(lab.make_volume())
    shared = lab.world.region_account(DR).snapshots[copy_id]
    start = utc(shared.start) + timedelta(days=365)
    source = Origin(PRIMARY, "vol-0a", "snap-0a", start)
    shared.description = description_of_copy(source)
    lab.share(copy_id)
    lab.settle()
    (copy,) = lab.runner.composition.points(DR).snapshots([lab.copies()[0].id]).values()
    assert copy.origin.start_time == utc(shared.start)


def test_no_more_copies_run_than_the_vaults_own_quota_allows() -> None:
    lab = VaultLaboratory(quotas=Quotas(copies_per_destination=2))
    in_flight = lab.world.region_account(DR, VAULT_ACCOUNT).copies_in_flight
    most = 0
    for copy_id in [lab.dr_copy(lab.make_volume(size_gib=500)) for _ in range(5)]:
        lab.share(copy_id)
    lab.runner.advance(60)
    while not lab.runner.idle:
        most = max(most, len(in_flight))
        lab.runner.advance(60)
    assert most == 2
    assert [copy.state for copy in lab.copies()] == ["completed"] * 5


def test_a_copy_succeeds_once_its_key_is_shared() -> None:
    lab = VaultLaboratory()
    lab.allow_key([])
    shared_id = lab.offer(lab.make_volume())
    lab.settle()
    assert lab.entries(EntryState.FAILED) == 1
    assert [notice.kind for notice in lab.runner.composition.notices.added] == ["CopyFailed"]
    lab.pull()
    assert lab.entries(EntryState.FAILED) == 1, "the schedule does not try it every five minutes"
    lab.allow_key()
    lab.sweep()
    lab.pull()
    assert lab.words == [shared_id]
    assert [copy.state for copy in lab.copies()] == ["completed"]


def test_an_unrestorable_copy_is_not_reported_as_completed() -> None:
    """INV-25: production continues to share until the vault has a usable copy."""
    lab = VaultLaboratory(vaults=(vault(kms_key="alias/mine"),))
    kms = lab.world.client("kms", DR, VAULT_ACCOUNT, caller="person")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key_id)
    shared_id = lab.offer(lab.make_volume())
    lab.settle()
    kms.disable_key(KeyId=key_id)
    lab.runner.advance(600)
    assert FindingKind.KEY_AT_RISK in findings(lab)
    assert lab.words == []
    kms.enable_key(KeyId=key_id)
    lab.runner.advance(600)
    lab.pull()
    assert lab.words == [shared_id]


def test_without_a_vault_in_the_document_nothing_is_copied() -> None:
    for vaults in ((), (vault(account=STRANGER),), (vault(region=PRIMARY),)):
        lab = VaultLaboratory(vaults=vaults)
        lab.allow_key([])
        lab.offer(lab.make_volume())
        lab.settle()
        assert findings(lab) == [FindingKind.VAULT_IDLE]
        assert lab.copies() == []


def test_a_share_that_is_withdrawn_before_it_is_copied_is_notified() -> None:
    lab = VaultLaboratory()
    lab.runner.composition.layout = replace(lab.runner.layout, copy_quota=1)
    lab.offer(lab.make_volume(size_gib=500))
    second = lab.dr_copy(lab.make_volume())
    lab.offer(lab.make_volume(size_gib=500))
    lab.share(second)
    lab.run_until(lambda: lab.entries(EntryState.WAITING) > 0)
    lab.withdraw(second)
    lab.settle()
    assert second not in lab.sources()
    assert [notice.kind for notice in lab.runner.composition.notices.added] == ["CopyFailed"]


@pytest.mark.parametrize(
    ("unfit", "why"),
    [
        (lambda one: replace(one, origin=replace(one.origin, region="eu-west-1", snapshot_id=one.id)), "names no source"),
        (lambda one: replace(one, origin=replace(one.origin, region=DR)), "its source is in us-east-2 too"),
        (lambda one: replace(one, state=SnapshotState.PENDING), "it is pending"),
        (lambda one: replace(one, state=SnapshotState.ERROR), "it is error"),
    ],
)
def test_a_share_that_no_vault_copies_is_refused_with_its_reason(unfit: Callable[[Snapshot], Snapshot], why: str) -> None:
    lab = VaultLaboratory()
    lab.share(lab.dr_copy(lab.make_volume()))
    pull = lab.runner.composition.pull(DR)
    (shared,) = pull.shares_of(DR).shared()
    refused = replace(shared, snapshot=unfit(shared.snapshot))
    done = replace(pull, shares_of=lambda _: SimpleNamespace(shared=lambda _: [refused])).run()
    assert (done.requested, done.complete) == ((), ())
    assert [(one.snapshot_id, why in one.why) for one in done.refused] == [(shared.snapshot.id, True)]
    assert len(pull.run().requested) == 1, "as it is, it is copied"


def test_a_completed_copy_of_a_failed_entry_is_not_made_again() -> None:
    """It was found wrong, which is for a person to decide."""
    lab = VaultLaboratory()
    lab.offer(lab.make_volume())
    lab.settle()
    (copy,) = lab.copies()
    pull, queue = lab.runner.composition.pull(DR), lab.runner.composition.queues[DR]
    (entry,) = queue.in_state(EntryState.DONE)
    queue.write(replace(entry, state=EntryState.FAILED))
    assert pull.run(retry_failed=True).requested == ()
    copy.state = "error"
    assert pull.run().requested == ()
    assert pull.run(retry_failed=True).requested == (entry.key,)
