"""The facts of a primary and its DR regions after all missing, waiting and running copies are made and proved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from snapkeep.domain.model import Snapshot, SnapshotInRegion, SnapshotState
from snapkeep.domain.retention.region_plan import CopyStatus, RegionFacts, RegionPlan
from snapkeep.domain.tags import tags_for_copy


def with_copies_made(facts: Sequence[RegionFacts], plan: RegionPlan, now: datetime, *, system: str) -> list[RegionFacts]:
    """Return the facts, those of the primary region first, with the copies that its plan requires, as if every copy were proved.

    Failed copies stay missing. Copies that do not exist yet have ids that EC2 never assigns.
    """
    primary, *dr_facts = facts
    sources = {snapshot.id: snapshot for snapshot in primary.snapshots}
    policy_of: dict[SnapshotInRegion, str] = {
        (snapshot_id, region): sources[snapshot_id].policy for snapshot_id, region in primary.waiting if snapshot_id in sources
    }
    policy_of |= {(copy.snapshot_id, copy.region): copy.policy for copy in plan.missing if copy.status is not CopyStatus.FAILED}
    pending = {
        (copy.origin.snapshot_id, region)
        for region, listed in primary.copies_by_region.items()
        for copy in listed
        if _is_pending(copy, system)
    }
    made: dict[str, list[Snapshot]] = defaultdict(list)
    for (snapshot_id, region), policy in policy_of.items():
        # An unreachable region has no forecast, so that copies missing there keep their sources.
        if region not in primary.copies_by_region or (snapshot_id, region) in pending or snapshot_id not in sources:
            continue
        source = sources[snapshot_id]
        tags = tags_for_copy(system, policy, source.origin)
        copy_id = f"{snapshot_id} in {region}"
        made[region].append(replace(source, id=copy_id, region=region, start_time=now, tags=tags, is_copy=True))
    copies = {region: _completed(listed, system) + made[region] for region, listed in primary.copies_by_region.items()}
    return [
        replace(primary, copies_by_region=copies, waiting=frozenset(), proofs_awaited=False),
        *(replace(dr, snapshots=_completed(dr.snapshots, system) + made[dr.region], proofs_awaited=False) for dr in dr_facts),
    ]


def _is_pending(copy: Snapshot, system: str) -> bool:
    return copy.state is SnapshotState.PENDING and copy.managed_by(system)


def _completed(copies: Iterable[Snapshot], system: str) -> list[Snapshot]:
    return [replace(copy, state=SnapshotState.COMPLETED) if _is_pending(copy, system) else copy for copy in copies]
