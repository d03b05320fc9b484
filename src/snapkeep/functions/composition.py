"""The one place that puts use cases together with AWS. Each function's `build` asks for exactly what its role may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property

from botocore.config import Config

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.sqs_notices import SqsNotices
from snapkeep.adapters.ssm_policies import SsmPolicyStore
from snapkeep.adapters.stepfunctions_task_tokens import StepFunctionsTaskTokens
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.policy.model import PolicySet
from snapkeep.functions.clients import RETRYING, Clients
from snapkeep.functions.environment import Environment
from snapkeep.usecases.copies.settle import Settlement
from snapkeep.usecases.policies import PoliciesInForce


class Composition:
    """Builds what several functions share, each part when it is first asked for."""

    def __init__(self, environment: Environment, config: Config = RETRYING) -> None:
        self.environment = environment
        self.clients = Clients(region=environment.region, config=config)
        self.clock = WallClock()

    @cached_property
    def reader(self) -> Ec2Reader:
        """EC2 of this region, to read."""
        return self.reader_of(self.environment.region)

    def reader_of(self, region: str) -> Ec2Reader:
        """EC2 of any region, to read."""
        return Ec2Reader(client=self.clients.get("ec2", region=region), region=region)

    @cached_property
    def guards(self) -> RecentGuards:
        """What AMIs and locks hold in this region: listed once for all that a function plans within a short while."""
        return RecentGuards(reader=self.reader, clock=self.clock)

    def queue_of(self, region: str) -> DynamoDbQueue:
        """The queue towards a DR region."""
        return DynamoDbQueue(
            client=self.clients.get("dynamodb", region=region), table=self.environment.queue_table, region=region
        )

    @cached_property
    def task_tokens(self) -> StepFunctionsTaskTokens:
        """The executions that wait, in any region."""
        return StepFunctionsTaskTokens(client_of=lambda region: self.clients.get("stepfunctions", region=region))

    @cached_property
    def settlement(self) -> Settlement:
        """Answers who waits for copies into this region."""
        return Settlement(queue=self.queue_of(self.environment.region), task_tokens=self.task_tokens, clock=self.clock)

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """How often a failed copy is tried again."""
        return RetryPolicy(limit=self.environment.copy_attempts, first_delay=self.environment.copy_retry_delay)

    @cached_property
    def policies(self) -> Callable[[], PolicySet]:
        """The policies in force: the document, or where there is none the stack's parameters."""
        environment = self.environment
        store = SsmPolicyStore(
            client=self.clients.get("ssm"), name=environment.text("SNAPKEEP_POLICY_PARAMETER"), region=environment.region
        )
        return PoliciesInForce(store=store, parameters=environment.parameters_as_policy(), clock=self.clock, notices=self.notices)

    @cached_property
    def notices(self) -> SqsNotices:
        """Where notices go until the digest publishes them."""
        return SqsNotices(client=self.clients.get("sqs"), queue_url=self.environment.text("SNAPKEEP_NOTICES_QUEUE_URL"))


def composition(config: Config = RETRYING) -> Composition:
    """Given how requests are repeated, return the composition for the environment that the function runs in."""
    return Composition(Environment(dict(os.environ)), config)
