"""The order to delete one snapshot, and how it is made from a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.model import Snapshot, Verdict

SECOND_COPY_RULE = "duplicate"
"""The rule of the reason that deletes a copy beside a later copy of the same snapshot."""


class DeletionKind(StrEnum):
    """Why a snapshot is deleted. State machines and audit lines carry the values."""

    RETENTION = "retention"
    FAILED_COPY = "failed_copy"
    SECOND_COPY = "second_copy"


@dataclass(frozen=True, slots=True)
class DeletionOrder:
    """One deletion to carry out, with what its audit line says."""

    snapshot_id: str
    volume_id: str
    origin_start: datetime
    policy: str
    reasons: tuple[str, ...]
    kind: DeletionKind = field(default=DeletionKind.RETENTION, metadata=OPTIONAL)
    """A plan that an earlier version made names none."""
    newer_kept: int = field(default=1, metadata=OPTIONAL)
    """The number of newer snapshots of its lineage on which the plan relies: fewer, and it is not deleted."""

    @property
    def text(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


def deletion_orders(
    verdicts: Iterable[Verdict],
    failed_copies: Iterable[tuple[Snapshot, str]] = (),
    newer_kept: Mapping[str, int] = MappingProxyType({}),
) -> list[DeletionOrder]:
    """Return the orders for verdicts that delete, in their order, then those for failed copies, each given with its cause.

    `newer_kept` is the plan's.
    """
    orders = []
    for verdict in verdicts:
        first_rule = next((reason.rule for reason in verdict.reasons), "")
        kind = DeletionKind.SECOND_COPY if first_rule == SECOND_COPY_RULE else DeletionKind.RETENTION
        reasons = tuple(reason.text for reason in verdict.reasons)
        orders.append(_order(verdict.snapshot, kind, reasons, newer_kept.get(verdict.snapshot.id, 1)))
    orders += [_order(copy, DeletionKind.FAILED_COPY, (f"failed copy: {cause}",), 0) for copy, cause in failed_copies]
    return orders


def _order(snapshot: Snapshot, kind: DeletionKind, reasons: tuple[str, ...], newer_kept: int) -> DeletionOrder:
    origin = snapshot.origin
    return DeletionOrder(snapshot.id, origin.volume_id, origin.start_time, snapshot.policy, reasons, kind, newer_kept)
