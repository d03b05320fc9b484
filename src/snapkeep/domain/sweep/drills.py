"""The findings about drills in a DR region: resources that outlived their drill (INV-17), and volumes that no drill covered.

Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.drills.schedule import not_covered
from snapkeep.domain.durations import format_duration
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.drill_rules import DrillRule
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import EndDrillRepair, Finding, FindingKind
from snapkeep.domain.tag_names import DRILL, DRILL_END, SYSTEM
from snapkeep.domain.tags import parse_time


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFacts:
    """The listings and the ledger that findings about drills follow from."""

    system: str
    rules: Sequence[DrillRule]
    snapshots: Collection[Snapshot]
    made: Mapping[str, Mapping[str, str]]
    """The tags of the volumes, instances and AMIs that drills made, by id."""
    ledger: DrillLedger
    now: datetime


def drill_findings(facts: DrillFacts) -> list[Finding]:
    """Return the findings about drills."""
    return [*_left(facts), *_overdue(facts)]


def _left(facts: DrillFacts) -> Iterator[Finding]:
    outliving: dict[str, list[str]] = defaultdict(list)
    made = {**facts.made, **{snapshot.id: snapshot.tags for snapshot in facts.snapshots if DRILL in snapshot.tags}}
    for resource_id, tags in made.items():
        is_own = tags.get(SYSTEM, facts.system) == facts.system
        if is_own and tags[DRILL] and _is_past(tags.get(DRILL_END, ""), facts.now):
            outliving[tags[DRILL]].append(resource_id)
    late = {run.id: run for run in facts.ledger.open if run.ends_at < facts.now}
    for run_id in sorted({*outliving, *late}):
        listed = ", ".join(sorted(outliving[run_id]))
        text = f"{listed} outlived its end" if listed else "it did not come to its end"
        volume_id = late[run_id].volume_id if run_id in late else ""
        yield Finding(FindingKind.DRILL_LEFT, run_id, volume_id, text, repair=EndDrillRepair(run_id))


def _is_past(end: str, now: datetime) -> bool:
    """Whether a drill's latest end has passed. Without a readable end, no drill made the resource."""
    try:
        return parse_time(end) < now
    except ValueError:
        return False


def _overdue(facts: DrillFacts) -> Iterator[Finding]:
    within = {rule.name: format_duration(rule.covered_within) for rule in facts.rules}
    for missed in not_covered(facts.rules, facts.snapshots, facts.ledger, facts.now, facts.system):
        last = (
            f"the last one that passed began {missed.last_passed:%Y-%m-%d %H:%M} UTC" if missed.last_passed else "none ever did"
        )
        text = f"drill {missed.rule} has to pass within {within[missed.rule]}: {last}"
        yield Finding(FindingKind.DRILL_OVERDUE, missed.volume_id, missed.volume_id, text, missed.since)
