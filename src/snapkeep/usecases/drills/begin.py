"""Begin due drills: a schedule calls this, and so does a person who wants a drill at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.drills.schedule import DrillChoice, choose_runs, due_at, points_of
from snapkeep.domain.policy.drill_rules import DrillRule
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.usecases.drills.ledger_store import LedgerStore
from snapkeep.usecases.drills.ports import DrillRuns
from snapkeep.usecases.ports import Clock
from snapkeep.usecases.recovery.find_points import SnapshotLister


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginDrills:
    """Begins the drills of one DR region."""

    system: str
    region: str
    policies: Callable[[], PolicySet]
    points: SnapshotLister
    ledger: LedgerStore
    runs: DrillRuns
    clock: Clock

    def run(self) -> list[DrillRun]:
        """Begin the due drills, and start those that an earlier call began but did not start; return all open drills."""
        rules, now = self.policies().drills_in(self.region), self.clock.now()
        if not rules:
            return []
        ledger = self.ledger.read()
        due = [(rule, at) for rule in rules if (at := due_at(rule, ledger, now)) is not None]
        if due:
            snapshots = list(self.points.all_snapshots())
            points = {rule.name: points_of(rule, snapshots, self.system) for rule, _ in due}

            def decide(ledger: DrillLedger) -> DrillLedger:
                for rule, at in due:
                    if due_at(rule, ledger, now) == at:
                        ledger = ledger.begun(choose_runs(rule, points[rule.name], ledger, at, now).runs)
                return ledger

            ledger = self.ledger.change(decide)
        return [self.start(run) for run in ledger.open if run.ends_at > now]

    def choose(self, rule: DrillRule, named: Collection[str]) -> DrillChoice:
        """Return the drills that would begin now regardless of the schedule; only those of `named` volumes, if any are named."""
        now = self.clock.now().replace(microsecond=0)
        points = points_of(rule, self.points.all_snapshots(), self.system)
        return choose_runs(rule, points, self.ledger.read(), now, now, named=named)

    def begin(self, runs: Collection[DrillRun]) -> dict[str, str]:
        """Begin chosen drills; return the execution of each. Their time counts from now."""
        now: datetime = self.clock.now()
        asked = [replace(run, asked_at=now, ends_at=now + (run.ends_at - run.asked_at)) for run in runs]
        ledger = self.ledger.change(lambda ledger: ledger.begun(tuple(run for run in asked if not ledger.knows(run.id))))
        return {run.id: self.runs.start(run.id, run.id) for run in asked if ledger.run(run.id) is not None}

    def start(self, run: DrillRun) -> DrillRun:
        """Start an open drill, unless it has been started."""
        self.runs.start(run.id, run.id)
        return run
