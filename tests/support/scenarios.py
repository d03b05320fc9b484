"""Every scenario through Protect and Receive: the answers of the stub functions, and the required end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snapkeep.domain import errors
from support.asl import LambdaRefusedError

EVENT = {"detail-type": "EBS Snapshot Notification", "detail": {"event": "createSnapshot", "result": "succeeded", "cause": ""}}
DELETION = {
    "snapshot_id": "snap-old",
    "volume_id": "vol-1",
    "origin_start": "2026-01-01T00:00:00Z",
    "policy": "p",
    "reasons": ["old"],
}
PROBLEM = {"kind": "SnapshotFailed", "subject": "snap-1", "cause": "the disk was on fire"}
REFUSED_PLAN = {"kind": "PlanRefused", "subject": "vol-2", "cause": "INV-08: too many"}
REFUSAL = {"snapshot_id": "snap-old", "outcome": "in_use", "cause": "ami-1 uses it"}
PROTECTED = ("TagSnapshots", "EvaluateContinue", "EnqueueCopies", "CopyToDR", "DeleteOldSnapshots", "Outcome")
NEEDS_ATTENTION = ("NotifyUser", "WhatFailed")


def plan(*deletions: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "plan_id": "plan-1",
        "made_at": "2026-01-02T00:00:00Z",
        "counts": {"kept": 1, "deleted": len(deletions)},
        "delete": list(deletions),
        "problems": [],
    }


def copy(snapshot_id: str, timeout_seconds: int = 60) -> dict[str, Any]:
    return {
        "snapshot_id": snapshot_id,
        "volume_id": "vol-1",
        "region": "us-east-2",
        "timeout_seconds": timeout_seconds,
        "wanted": {},
    }


def managed(*copies: Mapping[str, Any], problems: tuple[Mapping[str, Any], ...] = ()) -> dict[str, Any]:
    return {"outcome": "MANAGED", "volumes": ["vol-1"], "copies": list(copies), "problems": list(problems)}


def tagged(outcome: str, *problems: Mapping[str, Any]) -> dict[str, Any]:
    return {"outcome": outcome, "volumes": [], "copies": [], "problems": list(problems)}


def received(outcome: str, *deletions: Mapping[str, Any], problems: tuple[Mapping[str, Any], ...] = ()) -> dict[str, Any]:
    retention = ["vol-1"] if outcome == "RECEIVED" else []
    return {
        "outcome": outcome,
        "volumes": ["vol-1"],
        "retention": retention,
        "plan": plan(*deletions),
        "problems": list(problems),
    }


def deletion(
    deleted: int,
    *failed: Mapping[str, Any],
    delete: tuple[Mapping[str, Any], ...] = (),
    problems: tuple[Mapping[str, Any], ...] = (),
) -> dict[str, Any]:
    return {"deleted": deleted, "failed": list(failed), "problems": list(problems), "delete": list(delete)}


COPIED = {"status": "COPIED", "snapshot_id": "snap-1", "region": "us-east-2"}
LOST = ("CopyFailed", "copy of snap-2: Given key ID is not accessible")


@dataclass(frozen=True)
class Scenario:
    """One scenario through a definition: the behaviour of the functions, and the required result."""

    machine: str
    status: str
    states: tuple[str, ...]
    answers: Mapping[str, Any] = field(default_factory=dict)
    """Function -> its answer, or the exceptions that it raises before it gives its usual answer."""
    tokens: Mapping[str, Any] = field(default_factory=dict)
    """Source snapshot -> what its token is answered with: an output, an error and a cause, or None for silence."""
    error: str = ""
    cause_tells: str = ""
    retries: int = 0
    never_called: tuple[str, ...] = ()


USUAL_ANSWERS: dict[str, Any] = {
    "TagSnapshots": managed(copy("snap-1")),
    "CopySnapshotToDR": {},
    "DeleteOldSnapshots": deletion(1, delete=(DELETION,)),
    "Notification": {"notices": 1},
    "TagSnapshotCopy": received("RECEIVED"),
}
USUAL_TOKENS: dict[str, Any] = {"snap-1": COPIED, "snap-2": LOST}

SCENARIOS = {
    "a snapshot is tagged, copied, and the oldest goes": Scenario("protect", "SUCCEEDED", (*PROTECTED, "Done")),
    "a policy without copies": Scenario(
        "protect",
        "SUCCEEDED",
        ("TagSnapshots", "EvaluateContinue", "NoCopies", "DeleteOldSnapshots", "Outcome", "Done"),
        {"TagSnapshots": managed()},
        never_called=("CopySnapshotToDR",),
    ),
    "a volume that is not included": Scenario(
        "protect",
        "SUCCEEDED",
        ("TagSnapshots", "EvaluateContinue", "NotIncluded"),
        {"TagSnapshots": tagged("VOLUME_NOT_TAGGED")},
        never_called=("CopySnapshotToDR", "DeleteOldSnapshots", "Notification"),
    ),
    "an event that is not ours": Scenario(
        "protect", "SUCCEEDED", ("TagSnapshots", "EvaluateContinue", "NotIncluded"), {"TagSnapshots": tagged("NOT_OURS")}
    ),
    "a failed snapshot": Scenario(
        "protect",
        "FAILED",
        ("TagSnapshots", "EvaluateContinue", *NEEDS_ATTENTION, "ProblemsFound"),
        {"TagSnapshots": tagged("NOTHING_LEFT", PROBLEM)},
        error="ProblemsFound",
        cause_tells="the disk was on fire",
        never_called=("CopySnapshotToDR", "DeleteOldSnapshots"),
    ),
    "a set with one failed snapshot": Scenario(
        "protect",
        "FAILED",
        (*PROTECTED, *NEEDS_ATTENTION, "ProblemsFound"),
        {"TagSnapshots": managed(copy("snap-1"), problems=(PROBLEM,))},
        error="ProblemsFound",
        cause_tells="the disk was on fire",
    ),
    "an unexpected answer": Scenario(
        "protect",
        "FAILED",
        ("TagSnapshots", "EvaluateContinue", *NEEDS_ATTENTION, "ProblemsFound"),
        {"TagSnapshots": tagged("WHATEVER")},
        error="ProblemsFound",
        never_called=("DeleteOldSnapshots",),
    ),
    "an event that cannot be read": Scenario(
        "protect",
        "FAILED",
        ("TagSnapshots", *NEEDS_ATTENTION, "Failed"),
        {"TagSnapshots": [errors.InvalidEvent("no snapshot_id")] * 20},
        error="InvalidEvent",
        cause_tells="no snapshot_id",
    ),
    "EC2 throttles for a while": Scenario(
        "protect", "SUCCEEDED", (*PROTECTED, "Done"), {"TagSnapshots": [errors.AwsThrottled("slow down")] * 3}, retries=3
    ),
    "EC2 throttles without end": Scenario(
        "protect",
        "FAILED",
        ("TagSnapshots", *NEEDS_ATTENTION, "Failed"),
        {"TagSnapshots": [errors.AwsThrottled("slow down")] * 20},
        error="AwsThrottled",
        cause_tells="slow down",
        retries=10,
    ),
    "Lambda has no room for a while": Scenario(
        "protect",
        "SUCCEEDED",
        (*PROTECTED, "Done"),
        {"DeleteOldSnapshots": [LambdaRefusedError("TooManyRequestsException")] * 2},
        retries=2,
    ),
    "the queue's table does not answer for a while": Scenario(
        "protect", "SUCCEEDED", (*PROTECTED, "Done"), {"CopySnapshotToDR": [errors.AwsUnavailable("no answer")] * 2}, retries=2
    ),
    "the copy cannot be requested": Scenario(
        "protect",
        "FAILED",
        (*PROTECTED, *NEEDS_ATTENTION, "CopyMissing"),
        {"CopySnapshotToDR": [errors.AwsRefused("no such table")] * 20},
        error="CopyFailed",
        cause_tells="no such table",
    ),
    "one copy of two fails": Scenario(
        "protect",
        "FAILED",
        (*PROTECTED, *NEEDS_ATTENTION, "CopyMissing"),
        {"TagSnapshots": managed(copy("snap-1"), copy("snap-2"))},
        error="CopyFailed",
        cause_tells="Given key ID is not accessible",
    ),
    "no answer for the copy": Scenario(
        "protect",
        "FAILED",
        (*PROTECTED, *NEEDS_ATTENTION, "CopyMissing"),
        {"TagSnapshots": managed(copy("snap-3", timeout_seconds=1))},
        {"snap-3": None},
        error="CopyFailed",
        cause_tells="no copy was confirmed within 1 seconds",
    ),
    "a plan that breaks an invariant": Scenario(
        "protect",
        "FAILED",
        (*PROTECTED, *NEEDS_ATTENTION, "PlanRefused"),
        {"DeleteOldSnapshots": deletion(1, delete=(DELETION,), problems=(REFUSED_PLAN,))},
        error="PlanRefused",
        cause_tells="INV-08",
    ),
    "retention that cannot be planned": Scenario(
        "protect",
        "FAILED",
        ("TagSnapshots", "EvaluateContinue", "EnqueueCopies", "CopyToDR", "DeleteOldSnapshots", *NEEDS_ATTENTION, "Failed"),
        {"DeleteOldSnapshots": [errors.AwsRefused("not allowed to list")] * 20},
        error="AwsRefused",
        cause_tells="not allowed to list",
    ),
    "a snapshot that cannot be deleted": Scenario(
        "protect",
        "FAILED",
        (*PROTECTED, *NEEDS_ATTENTION, "NotDeleted"),
        {"DeleteOldSnapshots": deletion(0, REFUSAL)},
        error="NotDeleted",
        cause_tells="ami-1 uses it",
    ),
    "telling fails too": Scenario(
        "protect",
        "FAILED",
        ("TagSnapshots", *NEEDS_ATTENTION, "Failed"),
        {"TagSnapshots": [errors.AwsRefused("not allowed")] * 20, "Notification": [errors.AwsRefused("no queue")] * 20},
        error="AwsRefused",
        cause_tells="not allowed",
    ),
    "a copy arrives, and the oldest goes": Scenario(
        "receive", "SUCCEEDED", ("TagSnapshotCopy", "EvaluateContinue", "DeleteOldSnapshots", "Outcome", "Done")
    ),
    "a copy fails, is tried again, and is deleted already": Scenario(
        "receive",
        "SUCCEEDED",
        ("TagSnapshotCopy", "EvaluateContinue", "Done"),
        {"TagSnapshotCopy": received("RETRYING")},
        never_called=("DeleteOldSnapshots", "Notification"),
    ),
    "a copy arrives, and its volume's plan is refused": Scenario(
        "receive",
        "FAILED",
        ("TagSnapshotCopy", "EvaluateContinue", "DeleteOldSnapshots", "Outcome", *NEEDS_ATTENTION, "PlanRefused"),
        {"DeleteOldSnapshots": deletion(0, problems=(REFUSED_PLAN,))},
        error="PlanRefused",
        cause_tells="INV-08",
    ),
    "a copy that is not ours": Scenario(
        "receive",
        "SUCCEEDED",
        ("TagSnapshotCopy", "EvaluateContinue", "NotOurs"),
        {"TagSnapshotCopy": received("NOT_OURS")},
        never_called=("DeleteOldSnapshots", "Notification"),
    ),
    "a failed copy that is tried again": Scenario(
        "receive",
        "SUCCEEDED",
        ("TagSnapshotCopy", "EvaluateContinue", "DeleteOldSnapshots", "Outcome", "Done"),
        {"TagSnapshotCopy": received("RETRYING", DELETION)},
        never_called=("Notification",),
    ),
    "a copy that failed for good is removed": Scenario(
        "receive",
        "FAILED",
        ("TagSnapshotCopy", "EvaluateContinue", "DeleteOldSnapshots", "Outcome", *NEEDS_ATTENTION, "CopyFailed"),
        {"TagSnapshotCopy": received("FAILED", DELETION, problems=(PROBLEM,))},
        error="CopyFailed",
        cause_tells="the disk was on fire",
    ),
    "a deleted copy that failed for good": Scenario(
        "receive",
        "FAILED",
        ("TagSnapshotCopy", "EvaluateContinue", *NEEDS_ATTENTION, "CopyFailed"),
        {"TagSnapshotCopy": received("FAILED", problems=(PROBLEM,))},
        error="CopyFailed",
        never_called=("DeleteOldSnapshots",),
    ),
    "a copy arrives, and the oldest cannot be deleted": Scenario(
        "receive",
        "FAILED",
        ("TagSnapshotCopy", "EvaluateContinue", "DeleteOldSnapshots", "Outcome", *NEEDS_ATTENTION, "NotDeleted"),
        {"DeleteOldSnapshots": deletion(0, REFUSAL)},
        error="NotDeleted",
    ),
    "EC2 does not show yet what the event says": Scenario(
        "receive",
        "SUCCEEDED",
        ("TagSnapshotCopy", "EvaluateContinue", "DeleteOldSnapshots", "Outcome", "Done"),
        {"TagSnapshotCopy": [errors.AwsUnavailable("pending")] * 4},
        retries=4,
    ),
    "an event of a copy that cannot be read": Scenario(
        "receive",
        "FAILED",
        ("TagSnapshotCopy", *NEEDS_ATTENTION, "Failed"),
        {"TagSnapshotCopy": [errors.InvalidEvent("no snapshot_id")] * 20},
        error="InvalidEvent",
    ),
    "an unexpected answer about a copy": Scenario(
        "receive",
        "FAILED",
        ("TagSnapshotCopy", "EvaluateContinue", *NEEDS_ATTENTION, "ProblemsFound"),
        {"TagSnapshotCopy": received("WHATEVER")},
        error="ProblemsFound",
    ),
}
