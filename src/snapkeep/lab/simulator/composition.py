"""The functions' composition over a world: the same use cases and EC2 adapters, with the queue and the executions in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from snapkeep.adapters.ebs_blocks import EbsBlocks
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.model import DeletionPlan
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.system import StackKind
from snapkeep.functions import (
    copy_snapshot_to_dr,
    delete_old_snapshots,
    dispatch,
    lock_snapshots,
    make_snapshots,
    plan_retention,
    pull,
    tag_snapshot_copy,
    tag_snapshots,
)
from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.lab.simulator.memory_ports import (
    MemoryBuses,
    no_audit,
    no_notice,
)
from snapkeep.lab.simulator.memory_proofs import OneAfterAnother
from snapkeep.lab.simulator.system_ports import SystemPorts
from snapkeep.usecases.copies.dispatch import Dispatch
from snapkeep.usecases.copies.enqueue import EnqueueCopy
from snapkeep.usecases.copies.pull import PullShares
from snapkeep.usecases.copies.receive import ReceiveCopy
from snapkeep.usecases.copies.record_proof import RecordProof
from snapkeep.usecases.creation.make import MakeSnapshots
from snapkeep.usecases.locks import LockSnapshots
from snapkeep.usecases.protect import TagSnapshots
from snapkeep.usecases.recovery.read_blocks import ReadBlocks
from snapkeep.usecases.recovery.verify import VerifyCopy
from snapkeep.usecases.retention.delete import Audit, DeleteSnapshots
from snapkeep.usecases.retention.plan_volumes import RetentionPlanner


class StackComposition(Composition):
    """The composition of one stack in its region."""

    def __init__(self, system: SystemPorts, region: str, stack: str) -> None:
        layout = system.layout
        variables = {
            "AWS_REGION": region,
            "SNAPKEEP_STACK": stack,
            "SNAPKEEP_NAME": layout.system,
            "SNAPKEEP_COPY_QUOTA": str(max(layout.copy_quota, 1)),
            "SNAPKEEP_VAULT_ACCOUNTS": ",".join(layout.vault_accounts),
            "SNAPKEEP_MAX_LOCK_DAYS": str(layout.lock_limits.max_days),
            "SNAPKEEP_ALLOW_COMPLIANCE_LOCKS": "yes" if layout.lock_limits.compliance else "no",
            "SNAPKEEP_SNAPSHOT_QUOTA": str(system.world.state.quotas.snapshots_per_region),
            "SNAPKEEP_ACCOUNT": layout.account_id or system.world.account_id,
            "SNAPKEEP_OWNER_ACCOUNTS": ",".join(layout.owner_accounts),
            "SNAPKEEP_PARTITION": "aws",
            "SNAPKEEP_DELETIONS_TIMES_USUAL": "10",
        }
        super().__init__(Environment(variables), system.clients(region), system.clock)
        self._system = system

    def reader_of(self, region: str) -> Any:
        """Return a reader of EC2."""
        return self._system.reader(region)

    def points_of(self, region: str) -> Any:
        """Return a reader of EC2 that shows which snapshots can be restored."""
        return self._system.points(region)

    def guards_of(self, region: str) -> Any:
        """Return the guards of a region: its AMIs and locks."""
        reader = Ec2Reader(client=self.clients.get("ec2", region=region), region=region)
        return self._system.port("guards", RecentGuards(reader=reader, clock=self.clock))

    def queue_of(self, region: str) -> Any:
        """Return the queue of copies into a DR region."""
        return self._system.queue_of(region)

    def hold_store_of(self, region: str) -> Any:
        """Return the store of the holds in a region."""
        return self._system.hold_store_of(region)

    def documents_of(self, region: str) -> Any:
        """Return the recovery documents of a DR region."""
        return self._system.documents_of(region)

    @cached_property
    def record_reader(self) -> Any:
        """Reads what recovery records hold."""
        return self._system.port("record_reader", super().record_reader)

    @cached_property
    def maker(self) -> Any:
        """Makes snapshots in this region."""
        return self._system.port("maker", super().maker)

    @cached_property
    def commands(self) -> Any:
        """Runs commands in instances."""
        return self._system.port("commands", super().commands)

    @cached_property
    def tagger(self) -> Any:
        """Tags snapshots in this region."""
        return self._system.port("tagger", super().tagger)

    @cached_property
    def copier(self) -> Any:
        """Starts copies into this region."""
        return self._system.port("copier", super().copier)

    @cached_property
    def locker(self) -> Any:
        """Locks snapshots in this region."""
        return self._system.port("locker", super().locker)

    @cached_property
    def locks(self) -> Any:
        """Requests locks; None if the stacks allow no locks."""
        return self._system.locks_of(self.environment.region) if self.environment.max_lock_days else None

    @cached_property
    def deleter(self) -> Any:
        """Deletes snapshots in this region."""
        return self._system.port("deleter", super().deleter)

    @cached_property
    def task_tokens(self) -> Any:
        """Answers the executions that wait, in any region."""
        return self._system.task_tokens

    def deployed_at(self) -> datetime:
        """Return the time of the system's deployment."""
        return self._system.deployed_at

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """The retries of a failed copy."""
        return self._system.layout.retry_policy

    @cached_property
    def policies(self) -> Callable[[], PolicySet]:
        """Returns the policies in force."""
        in_force = partial(self._system.policies_of, self.environment.region)
        return partial(self.as_vault, in_force) if self.is_vault else in_force

    @cached_property
    def verifications(self) -> Any:
        """Starts comparisons of copies in this region."""
        return self._system.verifications_of(self.environment.region)

    @cached_property
    def drill_ec2(self) -> Any:
        """Makes, watches and removes the resources of drills."""
        return self._system.port("drill_ec2", super().drill_ec2)

    @cached_property
    def documents(self) -> Any:
        """Documents in the bucket of this region's stack."""
        return self._system.documents_of(self.environment.region)

    @cached_property
    def reports(self) -> Any:
        """Reports and pages of this region."""
        return self._system.port("pages", self._system.pages)

    @cached_property
    def drill_runs(self) -> Any:
        """Starts executions of Drill in this region."""
        return self._system.drill_runs_of(self.environment.region)

    @cached_property
    def notices(self) -> Any:
        """Stores notices."""
        return self._system.notices_of(self.environment.region)


class SystemComposition(SystemPorts):
    """Builds the use cases of all of a system's stacks, each once."""

    def stack(self, region: str, stack: str) -> StackComposition:
        """Return a new composition of one stack in a region: functions do not share listings."""
        return StackComposition(self, region, stack)

    # Use cases

    def tag_snapshots(self, region: str) -> TagSnapshots:
        """Return the use case of TagSnapshots in a primary region."""
        step: TagSnapshots = self._once(
            "TagSnapshots", region, lambda: tag_snapshots.build(self.stack(region, StackKind.PRIMARY))
        )
        return step

    def lock_snapshots(self, region: str) -> LockSnapshots:
        """Return the use case of LockSnapshots in a region."""
        stack = StackKind.PRIMARY if region in self.layout.primaries else self.layout.copying_stack
        step: LockSnapshots = self._once("LockSnapshots", region, lambda: lock_snapshots.build(self.stack(region, stack)))
        return step

    def make_snapshots(self, region: str) -> MakeSnapshots:
        """Return the use case of MakeSnapshots in a primary region."""
        step: MakeSnapshots = self._once(
            "MakeSnapshots", region, lambda: make_snapshots.build(self.stack(region, StackKind.PRIMARY))
        )
        return step

    def enqueue(self) -> EnqueueCopy:
        """Return the use case of CopySnapshotToDR, which is the same in every primary region."""
        region = self.layout.primaries[0]
        step: EnqueueCopy = self._once(
            "Enqueue", region, lambda: copy_snapshot_to_dr.build(self.stack(region, StackKind.PRIMARY))
        )
        return step

    def planner(self, region: str) -> RetentionPlanner:
        """Return the planner of retention in a region."""
        planner: RetentionPlanner = self._once(
            "Planner", region, lambda: plan_retention.build(self.stack(region, StackKind.PRIMARY))
        )
        return planner

    def dispatch(self, region: str) -> Dispatch:
        """Return the dispatcher of a DR region."""

        def build() -> Dispatch:
            step = dispatch.build(self.stack(region, self.layout.copying_stack))
            return replace(step, keys=self.port("keys", step.keys), quota=self.layout.copy_quota)

        step: Dispatch = self._once("Dispatch", region, build)
        return step

    def receive(self, region: str) -> ReceiveCopy:
        """Return the use case of TagSnapshotCopy in a DR region."""
        step: ReceiveCopy = self._once(
            "Receive", region, lambda: tag_snapshot_copy.build(self.stack(region, self.layout.copying_stack))
        )
        return step

    def record_proof(self, region: str) -> RecordProof:
        """Return the use case of TagSnapshotCopy for a proof in a DR region."""
        step: RecordProof = self._once(
            "RecordProof", region, lambda: tag_snapshot_copy.build_record(self.stack(region, StackKind.DR))
        )
        return step

    def verify(self, region: str) -> VerifyCopy:
        """Return the use case of Verify in a DR region."""
        return VerifyCopy(
            reader=self.reader(region),
            reader_of=self.reader,
            blocks_of=self.blocks_of,
            proofs=self.proofs,
            clock=self.clock,
            sides=OneAfterAnother(),
        )

    def blocks_of(self, region: str) -> ReadBlocks:
        """Return the use case of ReadBlocks in a region."""
        client = self.clients(region).get("ebs")
        blocks: ReadBlocks = self._once(
            "ReadBlocks",
            region,
            lambda: ReadBlocks(api=EbsBlocks(client=client, region=region), workers=OneAfterAnother(), clock=self.clock),
        )
        return blocks

    def pull(self, region: str) -> PullShares:
        """Return the use case of Pull in a vault."""

        def build() -> PullShares:
            step = pull.build(self.stack(region, StackKind.VAULT))
            shares_of, buses = step.shares_of, MemoryBuses(self.on_word)
            return replace(
                step,
                shares_of=lambda shared_in: self.port("shares", shares_of(shared_in)),
                buses=self.port("buses", buses),
            )

        step: PullShares = self._once("Pull", region, build)
        return step

    def delete_snapshots(
        self, region: str, audit: Audit = no_audit, planned: Callable[[DeletionPlan], None] = no_notice
    ) -> DeleteSnapshots:
        """Return the use case of DeleteOldSnapshots in a region; both stacks have it."""
        stack = StackKind.PRIMARY if region in self.layout.primaries else self.layout.copying_stack
        step: DeleteSnapshots = self._once(
            "DeleteOldSnapshots", region, lambda: delete_old_snapshots.build(self.stack(region, stack))
        )
        return replace(step, audit=audit, planned=planned)
