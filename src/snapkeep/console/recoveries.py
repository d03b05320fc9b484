"""Recoveries by clicking: the plan, the consent to it, and the run while it is carried out, over the use cases of `recover`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Lock, Thread, current_thread

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import one_line
from snapkeep.cli.recovery_system import RecoverySystem
from snapkeep.domain.errors import AwsRefused, RecoveryFailed
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import RecoveryGroup
from snapkeep.domain.recovery.choice import Lineages
from snapkeep.domain.recovery.group import GroupPlan
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.instance_map import InstanceMap, ProposedMap
from snapkeep.domain.recovery.recovery_plan import RecoveryPlan, RecoveryRun, RecoveryStep
from snapkeep.usecases.ports import PacingClock
from snapkeep.usecases.recovery.prepare import RecoveryRequest
from snapkeep.usecases.recovery.prepare_group import PrepareGroup
from snapkeep.usecases.recovery.prepare_instance import InstanceRequest
from snapkeep.usecases.recovery.recover import Journal


@dataclass(frozen=True, slots=True)
class ListedPoints:
    """`SnapshotLister` over the listing that the pages show: a recovery takes the points that a person saw."""

    lineages: Lineages

    def all_snapshots(self) -> Iterable[Snapshot]:
        """Return every snapshot of the listing."""
        return (snapshot for snapshots in self.lineages.by_volume.values() for snapshot in snapshots)


def consent_to(steps: Sequence[RecoveryStep]) -> str:
    """Return what identifies the steps of a plan, so that consent to one plan starts no other."""
    return hashlib.sha256(to_text(steps).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LaunchWishes:
    """The choices of a person for the recovery of an instance or a group."""

    at: datetime
    names: InstanceMap
    without: tuple[str, ...] = ()
    """Devices of an instance, or instances of a group, that are left out."""
    stopped: bool = False
    rate_mibps: int = 0
    replace_root: bool = False


@dataclass(frozen=True, slots=True)
class RunView:
    """A recovery as its journal had it last, and whether this console carries it out."""

    run: RecoveryRun
    working: bool
    problem: str
    """Why this console stopped, or the journal cannot be read now; empty where all is well."""

    @property
    def version(self) -> str:
        """Changes whenever the view does."""
        shown = f"{to_text(self.run)} {self.working} {self.problem}"
        return hashlib.sha256(shown.encode()).hexdigest()


@dataclass(slots=True)
class Recoveries:
    """Plans recoveries, carries them out in the background, and reads their journals."""

    settings: AwsSettings
    """Settings with which a recovery may write."""
    clock: PacingClock
    _threads: dict[str, list[Thread]] = field(default_factory=lambda: defaultdict(list))
    _problems: dict[str, str] = field(default_factory=dict)
    _known: dict[str, RecoveryRun] = field(default_factory=dict)
    _journals: dict[str, Journal] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def plan(self, lineages: Lineages, request: RecoveryRequest) -> tuple[RecoveryPlan, list[str]]:
        """Return a plan, and the zones to choose from; none where they may not be listed. Raise errors of ours and botocore's."""
        prepare = self._system(lineages.region).prepare(ListedPoints(lineages))
        plan = prepare.plan(request)
        try:
            return plan, [plan.zone] if request.attach_to else prepare.reader.zones()
        except AwsRefused:
            return plan, []

    def plan_instances(self, lineages: Lineages, target: RecoveryGroup | str, wishes: LaunchWishes) -> GroupPlan:
        """Return the plan of an instance, which has no moment of its own, or of a group. Raise errors of ours and botocore's."""
        prepare = self._system(lineages.region).prepare_instance(ListedPoints(lineages))
        options = InstanceOptions(wishes.names, wishes.without, wishes.stopped, wishes.rate_mibps)
        if isinstance(target, str):
            plan = prepare.plan(InstanceRequest(target, wishes.at, options, wishes.replace_root))
            return GroupPlan(target, None, ((plan,),), ())
        return PrepareGroup(prepare=prepare).plan(target, wishes.at, replace(options, without=()), wishes.without)

    def first_map(self, region: str, instance_ids: Sequence[str]) -> tuple[ProposedMap, list[str]]:
        """Return a first map for instances, and notes on what was not read. Raise errors of ours and botocore's."""
        return self._system(region).first_map(instance_ids)

    def begin(self, region: str, make: Callable[[str, datetime], RecoveryRun]) -> RecoveryRun:
        """Begin the recovery that `make` returns for a caller and a time, and carry it out in the background.

        Raise RecoveryFailed for a plan with obstacles.
        """
        system = self._system(region)
        run = make(system.caller(), self.clock.now())
        recover = system.recover(run.region, partial(self._report, run.id))
        recover.journal.begin(run)
        self._carry_out(run, recover.run)
        return run

    def resume(self, region: str, run_id: str) -> RecoveryRun:
        """Continue a recovery in the background, and return it. Raise RecoveryFailed where this console carries it out."""
        if self._is_working(run_id):
            raise RecoveryFailed(f"{run_id} is being carried out")
        recover = self._system(region).recover(region, partial(self._report, run_id))
        run: RecoveryRun = recover.journal.read(run_id)
        self._carry_out(run, recover.run)
        return run

    def undo(self, region: str, run_id: str) -> RecoveryRun:
        """Remove what a recovery made, in the background; return the recovery."""
        recover = self._system(region).recover(region, partial(self._report, run_id))
        run: RecoveryRun = recover.journal.read(run_id)
        self._carry_out(run, recover.undo)
        return run

    def view(self, region: str, run_id: str) -> RunView:
        """Return a recovery. Raise SnapkeepError, or botocore's errors, where its journal was never read."""
        problem = self._problems.get(run_id, "")
        try:
            self._known[run_id] = self._journal(region).read(run_id)
        except Exception as error:
            self._journals.pop(region, None)  # the next reading looks up the bucket again
            if run_id not in self._known:
                raise
            problem = f"its journal cannot be read now: {one_line(error)}"
        return RunView(self._known[run_id], self._is_working(run_id), problem)

    def working(self) -> list[RecoveryRun]:
        """Return the recoveries that this console carries out."""
        return [self._known[run_id] for run_id in list(self._threads) if self._is_working(run_id)]

    def command(self, verb: str, run: RecoveryRun) -> str:
        """Return the command that resumes or undoes a recovery."""
        return self._system(run.region).command(verb, run.id)

    def _system(self, region: str) -> RecoverySystem:
        return RecoverySystem(self.settings, region, "", self.clock)

    def _journal(self, region: str) -> Journal:
        if region not in self._journals:
            reading = replace(self.settings, read_only=True)
            self._journals[region] = RecoverySystem(reading, region, "").journal()
        return self._journals[region]

    def _is_working(self, run_id: str) -> bool:
        return any(thread.is_alive() for thread in self._threads.get(run_id, ()))

    def _report(self, run_id: str, step: RecoveryStep) -> None:
        self._known[run_id] = self._known[run_id].with_step(step)

    def _carry_out(self, run: RecoveryRun, action: Callable[[RecoveryRun], RecoveryRun]) -> None:
        def work() -> None:
            try:
                self._known[run.id] = action(run)
            except Exception as error:  # noqa: BLE001 - even a defect must not look like a recovery that takes long
                if self._threads[run.id][-1] is current_thread():  # an undo that was begun since stopped this
                    self._problems[run.id] = one_line(error)

        # The run is known before its thread reports a step of it.
        with self._lock:
            self._known[run.id] = run
            self._problems.pop(run.id, None)
            thread = Thread(target=work, name=run.id, daemon=True)
            self._threads[run.id].append(thread)
            thread.start()
