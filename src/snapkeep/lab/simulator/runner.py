"""One system in virtual time: events start executions of its state machines, and dispatchers run, over the model of EBS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

from snapkeep.domain.copies.entry import OPEN, EntryState
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.events import LateCopyEvent, parse_late_copy, parse_share
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.model import DeletionPlan
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.domain.system import StackKind
from snapkeep.functions.dispatch import build_late
from snapkeep.lab.ebs_model import World
from snapkeep.lab.simulator.composition import SystemComposition
from snapkeep.lab.simulator.definitions import state_machine
from snapkeep.lab.simulator.executions import (
    DRILL,
    FAILED,
    KILLED,
    PROTECT,
    RECEIVE,
    SUCCEEDED,
    VERIFY,
    Execution,
    TaskFailed,
    Timings,
    Totals,
)
from snapkeep.lab.simulator.functions import Functions
from snapkeep.lab.simulator.interpreter import Interpreter
from snapkeep.lab.simulator.kernel import Kernel, Steps
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import Hook, StepKill
from snapkeep.lab.simulator.memory_proofs import Verification
from snapkeep.usecases.copies.dispatch import DispatchResult
from snapkeep.usecases.copies.pull import PullResult
from snapkeep.usecases.creation.make import MakeResult
from snapkeep.usecases.ports import DeletionResult

ASYNCHRONOUS_RETRIES = 2
"""The number of Lambda's retries of a failed asynchronous call."""


class Runner:
    """One system, in its primary and DR regions, over one world."""

    def __init__(
        self,
        world: World,
        policies: Callable[[], PolicySet],
        layout: SystemLayout | None = None,
        *,
        timings: Timings | None = None,
        hook: Hook | None = None,
        seed: int = 0,
        kernel: Kernel | None = None,
        on_run_ended: Callable[[Execution], None] | None = None,
    ) -> None:
        self.world = world
        self.kernel = kernel or Kernel(world)
        """The kernel, which several systems of one world may share."""
        self.layout = layout or SystemLayout()
        self.composition = SystemComposition(self.kernel, self.layout, policies, hook=hook)
        self.timings = timings or Timings()
        self.totals = Totals()
        self.open_runs: dict[str, Execution] = {}
        self.functions = Functions(self.composition, self).by_name
        """The functions of the state machines; the Sweeper adds those of the sweeps."""
        self.unexpected: list[Exception] = []
        """Errors that no use case may raise; each is a bug."""
        self.undelivered: list[Mapping[str, Any]] = []
        """Events that could not be delivered in time, as in the rules' dead-letter queues."""
        self.audit: list[Callable[[DeletionOrder, DeletionResult], None]] = []
        self.plan_listeners: list[Callable[[DeletionPlan], None]] = []
        if self.layout.verify:
            self.composition.on_verification = self._start_verification
        self.composition.on_drill = partial(self.start, DRILL)
        self.composition.on_lock_request = self._request_locks
        self._interpreter = Interpreter(
            self.kernel,
            self._call_function,
            step_seconds=self.timings.step_seconds,
            dice=Random(seed),  # noqa: S311 - jitter of retries
        )
        self._on_run_ended = on_run_ended
        self._dispatch_due: dict[str, float] = {}
        self._undelivered = 0
        self._numbers: Counter[tuple[str, str]] = Counter()
        world.subscribe(self._on_event)

    # Events

    def _on_event(self, event: Mapping[str, Any]) -> None:
        kind, region = event["detail"].get("event"), event["region"]
        if event["account"] != (self.layout.account_id or self.world.account_id):
            return
        if kind == "shareSnapshot" and self.layout.owner_accounts and region in self.layout.destinations:
            self._undelivered += 1
            self.kernel.after(self.timings.event_seconds, partial(self._pull_shared, region, parse_share(event)))
        elif kind in ("createSnapshot", "createSnapshots") and region in self.layout.primaries:
            self._deliver(PROTECT, region, event)
        elif kind == "copySnapshot" and region in self.layout.destinations:
            late = parse_late_copy(event)
            if late is not None:
                self.kernel.after(self.timings.event_seconds, partial(self._note_late, region, late))
                return
            self._deliver(RECEIVE, region, event)
            self.wake(region, self.timings.wake_seconds)

    def _note_late(self, region: str, late: LateCopyEvent) -> None:
        if self._reachable(region):
            note = build_late(self.composition.stack(region, StackKind.DR))
            with suppress(TaskFailed):  # the notice is lost, like an event that Lambda discards
                self._invoke(region, partial(note.run, late))

    def _pull_shared(self, region: str, snapshot_ids: tuple[str, ...]) -> None:
        self._undelivered -= 1
        self.pull(region, snapshot_ids)

    def pull(self, region: str, snapshot_ids: tuple[str, ...] = ()) -> PullResult | None:
        """Pull these shared snapshots, or all without ids, into a vault.

        Return the result, or None if it failed or was interrupted.
        """
        self.totals.invocations += 1
        result: PullResult | None = None
        with suppress(TaskFailed):
            result = self._invoke(region, lambda: self.composition.pull(region).run(snapshot_ids))
        self.wake_by_stream(region)
        return result

    def pull_every(self, seconds: float) -> None:
        """Pull all shared snapshots into a vault at this interval from now on."""

        def again() -> None:
            for region in self.layout.destinations:
                self.pull(region)
            self.kernel.after(seconds, again)

        self.kernel.after(seconds, again)

    def _deliver(self, machine: str, region: str, event: Mapping[str, Any]) -> None:
        expires = self.world.now() + self.timings.undelivered_seconds
        self._undelivered += 1
        self.kernel.after(self.timings.event_seconds, partial(self._try_to_deliver, machine, region, event, expires))

    def _try_to_deliver(self, machine: str, region: str, event: Mapping[str, Any], expires: float) -> None:
        reachable = self._reachable(region)
        if not reachable and self.world.now() < expires:
            self.kernel.after(60.0, partial(self._try_to_deliver, machine, region, event, expires))
            return
        self._undelivered -= 1
        if reachable:
            self.start(machine, region, event)
        else:
            self.undelivered.append(event)

    def _reachable(self, region: str) -> bool:
        return self.world.is_reachable(region)

    # Executions

    def start(self, machine: str, region: str, event: Mapping[str, Any]) -> Execution:
        """Start an execution of a state machine in a region with an input, and return it."""
        self._numbers[machine, region] += 1
        number = self._numbers[machine, region]
        execution = Execution(f"{machine}:{region}:{number}", machine, region, event, self.world.now(), dict(event))
        self.open_runs[execution.id] = execution
        self.kernel.spawn(self._carry_out(execution))
        return execution

    def _start_verification(self, verification: Verification) -> None:
        self.composition.verifications.append(verification)
        self.start(VERIFY, verification.region, verification.input)

    def _request_locks(self, region: str, snapshot_ids: Sequence[str]) -> None:
        """Invoke LockSnapshots a moment later, as Lambda does with an asynchronous call."""
        self.kernel.after(self.timings.event_seconds, partial(self._lock, region, snapshot_ids, ASYNCHRONOUS_RETRIES))

    def _lock(self, region: str, snapshot_ids: Sequence[str], retries: int) -> None:
        self.totals.invocations += 1
        try:
            self._invoke(region, partial(self.composition.lock_snapshots(region).run, snapshot_ids))
        except TaskFailed:
            if retries:  # after a minute, then after two (Lambda developer guide: asynchronous invocation)
                delay = 60.0 * (ASYNCHRONOUS_RETRIES + 1 - retries)
                self.kernel.after(delay, partial(self._lock, region, snapshot_ids, retries - 1))

    def _carry_out(self, execution: Execution) -> Steps:
        try:
            yield from self._interpreter.carry_out(execution, state_machine(execution.machine))
        except TaskFailed as failure:
            execution.error = failure.error
        execution.status = FAILED if execution.error else SUCCEEDED
        execution.ended = self.world.now()
        self.totals.transitions += execution.transitions
        self.totals.runs[f"{execution.machine} {execution.status}"] += 1
        del self.open_runs[execution.id]
        if self._on_run_ended is not None:
            self._on_run_ended(execution)

    def _call_function(self, execution: Execution, function: str, payload: Mapping[str, Any]) -> Any:
        self.totals.invocations += 1
        call = self.functions[function]
        return to_json(self._invoke(execution.region, lambda: call(execution, payload)))

    def _invoke(self, region: str, call: Callable[[], Any]) -> Any:
        """Return the answer of a function.

        Raise TaskFailed, under the error's name, for any error of the function. A function of an unreachable region does not
        run.
        """
        try:
            self.composition.reach(region)
            return call()
        except SnapkeepError as error:
            raise TaskFailed(type(error).__name__, str(error)) from error
        except StepKill as error:
            self.totals.kills += 1
            raise TaskFailed(KILLED, str(error)) from error
        except Exception as error:
            self.unexpected.append(error)
            raise TaskFailed(type(error).__name__, str(error)) from error

    def wake_by_stream(self, region: str) -> None:
        """Wake a DR region's dispatcher by the stream of its queue."""
        self.wake(region, self.timings.stream_seconds)

    def plan_made(self, plan: DeletionPlan) -> None:
        """Show a plan that is about to be carried out to the observers."""
        for listener in self.plan_listeners:
            listener(plan)

    def deleted(self, order: DeletionOrder, result: DeletionResult, _: str) -> None:
        """Count a deletion, and show it to the observers."""
        self.totals.deletions += result.done
        for listener in self.audit:
            listener(order, result)

    # Dispatch

    def wake(self, region: str, seconds: float) -> None:
        """Schedule a DR region's dispatcher after a number of seconds; pending wake-ups are merged into one."""
        due = self.world.now() + seconds
        planned = self._dispatch_due.get(region)
        if planned is not None and self.world.now() < planned <= due:
            return
        self._dispatch_due[region] = due
        self.kernel.at(due, lambda: self._dispatch_if(region, due))

    def _dispatch_if(self, region: str, due: float) -> None:
        if self._dispatch_due.get(region) == due:
            del self._dispatch_due[region]
            self.dispatch(region)

    def dispatch(self, region: str) -> DispatchResult | None:
        """Run a DR region's dispatcher now. Return its result, or None if it failed or was interrupted."""
        self.totals.dispatches += 1
        self.totals.invocations += 1
        done: DispatchResult | None = None
        try:
            done = self._invoke(region, lambda: self.composition.dispatch(region).run(f"dispatch-{self.totals.dispatches}"))
        except TaskFailed:
            done = None
        if self._has_work(region) and region not in self._dispatch_due:
            schedule = self.timings.schedule_seconds
            self.wake(region, schedule - self.world.now() % schedule)
        return done

    def _has_work(self, region: str) -> bool:
        """Whether the schedule, which runs each minute, could have work."""
        queue = self.composition.queues[region]
        states = (EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING)
        # Each dispatch also requests the locks of pending copies.
        locking = (EntryState.RUNNING,) if self.layout.lock_limits.max_days else ()
        return any(queue.count(state) for state in (*states, *locking))

    # Snapshots that the system makes

    def make_every(self, seconds: float) -> None:
        """Make due snapshots in each primary region now, and at this interval from then on."""
        for region in self.layout.primaries:
            self.make_snapshots(region)
        self.kernel.after(seconds, partial(self.make_every, seconds))

    def make_snapshots(self, region: str) -> MakeResult | None:
        """Make the due snapshots of a primary region. Return the result, or None if it failed or was interrupted."""
        self.totals.invocations += 1
        try:
            result: MakeResult = self._invoke(region, self.composition.make_snapshots(region).run)
        except TaskFailed:
            return None
        return result

    # Time

    @property
    def idle(self) -> bool:
        """Whether no event is in transit, no execution is open, and no copy waits or runs."""
        if self._undelivered or self.open_runs:
            return False
        return not any(queue.count(state) for queue in self.composition.queues.values() for state in OPEN)

    def advance(self, seconds: float) -> None:
        """Run everything that is due within a number of seconds."""
        self.kernel.run_until(self.kernel.clock.now() + seconds)

    def run_until_idle(self, limit_seconds: float) -> bool:
        """Run until nothing is in progress, or the limit is reached. Return whether the system is idle."""
        limit = self.kernel.clock.now() + limit_seconds
        while True:
            due = self.kernel.next_due()
            if due is None or due > limit:
                return self.idle
            if self.idle and self.world.next_due() is None and not self._dispatch_due:
                return True
            self.kernel.run_one()
