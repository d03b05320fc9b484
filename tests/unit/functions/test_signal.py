"""Signal takes a batch of messages: an unreadable one fails alone."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.domain.signals import OwnNames, Signal
from snapkeep.functions import signal
from support.calls import called


class Notified:
    """The use case, which keeps the signals that it gets."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []

    def run(self, signals: list[Signal]) -> int:
        self.signals += signals
        return len(signals)


@pytest.mark.parametrize("broken", ["", "no JSON", "[" * 100_000, "[]", "{}", '{"detail": {"eventSource": "ec2.amazonaws.com"}}'])
def test_an_unreadable_message_becomes_the_only_dead_letter(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    case = Notified()
    monkeypatch.setattr(signal, "composition", lambda: None)
    monkeypatch.setattr(signal, "build", lambda _: case)
    monkeypatch.setattr(signal, "own_names", lambda _: OwnNames("snapkeep-primary", frozenset(), "/snapkeep"))
    bodies = [json.dumps(called("DeleteSnapshot")), broken, json.dumps(called("StopLogging"))]
    event: dict[str, Any] = {"Records": [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}
    answer = signal.handler(event, SimpleNamespace(aws_request_id="1"))
    assert answer == {"notified": 2, "batchItemFailures": [{"itemIdentifier": "1"}]}
    assert [one.call for one in case.signals] == ["DeleteSnapshot", "StopLogging"]
