"""The second look at a plan, before anything of it is carried out.

This knows nothing of how verdicts were reached: it looks at the result alone, simply, so that a mistake in deciding does not
become a deletion. The ids are those of the design document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from snapkeep.domain import tag_names as tagnames
from snapkeep.domain.errors import PlanRefused
from snapkeep.domain.model import Action, Lineage, Plan, Reason, Snapshot, SnapshotState, Verdict
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.retention.holds import CopyFacts
from snapkeep.domain.retention.verdicts import RETENTION_WORDS

NO_COPY_FACTS = CopyFacts()
_EXAMPLES_SHOWN = 5
_DELETE = Action.DELETE
_RULES_THAT_DELETE = RETENTION_WORDS | {"duplicate"}

Regions = Mapping[Lineage, Sequence[str]]
"""For each lineage the regions in which its policy asks for a copy."""


def check_plan(
    plan: Plan,
    *,
    system: str,
    limits: Limits,
    copies: CopyFacts = NO_COPY_FACTS,
    copy_regions: Regions = MappingProxyType({}),
    protected_ids: Collection[str] = (),
) -> None:
    """Given a plan, return if it breaks no invariant. Raise PlanRefused, naming each that it breaks and by which snapshots.

    `copies` and `copy_regions` say what is known of copies and where they are asked for (INV-04); `untouchable` are the ids
    of snapshots that an AMI uses, that are locked, or that AWS Backup manages (INV-06).
    """
    problems = find_problems(
        plan, system=system, limits=limits, copies=copies, copy_regions=copy_regions, protected_ids=protected_ids
    )
    if problems:
        more = f"; and {len(problems) - _EXAMPLES_SHOWN} more" if len(problems) > _EXAMPLES_SHOWN else ""
        raise PlanRefused(f"plan {plan.id} for {plan.region} is refused: " + "; ".join(problems[:_EXAMPLES_SHOWN]) + more)


def find_problems(
    plan: Plan,
    *,
    system: str,
    limits: Limits,
    copies: CopyFacts = NO_COPY_FACTS,
    copy_regions: Regions = MappingProxyType({}),
    protected_ids: Collection[str] = (),
) -> list[str]:
    """Given a plan, return in words what it breaks, each beginning with the invariant's id; empty when all is well."""
    deletions = [verdict for verdict in plan.verdicts if verdict.action is _DELETE]
    if not deletions:
        return []
    problems = list(_each_deletion(deletions, plan.region, system, protected_ids))
    if len(deletions) > limits.max_deletions:
        problems.append(
            f"INV-08: it would delete {counted(len(deletions), 'snapshot')}; the limit is {limits.max_deletions} in one plan"
        )
    for (region, volume_id), (kept, to_delete) in _by_lineage(plan.verdicts, system).items():
        if to_delete:
            problems.extend(_each_lineage(volume_id, kept, to_delete, limits))
            regions = copy_regions.get(Lineage(region, volume_id), ())
            problems.extend(_missing_copies(to_delete, copies, regions) if regions else ())
    return problems


def _each_deletion(deletions: Iterable[Verdict], region: str, system: str, protected_ids: Collection[str]) -> Iterator[str]:
    rules_of_retention: set[tuple[Reason, ...]] = set()
    completed = SnapshotState.COMPLETED
    for snapshot, _, reasons in deletions:
        if snapshot.tags.get(tagnames.MANAGED) != system:
            yield f"INV-01: {snapshot.id} is not managed by {system}"
        if snapshot.region != region:
            yield f"INV-01: {snapshot.id} is in {snapshot.region}, outside the plan's region"
        if snapshot.state is not completed:
            yield f"INV-03: {snapshot.id} is {snapshot.state}, not completed"
        if snapshot.id in protected_ids:
            yield f"INV-06: {snapshot.id} is used by an AMI, locked, or managed by AWS Backup"
        if reasons not in rules_of_retention:
            if not reasons or any(reason.rule not in _RULES_THAT_DELETE for reason in reasons):
                yield f"INV-07: {snapshot.id} would go for a reason that is no rule of retention"
            else:
                rules_of_retention.add(reasons)


_KeptAndDoomed = tuple[list[Snapshot], list[Snapshot]]


def _by_lineage(verdicts: Iterable[Verdict], system: str) -> Mapping[tuple[str, str], _KeptAndDoomed]:
    """Given verdicts, return the snapshots that count by source region and volume: those that stay and those that go."""
    completed, managed = SnapshotState.COMPLETED, tagnames.MANAGED
    found: dict[tuple[str, str], _KeptAndDoomed] = {}
    region, volume_id = "", ""
    kept: list[Snapshot] = []
    to_delete: list[Snapshot] = []
    for snapshot, action, _ in verdicts:
        origin = snapshot.origin
        if origin.volume_id != volume_id or origin.region != region:
            region, volume_id = origin.region, origin.volume_id
            kept, to_delete = found.setdefault((region, volume_id), ([], []))
        if snapshot.state is completed and snapshot.tags.get(managed) == system:
            (to_delete if action is _DELETE else kept).append(snapshot)
    return found


def _each_lineage(volume_id: str, kept: Sequence[Snapshot], to_delete: Sequence[Snapshot], limits: Limits) -> Iterator[str]:
    newest_doomed = max([snapshot.origin.start_time for snapshot in to_delete])
    if not kept or max([snapshot.origin.start_time for snapshot in kept]) < newest_doomed:
        snapshot = next(snapshot for snapshot in to_delete if snapshot.origin.start_time == newest_doomed)
        invariant, what = ("INV-05", "copy") if snapshot.is_copy else ("INV-02", "snapshot")
        yield f"{invariant}: {snapshot.id} is the newest completed {what} of {volume_id}"
    deleted, total = len(to_delete), len(to_delete) + len(kept)
    if total > limits.small_lineage and deleted * 100 > total * limits.max_share_percent:
        yield (
            f"INV-08: it would delete {deleted} of {counted(total, 'snapshot')} of {volume_id}; "
            f"the limit is {limits.max_share_percent} % of a volume's snapshots"
        )


def _missing_copies(deletions: Iterable[Snapshot], copies: CopyFacts, regions: Sequence[str]) -> Iterator[str]:
    for snapshot in deletions:
        for region in regions:
            if (snapshot.id, region) in copies.waiting:
                yield f"INV-04: the copy of {snapshot.id} to {region} is waiting or running"
            newest = copies.newest_copied.get((snapshot.origin.lineage, region))
            replaced = newest is not None and newest > snapshot.origin.start_time
            if (snapshot.id, region) not in copies.completed and not replaced:
                yield f"INV-04: {snapshot.id} has no completed copy in {region}, nor has a newer snapshot of its volume"
