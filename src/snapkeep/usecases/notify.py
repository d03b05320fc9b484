"""Notify: make notices from a failed run's state, and one message from all notices with one cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import Clock, CopyResult, DeletionResult, Notice, Notices, Problem, ProblemKind, Publisher

EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class StepError:
    """The error of a failed step of a state machine."""

    name: str
    cause: str


@dataclass(slots=True)
class RunState:
    """The facts from a run's final state for its notices."""

    subject: str = ""
    """The snapshot of the event that started the run, or the event's type."""
    volume_ids: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    copies: tuple[CopyResult, ...] = ()
    undeleted: tuple[DeletionResult, ...] = ()
    error: StepError | None = None
    reported: bool = False
    """Whether a sweep's report was published, which has everything."""


def notices_of_run(state: RunState, region: str, execution: str, now: datetime) -> list[Notice]:
    """Return one notice for each failure in the state of a run at its end."""
    subject = state.subject or "a run"
    failures = [(problem.kind, problem.cause, problem.subject) for problem in state.problems]
    failures += [(copy.error, copy.cause, f"{copy.snapshot_id} to {copy.region}") for copy in state.copies if copy.failed]
    failures += [
        (ProblemKind.NOT_DELETED, f"{result.outcome.label}: {result.cause}", result.snapshot_id) for result in state.undeleted
    ]
    if state.error is not None:
        failures.append((state.error.name, state.error.cause, subject))
    # Every failure has a notice, even without a cause in the state.
    if not failures and not state.reported:
        failures.append((ProblemKind.RUN_FAILED, "the run failed, and its state does not say why; see the execution", subject))
    detail = f"volume {', '.join(state.volume_ids)}" if state.volume_ids else "no volume known"
    return [Notice(kind, cause, about, detail, region, now, execution) for kind, cause, about in failures]


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish."""

    subject: str
    text: str


def message_of(notices: Sequence[Notice], system: str) -> Message:
    """Return the message about all notices of one kind and cause."""
    first, subjects = notices[0], sorted({notice.subject for notice in notices})
    count = len(subjects)
    cases = count + sum(notice.count - 1 for notice in notices)
    times = "" if cases == 1 else f" ({cases} times)"
    lines = [
        f"{first.kind}{times} in {first.region}",
        "",
        f"Cause: {first.cause}",
        "",
        "Concerns:" if count <= EXAMPLES else f"Concerns {count}, of which {EXAMPLES}:",
    ]
    by_subject = {notice.subject: notice for notice in notices}
    for subject in subjects[:EXAMPLES]:
        notice = by_subject[subject]
        lines += [f"  {subject} ({notice.detail})"] + ([f"    {notice.execution}"] if notice.execution else [])
    started, ended = min(n.at for n in notices), max(n.at for n in notices)
    lines += ["", f"First at {started:%Y-%m-%d %H:%M:%S} UTC, last at {ended:%Y-%m-%d %H:%M:%S} UTC."]
    return Message(f"{system}: {first.kind}{times} in {first.region}", "\n".join(lines))


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """A notice as the notices' queue holds it; `receipt` deletes it there."""

    notice: Notice
    receipt: str


class NoticeSource(Notices, Protocol):
    """Reads the collected notices."""

    def receive(self) -> Iterable[HeldNotice]:
        """Return notices. They are returned again later unless they are deleted."""

    def delete(self, held: Sequence[HeldNotice]) -> None:
        """Delete published notices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One message for each kind and cause, after a quiet time: a thousand failures are one message.

    The first message of an urgent kind does not wait. A notice in the queue then records its publication. While it is there,
    for ten minutes at most, other notices of the kind wait as usual: a storm is one message at once, and a digest.
    """

    system: str
    source: NoticeSource
    publisher: Publisher
    clock: Clock
    quiet: timedelta = timedelta(seconds=45)
    longest: timedelta = timedelta(minutes=10)

    def run(self) -> int:
        """Publish the messages that are due.

        Return their number. After all attempts, raise the error that prevented one of them.
        """
        groups: dict[tuple[str, str, str], list[HeldNotice]] = {}
        for held in self.source.receive():
            groups.setdefault((held.notice.kind, _without_ids(held.notice), held.notice.region), []).append(held)
        now = self.clock.now()
        messages = 0
        failed: list[SnapkeepError] = []
        for group in groups.values():
            try:
                messages += self._publish(group, now)
            except SnapkeepError as error:  # it is received again; a message that cannot be published must not stop the others
                failed.append(error)
        if failed:
            raise failed[0]
        return messages

    def _publish(self, group: Sequence[HeldNotice], now: datetime) -> bool:
        """Publish the message of a group if it is due. Return whether it was published."""
        marks = [held for held in group if held.notice.published]
        self.source.delete([mark for mark in marks if now - mark.notice.at >= self.longest])
        notices = [held.notice for held in group if not held.notice.published]
        published_lately = any(now - mark.notice.at < self.longest for mark in marks)
        if not notices or not (self._ripe(notices, now) or (notices[0].urgent and not published_lately)):
            return False
        message = message_of(notices, self.system)
        self.publisher.publish(message.subject, message.text)
        # The deletion follows the publication: a message that is sent twice is better than a lost one.
        self.source.delete([held for held in group if not held.notice.published])
        if notices[0].urgent:
            self.source.add(replace(notices[0], at=now, published=True))
        return True

    def _ripe(self, notices: Sequence[Notice], now: datetime) -> bool:
        newest, oldest = max(n.at for n in notices), min(n.at for n in notices)
        return now - newest >= self.quiet or now - oldest >= self.longest


def _without_ids(notice: Notice) -> str:
    """Return the cause without the parts that differ between snapshots, so that similar causes form one message.

    These are ids of snapshots and volumes, the request id and the time before Lambda's time-outs, and the message that EC2
    encodes for each call after an authorization failure.
    """
    return " ".join(_PASSING.sub("", notice.cause).split())


_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PASSING = re.compile(
    r"\b(?:snap|vol)-\w+"
    rf"|\d{{4}}-\d\d-\d\dT[\d:.]+Z?(?:\s+{_UUID})?"
    rf"|\brequest ?id:?\s*{_UUID}"
    r"|[\w+/=-]{65,}",
    re.IGNORECASE,
)
"""Text that concerns only one case. A key's id is not such a text: it may be the fault. No name in a message exceeds 64
characters."""
