"""A thousand failures with one cause are one message, once they have stopped coming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.errors import AwsRefused
from snapkeep.usecases.notify import EXAMPLES, Digest, HeldNotice, Message, message_of
from snapkeep.usecases.ports import Notice, ProblemKind

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def notice(subject: str, *, cause: str = "the key is disabled", kind: str = "CopyFailed", at: datetime = START) -> Notice:
    return Notice(kind, cause, subject, "volume vol-1", "us-east-1", at, f"run-of-{subject}")


@dataclass
class StubNotices:
    """The queue of notices, the publisher and the clock in one."""

    held: list[HeldNotice] = field(default_factory=list)
    published: list[Message] = field(default_factory=list)
    time: datetime = START

    def add(self, one: Notice) -> None:
        self.held.append(HeldNotice(one, f"receipt-{len(self.held)}"))

    def receive(self) -> Iterable[HeldNotice]:
        return list(self.held)

    def delete(self, held: Sequence[HeldNotice]) -> None:
        self.held = [notice for notice in self.held if notice not in held]

    def publish(self, subject: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        self.published.append(Message(subject, text))

    def now(self) -> datetime:
        return self.time

    def digest(self) -> int:
        return Digest(system="snapkeep", source=self, publisher=self, clock=self).run()


def test_a_thousand_failures_with_one_cause_are_one_message() -> None:
    notices = StubNotices()
    for number in range(1000):
        notices.add(notice(f"snap-{number:04}", at=START + timedelta(seconds=number / 10)))
    notices.time = START + timedelta(minutes=3)
    assert notices.digest() == 1
    (message,) = notices.published
    assert message.subject == "snapkeep: CopyFailed (1000 times) in us-east-1"
    assert f"Concerns 1000, of which {EXAMPLES}:" in message.text
    assert message.text.count("run-of-snap-") == EXAMPLES
    assert notices.held == []


def test_nothing_is_published_while_failures_continue() -> None:
    notices = StubNotices()
    for number in range(20):
        notices.time = START + timedelta(seconds=30 * number)
        notices.add(notice(f"snap-{number}", at=notices.time))
        assert notices.digest() == 0
        if notices.time - START >= timedelta(minutes=9):
            break
    notices.time += timedelta(seconds=46)
    assert notices.digest() == 1


def test_failures_without_an_end_are_published_after_ten_minutes() -> None:
    notices = StubNotices()
    for number in range(21):
        notices.time = START + timedelta(seconds=30 * number)
        notices.add(notice(f"snap-{number}", at=notices.time))
    assert notices.time - START == timedelta(minutes=10)
    assert notices.digest() == 1


def test_causes_that_differ_only_in_ids_are_one_cause() -> None:
    notices = StubNotices()
    for number in range(3):
        notices.add(
            notice(f"snap-{number}", cause=f"copy of snap-{number} (vol-{number}) from us-east-1 to us-east-2: key is disabled")
        )
    notices.add(notice("snap-9", cause="copy of snap-9 (vol-9) from us-east-1 to us-east-2: quota"))
    notices.time += timedelta(minutes=1)
    assert notices.digest() == 2


UUIDS = "6f1a2b3c-0000-4a5b-8c9d-0123456789ab", "6f1a2b3c-1111-4a5b-8c9d-0123456789ab"


@pytest.mark.parametrize(
    "causes",
    [
        [f"2026-11-23T03:00:0{n}.123Z {UUIDS[n]} Task timed out after 100.00 seconds" for n in range(2)],
        [f"RequestId: {UUIDS[n]} Error: Runtime exited with error: signal: killed" for n in range(2)],
        [
            f"not authorized on resource: arn:aws:ec2:us-east-2::snapshot/snap-{n}. Encoded message: {f'x{n}-_' * 80}"
            for n in range(2)
        ],
    ],
)
def test_causes_that_differ_in_times_and_request_ids_are_one(causes: list[str]) -> None:
    notices = StubNotices(time=START + timedelta(minutes=2))
    for number, cause in enumerate(causes):
        notices.add(notice(f"snap-{number}", cause=cause))
    assert notices.digest() == 1


def test_two_keys_that_cannot_be_used_are_two_causes() -> None:
    notices = StubNotices(time=START + timedelta(minutes=2))
    for number, key in enumerate((*UUIDS, *(f"arn:aws:kms:us-east-2:111122223333:key/{uuid}" for uuid in UUIDS))):
        notices.add(notice(f"snap-{number}", cause=f"key {key} in us-east-2 is Disabled; enable it, or name another one"))
    assert notices.digest() == 4


def test_an_unpublishable_message_does_not_stop_others(monkeypatch: pytest.MonkeyPatch) -> None:
    notices = StubNotices(time=START + timedelta(minutes=2))
    for number, cause in enumerate(("first", "refused", "last")):
        notices.add(notice(f"snap-{number}", cause=cause))
    publish = notices.publish

    def refusing(subject: str, text: str) -> None:
        if "refused" in text:
            raise AwsRefused("InvalidParameter")
        publish(subject, text)

    monkeypatch.setattr(notices, "publish", refusing)
    with pytest.raises(AwsRefused):
        notices.digest()
    assert len(notices.published) == 2
    assert [held.notice.cause for held in notices.held] == ["refused"], "it comes back, and goes to the dead letters in the end"


def test_one_snapshot_that_failed_twice_is_counted_once() -> None:
    message = message_of([notice("snap-1"), notice("snap-1", at=START + timedelta(seconds=5))], "snapkeep")
    assert "times" not in message.subject


def signal(subject: str, at: datetime, count: int = 1) -> Notice:
    return Notice(ProblemKind.SIGNAL, "calls of others", subject, "by somebody", "us-east-1", at, count=count)


def test_a_signal_is_published_at_the_next_digest() -> None:
    notices = StubNotices()
    notices.add(signal("DeleteSnapshot snap-1", START))
    assert notices.digest() == 1
    assert notices.digest() == 0


def test_a_storm_of_signals_is_one_message_at_once_and_one_digest() -> None:
    notices = StubNotices()
    for second in range(100):
        notices.time = START + timedelta(seconds=second)
        notices.add(signal(f"DeleteSnapshot snap-{second}", notices.time, count=100))
        notices.digest()
    assert [message.subject for message in notices.published] == ["snapkeep: Signal (100 times) in us-east-1"]
    notices.time += timedelta(seconds=46)
    assert notices.digest() == 1
    assert notices.published[-1].subject == "snapkeep: Signal (9900 times) in us-east-1"


def test_the_mark_of_a_published_signal_expires_after_ten_minutes() -> None:
    notices = StubNotices()
    notices.add(signal("DeleteSnapshot snap-1", START))
    notices.digest()
    notices.time += timedelta(minutes=10)
    assert notices.digest() == 0
    assert notices.held == []
    notices.add(signal("DeleteSnapshot snap-2", notices.time))
    assert notices.digest() == 1
