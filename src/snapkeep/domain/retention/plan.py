"""The plan of one lineage in one region. Runs, sweeps, `snapkeep plan`, `snapkeep explain` and the simulator all call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from snapkeep.domain.model import Action, Lineage, Reason, Snapshot, Verdict
from snapkeep.domain.policy.model import CopyRule, Limits, Retention
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.holds import (
    NO_COPY_FACTS,
    CopyFacts,
    holds_from_facts,
    merge_holds,
    placed_holds,
    policy_holds,
    proof_holds,
)
from snapkeep.domain.retention.invariants import find_problems
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.verdicts import NO_HOLDS, NO_POLICY, Holds, decide

REFUSED = Reason("refused", "its plan is refused: nothing is deleted")
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class LineageFacts:
    """All facts for the plan of one lineage in one region."""

    lineage: Lineage
    snapshots: Sequence[Snapshot]
    """All its snapshots in the region, managed or not, in any state."""
    retention: Retention | None
    """None if no policy governs the lineage: everything is kept."""
    copies: CopyFacts = NO_COPY_FACTS
    copy_rules: Sequence[CopyRule] = ()
    """The copy rules of its policy (INV-04)."""
    second_copies: Mapping[str, Reason] = field(default_factory=dict)
    """Id of a second copy -> why it is deleted although retention keeps the first one."""
    leave_alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tags, with patterns of values, of source snapshots that its policy never deletes."""
    compared: bool = False
    """Whether its policy compares the copies: the newest proved copy is held until a newer one is proved (INV-27)."""
    policy: str = ""
    """The name of the policy that governs it; a hold may cover a policy."""
    held_by_tag: Holds = field(default_factory=dict)
    """The snapshots that its policy holds by a tag: they are kept, and do not count."""


@dataclass(frozen=True, slots=True)
class LineagePlan:
    """A verdict for each snapshot of one lineage in one region, oldest origin first."""

    lineage: Lineage
    verdicts: tuple[Verdict, ...]
    refusals: tuple[str, ...] = ()
    """The invariants that the verdicts break. A plan that breaks any of them deletes nothing."""
    retention: Retention | None = None
    """The applied rules; None if no policy governs the lineage."""
    uncounted: frozenset[str] = frozenset()
    """Ids of the snapshots that the rules did not count, because of their tags."""

    @property
    def outcome(self) -> tuple[Verdict, ...]:
        """The verdicts that are carried out, without the deletions of a refused plan."""
        if not self.refusals:
            return self.verdicts
        return tuple(
            Verdict(verdict.snapshot, Action.KEEP, (REFUSED, *verdict.reasons)) if verdict.action is Action.DELETE else verdict
            for verdict in self.verdicts
        )

    @property
    def refusal(self) -> str:
        """The refusals as one text: the first few, and the number of the others; empty if the plan is not refused."""
        more = len(self.refusals) - _EXAMPLES
        return "; ".join(self.refusals[:_EXAMPLES]) + (f"; and {more} more" if more > 0 else "")


def plan_lineage(
    facts: LineageFacts,
    region: str,
    now: datetime,
    *,
    system: str,
    limits: Limits,
    protected_ids: Holds = NO_HOLDS,
    placed: PlacedHolds = NOTHING_HELD,
) -> LineagePlan:
    """Return the plan of one lineage in one region.

    `protected_ids` are the snapshots, of this lineage or others, that an AMI uses, that are locked, or that another tool owns,
    with the reasons (INV-06); `placed` are the holds that people placed (INV-26).
    """
    if facts.retention is None:
        return LineagePlan(facts.lineage, keep_all(facts.snapshots, NO_POLICY))
    held = holds_from_facts(facts.snapshots, facts.copies, facts.copy_rules) if facts.copy_rules else {}
    # Holds are input of the decision, so that the verdicts name them as reasons.
    if facts.leave_alone:
        protected_ids = merge_holds(protected_ids, policy_holds(facts.snapshots, facts.leave_alone))
    if protected_ids:
        for snapshot in facts.snapshots:
            if snapshot.id in protected_ids:
                held[snapshot.id] = held.get(snapshot.id, ()) + protected_ids[snapshot.id]
    if placed:
        held = merge_holds(held, placed_holds(facts.snapshots, placed, facts.policy))
    if facts.compared:
        held = merge_holds(held, proof_holds(facts.snapshots, system=system, second_copies=facts.second_copies))
    apart = facts.held_by_tag
    counted = [snapshot for snapshot in facts.snapshots if snapshot.id not in apart] if apart else facts.snapshots
    verdicts = tuple(decide(counted, facts.retention, now, system=system, holds=held, second_copies=facts.second_copies))
    if facts.second_copies:
        verdicts = tuple(_without_second_copy(verdict, facts.second_copies, held) for verdict in verdicts)
    if apart:
        kept = (Verdict(snapshot, Action.KEEP, apart[snapshot.id]) for snapshot in facts.snapshots if snapshot.id in apart)
        verdicts = tuple(sorted((*verdicts, *kept), key=lambda verdict: verdict.snapshot.origin.start_time))
    # Code that is independent of the decision above checks the result.
    refusals = find_problems(
        verdicts,
        facts.lineage,
        region,
        system=system,
        limits=limits,
        copies=facts.copies,
        copy_rules=facts.copy_rules,
        protected_ids=protected_ids,
        compared=facts.compared,
        placed=placed,
        policy=facts.policy,
        held_by_tag=apart,
    )
    return LineagePlan(facts.lineage, verdicts, tuple(refusals), facts.retention, frozenset(apart))


def keep_all(snapshots: Iterable[Snapshot], reason: Reason) -> tuple[Verdict, ...]:
    """Return verdicts that keep all snapshots for one reason, oldest origin first."""
    ordered = sorted(snapshots, key=lambda snapshot: (snapshot.origin.start_time, snapshot.id))
    return tuple(Verdict(snapshot, Action.KEEP, (reason,)) for snapshot in ordered)


def _without_second_copy(verdict: Verdict, second_copies: Mapping[str, Reason], held: Holds) -> Verdict:
    """Return the verdict, or the deletion of a second copy without a hold."""
    snapshot_id = verdict.snapshot.id
    if verdict.action is Action.DELETE or snapshot_id not in second_copies or snapshot_id in held:
        return verdict
    return Verdict(verdict.snapshot, Action.DELETE, (second_copies[snapshot_id],))
