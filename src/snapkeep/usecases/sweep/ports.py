"""The ports of a sweep beside those of the event-driven path."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import CopyWait
from snapkeep.domain.sweep.waiting_runs import OpenRun
from snapkeep.usecases.ports import PageStore


class ProtectRuns(Protocol):
    """The state machine Protect of this region, or Receive in a DR region: the one that events start."""

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        """Start an execution with an event as its input. Return False if one of that name was started already."""

    def deployed_at(self) -> datetime:
        """Return the time when the state machine was made: earlier snapshots are history."""


class WaitingRuns(Protocol):
    """The executions of Protect of this region that have not ended."""

    def under_way(self) -> list[OpenRun]:
        """Return all that run, by one listing."""

    def waits(self, run: str) -> list[CopyWait]:
        """Return the copies that a run waits for now. One call, and more only for a long history."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be delivered, as the dead-letter queue holds it; `receipt` deletes it there."""

    body: str
    receipt: str
    cause: str = ""
    """Why it was not delivered, as EventBridge says in the message's attributes."""


class DeadLetters(Protocol):
    """The rules' dead-letter queue."""

    def receive(self, most: int) -> Iterable[DeadLetter]:
        """Return up to so many messages. They come back later unless they are deleted."""

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete messages that were replayed, or that need nothing done any more."""


class Exposure(Protocol):
    """Reads which other accounts can read this region's snapshots."""

    def sharing_blocked(self) -> bool:
        """Whether block public access for snapshots is on (either of its states)."""

    def public_snapshots(self) -> list[str]:
        """Return the ids of this account's snapshots that everybody can read."""

    def shared_with(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return for each shared snapshot the accounts that can read it. One call for each snapshot."""


class DeletionTrail(Protocol):
    """Reads the principals that deleted snapshots of this region."""

    def deleted_by(self, snapshot_id: str, since: datetime) -> str:
        """Return the ARN of the principal that deleted a snapshot since a time; empty if AWS does not show it (yet)."""


class ReportStore(PageStore, Protocol):
    """Keeps reports, and what a sweep remembers for the next one."""

    def get(self, name: str) -> str:
        """Return what was kept under a name. Raise ReportNotFound if there is nothing."""

    def names_since(self, day: date) -> list[str]:
        """Return the names of the reports of sweeps (JSON) from a day on, the oldest first."""
