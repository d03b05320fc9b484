"""The parts that the functions share. Each function's `build` makes its use case of them, and uses only what its role grants.

The simulator builds the same use cases over the model of EBS: it derives from `Composition` and replaces what it has in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING

from botocore.config import Config

from snapkeep.adapters.regional import AwsClients, RegionalAdapters
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.system import StackKind, function_name
from snapkeep.functions.clients import RETRYING, Clients
from snapkeep.functions.environment import Environment

if TYPE_CHECKING:
    from snapkeep.adapters.ebs_blocks import EbsBlocks
    from snapkeep.adapters.ec2_drills import Ec2Drills
    from snapkeep.adapters.ec2_maker import Ec2Maker
    from snapkeep.adapters.ec2_reader import Ec2Reader
    from snapkeep.adapters.ec2_writers import Ec2Copier, Ec2Deleter, Ec2Locker, Ec2Tagger
    from snapkeep.adapters.s3_reports import S3Reports
    from snapkeep.adapters.sqs_notices import SqsNotices
    from snapkeep.adapters.ssm_run_command import SsmRunCommand
    from snapkeep.adapters.stepfunctions_task_tokens import StepFunctionsTaskTokens
    from snapkeep.adapters.stepfunctions_verifications import StepFunctionsVerifications
    from snapkeep.domain.copies.retries import RetryPolicy
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.usecases.copies.settle import Settlement
    from snapkeep.usecases.drills.ledger_store import LedgerStore
    from snapkeep.usecases.drills.ports import DrillRuns
    from snapkeep.usecases.placed_holds import HoldsInForce
    from snapkeep.usecases.policies import PoliciesInForce
    from snapkeep.usecases.ports import DeletionGuards, LockRequests, PacingClock, Publisher, SnapshotReader
    from snapkeep.usecases.recovery.holding import PointHolds
    from snapkeep.usecases.recovery.ports import Workers
    from snapkeep.usecases.recovery.record_ports import Documents, RecordReader


class Composition(RegionalAdapters):
    """Adapters, and the parts that several use cases share, for a function in its region. Each is made at its first use."""

    def __init__(self, environment: Environment, clients: AwsClients, clock: PacingClock | None = None) -> None:
        super().__init__(clients, environment, clock)
        self.environment = environment

    @cached_property
    def reader(self) -> Ec2Reader:
        """Reads EC2 in this region."""
        return self.reader_of(self.environment.region)

    @cached_property
    def points(self) -> Ec2Reader:
        """Reads EC2 in this region, and shows which snapshots can be restored."""
        return self.points_of(self.environment.region)

    @cached_property
    def guards(self) -> DeletionGuards:
        """AMIs and locks of this region."""
        return self.guards_of(self.environment.region)

    @cached_property
    def record_reader(self) -> RecordReader:
        """Reads what recovery records of this region hold."""
        from snapkeep.adapters.ec2_records import Ec2Records

        return Ec2Records(client=self.clients.get("ec2"), region=self.environment.region)

    @cached_property
    def tagger(self) -> Ec2Tagger:
        """Tags snapshots in this region."""
        from snapkeep.adapters.ec2_writers import Ec2Tagger

        return Ec2Tagger(client=self.clients.get("ec2"))

    @cached_property
    def maker(self) -> Ec2Maker:
        """Makes snapshots in this region. CreateSnapshot has no client token, so no request is repeated."""
        from snapkeep.adapters.ec2_maker import Ec2Maker

        return Ec2Maker(client=self.clients.get("ec2", once=True))

    @cached_property
    def commands(self) -> SsmRunCommand:
        """Runs commands in instances. SendCommand has no client token, so no request is repeated."""
        from snapkeep.adapters.ssm_run_command import SsmRunCommand

        return SsmRunCommand(client_of=lambda: self.clients.get("ssm", once=True))

    @cached_property
    def copier(self) -> Ec2Copier:
        """Starts copies into this region. CopySnapshot has no client token, so no request is repeated."""
        from snapkeep.adapters.ec2_writers import Ec2Copier

        return Ec2Copier(client=self.clients.get("ec2", once=True))

    @cached_property
    def locker(self) -> Ec2Locker:
        """Locks snapshots in this region."""
        from snapkeep.adapters.ec2_writers import Ec2Locker

        return Ec2Locker(client=self.clients.get("ec2"))

    @cached_property
    def locks(self) -> LockRequests | None:
        """Has snapshots of this region locked; None where the stack allows no locks."""
        if not self.environment.max_lock_days:
            return None
        from snapkeep.adapters.lambda_locks import LambdaLocks

        function = function_name("LockSnapshots", self.environment.system)
        return LambdaLocks(client_of=lambda: self.clients.get("lambda"), function=function)

    def changes_of(self, region: str) -> EbsBlocks:
        """Return the port that lists the changed blocks of a region's snapshots."""
        from snapkeep.adapters.ebs_blocks import EbsBlocks

        return EbsBlocks(client=self.clients.get("ebs", region=region, once=True), region=region)

    @cached_property
    def deleter(self) -> Ec2Deleter:
        """Deletes snapshots in this region. The use case paces the requests, so none is repeated."""
        from snapkeep.adapters.ec2_writers import Ec2Deleter

        return Ec2Deleter(client=self.clients.get("ec2", once=True))

    @cached_property
    def task_tokens(self) -> StepFunctionsTaskTokens:
        """Answers the executions that wait, in any region."""
        from snapkeep.adapters.stepfunctions_task_tokens import StepFunctionsTaskTokens

        return StepFunctionsTaskTokens(client_of=lambda region: self.clients.get("stepfunctions", region=region))

    def deployed_at(self) -> datetime:
        """Return when this stack's state machine was created. AWS is asked once."""
        return self._deployed_at

    @cached_property
    def _deployed_at(self) -> datetime:
        from snapkeep.adapters.stepfunctions_runs import StateMachineRuns

        client = self.clients.get("stepfunctions")
        return StateMachineRuns(client=client, state_machine_arn=self.environment.state_machine_arn).deployed_at()

    @cached_property
    def settlement(self) -> Settlement:
        """Settles entries of this region's queue."""
        from snapkeep.usecases.copies.settle import Settlement

        return Settlement(queue=self.queue_of(self.environment.region), task_tokens=self.task_tokens, clock=self.clock)

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """The number and the delays of a failed copy's retries."""
        from snapkeep.domain.copies.retries import RetryPolicy

        return RetryPolicy(limit=self.environment.copy_attempts, first_delay=self.environment.copy_retry_delay)

    @cached_property
    def policies_in_force(self) -> PoliciesInForce:
        """Reads the policies in force: the document's, or the stack parameters' where there is no document."""
        from snapkeep.usecases.policies import PoliciesInForce

        return PoliciesInForce(
            store=self.policy_store_of(self.environment.region),
            parameters=self.environment.parameters_as_policy,
            clock=self.clock,
            notices=self.notices,
        )

    @cached_property
    def policies(self) -> Callable[[], PolicySet]:
        """Returns the policies in force; in a vault, its own."""
        return partial(self.as_vault, self.policies_in_force) if self.is_vault else self.policies_in_force

    @property
    def is_vault(self) -> bool:
        """Whether this is the stack of a vault."""
        return self.environment.stack == StackKind.VAULT

    def as_vault(self, policies: Callable[[], PolicySet]) -> PolicySet:
        """Return the policies of this vault, of those of the whole document."""
        from snapkeep.domain.policy.vaults import vault_policies

        return vault_policies(policies(), self.environment.account, self.environment.region)

    def source_of(self, region: str) -> SnapshotReader:
        """Return a reader of a region that snapshots come from, for what a DR region concludes from its sources.

        Raise AwsRefused in a vault, which does not see deletions and tags of production, and deletes nothing for them (INV-24).
        """
        if self.is_vault:
            raise AwsRefused(f"{region} belongs to another account: a vault concludes nothing from its sources")
        return self.reader_of(region)

    @cached_property
    def holds(self) -> HoldsInForce:
        """Reads the holds that people placed."""
        from snapkeep.usecases.placed_holds import HoldsInForce

        return HoldsInForce(
            region=self.environment.region, store_of=self.hold_store_of, policies=self.policies, of_origins=not self.is_vault
        )

    @cached_property
    def verifications(self) -> StepFunctionsVerifications:
        """Starts comparisons of copies in this region."""
        from snapkeep.adapters.stepfunctions_verifications import StepFunctionsVerifications

        return StepFunctionsVerifications(
            client=self.clients.get("stepfunctions"), state_machine_arn=self.environment.verify_state_machine_arn
        )

    @cached_property
    def drill_ec2(self) -> Ec2Drills:
        """Makes, watches and removes what drills make in this region: a function uses what its role allows."""
        from snapkeep.adapters.ec2_drills import Ec2Drills

        return Ec2Drills(client=self.clients.get("ec2"), region=self.environment.region)

    @cached_property
    def point_holds(self) -> PointHolds:
        """Holds recovery points of this region."""
        from snapkeep.usecases.recovery.holding import PointHolds

        return PointHolds(self.drill_ec2)

    @cached_property
    def documents(self) -> Documents:
        """Documents in the bucket of this stack."""
        from snapkeep.adapters.s3_documents import S3Documents

        return S3Documents(client=self.clients.get("s3"), bucket=self.environment.reports_bucket)

    @cached_property
    def reports(self) -> S3Reports:
        """Reports and pages in the bucket of this stack."""
        from snapkeep.adapters.s3_reports import S3Reports

        return S3Reports(client=self.clients.get("s3"), bucket=self.environment.reports_bucket)

    @cached_property
    def drill_ledger(self) -> LedgerStore:
        """The ledger of this region's drills."""
        from snapkeep.usecases.drills.ledger_store import LedgerStore

        return LedgerStore(self.documents)

    @cached_property
    def drill_runs(self) -> DrillRuns:
        """Starts executions of Drill in this region."""
        from snapkeep.adapters.stepfunctions_drills import StepFunctionsDrills

        client = self.clients.get("stepfunctions")
        return StepFunctionsDrills(client=client, state_machine_arn=self.environment.drill_state_machine_arn)

    def workers(self, most: int) -> Workers:
        """Return the workers that make so many calls at the same time."""
        from snapkeep.adapters.threads import Threads

        return Threads(most)

    @cached_property
    def notices(self) -> SqsNotices:
        """Keeps notices until the digest publishes them."""
        from snapkeep.adapters.sqs_notices import SqsNotices

        return SqsNotices(client_of=lambda: self.clients.get("sqs"), queue_url=self.environment.notices_queue_url)

    @cached_property
    def publisher(self) -> Publisher:
        """Publishes digests and reports to the people who subscribed."""
        from snapkeep.adapters.sns_publisher import SnsPublisher

        return SnsPublisher(client=self.clients.get("sns"), topic_arn=self.environment.topic_arn)


@cache
def composition(config: Config = RETRYING) -> Composition:
    """Return the one composition of the environment that the function runs in; `config` says how clients repeat requests."""
    # The only place of the functions that reads the process's environment.
    environment = Environment(dict(os.environ))
    return Composition(environment, Clients(region=environment.region, config=config))
