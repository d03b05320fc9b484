"""The deployed functions of a vault over the model, its state machine on an engine. A person acts for production in another account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto import mock_aws

from snapkeep.adapters.ec2_writers import Ec2Copier
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.domain.vault.key_policy import key_policy_statements
from snapkeep.lab.ebs_model.conditions.clock import utc
from support.patience import LOOKS
from support.real_system import REGIONS, STEP_SECONDS, EngineMaker, InvokingClient, RealSystem
from support.vaulting import VAULT_ACCOUNT, vault

OWNER = "123456789012"
PARAMETERS = {
    "AWS::AccountId": VAULT_ACCOUNT,
    "AWS::Partition": "aws",
    "OwnerAccounts": OWNER,
    "CopyAttempts": 1,
    "DigestQuietSeconds": 0,
    "HoldOnSignals": "yes",
    "MaxLockDays": 7,
}


class Buses:
    """EventBridge's client, which keeps the entries."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{} for _ in Entries]}


class VaultSystem(RealSystem):
    """A vault's stack with every function as on AWS, in the DR region of production."""

    def __init__(self) -> None:
        self.buses = Buses()
        super().__init__(parameters={"vault": PARAMETERS})

    @contextmanager
    def started(self, make_engine: EngineMaker) -> Iterator[VaultSystem]:
        """Run the vault on an engine inside the block."""
        with mock_aws():
            self._deploy("vault", REGIONS["dr"])
            with make_engine({name: handler for (_, name), handler in self.functions.items()}, self.advance) as engine:
                self.engine = engine
                self.world.subscribe(self._on_event)
                yield self

    def _made_client(self, service: str, region: str) -> Any:
        if service in ("ec2", "kms"):
            return self.world.client(service, region, VAULT_ACCOUNT, caller="snapkeep")
        if service == "lambda":
            return InvokingClient(self, "vault")
        return self.buses if service == "events" else super()._made_client(service, region)

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["account"] == VAULT_ACCOUNT and event["detail"]["event"] == "copySnapshot":
            self.start("receive", event)

    def run_until(self, reached: Callable[[], bool]) -> None:
        """Advance time, with the schedules of the vault's functions, until a state is reached and no execution runs."""
        for _ in range(LOOKS):
            for function in ("Pull", "Dispatch", "Digest"):
                self.invoke("vault", function, {"source": "aws.events", "detail-type": "Scheduled Event"})
            self.advance(STEP_SECONDS)
            self._wait_for_executions()
            if reached() and not self._open:
                return
        raise AssertionError(f"not reached: {reached}, {self._open}")

    # Actions of a person

    def push(self, key: str, **retention: int) -> None:
        """Put a document with the vault in force, whose copies are under a key."""
        bunker = {"name": "bunker", "account": VAULT_ACCOUNT, "region": REGIONS["dr"], "from": REGIONS["dr"]}
        lock = {"mode": "governance", "for": "1d"}
        gold = {"name": "gold", "select": {}, "retention": {"keep_last": 1}}
        document = {
            "version": 1,
            "policies": [gold],
            "vaults": [{**bunker, "kms_key": key, "lock": lock, "retention": retention}],
        }
        self.put(json.dumps(document))

    def put(self, document: str) -> None:
        """Put a text into the parameter of the document."""
        ssm = boto3.client("ssm", region_name=REGIONS["dr"])
        ssm.put_parameter(Name="/snapkeep/policy", Value=document, Type="String", Overwrite=True)

    def key(self, account: str = VAULT_ACCOUNT) -> str:
        """Make a key of an account in the DR region; production's lets the vault copy what is under it."""
        kms = self.world.client("kms", REGIONS["dr"], account, caller="person")
        arn = str(kms.create_key()["KeyMetadata"]["Arn"])
        if account == OWNER:
            own = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [own, *key_policy_statements(vault(), "aws")]}
            kms.put_key_policy(KeyId=arn, Policy=json.dumps(policy))
        return arn

    def share(self, volume_id: str, key: str) -> str:
        """Share a DR copy of a new snapshot of production with the vault; return the copy's id."""
        snapshot_id = str(self.ec2("primary").create_snapshot(VolumeId=volume_id)["SnapshotId"])
        self.advance(3_600)
        source = self.world.region_account(REGIONS["primary"]).snapshots[snapshot_id]
        origin = Origin(REGIONS["primary"], volume_id, snapshot_id, utc(source.start))
        request = CopyRequest(origin, "gold", REGIONS["dr"], key, utc(source.start), source.size_gib, encrypted=True)
        copy_id = Ec2Copier(client=self.ec2("dr")).start_copy(request)
        self.advance(3_600)
        share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [VAULT_ACCOUNT]}
        self.ec2("dr").modify_snapshot_attribute(SnapshotId=copy_id, **share)
        return copy_id

    def reported(self) -> set[str]:
        """Return the shared copies that the vault has reported as complete."""
        return {json.loads(entry["Detail"])["snapshot"] for entry in self.buses.entries}

    def copies(self) -> list[dict[str, Any]]:
        """Return the vault's copies, oldest first."""
        ec2 = self.world.client("ec2", REGIONS["dr"], VAULT_ACCOUNT, caller="person")
        return sorted(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"], key=lambda copy: copy["StartTime"])
