"""Look at EC2 right before deletions. The plan's facts about other snapshots are not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapkeep.domain.model import Snapshot
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.domain.retention.last_look import objection, remaining_peers
from snapkeep.usecases.ports import Clock, DeletionGuards, DeletionOutcome, DeletionResult, SnapshotReader
from snapkeep.usecases.retention.plan_regions import protected_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """Finds the deletions that must not be carried out."""

    system: str
    reader: SnapshotReader
    guards: DeletionGuards
    clock: Clock

    def run(self, orders: Sequence[DeletionOrder]) -> dict[str, DeletionResult]:
        """Return by id the results of the orders that must not be carried out, or need not.

        Raise AwsThrottled or AwsUnavailable when EC2 cannot be read.
        """
        ordered_ids = {order.snapshot_id for order in orders}
        listed = self._lineages({order.volume_id for order in orders}, ordered_ids)
        # AMIs and locks may have appeared since the plan. AWS refuses such deletions too, but as failures of the run.
        held = protected_ids(self.guards, [snapshot for snapshot in listed.values() if snapshot.id in ordered_ids])
        results: dict[str, DeletionResult] = {}
        for order in orders:
            snapshot = listed.get(order.snapshot_id)
            if snapshot is None:
                results[order.snapshot_id] = DeletionResult(order.snapshot_id, DeletionOutcome.ALREADY_GONE)
                continue
            peers = remaining_peers(snapshot, listed.values(), ordered_ids, self.clock.now(), system=self.system)
            cause = "; ".join(reason.text for reason in held.get(snapshot.id, ())) or objection(order, snapshot, peers)
            if cause:
                results[snapshot.id] = DeletionResult(snapshot.id, DeletionOutcome.UNSAFE, cause)
        return results

    def exists(self, snapshot_id: str) -> bool:
        """Whether the snapshot is there: a deleted one carries no tag that meets the condition of the role."""
        return snapshot_id in self.reader.snapshots([snapshot_id])

    def _lineages(self, volume_ids: set[str], ordered_ids: set[str]) -> dict[str, Snapshot]:
        """Return the managed snapshots or copies of the volumes, by one call, and the ordered ones even if they are of others."""
        listed = {snapshot.id: snapshot for snapshot in self.reader.tagged_with_volumes(volume_ids)}
        # A snapshot whose tags were changed since is not in the listing, and the objection must say why it stays.
        unlisted = ordered_ids - listed.keys()
        return listed | self.reader.snapshots(unlisted) if unlisted else listed
