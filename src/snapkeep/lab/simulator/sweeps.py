"""The sweeps of both stacks over a runner, and their additional ports in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from snapkeep.domain.sweep.findings import CopyWait
from snapkeep.domain.sweep.memory import SweepMemory
from snapkeep.domain.sweep.report import SweepReport
from snapkeep.domain.sweep.waiting_runs import OpenRun
from snapkeep.domain.system import StackKind
from snapkeep.functions import sweep
from snapkeep.functions.caught_errors import CaughtError, step_error
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import PlanAnswer, SweepCall, SweepStep, waiting_call
from snapkeep.functions.state_budget import SWEEP_PLAN_BYTES, fit_plan
from snapkeep.functions.sweep import SweepAdapters
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.composition import StackComposition
from snapkeep.lab.simulator.executions import PROTECT, RECEIVE, SWEEP, Execution
from snapkeep.lab.simulator.runner import Runner
from snapkeep.usecases.notify import StepError
from snapkeep.usecases.sweep.deletions_by_others import DeletionWatch
from snapkeep.usecases.sweep.dr import DrSweep
from snapkeep.usecases.sweep.exposure import ExposureCheck
from snapkeep.usecases.sweep.memory import Memories
from snapkeep.usecases.sweep.ports import DeadLetter, DeadLetters, DeletionTrail, Exposure, ProtectRuns, WaitingRuns
from snapkeep.usecases.sweep.publish_report import PublishedReport
from snapkeep.usecases.sweep.shared import SweepLimits, SweepOptions, complete, stopped, with_left

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
        """Start an execution. Return False if one with this name was started."""
        self._runner.composition.reach(self._region)
        if name in self._names:
            return False
        self._names.add(name)
        self._runner.start(self._machine, self._region, event)
        return True

    def deployed_at(self) -> datetime:
        """Return the time of the deployment."""
        return self._deployed_at


class OpenRuns(WaitingRuns):
    """`WaitingRuns` of a runner's region."""

    def __init__(self, runner: Runner, region: str) -> None:
        self._runner = runner
        self._region = region

    def under_way(self) -> list[OpenRun]:
        """Return all runs of Protect that have not ended."""
        self._runner.composition.reach(self._region)
        running = [run for run in self._runner.open_runs.values() if run.machine == PROTECT and run.region == self._region]
        return [OpenRun(run.id, utc(run.started)) for run in running]

    def waits(self, run: str) -> list[CopyWait]:
        """Return the copies for which a run waits; none if it has ended."""
        self._runner.composition.reach(self._region)
        execution = self._runner.open_runs.get(run)
        return [
            CopyWait(run, token, waiting_call(pending.payload)[1], utc(pending.since))
            for token, pending in (execution.callbacks.items() if execution else ())
        ]


class UndeliveredEvents(DeadLetters):
    """`DeadLetters` of the events that a runner could not deliver in time."""

    def __init__(self, events: list[Mapping[str, Any]], region: str) -> None:
        self._events = events
        self._region = region

    def receive(self, most: int) -> Iterable[DeadLetter]:
        """Return up to `most` messages."""
        own = [event for event in self._events if event["region"] == self._region]
        return [DeadLetter(json.dumps(event), str(event["id"]), "the target could not be reached") for event in own[:most]]

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete messages."""
        receipts = {letter.receipt for letter in letters}
        self._events[:] = [event for event in self._events if str(event["id"]) not in receipts]


class NoExposure(Exposure):
    """`Exposure` of a world without shared snapshots: simulations are about time, storage and cost."""

    def sharing_blocked(self) -> bool:
        """Whether sharing is blocked."""
        return True

    def public_snapshots(self) -> list[str]:
        """Return no ids."""
        return []

    def shared_with(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:  # noqa: ARG002 - the port's form
        """Return no accounts."""
        return {}


class NoMemory(Memories):
    """`Memories` of a world in which only the system deletes snapshots."""

    def load(self) -> None:
        """Return nothing."""

    def prepare(self, sweep_id: str, memory: SweepMemory) -> None:
        """Do nothing."""

    def replace_by(self, sweep_id: str) -> None:
        """Do nothing."""


class NoTrail(DeletionTrail):
    """`DeletionTrail` of a world without CloudTrail."""

    def deleted_by(self, snapshot_id: str, since: datetime) -> str:  # noqa: ARG002 - the port's form
        """Return an empty text: it is not known."""
        return ""


class Sweeper:
    """Sweeps a runner's regions, by schedule or by hand."""

    def __init__(self, runner: Runner, *, limits: SweepLimits | None = None, adopt: bool = False) -> None:
        self.runner = runner
        self.reports: list[SweepReport] = []
        """The last report of each sweep."""
        self._limits = limits or SweepLimits()
        self._options = SweepOptions(adopt=adopt)
        self._deployed_at = runner.composition.clock.now()
        self._started: dict[tuple[str, str], StartedRuns] = {}
        self._interim: dict[str, SweepReport] = {}
        runner.functions["Sweep"] = self._sweep

    def schedule(self, hours: float) -> None:
        """Sweep all regions at this interval in hours from now on."""

        def again() -> None:
            self.start()
            self.runner.kernel.after(hours * SECONDS_PER_HOUR, again)

        self.runner.kernel.after(hours * SECONDS_PER_HOUR, again)

    def start(self) -> None:
        """Start a sweep of every region now: DR regions first, so that the ends of copies there are known."""
        layout = self.runner.layout
        for stack, regions in ((layout.copying_stack, layout.destinations), (StackKind.PRIMARY, layout.primaries)):
            for region in regions:
                self.runner.start(SWEEP, region, {"stack": stack})

    def _sweep(self, execution: Execution, payload: Mapping[str, Any]) -> PlanAnswer | PublishedReport:
        """Carry out the function Sweep: its first step repairs and plans deletions, and the second publishes the report."""
        call = from_json(SweepCall, payload)
        return self._repair(execution) if call.step is SweepStep.REPAIR else self._report(execution, call)

    def _repair(self, execution: Execution) -> PlanAnswer:
        runner, region = self.runner, execution.region
        composition = runner.composition.stack(region, execution.event["stack"])
        step = sweep.build(composition, self._adapters(composition))
        if isinstance(step, DrSweep) and composition.is_vault:
            step = replace(step, pull=runner.composition.pull(region))
        swept = step.run(execution.id, self._options)
        if region in runner.composition.queues:
            runner.wake_by_stream(region)
        runner.plan_made(swept.plan)
        answer = fit_plan(swept.plan, swept.remove, most_bytes=SWEEP_PLAN_BYTES)
        self._interim[execution.id] = with_left(swept, answer.delete)
        return answer

    def _adapters(self, composition: StackComposition) -> SweepAdapters:
        machine, region = (
            PROTECT if composition.environment.stack == StackKind.PRIMARY else RECEIVE,
            composition.environment.region,
        )
        return SweepAdapters(
            runs=self._runs(machine, region),
            waiting_runs=OpenRuns(self.runner, region),
            letters=UndeliveredEvents(self.runner.undelivered, region),
            exposure=ExposureCheck(exposure=NoExposure(), vault_accounts=composition.environment.vault_accounts),
            watch=DeletionWatch(memories=NoMemory(), trail=NoTrail()),
            limits=self._limits,
            # Without Verify no copy is ever proved, and each would be compared again and again.
            verifications=composition.verifications if self.runner.layout.verify and not composition.is_vault else None,
        )

    def _report(self, execution: Execution, call: SweepCall) -> PublishedReport:
        interim, now = self._interim.pop(execution.id, None), self.runner.composition.clock.now()
        error = step_error(call.error or CaughtError())
        if interim is None:
            report = self._broken(execution, error)
        elif call.plan is not None and call.deletion is not None:
            report = complete(interim, call.plan.delete, call.deletion.failed, now)
        else:
            report = stopped(interim, f"{error.name}: {error.cause}", now)
        self.reports.append(report)
        return PublishedReport(str(report.outcome), "", "", "")

    def _broken(self, execution: Execution, error: StepError) -> SweepReport:
        return SweepReport(
            execution.id,
            self.runner.layout.system,
            execution.event["stack"],
            execution.region,
            started_at=utc(execution.started),
            ended_at=self.runner.composition.clock.now(),
            broken=f"{error.name}: {error.cause}",
        )

    def _runs(self, machine: str, region: str) -> StartedRuns:
        key = machine, region
        if key not in self._started:
            self._started[key] = StartedRuns(self.runner, machine, region, self._deployed_at)
        return self._started[key]
