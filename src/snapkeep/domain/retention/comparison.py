"""The changes of a region's plan under other policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields

from snapkeep.domain.model import Action, Lineage, Verdict
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion_days import NOT_READ, DayAllowance
from snapkeep.domain.retention.new_locks import NewLocks, new_locks
from snapkeep.domain.retention.region_plan import MissingCopy, RegionPlan, VolumePlan


@dataclass(frozen=True, slots=True)
class ActionChange:
    """A snapshot that one plan keeps and the other deletes."""

    before: Verdict
    after: Verdict


def changes(before: RegionPlan, after: RegionPlan) -> list[ActionChange]:
    """Return the snapshots whose action differs between two plans for the same facts, in the order of the second.

    A refused plan deletes nothing: its deletions are changes if the other policies have higher limits.
    """
    known = {verdict.snapshot.id: verdict for verdict in before.outcomes}
    return [
        ActionChange(known[verdict.snapshot.id], verdict)
        for verdict in after.outcomes
        if verdict.snapshot.id in known and known[verdict.snapshot.id].action is not verdict.action
    ]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes under other policies."""

    reassigned: tuple[tuple[Lineage, str, str], ...]
    """Volumes whose policy changes, with its name before and after; empty if no policy governs."""
    deleted: tuple[ActionChange, ...]
    kept: tuple[ActionChange, ...]
    copies: tuple[MissingCopy, ...]
    """Missing copies that only the other policies require."""
    copies_dropped: tuple[MissingCopy, ...] = ()
    """Missing copies that only the current policies require."""
    adopted: tuple[VolumePlan, ...] = ()
    """Plans that would adopt other snapshots."""
    refused: tuple[VolumePlan, ...] = ()
    """Plans that only the other policies refuse."""
    deleted_after_copies: tuple[Verdict, ...] = ()
    """Snapshots that only the other policies delete after the missing copies complete."""
    locks: tuple[NewLocks, ...] | None = ()
    """The locks of the rules that differ; None if they are not known."""
    names: Mapping[Lineage, str] = field(default_factory=dict)
    """The names of the volumes that have one."""
    allowance: DayAllowance = NOT_READ
    """All deletions under the other policies, and the number that runs may make on one day."""

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        facts = ("names", "allowance")
        return self.locks is not None and not any(getattr(self, part.name) for part in fields(self) if part.name not in facts)


def compare(before: RegionPlan, after: RegionPlan) -> Comparison:
    """Return the changes between two plans for the same facts."""
    known = {plan.lineage: plan for plan in before.volumes}
    policies = [(plan.lineage, known[plan.lineage].policy_name, plan.policy_name) for plan in after.volumes]
    changed = changes(before, after)
    # A deletion that the current policies make too, sooner or later, is no change.
    expected = {verdict.snapshot.id for verdict in (*before.deletions, *before.deletions_after_copies)}
    return Comparison(
        reassigned=tuple((lineage, old, new) for lineage, old, new in policies if old != new),
        deleted=tuple(change for change in changed if change.after.action is Action.DELETE),
        kept=tuple(change for change in changed if change.after.action is Action.KEEP),
        copies=_missing_only_in(after, before),
        copies_dropped=_missing_only_in(before, after),
        adopted=tuple(plan for plan in after.volumes if plan.adopted and plan.adopted != known[plan.lineage].adopted),
        refused=tuple(plan for plan in after.volumes if plan.refusals and not known[plan.lineage].refusals),
        deleted_after_copies=tuple(verdict for verdict in after.deletions_after_copies if verdict.snapshot.id not in expected),
        locks=new_locks(before, after),
        names=after.names,
        allowance=after.allowance,
    )


def _missing_only_in(plan: RegionPlan, other: RegionPlan) -> tuple[MissingCopy, ...]:
    missing_in_other = {(copy.snapshot_id, copy.region) for copy in other.missing}
    return tuple(copy for copy in plan.missing if (copy.snapshot_id, copy.region) not in missing_in_other)
