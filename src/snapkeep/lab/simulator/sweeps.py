"""The sweeps of both stacks over a runner: what they need beside the ports of the flows, in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.domain.sweep.findings import Wait
from snapkeep.domain.sweep.report import Outcome, SweepReport
from snapkeep.domain.sweep.waiting_runs import RunUnderWay
from snapkeep.domain.tags import format_time
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.executions import PROTECT, RECEIVE, SWEEP, Run
from snapkeep.lab.simulator.kernel import Steps
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.wiring import orders_of
from snapkeep.usecases.retention.delete import DeletionOrder
from snapkeep.usecases.sweep.dead_letters import ReplayDeadLetters
from snapkeep.usecases.sweep.dr import DrSweep
from snapkeep.usecases.sweep.ports import DeadLetter, DeadLetters, Exposure, ProtectRuns, WaitingRuns
from snapkeep.usecases.sweep.primary import PrimarySweep
from snapkeep.usecases.sweep.shared import ExposureCheck, SweepLimits, SweepOptions, SweepResult, complete

SECONDS_PER_HOUR = 3600.0


class StartedRuns(ProtectRuns):
    """`ProtectRuns` of a runner: each name starts one run."""

    def __init__(self, runner: Runner, machine: str, region: str, deployed_at: datetime) -> None:
        self._runner = runner
        self._machine = machine
        self._region = region
        self._deployed_at = deployed_at
        self._names: set[str] = set()

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        """Start an execution. Return False if one of that name was started already."""
        self._runner.wiring.reach(self._region)
        if name in self._names:
            return False
        self._names.add(name)
        self._runner.start(self._machine, self._region, event)
        return True

    def deployed_at(self) -> datetime:
        """Return when the system was deployed."""
        return self._deployed_at


class OpenRuns(WaitingRuns):
    """`WaitingRuns` of a runner's region."""

    def __init__(self, runner: Runner, region: str) -> None:
        self._runner = runner
        self._region = region

    def under_way(self) -> list[RunUnderWay]:
        """Return all runs of Protect that have not ended."""
        self._runner.wiring.reach(self._region)
        running = [run for run in self._runner.open_runs.values() if run.machine == PROTECT and run.region == self._region]
        return [RunUnderWay(run.id, utc(run.started)) for run in running]

    def waits(self, run: str) -> list[Wait]:
        """Given a run, return the copies that it waits for; none if it has ended."""
        self._runner.wiring.reach(self._region)
        found = self._runner.open_runs.get(run)
        return list(found.waits.values()) if found else []


class UndeliveredEvents(DeadLetters):
    """`DeadLetters`: what a runner could not deliver in its time."""

    def __init__(self, events: list[Mapping[str, Any]], region: str) -> None:
        self._events = events
        self._region = region

    def receive(self, most: int) -> Iterable[DeadLetter]:
        """Return up to so many messages."""
        own = [event for event in self._events if event["region"] == self._region]
        return [DeadLetter(json.dumps(event), str(event["id"]), "the target could not be reached") for event in own[:most]]

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete messages."""
        receipts = {letter.receipt for letter in letters}
        self._events[:] = [event for event in self._events if str(event["id"]) not in receipts]


class NothingShared(Exposure):
    """`Exposure` of a world in which nobody shares snapshots: simulations ask about time, room and money."""

    def sharing_blocked(self) -> bool:
        """Whether sharing is blocked."""
        return True

    def public_snapshots(self) -> list[str]:
        """Return no ids."""
        return []

    def shared_with(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:  # noqa: ARG002 - the port's form
        """Return no accounts."""
        return {}


class Sweeper:
    """Sweeps a runner's regions, by schedule or by hand."""

    def __init__(self, runner: Runner, *, limits: SweepLimits | None = None, adopt: bool = False) -> None:
        self.runner = runner
        self.reports: list[SweepReport] = []
        """The last report of each sweep."""
        self._limits = limits or SweepLimits()
        self._options = SweepOptions(adopt=adopt)
        self._deployed_at = runner.wiring.clock.now()
        self._started: dict[tuple[str, str], StartedRuns] = {}
        self._count = 0

    def schedule(self, hours: float) -> None:
        """Given hours, sweep all regions so often from now on."""

        def again() -> None:
            self.start()
            self.runner.kernel.after(hours * SECONDS_PER_HOUR, again)

        self.runner.kernel.after(hours * SECONDS_PER_HOUR, again)

    def start(self) -> None:
        """Start a sweep of every region now: DR regions first, so that what has ended there is known."""
        deployment = self.runner.deployment
        for region in deployment.destinations:
            self._start(region, self._dr)
        for region in deployment.primaries:
            self._start(region, self._primary)

    def _start(self, region: str, make: Callable[[str], PrimarySweep | DrSweep]) -> None:
        self._count += 1
        run = Run(f"sweep:{region}:{self._count}", SWEEP, region, {}, self.runner.world.now())
        self.runner.begin(run, self._sweep(run, make))

    def _sweep(self, run: Run, make: Callable[[str], PrimarySweep | DrSweep]) -> Steps:
        """The steps of the sweep's state machine: repair, delete, report. One that leaves anything wrong has failed."""
        runner = self.runner
        swept = yield from runner.task(run, "Sweep", lambda: make(run.region).run(run.id, self._options))
        if run.region in runner.wiring.queues:
            runner.wake(run.region, runner.timings.stream_seconds)
        runner.look_at(swept.plan)
        orders = _orders(swept)
        step = runner.wiring.delete_snapshots(run.region, runner.audited)
        results = yield from runner.task(run, "DeleteOldSnapshots", lambda: step.run(swept.plan.made_at, orders))
        told = [{"snapshot_id": one.snapshot_id, "volume_id": one.volume_id, "reasons": one.reasons} for one in orders]
        failed = [one for one in results if not one.done]
        report = yield from runner.task(run, "Report", lambda: complete(swept.report, told, failed, runner.wiring.clock.now()))
        self.reports.append(report)
        run.state["outcome"] = str(report.outcome)
        return report.outcome is not Outcome.OK

    def _primary(self, region: str) -> PrimarySweep:
        wiring = self.runner.wiring
        return PrimarySweep(
            system=wiring.deployment.system,
            reader=wiring.reader(region),
            reader_of=wiring.reader,
            queue_of=wiring.queue_of,
            guards=RecentGuards(reader=wiring.reader(region), clock=wiring.clock),
            policies=wiring.policies,
            enqueue=wiring.enqueue(),
            tagger=wiring.tagger(region),
            runs=self._runs(PROTECT, region),
            waiting_runs=OpenRuns(self.runner, region),
            letters=self._letters(PROTECT, region),
            exposure=ExposureCheck(exposure=NothingShared()),
            clock=wiring.clock,
            limits=self._limits,
        )

    def _dr(self, region: str) -> DrSweep:
        wiring = self.runner.wiring
        return DrSweep(
            system=wiring.deployment.system,
            reader=wiring.reader(region),
            queue=wiring.queue_of(region),
            guards=RecentGuards(reader=wiring.reader(region), clock=wiring.clock),
            policies=wiring.policies,
            receive=wiring.receive(region),
            tagger=wiring.tagger(region),
            letters=self._letters(RECEIVE, region),
            exposure=ExposureCheck(exposure=NothingShared()),
            clock=wiring.clock,
            limits=self._limits,
        )

    def _runs(self, machine: str, region: str) -> StartedRuns:
        key = machine, region
        if key not in self._started:
            self._started[key] = StartedRuns(self.runner, machine, region, self._deployed_at)
        return self._started[key]

    def _letters(self, machine: str, region: str) -> ReplayDeadLetters:
        return ReplayDeadLetters(letters=UndeliveredEvents(self.runner.undelivered, region), runs=self._runs(machine, region))


def _orders(swept: SweepResult) -> list[DeletionOrder]:
    removals = [
        DeletionOrder(copy.id, copy.origin.volume_id, format_time(copy.origin.start_time), copy.policy, (f"failed copy: {why}",))
        for copy, why in swept.remove
    ]
    return [*orders_of(swept.plan.deletions), *removals]
