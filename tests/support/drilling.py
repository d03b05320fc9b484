"""Drills over the model of EBS: volumes with copies in the DR region, and the state machine in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillEvidence, DrillLedger, evidence_key
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.policy.drill_rules import DrillRule, DrillSchedule
from snapkeep.domain.system import StackKind
from snapkeep.domain.tag_names import DRILL, HOLD, HOLDER
from snapkeep.functions import drill
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.executions import Execution
from snapkeep.lab.simulator.memory_ports import Hook
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.drills.begin import BeginDrills
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set

RULE = DrillRule("weekly", ("default",), DR, DrillSchedule("0/5 * * * ? *"))
"""Due whenever it is asked."""


@dataclass
class DrillLab:
    """Some volumes with a copy each, and a rule for their drills."""

    rule: DrillRule = RULE
    volumes: int = 1
    written_blocks: int = 16
    hook: Hook | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lab = Laboratory(replace(policy_set(keep_copies=5), drills=(self.rule,)), **self.options)
        self.volume_ids = [self.lab.make_volume() for _ in range(self.volumes)]
        for volume_id in self.volume_ids:
            self.lab.world.write(volume_id, 0, self.written_blocks, region=PRIMARY)
            self.lab.protect(volume_id)
        self.sweeper = Sweeper(self.lab.runner)
        self.lab.runner.composition.hook = self.hook
        self.lab.runner.composition._built.clear()  # ports made before have no hook

    # The system

    @property
    def begin(self) -> BeginDrills:
        return drill.build_begin(self.lab.runner.composition.stack(DR, StackKind.DR))

    def drill(self) -> list[Execution]:
        """Begin the due drills, and wait for their ends."""
        self.begin.run()
        self.lab.runner.advance(36 * HOUR)
        assert self.lab.runner.unexpected == []
        return self.lab.runs("drill")

    def sweep(self, hours: float = 6) -> Any:
        """Sweep the DR region once, and wait for the end of everything that it starts; return its report."""
        execution = self.lab.runner.start("sweep", DR, {"stack": StackKind.DR})
        self.lab.runner.advance(hours * HOUR)
        assert execution.status != "RUNNING"
        return next(report for report in self.sweeper.reports if report.id == execution.id)

    def now(self) -> datetime:
        return utc(self.lab.world.now())

    def advance(self, span: timedelta) -> None:
        self.lab.runner.advance(span.total_seconds())

    # What is there

    @property
    def documents(self) -> dict[str, Any]:
        return self.lab.runner.composition.documents[DR].documents

    @property
    def ledger(self) -> DrillLedger:
        return from_text(DrillLedger, self.documents[LEDGER_KEY].text) if LEDGER_KEY in self.documents else DrillLedger()

    def evidence(self, run_id: str) -> DrillEvidence:
        return from_text(DrillEvidence, self.documents[evidence_key(run_id)].text)

    def evidences(self) -> list[DrillEvidence]:
        return [self.evidence(ended.run) for ended in self.ledger.ended]

    @property
    def runs(self) -> list[str]:
        """The drills that ended."""
        return [ended.run for ended in self.ledger.ended]

    @property
    def texts(self) -> dict[str, str]:
        """The evidences by drill, as the bucket has them."""
        keys = [key for key in self.documents if key != LEDGER_KEY and key.startswith("drills/")]
        return {key.removeprefix("drills/").removesuffix(".json"): self.documents[key].text for key in keys}

    def made(self) -> list[str]:
        """Return everything in the DR region that carries a drill's tag."""
        region = self.lab.world.region_account(DR)
        return [name for name in (*region.volumes, *region.snapshots) if DRILL in self.lab.tags(name, DR)]

    def held(self) -> list[str]:
        tags = {name: self.lab.tags(name, DR) for name in self.lab.ids(DR)}
        return [name for name, of in tags.items() if any(key == HOLD or key.startswith(HOLDER) for key in of)]

    def others(self) -> dict[str, dict[str, str]]:
        """Return what no drill made, with its tags."""
        region = self.lab.world.region_account(DR)
        return {name: self.lab.tags(name, DR) for name in (*region.volumes, *region.snapshots) if name not in self.made()}
