"""Undelivered events: whatever stands in the queue, one message stops no other, and nothing that cannot be read is lost."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.errors import AwsThrottled
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.usecases.sweep.dead_letters import ReplayDeadLetters
from snapkeep.usecases.sweep.ports import DeadLetter

EVENT = {
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "source": "aws.ec2",
    "detail-type": "EBS Snapshot Notification",
    "detail": {"event": "createSnapshot", "snapshot_id": "arn:aws:ec2::us-east-1:snapshot/snap-0a"},
}


@dataclass
class Letters:
    bodies: list[str]
    deleted: list[str] = field(default_factory=list)

    def receive(self, most: int) -> Iterable[DeadLetter]:
        return [DeadLetter(body, f"receipt-{number}", "NO_PERMISSIONS") for number, body in enumerate(self.bodies)][:most]

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        self.deleted += [letter.receipt for letter in letters]


@dataclass
class Runs:
    started: list[str] = field(default_factory=list)
    throttled: bool = False

    def start(self, event: Mapping[str, Any], name: str) -> bool:
        if self.throttled:
            raise AwsThrottled("start_execution: slow down")
        fresh = name not in self.started
        self.started.append(name)
        return fresh

    def deployed_at(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "{}",
        json.dumps(EVENT | {"source": "somebody.else"}),
        pytest.param("[" * 9000, id="nested without end"),
        pytest.param('{"a":' * 9000, id="objects without end"),
    ],
)
def test_an_unreadable_letter_stays_is_reported_and_stops_no_other(body: str) -> None:
    letters, runs = Letters([body, json.dumps(EVENT)]), Runs()
    unread, replayed = ReplayDeadLetters(letters=letters, runs=runs).run()
    assert (unread.kind, unread.handling) == (FindingKind.UNREADABLE, Handling.NEEDS_ATTENTION)
    assert (replayed.subject, replayed.handling) == ("snap-0a", Handling.REPAIRED)
    assert letters.deleted == ["receipt-1"]


def test_a_duplicate_event_is_one_run_and_both_messages_are_deleted() -> None:
    letters, runs = Letters([json.dumps(EVENT)] * 2), Runs()
    assert len(ReplayDeadLetters(letters=letters, runs=runs).run()) == 2
    assert set(runs.started) == {f"replay-{EVENT['id']}"}
    assert letters.deleted == ["receipt-0", "receipt-1"]


@pytest.mark.parametrize("event_id", ["", None, "with a blank", "x" * 200, {"a": 1}, "ü", 7])
def test_the_name_of_a_replay_is_valid_in_step_functions(event_id: object) -> None:
    runs = Runs()
    ReplayDeadLetters(letters=Letters([json.dumps(EVENT | {"id": event_id})]), runs=runs).run()
    (name,) = runs.started
    assert name.replace("-", "").isalnum()
    assert name.isascii()
    assert len(name) <= 80


def test_a_message_that_starts_nothing_stays_for_the_next_sweep() -> None:
    letters = Letters([json.dumps(EVENT)])
    (item,) = ReplayDeadLetters(letters=letters, runs=Runs(throttled=True)).run()
    assert (item.handling, item.cause, letters.deleted) == (Handling.FAILED, "start_execution: slow down", [])


@pytest.mark.parametrize(("source", "detail_type"), [("aws.events", "Scheduled Event"), ("snapkeep.vault", "Vault copy ended")])
def test_events_that_recur_by_themselves_are_not_replayed(source: str, detail_type: str) -> None:
    letters, runs = Letters([json.dumps(EVENT | {"source": source, "detail-type": detail_type, "detail": {}})]), Runs()
    assert ReplayDeadLetters(letters=letters, runs=runs).run() == []
    assert (letters.deleted, runs.started) == (["receipt-0"], [])
