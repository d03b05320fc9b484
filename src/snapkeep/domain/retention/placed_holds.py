"""Holds that people place on snapshots, volumes, policies or everything, until they release them (INV-26)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.model import Reason, Snapshot
from snapkeep.domain.records import dataclass

HOLD_RULE = "INV-26"
REVIEW_AFTER = timedelta(days=30)
"""The age from which sweeps report a hold for review, unless the hold names another."""


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """One hold, with its author, time and reason. Nothing that it covers is deleted until it is released."""

    id: str
    by: str
    """ARN of the principal that placed it."""
    since: datetime
    reason: str
    review_after: timedelta = REVIEW_AFTER
    volumes: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    snapshots: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """Ids of copies, and of source snapshots, whose copies are covered too."""
    policies: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    making: bool = field(default=False, metadata=OPTIONAL)
    """Whether the hold stops the making of snapshots. Such a hold covers no snapshot."""

    @property
    def covers_everything(self) -> bool:
        """Whether the hold covers the whole system: it names nothing, or nothing that this version knows."""
        return not (self.volumes or self.snapshots or self.policies or self.making)

    def covers(self, snapshot: Snapshot, policy: str = "") -> bool:
        """Whether the hold covers a snapshot or copy; `policy` governs its volume now, and may differ from the one in its tag."""
        origin = snapshot.origin
        return (
            self.covers_everything
            or origin.volume_id in self.volumes
            or snapshot.id in self.snapshots
            or origin.snapshot_id in self.snapshots
            or not {policy, snapshot.policy}.isdisjoint(self.policies)
        )

    @property
    def scope(self) -> str:
        """The volumes, snapshots and policies that it covers, in words."""
        named = [*self.volumes, *self.snapshots, *(f"policy {name}" for name in self.policies)]
        named += ["the making of snapshots"] if self.making else []
        return ", ".join(named) or "everything"

    @property
    def text(self) -> str:
        """The time, author and reason of the hold."""
        return f"held since {self.since:%Y-%m-%d %H:%M} UTC by {self.by} ({self.id}): {self.reason}"

    def is_due_for_review(self, now: datetime) -> bool:
        """Whether the hold is old enough for a review."""
        return now - self.since > self.review_after


@dataclass(frozen=True, slots=True)
class PlacedHolds:
    """The holds in all regions of a system: a hold in any of them counts in all."""

    holds: tuple[PlacedHold, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    """Region -> why its holds could not be read. Holds that could not be read hold everything."""

    def __bool__(self) -> bool:
        return bool(self.holds or self.unread)

    def reasons_for(self, snapshot: Snapshot, policy: str = "") -> tuple[Reason, ...]:
        """Return the reasons why a snapshot must not be deleted; nothing if no hold covers it."""
        reasons = [Reason(HOLD_RULE, hold.text) for hold in self.holds if hold.covers(snapshot, policy)]
        reasons += [Reason(HOLD_RULE, f"held: whether a hold covers it is not known: {why}") for why in self.unread.values()]
        return tuple(reasons)


NOTHING_HELD = PlacedHolds()
