"""The calls and the answers of the functions, and the state of a run, as types; `docs/contracts.md` lists them.

`snapkeep.domain.json_codec` reads and writes them. The results of copies, which travel too, are types of `usecases/ports.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.json_codec import OPTIONAL, named
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.functions.caught_errors import CaughtError, step_error
from snapkeep.functions.payload_reader import Payload, from_json
from snapkeep.usecases.notify import RunState
from snapkeep.usecases.ports import CopyResult, DeletionResult, Problem

NOT_OURS = "NOT_OURS"
"""The outcome of an event that the system ignores, beside those of the use cases."""

Event = Mapping[str, Any]
"""An event as EventBridge delivers it. `snapkeep.domain.events` reads it."""


# The calls that the state machines pass to the functions


@dataclass(frozen=True, slots=True)
class EventCall:
    """The call of TagSnapshots and of TagSnapshotCopy."""

    event: Event


@dataclass(frozen=True, slots=True)
class CopyOrder:
    """One copy that Protect requests and waits for."""

    snapshot_id: str
    volume_id: str
    region: str
    timeout_seconds: int
    request: CopyRequest = field(metadata=named("wanted"))


@dataclass(frozen=True, slots=True)
class EnqueueCall:
    """The call of CopySnapshotToDR that puts all copies of a set into their queues."""

    execution: str
    copies: tuple[CopyOrder, ...]


@dataclass(frozen=True, slots=True)
class CopyCall:
    """The call of CopySnapshotToDR that waits for one copy."""

    execution: str
    token: str
    copy: CopyOrder


@dataclass(frozen=True, slots=True)
class PlanCall:
    """The call of CountSnapshots."""

    volumes: tuple[str, ...]
    copies: tuple[CopyResult, ...]


@dataclass(frozen=True, slots=True)
class DeletionCall:
    """The call of DeleteOldSnapshots: volumes to plan, with the results of a run's copies; or another plan's deletions."""

    volumes: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    copies: tuple[CopyResult, ...] = field(default=(), metadata=OPTIONAL)
    plan: PlanAnswer | None = field(default=None, metadata=OPTIONAL)
    """The plan of a sweep, of failed copies, or of an execution that began under an earlier version."""

    @property
    def asked(self) -> tuple[DeletionOrder, ...]:
        """The other plan's deletions."""
        return self.plan.delete if self.plan else ()


@dataclass(frozen=True, slots=True)
class NotificationCall:
    """The call of Notification. `run_state` reads the state."""

    execution: str
    state: Mapping[str, Any]


class SweepStep(StrEnum):
    """The two steps of a sweep that the function Sweep carries out."""

    REPAIR = "repair"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class SweepCall:
    """The call of Sweep: `asked` comes with the step `repair`; `plan` and `deletion`, or `error`, with the step `report`."""

    step: SweepStep
    sweep: str
    asked: Any = field(default=None, metadata=OPTIONAL)
    plan: PlanAnswer | None = field(default=None, metadata=OPTIONAL)
    deletion: DeletionResults | None = field(default=None, metadata=OPTIONAL)
    error: CaughtError | None = field(default=None, metadata=OPTIONAL)

    def option(self, name: str) -> bool:
        """Whether the execution's input, which a person or a schedule wrote, sets an option. Only `true` is consent."""
        options = self.asked.get("options") if isinstance(self.asked, Mapping) else None
        return isinstance(options, Mapping) and options.get(name) is True


# The functions' answers. ReadBlocks has its call and its answer in
# `snapkeep.adapters.lambda_blocks`. Sweep's step `report` answers a `PublishedReport`.


@dataclass(frozen=True, slots=True)
class TagAnswer:
    """The answer of TagSnapshots."""

    outcome: str
    volumes: tuple[str, ...]
    copies: tuple[CopyOrder, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """The number of snapshots that a plan keeps and deletes."""

    kept: int
    deleted: int


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """The deletions to carry out. The answer of Sweep's step `repair`, and a part of others."""

    plan_id: str
    made_at: datetime
    counts: PlanCounts
    delete: tuple[DeletionOrder, ...]


@dataclass(frozen=True, slots=True)
class RetentionAnswer(PlanAnswer):
    """The answer of CountSnapshots: the deletions, and a problem for each refused volume."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class DeletionResults:
    """The results of a sweep's deletions, for its report."""

    deleted: int
    failed: tuple[DeletionResult, ...]


@dataclass(frozen=True, slots=True)
class DeletionAnswer(DeletionResults):
    """The answer of DeleteOldSnapshots: a problem for each volume whose plan is refused, and the deletions of its own plan.

    `delete` has as many of those as a state has room for; audit lines have them all.
    """

    problems: tuple[Problem, ...]
    delete: tuple[DeletionOrder, ...]


@dataclass(frozen=True, slots=True)
class ReceiveAnswer:
    """The answer of TagSnapshotCopy: the volumes whose copies DeleteOldSnapshots plans now, and the failed copies to delete."""

    outcome: str
    volumes: tuple[str, ...]
    retention: tuple[str, ...]
    plan: PlanAnswer
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class EnqueueAnswer:
    """The answer of CopySnapshotToDR: each entry's state by its key. No state reads it."""

    entries: Mapping[str, EntryState]


@dataclass(frozen=True, slots=True)
class NotificationAnswer:
    """The answer of Notification: the number of notices."""

    notices: int


# The state of a run


@dataclass(frozen=True, slots=True)
class _ComparedPair:
    """The part of a proof's pair that a notification names."""

    volume_id: str


@dataclass(frozen=True, slots=True)
class _ProofOfPair:
    """The part of a proof that a notification names. The whole type would load in every cold start."""

    pair: _ComparedPair


@dataclass(frozen=True, slots=True)
class _StepAnswer:
    """The parts of a step's answer, and of an event's detail, that a notification names."""

    volumes: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    problems: tuple[Problem, ...] = field(default=(), metadata=OPTIONAL)
    results: tuple[CopyResult, ...] = field(default=(), metadata=OPTIONAL)
    failed: tuple[DeletionResult, ...] = field(default=(), metadata=OPTIONAL)
    snapshot_id: Any = field(default="", metadata=OPTIONAL)
    source: Any = field(default="", metadata=OPTIONAL)
    proof: _ProofOfPair | None = field(default=None, metadata=OPTIONAL)

    @property
    def volume_ids(self) -> tuple[str, ...]:
        """The volumes that the step was about."""
        return self.volumes or ((self.proof.pair.volume_id,) if self.proof else ())


def run_state(state: Mapping[str, Any]) -> RunState:
    """Return the state of a run at its end. A part that cannot be read becomes a problem and hides no other part."""
    unreadable: list[Problem] = []

    def part(name: str, kind: type[Payload]) -> Payload | None:
        # A part is missing where the run ended before its step; that is not an error.
        if name in state:
            try:
                return from_json(kind, state[name])
            except InvalidEvent as error:
                unreadable.append(Problem(InvalidEvent.__name__, f"{name} in the state of a run", str(error)))
        return None

    names = ("tagged", "plan", "received", "copies", "deletion", "detail", "verified", "drilled")
    parts = (part(name, _StepAnswer) or _StepAnswer() for name in names)
    tagged, planned, received, copies, deletion, detail, verified, drilled = parts
    error = part("error", CaughtError)
    event_volumes = tuple(source for source in [_id_in(detail.source)] if source.startswith("vol-"))
    return RunState(
        subject=_id_in(detail.snapshot_id) or str(state.get("detail-type") or state.get("copy") or state.get("run") or ""),
        volume_ids=tagged.volume_ids or received.volume_ids or verified.volume_ids or event_volumes,
        # A drill's own problems include those of its comparison.
        problems=(
            *tagged.problems,
            *planned.problems,
            *received.problems,
            *(drilled if "drilled" in state else verified).problems,
            *deletion.problems,
            *unreadable,
        ),
        copies=tuple(_with_plain_cause(result) if result.failed else result for result in copies.results),
        undeleted=deletion.failed,
        error=step_error(error) if error else None,
        reported="outcome" in state,
    )


def _with_plain_cause(result: CopyResult) -> CopyResult:
    error = step_error(CaughtError(result.error, result.cause))
    return replace(result, error=error.name, cause=error.cause)


def _id_in(arn: Any) -> str:
    return str(arn).rpartition("/")[2]


def waiting_call(payload: Mapping[str, Any]) -> tuple[str, CopyRequest]:
    """Return the task token and the copy in the payload of a call of CopySnapshotToDR. Raise InvalidEvent."""
    call = from_json(CopyCall, payload)
    return call.token, call.copy.request
