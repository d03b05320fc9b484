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
"""Age of a hold after which sweeps ask whether it is still needed, unless the hold names another."""


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """One hold, with who placed it, when and why. Nothing that it covers is deleted until it is released."""

    id: str
    by: str
    """ARN of the principal that placed it."""
    since: datetime
    reason: str
    review_after: timedelta = REVIEW_AFTER
    volumes: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    snapshots: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """Source snapshots, each with all its copies, and copies."""
    policies: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    making: bool = field(default=False, metadata=OPTIONAL)
    """Whether the system makes no snapshots. It covers none by this."""

    @property
    def covers_everything(self) -> bool:
        """Whether it covers the whole system: it names nothing, or nothing that this version knows."""
        return not (self.volumes or self.snapshots or self.policies or self.making)

    def covers(self, snapshot: Snapshot, policy: str = "") -> bool:
        """Whether it covers a snapshot or copy; `policy` is the one that governs its volume now, beside the one it carries."""
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
        """The time of the hold, who placed it, and why."""
        return f"held since {self.since:%Y-%m-%d %H:%M} UTC by {self.by} ({self.id}): {self.reason}"

    def is_due_for_review(self, now: datetime) -> bool:
        """Whether it is older than it was meant to be without another look."""
        return now - self.since > self.review_after


@dataclass(frozen=True, slots=True)
class PlacedHolds:
    """The holds of all regions of a system together: one that is written in any of them counts in all."""

    holds: tuple[PlacedHold, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    """Region -> why its holds could not be read. Holds that could not be read hold everything."""

    def __bool__(self) -> bool:
        return bool(self.holds or self.unread)

    def reasons_for(self, snapshot: Snapshot, policy: str = "") -> tuple[Reason, ...]:
        """Return why a snapshot must not be deleted; nothing if no hold covers it."""
        reasons = [Reason(HOLD_RULE, hold.text) for hold in self.holds if hold.covers(snapshot, policy)]
        reasons += [Reason(HOLD_RULE, f"held: whether a hold covers it is not known: {why}") for why in self.unread.values()]
        return tuple(reasons)


NOTHING_HELD = PlacedHolds()
