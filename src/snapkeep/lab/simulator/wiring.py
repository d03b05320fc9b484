"""The use cases over a world: the same adapters as in the functions where there is an EC2, memory where there is a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any

from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_writers import Ec2Copier, Ec2Deleter, Ec2Tagger
from snapkeep.adapters.kms_keys import KmsKeys
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.functions.payloads import to_object
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.kernel import Answer, Kernel
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.usecases.copies.dispatch import Dispatch
from snapkeep.usecases.copies.enqueue import EnqueueCopy
from snapkeep.usecases.copies.receive import ReceiveCopy
from snapkeep.usecases.copies.settle import Settlement
from snapkeep.usecases.ports import Clock, CopyResult, DeletionResult, Notice, Notices, TaskTokens
from snapkeep.usecases.protect import TagSnapshots
from snapkeep.usecases.retention.delete import DeleteSnapshots
from snapkeep.usecases.retention.plan_volumes import RetentionPlanner

CALLER = "snapkeep"
"""As whom the system calls the model, so that an observer can tell its calls from a person's."""

Hook = Callable[[str], None]
"""Given `port.method`, called before and after every port call; it may raise to end the step there."""


class Killed(Exception):
    """The step was ended between two calls, as a function is when its time is over."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which system runs where."""

    primaries: tuple[str, ...] = ("us-east-1",)
    destinations: tuple[str, ...] = ("us-east-2",)
    system: str = "snapkeep"
    copy_quota: int = 20
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)


class KernelClock(Clock):
    """`Clock` and `Pacer` in virtual time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return utc(self._kernel.clock.now())

    def pause(self, seconds: float) -> None:
        """Wait, while everything else goes on."""
        self._kernel.pause(seconds)


class KernelWaiters(TaskTokens):
    """`Waiters` of executions that run in the kernel."""

    def __init__(self, kernel: Kernel, reach: Callable[[str], None]) -> None:
        self._kernel = kernel
        self._reach = reach

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        """Answer with success. Return False if nobody waits any more."""
        self._reach(region)
        return self._kernel.answer(token, Answer(output=to_object(output)))

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        """Answer with failure. Return False if nobody waits any more."""
        self._reach(region)
        return self._kernel.answer(token, Answer(error=error, cause=cause))


class MemoryNotices(Notices):
    """What somebody was told, or counted only, when `kept` is 0."""

    def __init__(self, *, kept: int = 1_000_000) -> None:
        self._kept = kept
        self.count = 0
        self.told: list[Notice] = []

    def add(self, notice: Notice) -> None:
        """Keep one notice."""
        self.count += 1
        if len(self.told) < self._kept:
            self.told.append(notice)


class Interposed:
    """Any port, with a look before and after every call of it."""

    def __init__(self, target: Any, name: str, hook: Hook) -> None:
        self._target = target
        self._name = name
        self._hook = hook

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        if not callable(value):
            return value
        name = f"{self._name}.{attribute}"

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._hook(name)
            result = value(*arguments, **keywords)
            if isinstance(result, Iterator):
                result = iter(list(result))
            self._hook(name)
            return result

        setattr(self, attribute, call)
        return call


class Reached:
    """Something of a region that is asked for before every call whether it can be reached."""

    def __init__(self, target: Any, reach: Callable[[], None]) -> None:
        self._target = target
        self._reach = reach

    def __getattr__(self, attribute: str) -> Any:
        value, reach = getattr(self._target, attribute), self._reach
        if not callable(value):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            reach()
            return value(*arguments, **keywords)

        setattr(self, attribute, call)
        return call


class Wiring:
    """Builds the use cases, each part once for a region."""

    def __init__(
        self, kernel: Kernel, deployment: Deployment, policies: Callable[[], PolicySet], *, hook: Hook | None = None
    ) -> None:
        self.kernel = kernel
        self.world = kernel.world
        self.deployment = deployment
        self.clock = KernelClock(kernel)
        self.notices = MemoryNotices()
        self.queues = {region: MemoryQueue(region=region) for region in deployment.destinations}
        self.policies = policies
        self._hook = hook
        for name in (
            "reader",
            "tagger",
            "deleter",
            "queue_of",
            "notices_of",
            "tag_snapshots",
            "enqueue",
            "dispatch",
            "receive",
            "planner",
            "settlement",
        ):
            setattr(self, name, cache(getattr(self, name)))

    def reach(self, region: str) -> None:
        """Given a region, raise AwsUnavailable while it is out of reach."""
        if not self.world.is_reachable(region):
            raise AwsUnavailable(f"no answer from {region}")

    def client(self, service: str, region: str) -> Any:
        """Given a service and a region, return the model's client, called as the system."""
        return self.world.client(service, region, caller=CALLER)

    def port(self, name: str, target: Any) -> Any:
        """Given a port's name and what is behind it, return it with the hook around every call."""
        return target if self._hook is None else Interposed(target, name, self._hook)

    def reader(self, region: str) -> Any:
        """EC2 of a region, to read."""
        return self.port("reader", Ec2Reader(client=self.client("ec2", region), region=region))

    def tagger(self, region: str) -> Any:
        """Tags snapshots of a region."""
        return self.port("tagger", Ec2Tagger(client=self.client("ec2", region)))

    def deleter(self, region: str) -> Any:
        """Deletes snapshots of a region."""
        return self.port("deleter", Ec2Deleter(client=self.client("ec2", region)))

    def queue_of(self, region: str) -> Any:
        """The queue towards a DR region, reached as its table is."""
        return self.port("queue", Reached(self.queues[region], partial(self.reach, region)))

    @property
    def task_tokens(self) -> Any:
        """The executions that wait."""
        return self.port("task_tokens", KernelWaiters(self.kernel, self.reach))

    def notices_of(self, region: str) -> Any:
        """Where the notices of a region's stack go."""
        return self.port("notices", Reached(self.notices, partial(self.reach, region)))

    def settlement(self, region: str) -> Settlement:
        """Answers who waits for copies into a region."""
        return Settlement(queue=self.queue_of(region), task_tokens=self.task_tokens, clock=self.clock)

    def planner(self, region: str) -> RetentionPlanner:
        """Plans retention in a region."""
        guards = RecentGuards(reader=Ec2Reader(client=self.client("ec2", region), region=region), clock=self.clock)
        return RetentionPlanner(
            system=self.deployment.system,
            reader=self.reader(region),
            guards=self.port("guards", guards),
            policies=self.policies,
            clock=self.clock,
            reader_of=self.reader,
            queue_of=self.queue_of,
        )

    def tag_snapshots(self, region: str) -> TagSnapshots:
        """Protect's first step in a region."""
        return TagSnapshots(
            system=self.deployment.system, reader=self.reader(region), tagger=self.tagger(region), policies=self.policies
        )

    def enqueue(self) -> EnqueueCopy:
        """Protect's way into the queues."""
        return EnqueueCopy(queue_of=self.queue_of, task_tokens=self.task_tokens, clock=self.clock)

    def dispatch(self, region: str) -> Dispatch:
        """The dispatcher of a DR region."""
        return Dispatch(
            system=self.deployment.system,
            reader=self.reader(region),
            copier=self.port("copier", Ec2Copier(client=self.client("ec2", region))),
            keys=self.port("keys", KmsKeys(client=self.client("kms", region), region=region)),
            queue=self.queue_of(region),
            settlement=self.settlement(region),
            notices=self.notices_of(region),
            retry_policy=self.deployment.retry_policy,
            clock=self.clock,
            quota=self.deployment.copy_quota,
        )

    def receive(self, region: str) -> ReceiveCopy:
        """Receive's first step in a DR region."""
        return ReceiveCopy(
            system=self.deployment.system,
            reader=self.reader(region),
            tagger=self.tagger(region),
            queue=self.queue_of(region),
            settlement=self.settlement(region),
            retry_policy=self.deployment.retry_policy,
            planner=self.planner(region),
            clock=self.clock,
        )

    def delete_snapshots(self, region: str, audit: Callable[[DeletionOrder, DeletionResult], None]) -> DeleteSnapshots:
        """The step of both state machines that deletes."""
        return DeleteSnapshots(deleter=self.deleter(region), pacer=self.clock, clock=self.clock, audit=audit)
