"""A sweep's look at drills: resources that outlived their drill, and volumes that no drill covered in time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.drills.schedule import copies_of
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.drills import DrillFacts, drill_findings
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.domain.tag_names import DRILL
from snapkeep.usecases.drills.ledger_store import LedgerStore
from snapkeep.usecases.drills.ports import DrillRuns, LeftResources
from snapkeep.usecases.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillWatch:
    """Finds drills that did not end, and ends them by an execution of their state machine, with its roles."""

    system: str
    region: str
    ledger: LedgerStore
    ec2: LeftResources
    runs: DrillRuns
    clock: Clock

    def run(self, snapshots: Collection[Snapshot], policies: PolicySet, now: datetime) -> list[Finding]:
        """Return the findings about drills. An unreadable ledger is a finding too."""
        rules = policies.drills_in(self.region)
        try:
            made = {volume.id: volume.tags for volume in self.ec2.tagged_volumes(DRILL)} | self.ec2.tagged_machines(DRILL)
            covered = [copy for rule in rules if rule.covered_within for copy in copies_of(rule, snapshots, self.system)]
            volume_ids = frozenset(copy.origin.volume_id for copy in covered)
            ledger = self._with_seen(self.ledger.read(), volume_ids, now)
        except SnapkeepError as error:
            return [Finding(FindingKind.OUT_OF_REACH, "drills", "", str(error))]
        facts = DrillFacts(system=self.system, rules=rules, snapshots=snapshots, made=made, ledger=ledger, now=now)
        return drill_findings(facts)

    def _with_seen(self, ledger: DrillLedger, volume_ids: frozenset[str], now: datetime) -> DrillLedger:
        if volume_ids == frozenset(ledger.seen_since):
            return ledger
        return self.ledger.change(lambda newest: newest.with_seen(volume_ids, now))

    def end(self, run_id: str) -> None:
        """Start an execution that ends a drill."""
        self.runs.start(run_id, f"{run_id}-end-{self.clock.now():%Y%m%dT%H%M%S}", end=True)
