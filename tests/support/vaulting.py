"""A vault's account beside production's over one world, in virtual time. A test acts for production."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from snapkeep.adapters.ec2_writers import Ec2Copier
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.domain.policy.model import PolicySet, Retention, Vault
from snapkeep.domain.sweep.report import SweepReport
from snapkeep.domain.vault.key_policy import key_policy_statements
from snapkeep.lab.ebs_model import Faults, Quotas, Speeds, VirtualClock, World
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.store.records import SnapshotRecord
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import Hook
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.sweeps import Sweeper

PRIMARY, DR = "us-east-1", "us-east-2"
VAULT_ACCOUNT = "210987654321"
CLEAN = "555555555555"
"""An account for which copies of the vault's points are made."""
GRANTED = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
DAY = 86_400.0


def vault(**given: Any) -> Vault:
    """A vault in the DR region that keeps three copies of each volume."""
    values = {"name": "bunker", "account": VAULT_ACCOUNT, "region": DR, "from_region": DR, "retention": Retention(keep_last=3)}
    return Vault(**(values | given))


@dataclass
class VaultLaboratory:
    """A world with production's snapshots, and a vault that copies what is shared with it."""

    vaults: tuple[Vault, ...] = (vault(),)
    quotas: Quotas | None = None
    speeds: Speeds | None = None
    faults: Faults | None = None
    hook: Hook | None = None
    withdraws: bool = True
    """Whether production ends a share when it gets word."""
    owners: tuple[str, ...] = ()
    """The allowed owners; without any, production's account."""

    def __post_init__(self) -> None:
        self.world = World(
            clock=VirtualClock(), regions=(PRIMARY, DR), quotas=self.quotas, speeds=self.speeds, faults=self.faults, seed=0
        )
        self.events: list[dict[str, Any]] = []
        self.world.subscribe(self.events.append)
        layout = SystemLayout(
            primaries=(),
            destinations=(DR,),
            account_id=VAULT_ACCOUNT,
            owner_accounts=self.owners or (self.world.account_id,),
        )
        self.runner = Runner(self.world, lambda: PolicySet((), vaults=self.vaults), layout, hook=self.hook)
        self.sweeper = Sweeper(self.runner)
        self.pushed: list[str] = []
        """The documents that a command put in force in the vault."""
        self.words: list[str] = []
        """The shared snapshots that the vault sent word of."""
        self.runner.composition.on_word.append(self.on_word)
        key = self.world.client("kms", DR, caller="person").create_key()["KeyMetadata"]
        self.key_arn = str(key["Arn"])
        self.allow_key()

    # Production

    def ec2(self, region: str = DR, account_id: str = "") -> Any:
        return self.world.client("ec2", region, account_id or None, caller="person")

    def allow_key(self, statements: Sequence[dict[str, Any]] | None = None) -> None:
        """Let the vaults use the key of the DR copies, by what `snapkeep vault key-policy` prints, or by these statements."""
        own = {"Effect": "Allow", "Principal": {"AWS": self.world.account_id}, "Action": "kms:*", "Resource": "*"}
        if statements is None:
            statements = [statement for one in self.vaults for statement in key_policy_statements(one, "aws")]
        policy = json.dumps({"Version": "2012-10-17", "Statement": [own, *statements]})
        self.world.client("kms", DR, caller="person").put_key_policy(KeyId=self.key_arn, Policy=policy)

    def make_volume(self, size_gib: int = 8) -> str:
        volume = self.ec2(PRIMARY).create_volume(AvailabilityZone=f"{PRIMARY}a", Size=size_gib, VolumeType="gp3")
        self.runner.advance(5)
        return str(volume["VolumeId"])

    def dr_copy(self, volume_id: str, *, key: str | None = None) -> str:
        """Return a completed DR copy of a new snapshot, as Snapkeep makes it in production."""
        snapshot_id = str(self.ec2(PRIMARY).create_snapshot(VolumeId=volume_id)["SnapshotId"])
        self.run_until(lambda: self.state(snapshot_id, PRIMARY) == "completed")
        source = self.world.region_account(PRIMARY).snapshots[snapshot_id]
        origin = Origin(PRIMARY, volume_id, snapshot_id, utc(source.start))
        kms_key = self.key_arn if key is None else key
        request = CopyRequest(origin, "gold", DR, kms_key, utc(source.start), source.size_gib, bool(kms_key))
        copy_id = Ec2Copier(client=self.ec2()).start_copy(request)
        self.run_until(lambda: self.state(copy_id) == "completed")
        return copy_id

    def share(self, snapshot_id: str, account_id: str = VAULT_ACCOUNT) -> None:
        self._permit("add", snapshot_id, account_id)

    def withdraw(self, snapshot_id: str) -> None:
        self._permit("remove", snapshot_id, VAULT_ACCOUNT)

    def on_word(self, shared_id: str, _: str) -> None:
        """End a share, as production does."""
        self.words.append(shared_id)
        if self.withdraws and shared_id in self.world.region_account(DR).permissions:
            self.withdraw(shared_id)

    def _permit(self, operation: str, snapshot_id: str, account_id: str) -> None:
        self.ec2().modify_snapshot_attribute(
            SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType=operation, UserIds=[account_id]
        )

    def offer(self, volume_id: str) -> str:
        """Share the DR copy of a new snapshot with the vault; return its id."""
        copy_id = self.dr_copy(volume_id)
        self.share(copy_id)
        return copy_id

    # The vault

    def copies(self) -> list[SnapshotRecord]:
        """Return the vault's snapshots, oldest first."""
        listed = self.world.region_account(DR, VAULT_ACCOUNT).snapshots.values()
        return sorted(listed, key=lambda snapshot: snapshot.seq)

    def sources(self) -> list[str]:
        """Return the shared snapshots that the vault's snapshots were copied from."""
        return [copy.source_id for copy in self.copies()]

    def tags(self, snapshot_id: str) -> dict[str, str]:
        return self.world.resource_tags(DR, VAULT_ACCOUNT, snapshot_id)

    def entries(self, state: EntryState) -> int:
        return self.runner.composition.queues[DR].count(state)

    def sweep(self) -> SweepReport:
        """Sweep the vault, and let everything that follows come to its end."""
        self.sweeper.start()
        self.settle()
        return self.sweeper.reports[-1]

    def pull(self) -> None:
        """Pull all that is shared, as the schedule does, and let everything that follows come to its end."""
        self.runner.pull(DR)
        self.settle()

    # Time

    def settle(self, limit_seconds: float = 7 * DAY) -> None:
        assert self.runner.run_until_idle(limit_seconds), "something is still under way"
        assert self.runner.unexpected == [], self.runner.unexpected

    def run_until(self, reached: Callable[[], bool]) -> None:
        """Run what is due until a state is reached, within a day."""
        for _ in range(24 * 60):
            if reached():
                return
            self.runner.advance(60)
        raise AssertionError("it was not reached within a day")

    def state(self, snapshot_id: str, region: str = DR) -> str:
        return self.world.region_account(region).snapshots[snapshot_id].state


def vault_with_two_points() -> VaultLaboratory:
    """A vault that keeps two copies of each volume, and has two of one."""
    made = VaultLaboratory(vaults=(vault(retention=Retention(keep_last=2)),))
    volume_id = made.make_volume()
    for _ in range(2):
        made.offer(volume_id)
        made.settle()
    return made


def volume_of(lab: VaultLaboratory) -> str:
    """The source volume of the points."""
    return lab.copies()[0].description.split(" of ")[1].split(" ")[0]


def key_to_share(lab: VaultLaboratory, *accounts: str) -> str:
    """Make a key of the vault's account that other accounts may use; return its ARN."""
    kms = lab.world.client("kms", DR, VAULT_ACCOUNT, caller="keeper")
    arn = str(kms.create_key()["KeyMetadata"]["Arn"])
    own = {"Effect": "Allow", "Principal": {"AWS": VAULT_ACCOUNT}, "Action": "kms:*", "Resource": "*"}
    others = [{"Effect": "Allow", "Principal": {"AWS": one}, "Action": GRANTED, "Resource": "*"} for one in accounts]
    kms.put_key_policy(KeyId=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [own, *others]}))
    return arn
