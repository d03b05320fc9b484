"""Replay the events that the rules could not deliver, in the intended state machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling, ReportItem
from snapkeep.domain.vault.copy_event import SOURCE as VAULT_SOURCE
from snapkeep.usecases.sweep.ports import DeadLetter, DeadLetters, ProtectRuns

_EVENT_ID = re.compile(r"[0-9a-f-]{36}")
EC2_SOURCES = ("aws.ec2", "snapkeep.sweep")
SCHEDULED = "Scheduled Event"
"""The detail-type of a schedule's tick (EventBridge user guide): the next tick has done its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDeadLetters:
    """Drains the rules' dead-letter queue. An unreadable message stays there, and is a finding."""

    letters: DeadLetters
    runs: ProtectRuns
    most: int = 500

    def run(self) -> list[ReportItem]:
        """Replay all messages; return the result of each."""
        items: list[ReportItem] = []
        replayed: list[DeadLetter] = []
        for letter in self.letters.receive(self.most):
            item = self._replay(letter)
            if item is None or item.handling is Handling.REPAIRED:
                replayed.append(letter)
            if item is not None:
                items.append(item)
        # Deleted only after all were replayed: one that is deleted too early is lost, one replayed twice has the same run's
        # name.
        self.letters.delete(replayed)
        return items

    def _replay(self, letter: DeadLetter) -> ReportItem | None:
        event = _event(letter.body)
        if event is None:
            return ReportItem(FindingKind.UNREADABLE, "", "", f"it begins: {letter.body[:80]!r}", Handling.NEEDS_ATTENTION)
        # A schedule that could not be delivered has nothing to replay, and a vault says again what it said.
        if event.get("detail-type") == SCHEDULED or event.get("source") == VAULT_SOURCE:
            return None
        subject = _subject(event)
        # A message that others put into the queue starts no execution.
        if event.get("source") not in EC2_SOURCES:
            return ReportItem(
                FindingKind.UNREADABLE, subject, "", f"its source is {event.get('source')!r}", Handling.NEEDS_ATTENTION
            )
        text = f"{event.get('detail-type', 'event')}, not delivered: {letter.cause or 'no cause was given'}"
        try:
            self.runs.start(event, _name(event, letter.body))
        except SnapkeepError as error:
            return ReportItem(FindingKind.UNDELIVERED, subject, "", text, Handling.FAILED, str(error))
        return ReportItem(FindingKind.UNDELIVERED, subject, "", text, Handling.REPAIRED)


def _event(body: str) -> Mapping[str, Any] | None:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, Mapping) and isinstance(event.get("detail"), Mapping) else None


def _subject(event: Mapping[str, Any]) -> str:
    return str(event["detail"].get("snapshot_id", "")).rpartition("/")[2] or str(event.get("id", ""))


def _name(event: Mapping[str, Any], body: str) -> str:
    """Return the name of the run for an event: the same however often it is replayed."""
    event_id = str(event.get("id"))
    return f"replay-{event_id if _EVENT_ID.fullmatch(event_id) else sha256(body.encode()).hexdigest()[:32]}"
