"""Recoveries over the model of EBS: the primary region is lost, and a database is made again in the DR region."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.recovery.choice import Target
from snapkeep.domain.recovery.recovery_plan import RecoveryPlan, RecoveryRun
from snapkeep.domain.tag_names import RECOVERY
from snapkeep.lab.simulator.memory_ports import Hook, HookedPort, KernelClock
from snapkeep.usecases.recovery.all_actions import all_actions
from snapkeep.usecases.recovery.prepare import PrepareRecovery, RecoveryRequest, begin
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.databases import protect_set, run_database
from support.flows import DR, Laboratory


class Killed(BaseException):
    """The process ended."""


class KillAt:
    """Ends the process at the n-th moment before or after a call."""

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.seen = 0

    def __call__(self, name: str) -> None:
        self.seen += 1
        if self.seen == self.moment:
            raise Killed(name)


class Quotas:
    """Service Quotas that lists these quotas of `ebs` by their codes."""

    def __init__(self, quotas: Mapping[str, float]) -> None:
        self.quotas = quotas

    def list_service_quotas(self, **_: str) -> dict[str, object]:
        return {"Quotas": [{"QuotaCode": code, "QuotaName": code, "Value": value} for code, value in self.quotas.items()]}


@dataclass
class RecoveryLab:
    """A database of three volumes, protected as a set; `instance` runs in the DR region to attach volumes to."""

    def __post_init__(self) -> None:
        self.lab = Laboratory()
        self.instance_id, self.volumes = run_database(self.lab)
        self.snapshots = protect_set(self.lab, self.instance_id)
        launched = self.lab.ec2(DR).run_instances(
            ImageId=self.lab.ec2(DR).describe_images(Owners=["amazon"])["Images"][0]["ImageId"],
            InstanceType="m5.large",
            MinCount=1,
            MaxCount=1,
        )
        self.target_id = str(launched["Instances"][0]["InstanceId"])
        self.lab.runner.advance(60)

    @cached_property
    def clock(self) -> KernelClock:
        return KernelClock(self.lab.runner.kernel)

    @property
    def documents(self) -> Any:
        return self.lab.runner.composition.documents[DR]

    def ec2(self, caller: str = "operator") -> Ec2Instances:
        return Ec2Instances(client=self.lab.world.client("ec2", DR, caller=caller), region=DR)

    def prepare(self, ec2: Any = None, documents: Any = None) -> PrepareRecovery:
        reader = Ec2Reader(client=self.lab.world.client("ec2", DR), region=DR)
        return PrepareRecovery(
            snapshots=reader, reader=ec2 or self.ec2(), documents=documents or self.documents, volumes_in=self.volumes_in
        )

    def volumes_in(self, region: str, volume_ids: Collection[str]) -> Collection[str]:
        return Ec2Reader(client=self.lab.world.client("ec2", region), region=region).volumes(volume_ids).keys()

    def plan(self, *names: str, attach: bool = True, **more: Any) -> RecoveryPlan:
        target = Target(names or (self.instance_id,))
        attach_to = self.target_id if attach else ""
        return self.prepare().plan(RecoveryRequest(target, self.clock.now(), attach_to=attach_to, **more))

    def begin(self, plan: RecoveryPlan | None = None) -> RecoveryRun:
        run = begin(plan or self.plan(), "arn:operator", self.clock.now())
        Journal(documents=self.documents).begin(run)
        return run

    def recover(self, hook: Hook | None = None, caller: str = "operator") -> Recover:
        """Return the use case of recoveries, as in a new process."""

        def hooked(port: Any, name: str) -> Any:
            return HookedPort(port, name, hook) if hook else port

        journal = Journal(documents=hooked(self.documents, "documents"))
        return Recover(journal=journal, actions=all_actions(hooked(self.ec2(caller), "ec2"), self.clock), clock=self.clock)

    def recover_by_calls(self, hook: Hook, caller: str = "operator") -> Recover:
        """Return the use case of recoveries with the hook at each call of EC2 and of S3."""
        client: Any = HookedPort(self.lab.world.client("ec2", DR, caller=caller), "ec2", hook)
        journal = Journal(documents=HookedPort(self.documents, "s3", hook))  # type: ignore[arg-type]
        return Recover(journal=journal, actions=all_actions(Ec2Instances(client=client, region=DR), self.clock), clock=self.clock)

    def carry_out(self, run_id: str, action: Callable[[Recover, RecoveryRun], RecoveryRun], **how: Any) -> RecoveryRun:
        recover = self.recover(**how)
        return action(recover, recover.journal.read(run_id))

    def made(self, run: RecoveryRun) -> list[dict[str, Any]]:
        """Return the volumes that carry a run's tag."""
        filters = [{"Name": f"tag:{RECOVERY}", "Values": [run.id]}]
        return list(self.lab.ec2(DR).describe_volumes(Filters=filters)["Volumes"])

    def held(self) -> list[str]:
        filters = [{"Name": "tag-key", "Values": ["snapkeep:hold"]}]
        listed = self.lab.ec2(DR).describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
        return sorted(snapshot["SnapshotId"] for snapshot in listed)
