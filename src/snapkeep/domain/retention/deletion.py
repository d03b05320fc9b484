"""The order to delete one snapshot, and how it is made from a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.model import Snapshot, Verdict
from snapkeep.domain.records import dataclass

SECOND_COPY_RULE = "duplicate"
"""The rule of the reason that deletes a copy beside a later copy of the same snapshot."""


class DeletionKind(StrEnum):
    """Why a snapshot is deleted. State machines and audit lines carry the values."""

    RETENTION = "retention"
    FAILED_COPY = "failed_copy"
    SECOND_COPY = "second_copy"


@dataclass(frozen=True, slots=True)
class DeletionOrder:
    """One deletion to carry out, with the content of its audit line."""

    snapshot_id: str
    volume_id: str
    origin_start: datetime
    policy: str
    reasons: tuple[str, ...]
    kind: DeletionKind = field(default=DeletionKind.RETENTION, metadata=OPTIONAL)
    """Empty in a plan by an earlier version."""

    @property
    def text(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


def deletion_orders(verdicts: Iterable[Verdict], failed_copies: Iterable[tuple[Snapshot, str]] = ()) -> list[DeletionOrder]:
    """Return the orders for verdicts that delete, in their order, and then the orders for failed copies with their causes."""
    orders = []
    for verdict in verdicts:
        first_rule = next((reason.rule for reason in verdict.reasons), "")
        kind = DeletionKind.SECOND_COPY if first_rule == SECOND_COPY_RULE else DeletionKind.RETENTION
        reasons = tuple(reason.text for reason in verdict.reasons)
        orders.append(_order(verdict.snapshot, kind, reasons))
    orders += [_order(copy, DeletionKind.FAILED_COPY, (f"failed copy: {cause}",)) for copy, cause in failed_copies]
    return orders


def _order(snapshot: Snapshot, kind: DeletionKind, reasons: tuple[str, ...]) -> DeletionOrder:
    origin = snapshot.origin
    return DeletionOrder(snapshot.id, origin.volume_id, origin.start_time, snapshot.policy, reasons, kind)
