"""Tell somebody: from a failed run's state to notices, and from notices to one message for each cause."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.sweep.report import SUBJECT_LIMIT
from snapkeep.usecases.ports import Clock, Notice, Publisher

EXAMPLES = 10


def notices_of_run(state: Mapping[str, Any], region: str, execution: str, now: datetime) -> list[Notice]:
    """Given the state of a run at its end, return one notice for everything in it that failed."""
    found: list[tuple[str, str, str]] = []
    for place in ("tagged", "plan", "received"):
        found += [(p["kind"], p["cause"], p["subject"]) for p in state.get(place, {}).get("problems", [])]
    for copy in _failed_copies(state.get("copies")):
        kind, cause = error_of({"Error": copy.get("error", ""), "Cause": copy.get("cause", "")})
        found.append((kind, cause, f"{copy.get('snapshot_id', '')} to {copy.get('region', '')}"))
    for deletion in state.get("deletion", {}).get("failed", []):
        found.append(("NotDeleted", f"{deletion['outcome']}: {deletion['cause']}", deletion["snapshot_id"]))
    if "error" in state:
        kind, cause = error_of(state["error"])
        found.append((kind, cause, _subject_of(state)))
    if not found and "outcome" not in state:  # a sweep's report has an outcome, and was published
        found.append(("RunFailed", "the run failed, and its state does not tell why; look at the execution", _subject_of(state)))
    detail = f"volume {_volumes_of(state)}" if _volumes_of(state) else "no volume known"
    return [Notice(kind, cause, subject, detail, region, now, execution) for kind, cause, subject in found]


def _failed_copies(copies: Any) -> list[Mapping[str, Any]]:
    listed = copies.get("results", []) if isinstance(copies, Mapping) else copies or []
    return [copy for copy in listed if isinstance(copy, Mapping) and copy.get("status") == "FAILED"]


def error_of(error: Mapping[str, Any]) -> tuple[str, str]:
    """Given a Catch's error, return its name and message. Lambda's causes are JSON with `errorMessage`."""
    name, cause = str(error.get("Error") or "Failed"), str(error.get("Cause") or "no cause was given")
    try:
        told = json.loads(cause)
    except ValueError:
        return name, cause
    return name, str(told.get("errorMessage") or cause) if isinstance(told, Mapping) else cause


def _volumes_of(state: Mapping[str, Any]) -> str:
    volumes = state.get("tagged", {}).get("volumes") or state.get("received", {}).get("volumes") or []
    source = _id_in(state, "source")  # of a copy's event it is a snapshot
    return ", ".join(volumes) or (source if source.startswith("vol-") else "")


def _subject_of(state: Mapping[str, Any]) -> str:
    return _id_in(state, "snapshot_id") or str(state.get("detail-type") or "a run")


def _id_in(state: Mapping[str, Any], name: str) -> str:
    detail = state.get("detail")
    arn = str(detail.get(name, "")) if isinstance(detail, Mapping) else ""
    return arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: a subject of fewer than 100 characters, and a text."""

    subject: str
    text: str


def message_of(notices: Sequence[Notice], system: str) -> Message:
    """Given all notices of one kind and cause, return the one message about them."""
    first, subjects = notices[0], sorted({notice.subject for notice in notices})
    count = len(subjects)
    times = "" if count == 1 else f" ({count} times)"
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
    return Message(f"{system}: {first.kind}{times} in {first.region}"[:SUBJECT_LIMIT], "\n".join(lines))


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """A notice as the notices' queue holds it; `receipt` deletes it there."""

    notice: Notice
    receipt: str


class NoticeSource(Protocol):
    """Reads what was collected."""

    def receive(self) -> Iterable[HeldNotice]:
        """Return what is there. It comes back later unless it is deleted."""
        ...

    def delete(self, held: Sequence[HeldNotice]) -> None:
        """Delete what was published."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One message for each kind and cause, once it has been quiet for a while: a thousand failures are one message."""

    system: str
    source: NoticeSource
    publisher: Publisher
    clock: Clock
    quiet: timedelta = timedelta(seconds=45)
    longest: timedelta = timedelta(minutes=10)

    def run(self) -> int:
        """Publish what is ripe. Return the number of messages. Raise, once all were tried, what kept one from being published."""
        groups: dict[tuple[str, str, str], list[HeldNotice]] = {}
        for held in self.source.receive():
            groups.setdefault((held.notice.kind, _without_ids(held.notice), held.notice.region), []).append(held)
        now = self.clock.now()
        ripe = [group for group in groups.values() if self._ripe([held.notice for held in group], now)]
        failed: list[SnapkeepError] = []
        for group in ripe:
            try:
                message = message_of([held.notice for held in group], self.system)
                self.publisher.publish(message.subject, message.text)
            except SnapkeepError as error:  # it comes back; a message that is never taken must not keep the others
                failed.append(error)
            else:
                self.source.delete(group)
        if failed:
            raise failed[0]
        return len(ripe)

    def _ripe(self, notices: Sequence[Notice], now: datetime) -> bool:
        newest, oldest = max(n.at for n in notices), min(n.at for n in notices)
        return now - newest >= self.quiet or now - oldest >= self.longest


def _without_ids(notice: Notice) -> str:
    """The cause, without what differs from one snapshot to the next, so that like causes meet.

    Ids of snapshots and volumes; the request and the time that Lambda puts before a time-out; the message, encoded anew for
    each call, that EC2 puts behind what it does not authorize.
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
"""What is about one case alone. A key's id is not: it may be what is wrong. No name in a message is longer than 64 characters."""
