"""An administrator of production, for an hour of virtual time: what is lost, and what can be recovered afterwards.

The flows of the system go on meanwhile. docs/threat-model.md has the answers to the calls, and what becomes of recovery points;
`tests/embedded_aws` makes the same calls with IAM enforced.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.domain.policy.model import CopyRule, Policy, Retention, Selector
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import DeletionCall
from snapkeep.usecases.ports import DeletionOutcome
from support.administrator import CALLS, OF_THE_MODEL, Answer, Targets, crafted_plan
from support.flows import DAY, DR, HOUR, PRIMARY
from support.threats import answers_on_the_page, fates_on_the_page
from support.two_accounts import VAULT_ACCOUNT, TwoAccounts

VAULT_REGION = "us-west-2"
RECOVERABLE, LOST = "recoverable", "lost"
AFTER_CANCELLING = "recoverable once the deletion of the key is cancelled"


class Attacked(TwoAccounts):
    """A system with copies that are locked in each way, a vault in another account, and an administrator of production."""

    def __init__(self) -> None:
        super().__init__(region=VAULT_REGION, keep=9)
        under_aws_key = CopyRule(DR, kms_key="alias/aws/ebs", retention=Retention(keep_last=9))
        bronze = Policy("bronze", Selector(tags={"Backup": ("bronze",)}), Retention(keep_last=9), (under_aws_key,))
        self.lab.policies = replace(self.lab.policies, policies=(*self.lab.policies.policies, bronze))
        self.sources = [self.protect() for _ in range(3)]
        self.plain, self.governed, self.locked = (self.copy_of(source) for source in self.sources)
        volume = self.lab.make_volume({"Backup": "bronze"}, size_gib=1, Encrypted=True)
        bronze_source = self.lab.start_snapshot(volume)
        self.lab.runner.advance(HOUR)
        self.under_aws_key = self.copy_of(bronze_source)
        for copy, mode in ((self.governed, "governance"), (self.locked, "compliance"), (self.under_aws_key, "compliance")):
            self.lab.ec2(DR).lock_snapshot(SnapshotId=copy, LockMode=mode, LockDuration=30)
        self.content = self.checksums(PRIMARY, self.sources[2])
        (self.vault_copy,) = (kept.id for kept in self.kept() if kept.source_id == self.locked)
        self.lab.runner.advance(DAY)  # the cool-off period of its lock

    def copy_of(self, source: str) -> str:
        (copy,) = [each.id for each in self.lab.snapshots(DR) if each.source_id == source and each.state == "completed"]
        return copy

    def targets(self) -> Targets:
        regions = {"primary": PRIMARY, "dr": DR, "vault": VAULT_REGION}
        mine, theirs = (self.plain, self.governed, self.locked, self.key), (self.vault_copy, self.vault_key)
        return Targets(self.production, VAULT_ACCOUNT, regions, self.sources[2], self.volume, *mine, *theirs)

    def answers(self) -> dict[tuple[str, str], Answer]:
        """Make the calls in an hour, while the system runs, and return the answers."""
        targets, answers = self.targets(), {}
        calls = [call for call in CALLS if call.service in OF_THE_MODEL]
        for call in calls:
            client = self.world.client(call.service, targets.regions[call.stack], caller="administrator")
            answers[call.action, call.of] = call.answer_of(client, targets)
            self.lab.runner.advance(HOUR / len(calls))
        return answers

    def recovered(self, region: str, snapshot: str, account: str = "") -> dict[int, str] | None:
        """Return the checksums of a volume that is made of a snapshot; None when it cannot be made."""
        ec2 = self.world.client("ec2", region, account or None)
        try:
            made = ec2.create_volume(AvailabilityZone=f"{region}a", SnapshotId=snapshot)["VolumeId"]
            self.lab.runner.advance(60)
            again = ec2.create_snapshot(VolumeId=made)["SnapshotId"]
        except ClientError:
            return None
        self.lab.runner.advance(HOUR)
        return self.checksums(region, again, account)

    def restore_from_archive(self) -> None:
        self.lab.ec2(DR).restore_snapshot_tier(SnapshotId=self.locked, PermanentRestore=True)
        self.lab.runner.advance(DAY)


@pytest.fixture(scope="module")
def attacked() -> Attacked:
    return Attacked()


@pytest.fixture(scope="module")
def answers(attacked: Attacked) -> dict[tuple[str, str], Answer]:
    made = attacked.answers()
    assert attacked.lab.runner.unexpected == attacked.bunker.unexpected == []
    return made


def test_the_crafted_plan_is_one_that_the_deleting_function_reads(attacked: Attacked) -> None:
    """Without this, its refusal would show nothing; `tests/unit/retention/test_deletions_are_planned_anew.py` has the reasons."""
    call = from_json(DeletionCall, json.loads(crafted_plan(attacked.targets())))
    assert [order.snapshot_id for order in call.asked] == [attacked.sources[2]]
    production = attacked.lab.runner.composition
    (result,) = production.delete_snapshots(PRIMARY).run(call.volumes, call.copies, call.asked).results
    assert (result.outcome, attacked.sources[2] in attacked.lab.ids()) == (DeletionOutcome.UNSAFE, True)


def test_the_answers_are_those_of_the_page(answers: dict[tuple[str, str], Answer]) -> None:
    assert answers_on_the_page() == {(call.action, call.of): call.answer for call in CALLS}
    assert answers == {key: answer for key, answer in answers_on_the_page().items() if key in answers}
    assert len(CALLS) == 40


def test_the_page_has_what_is_lost_and_what_stays(attacked: Attacked, answers: dict[tuple[str, str], Answer]) -> None:
    def fate(region: str, snapshot: str, account: str = "", content: Any = None) -> str:
        found = attacked.recovered(region, snapshot, account)
        assert found is None or content is None or found == content
        return LOST if found is None else RECOVERABLE

    fates = {
        "a snapshot in the primary region": fate(PRIMARY, attacked.sources[2]),
        "a copy without a lock": fate(DR, attacked.plain),
        "a copy locked in governance mode": fate(DR, attacked.governed),
        "a copy locked in compliance mode under AWS's key": fate(DR, attacked.under_aws_key),
        "a copy in the vault": fate(VAULT_REGION, attacked.vault_copy, VAULT_ACCOUNT, attacked.content),
    }
    locked = "a copy locked in compliance mode under a customer managed key"
    attacked.restore_from_archive()
    assert fate(DR, attacked.locked) == LOST
    kms = attacked.world.client("kms", DR)
    kms.cancel_key_deletion(KeyId=attacked.key)
    kms.enable_key(KeyId=attacked.key)
    assert fate(DR, attacked.locked, content=attacked.content) == RECOVERABLE
    fates[f"{locked}, within the days until the key is deleted"] = AFTER_CANCELLING
    kms.schedule_key_deletion(KeyId=attacked.key, PendingWindowInDays=7)
    attacked.lab.runner.advance(8 * DAY)
    with pytest.raises(ClientError, match="NotFound"):
        kms.cancel_key_deletion(KeyId=attacked.key)
    fates[f"{locked}, later"] = fate(DR, attacked.locked)
    attacked.world.close_account(attacked.production)
    fates["a copy in the vault, once production's account is deleted"] = fate(
        VAULT_REGION, attacked.vault_copy, VAULT_ACCOUNT, attacked.content
    )
    fates["a copy locked in compliance mode, once production's account is deleted"] = fate(DR, attacked.under_aws_key)
    assert fates_on_the_page() == fates


def test_the_vault_s_lock_is_unchanged(attacked: Attacked, answers: dict[tuple[str, str], Answer]) -> None:
    locked = attacked.vault_ec2().describe_locked_snapshots()["Snapshots"]
    assert {lock["SnapshotId"]: lock["LockState"] for lock in locked}[attacked.vault_copy] == "compliance"
