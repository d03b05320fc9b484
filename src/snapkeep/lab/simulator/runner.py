"""The flows in virtual time: Protect, Dispatch and Receive over the model, with the steps and retries of their definitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Any

from snapkeep.domain import events
from snapkeep.domain.copies.entry import OPEN, EntryState
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import InvalidEvent, SnapkeepError
from snapkeep.domain.model import Plan
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.sweep.findings import Wait
from snapkeep.domain.tags import format_time
from snapkeep.lab.ebs_model import World
from snapkeep.lab.simulator.definitions import retries_of
from snapkeep.lab.simulator.executions import (
    FAILED,
    KILLED,
    PROTECT,
    RECEIVE,
    STATES_BESIDE_TASKS,
    SUCCEEDED,
    Run,
    TaskFailed,
    Timings,
    Totals,
)
from snapkeep.lab.simulator.kernel import AwaitToken, Join, Kernel, Sleep, Steps
from snapkeep.lab.simulator.wiring import Deployment, Hook, Killed, Wiring, orders_of
from snapkeep.usecases.copies.dispatch import DispatchResult
from snapkeep.usecases.copies.receive import ReceiveOutcome
from snapkeep.usecases.notify import notices_of_run
from snapkeep.usecases.ports import DeletionResult
from snapkeep.usecases.protect import Problem, TagOutcome, seconds_to_wait
from snapkeep.usecases.retention.delete import DeletionOrder
from snapkeep.usecases.retention.plan_volumes import confirmed_copies


class Runner:
    """One system, in its primary and DR regions, over one world."""

    def __init__(
        self,
        world: World,
        policies: Callable[[], PolicySet],
        deployment: Deployment | None = None,
        *,
        timings: Timings | None = None,
        hook: Hook | None = None,
        seed: int = 0,
        on_run_ended: Callable[[Run], None] | None = None,
    ) -> None:
        self.world = world
        self.kernel = Kernel(world)
        self.deployment = deployment or Deployment()
        self.wiring = Wiring(self.kernel, self.deployment, policies, hook=hook)
        self.timings = timings or Timings()
        self.totals = Totals()
        self.open_runs: dict[str, Run] = {}
        self.unexpected: list[Exception] = []
        """Errors that no use case may raise: each is a fault in the code."""
        self.undelivered: list[Mapping[str, Any]] = []
        """Events that could not be delivered in time: the rules' dead-letter queues."""
        self.audit: list[Callable[[DeletionOrder, DeletionResult], None]] = []
        self.plan_listeners: list[Callable[[Plan], None]] = []
        self._dice = Random(seed)  # noqa: S311 - jitter of retries
        self._on_run_ended = on_run_ended
        self._dispatch_due: dict[str, float] = {}
        self._undelivered = 0
        self._numbers: Counter[str] = Counter()
        world.subscribe(self._on_event)

    # Events

    def _on_event(self, event: Mapping[str, Any]) -> None:
        kind, region = event["detail"].get("event"), event["region"]
        if kind in ("createSnapshot", "createSnapshots") and region in self.deployment.primaries:
            self._deliver(PROTECT, region, event)
        elif kind == "copySnapshot" and region in self.deployment.destinations:
            self._deliver(RECEIVE, region, event)
            self.wake(region, self.timings.wake_seconds)

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

    def start(self, machine: str, region: str, event: Mapping[str, Any]) -> Run:
        """Given a state machine, its region and an event, start an execution and return it."""
        self._numbers[machine] += 1
        run = Run(f"{machine}:{region}:{self._numbers[machine]}", machine, region, event, self.world.now())
        run.state["detail"] = event.get("detail", {})
        run.state["detail-type"] = event.get("detail-type", "")
        return self.begin(run, self._protect(run) if machine == PROTECT else self._receive(run))

    def begin(self, run: Run, body: Steps) -> Run:
        """Given an execution and its steps, which return whether it has failed, let it run, and return it."""
        self.open_runs[run.id] = run
        self.kernel.spawn(self._execution(run, body))
        return run

    def _execution(self, run: Run, body: Steps) -> Steps:
        try:
            failed = yield from body
        except TaskFailed as failure:
            run.state["error"] = failure.caught()
            failed = True
        if failed:
            try:
                yield from self.task(run, "NotifyUser", lambda: self._notify(run))
            except TaskFailed as failure:
                run.state["notification_error"] = failure.caught()
        self.end(run, failed=bool(failed))

    def end(self, run: Run, *, failed: bool) -> None:
        """Given an execution and whether it has failed, close it."""
        run.status = FAILED if failed else SUCCEEDED
        run.ended = self.world.now()
        run.transitions += STATES_BESIDE_TASKS[run.machine]
        self.totals.transitions += run.transitions
        self.totals.runs[f"{run.machine} {run.status}"] += 1
        del self.open_runs[run.id]
        if self._on_run_ended is not None:
            self._on_run_ended(run)

    def task(self, run: Run, name: str, call: Callable[[], Any]) -> Steps:
        """Carry out a Task state with its retriers and return its answer. Raise TaskFailed when none is left."""
        retriers = retries_of(run.machine)[name]
        used = [0] * len(retriers)
        while True:
            run.transitions += 1
            yield Sleep(self.timings.step_seconds)
            self.totals.invocations += 1
            try:
                return self._invoke(run.region, call)
            except TaskFailed as failure:
                number = next((n for n, rule in enumerate(retriers) if failure.error in rule.errors), -1)
                if number < 0 or used[number] >= retriers[number].attempts:
                    raise
                used[number] += 1
                yield Sleep(retriers[number].seconds(used[number], self._dice))

    def _invoke(self, region: str, call: Callable[[], Any]) -> Any:
        """Call as a function is called: whatever is raised has a name; a function in a region that is away does not run."""
        try:
            self.wiring.reach(region)
            return call()
        except SnapkeepError as error:
            raise TaskFailed(type(error).__name__, str(error)) from error
        except Killed as error:
            self.totals.kills += 1
            raise TaskFailed(KILLED, str(error)) from error
        except Exception as error:
            self.unexpected.append(error)
            raise TaskFailed(type(error).__name__, str(error)) from error

    def _notify(self, run: Run) -> None:
        for notice in notices_of_run(run.state, run.region, run.id, self.wiring.clock.now()):
            self.wiring.notices_of(run.region).add(notice)

    # Protect

    def _protect(self, run: Run) -> Steps:
        ended = _parsed(events.parse_snapshot_event, run.event)
        if isinstance(ended, events.NotOurs):
            return False
        tagged = yield from self.task(run, "TagSnapshots", lambda: self.wiring.tag_snapshots(run.region).run(ended))
        problems = _problems(tagged.problems)
        run.state["tagged"] = {"volumes": list(tagged.volume_ids), "problems": problems}
        if tagged.outcome is not TagOutcome.MANAGED:
            return bool(problems) or tagged.outcome is TagOutcome.NOTHING_LEFT
        copies = [self.kernel.spawn(self._copy(run, request)) for request in tagged.copies]
        yield Join(copies)
        results = [one.result for one in copies]
        failed = [one for one in results if one["status"] == "FAILED"]
        run.state["copies"] = {"results": results, "failed": failed}
        planner, now = self.wiring.planner(run.region), self.wiring.clock.now
        plan = yield from self.task(
            run, "PlanRetention", lambda: planner.plan_sources(tagged.volume_ids, confirmed_copies(results, now()))
        )
        self.look_at(plan)
        not_deleted = yield from self._delete(run, plan.made_at, orders_of(plan.deletions))
        return bool(failed or not_deleted or problems)

    def _copy(self, run: Run, request: CopyRequest) -> Steps:
        """One item of the Map: every attempt has a token of its own."""
        seconds = seconds_to_wait(request, self.wiring.clock.now())
        token = ""

        def enqueue() -> None:
            nonlocal token
            self.kernel.withdraw_token(token)
            token = self.kernel.issue_token()
            self.wiring.enqueue().run(request, token, run.id)
            self.wake(request.region, self.timings.stream_seconds)

        try:
            yield from self.task(run, "CopySnapshotToDR", enqueue)
        except TaskFailed as failure:
            self.kernel.withdraw_token(token)
            return _failed_copy(request, failure.error, failure.cause)
        run.waits[token] = Wait(run.id, token, request, self.wiring.clock.now())
        answer = yield AwaitToken(token, seconds)
        del run.waits[token]
        if answer.error:
            return _failed_copy(request, answer.error, answer.cause or "no copy was confirmed in time; it may still come")
        return dict(answer.output)

    # Receive

    def _receive(self, run: Run) -> Steps:
        ended = _parsed(events.parse_copy_event, run.event)
        if isinstance(ended, events.NotOurs):
            return False
        received = yield from self.task(run, "TagSnapshotCopy", lambda: self.wiring.receive(run.region).run(ended))
        problems = _problems(received.problems)
        run.state["received"] = {"outcome": str(received.outcome), "volumes": [], "problems": problems}
        self.wake(run.region, self.timings.stream_seconds)
        if received.outcome is ReceiveOutcome.NOT_OURS:
            return False
        plan = received.plan
        made_at = plan.made_at if plan else self.wiring.clock.now()
        if plan:
            self.look_at(plan)
        removals = [
            DeletionOrder(copy.id, copy.origin.volume_id, format_time(copy.origin.start_time), copy.policy, (received.why,))
            for copy in received.remove
        ]
        orders = [*(orders_of(plan.deletions) if plan else ()), *removals]
        not_deleted = (yield from self._delete(run, made_at, orders)) if orders else False
        return bool(not_deleted or problems or received.outcome is ReceiveOutcome.FAILED)

    def _delete(self, run: Run, made_at: datetime, orders: Sequence[DeletionOrder]) -> Steps:
        """Carry out deletions. Return whether some are not done."""
        step = self.wiring.delete_snapshots(run.region, self.audited)
        results = yield from self.task(run, "DeleteOldSnapshots", lambda: step.run(made_at, orders))
        failed = [
            {"snapshot_id": one.snapshot_id, "outcome": str(one.outcome), "cause": one.cause} for one in results if not one.done
        ]
        run.state["deletion"] = {"failed": failed}
        return bool(failed)

    def look_at(self, plan: Plan) -> None:
        """Given a plan that is about to be carried out, show it to who listens."""
        for listener in self.plan_listeners:
            listener(plan)

    def audited(self, order: DeletionOrder, result: DeletionResult) -> None:
        """Given a deletion and how it ended, count it and tell who listens."""
        self.totals.deletions += result.done
        for listener in self.audit:
            listener(order, result)

    # Dispatch

    def wake(self, region: str, seconds: float) -> None:
        """Given a DR region, let its dispatcher run in so many seconds; wake-ups that come together make one."""
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
        """Given a DR region, run its dispatcher now. Return what it did, or None if it failed or was killed."""
        self.totals.dispatches += 1
        self.totals.invocations += 1
        done: DispatchResult | None = None
        try:
            done = self._invoke(region, lambda: self.wiring.dispatch(region).run(f"dispatch-{self.totals.dispatches}"))
        except TaskFailed:
            done = None
        if done is not None:
            self.totals.copies_started += len(done.started)
        if self._has_work(region) and region not in self._dispatch_due:
            schedule = self.timings.schedule_seconds
            self.wake(region, schedule - self.world.now() % schedule)
        return done

    def _has_work(self, region: str) -> bool:
        """Whether the schedule, which runs each minute for ever, could find anything to do."""
        queue = self.wiring.queues[region]
        return any(queue.count(state) for state in (EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING))

    # Time

    @property
    def idle(self) -> bool:
        """Whether no event is on its way, no execution is open, and no copy waits or runs."""
        if self._undelivered or self.open_runs:
            return False
        return not any(queue.count(state) for queue in self.wiring.queues.values() for state in OPEN)

    def advance(self, seconds: float) -> None:
        """Given seconds, let them pass, with everything that is due in them."""
        self.kernel.run_until(self.kernel.clock.now() + seconds)

    def run_until_idle(self, limit_seconds: float) -> bool:
        """Let time pass until nothing is under way, or the limit is reached. Return whether it is idle."""
        limit = self.kernel.clock.now() + limit_seconds
        while True:
            due = self.kernel.next_due()
            if due is None or due > limit:
                return self.idle
            if self.idle and self.world.next_due() is None and not self._dispatch_due:
                return True
            self.kernel.run_one()


def _parsed(parse: Callable[[Mapping[str, Any]], Any], event: Mapping[str, Any]) -> Any:
    try:
        return parse(event)
    except InvalidEvent as error:
        raise TaskFailed(InvalidEvent.__name__, str(error)) from error


def _problems(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"kind": one.kind, "subject": one.subject, "cause": one.cause} for one in problems]


def _failed_copy(request: CopyRequest, error: str, cause: str) -> dict[str, str]:
    snapshot_id = request.origin.snapshot_id
    return {"status": "FAILED", "snapshot_id": snapshot_id, "region": request.region, "error": error, "cause": cause}
