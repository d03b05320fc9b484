"""The order to delete one snapshot, and how it is made from a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

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

    @property
    def text(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


def deletion_orders(verdicts: Iterable[Verdict], failed_copies: Iterable[tuple[Snapshot, str]] = ()) -> list[DeletionOrder]:
    """Return the orders for verdicts that delete, in their order, then those for failed copies, each given with its cause."""
    planned = [_order(one.snapshot, kind_of_deletion(one), tuple(reason.text for reason in one.reasons)) for one in verdicts]
    removed = [_order(copy, DeletionKind.FAILED_COPY, (f"failed copy: {cause}",)) for copy, cause in failed_copies]
    return planned + removed


def kind_of_deletion(verdict: Verdict) -> DeletionKind:
    """Return why a verdict deletes: its first reason decides."""
    is_second_copy = bool(verdict.reasons) and verdict.reasons[0].rule == SECOND_COPY_RULE
    return DeletionKind.SECOND_COPY if is_second_copy else DeletionKind.RETENTION


def _order(snapshot: Snapshot, kind: DeletionKind, reasons: tuple[str, ...]) -> DeletionOrder:
    return DeletionOrder(snapshot.id, snapshot.origin.volume_id, snapshot.origin.start_time, snapshot.policy, reasons, kind)
