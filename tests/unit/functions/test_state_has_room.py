"""A run's state holds 256 KiB: sets of many volumes with many tags, and long plans, fit into it, and the rest is reported."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import snapkeep
from snapkeep.adapters.stepfunctions_task_tokens import CAUSE_LIMIT
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import Action, DeletionPlan, Lineage, Origin, Reason, Refusal, Snapshot, SnapshotState, Verdict
from snapkeep.domain.recovery.record import SHORT_HASH
from snapkeep.domain.retention.deletion import DeletionKind, deletion_orders
from snapkeep.domain.sweep.report import Handling, SweepOutcome, SweepReport
from snapkeep.domain.tag_names import DEVICE, INSTANCE, RECORD, SET
from snapkeep.domain.tags import tags_for_copy
from snapkeep.functions.errors import with_short_cause
from snapkeep.functions.payloads import DeletionCall
from snapkeep.functions.state_budget import (
    COPIES_BYTES_AT_MOST,
    PLAN_BYTES,
    RESULT_BYTES,
    SWEEP_PLAN_BYTES,
    deletion_answer,
    fit_copies,
    fit_plan,
    fit_refusals,
    fit_retention,
    plan_bytes,
    size_bytes,
)
from snapkeep.usecases.ports import CopyResult, CopyResultStatus, DeletionOutcome, DeletionResult
from snapkeep.usecases.retention.delete import Deletions
from snapkeep.usecases.sweep.shared import SweepResult, with_left

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STATE_BYTES = 256 * 1024
EVENT_BYTES_PER_MEMBER, PROBLEM_BYTES, ENVELOPE_BYTES = 260, 220, 2_000
VOLUMES_OF_AN_INSTANCE = 128
KEY_BYTES, VALUE_BYTES = 128, 256


def request(number: int, region: str = "us-east-2", *, tags: int = 38) -> CopyRequest:
    origin = Origin("us-east-1", f"vol-{number:017x}", f"snap-{number:017x}", NOW)
    carried = {f"{number:02}".ljust(KEY_BYTES, "k"): "ä" * VALUE_BYTES for number in range(tags)}
    key = "arn:aws:kms:us-east-1:111122223333:key/0123abcd-0123-0123-0123-0123456789ab"
    recovery = {SET: origin.snapshot_id, INSTANCE: f"i-{number:017x}", DEVICE: "/dev/sdf", RECORD: "0" * SHORT_HASH}
    own = tags_for_copy("snapkeep", "a-policy-with-a-name", origin) | recovery
    return CopyRequest(origin, "a-policy-with-a-name", region, key, NOW, 8, True, carried | own, source_kms_key=key)


@pytest.mark.parametrize(("volumes", "regions"), [(1, 1), (5, 2), (64, 1), (VOLUMES_OF_AN_INSTANCE, 1)])
def test_a_large_set_with_many_tags_fits_the_runs_state(volumes: int, regions: int) -> None:
    copies = [request(number, f"eu-west-{region}") for number in range(volumes) for region in range(regions)]
    fitted = fit_copies(copies, NOW)
    listed, problems, cut = fitted.orders, fitted.problems, fitted.left_out
    rest_bytes = volumes * EVENT_BYTES_PER_MEMBER + len(copies) * RESULT_BYTES + len(problems) * PROBLEM_BYTES + ENVELOPE_BYTES
    assert size_bytes(listed) + rest_bytes < STATE_BYTES
    assert all(copy.request.tags.keys() >= tags_for_copy("snapkeep", "a-policy", copy.request.origin).keys() for copy in listed)
    assert (len(listed), bool(cut)) == (len(copies), volumes > 1)


def test_copies_without_room_are_left_to_a_sweep_with_a_problem_each() -> None:
    copies = [request(number, f"eu-west-{region}", tags=0) for number in range(VOLUMES_OF_AN_INSTANCE) for region in (1, 2)]
    fitted = fit_copies(copies, NOW)
    listed, problems = fitted.orders, fitted.problems
    assert size_bytes(listed) + RESULT_BYTES * len(listed) <= COPIES_BYTES_AT_MOST
    subjects = [f"{copy.origin.snapshot_id} to {copy.region}" for copy in copies[len(listed) :]]
    assert [(problem.kind, problem.subject) for problem in problems] == [("CopyLeftToSweep", subject) for subject in subjects]


def test_an_ordinary_set_keeps_all_its_tags() -> None:
    copies = [request(number, tags=3) for number in range(27)]
    fitted = fit_copies(copies, NOW)
    listed, problems, cut = fitted.orders, fitted.problems, fitted.left_out
    assert [dict(order.request.tags) for order in listed] == [dict(copy.tags) for copy in copies]
    assert (problems, cut) == ((), ())


def verdict(number: int) -> Verdict:
    start = NOW - timedelta(hours=2000 - number)
    origin = Origin("us-east-1", "vol-0123456789abcdef0", f"snap-{number:017x}", start)
    reasons = tuple(Reason(word, f"{word}: 2026-11-23 has a newer one") for word in ("keep_daily", "keep_weekly", "keep_monthly"))
    snapshot = Snapshot(origin.snapshot_id, "us-east-1", SnapshotState.COMPLETED, start, origin, 8)
    return Verdict(snapshot, Action.DELETE, reasons)


def test_a_long_plan_deletes_the_oldest_and_leaves_the_rest() -> None:
    plan = DeletionPlan("plan-1", "us-east-1", NOW, tuple(verdict(number) for number in range(1000)))
    answer = fit_plan(plan, most_bytes=PLAN_BYTES)
    ids = [order.snapshot_id for order in answer.delete]
    assert 100 < len(ids) < 1000
    assert ids == [verdict(number).snapshot.id for number in range(len(ids))]
    assert size_bytes(answer.delete) <= PLAN_BYTES
    assert (answer.counts.kept, answer.counts.deleted) == (1000 - len(ids), len(ids))


def test_a_plan_with_room_is_carried_out_whole() -> None:
    plan = DeletionPlan("plan-1", "us-east-1", NOW, tuple(verdict(number) for number in range(50)))
    assert len(fit_plan(plan, most_bytes=PLAN_BYTES).delete) == 50


def test_shortened_refusals_keep_their_kind_and_volume() -> None:
    refusals = [
        Refusal(Lineage("us-east-1", f"vol-{number:017x}"), "INV-08: " + "x" * 700) for number in range(VOLUMES_OF_AN_INSTANCE)
    ]
    answer = fit_refusals(refusals, PLAN_BYTES // 2)
    assert [(problem.kind, problem.subject) for problem in answer] == [
        ("PlanRefused", refusal.lineage.volume_id) for refusal in refusals
    ]
    assert all(problem.cause.startswith("INV-08") for problem in answer)
    assert size_bytes(answer) <= PLAN_BYTES / 2
    assert fit_refusals(refusals[:1], PLAN_BYTES // 2)[0].cause == refusals[0].text
    few = fit_refusals(refusals, 1_000)
    assert size_bytes(few) <= 1_300
    assert few[-1].subject == f"{VOLUMES_OF_AN_INSTANCE - len(few) + 1} other volumes"


SOURCE = str(Path(snapkeep.__file__).parent)
"""Lambda unpacks the package elsewhere: the length of a path here must not decide."""


def lambda_cause() -> str:
    """Return what Step Functions gets of an error of CopySnapshotToDR: Lambda adds the stack trace to the message."""

    def refuse(event: dict[str, Any], context: Any) -> dict[str, Any]:
        raise AwsUnavailable(f"{event}: {context} " + "x" * 5_000) from ValueError("the deeper cause")

    try:
        with_short_cause(refuse)({}, None)
    except AwsUnavailable as error:
        trace = [
            frame.replace(SOURCE, "/var/task/snapkeep")
            for frame in traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
        ]
        cause = {"errorMessage": str(error), "errorType": "AwsUnavailable", "requestId": "0" * 36, "stackTrace": trace}
        return json.dumps(cause)
    raise AssertionError("no error")


@pytest.mark.parametrize("cause", [lambda_cause(), '"' + "c" * (CAUSE_LIMIT - 1)], ids=["of the function", "of the answer"])
def test_a_large_set_whose_copies_all_fail_fits_into_the_state(cause: str) -> None:
    """All copies of a large set failed, each with its stack trace: no notice was made, and nothing planned."""
    assert len(cause) < CAUSE_LIMIT + 200
    copies = fit_copies([request(number, tags=0) for number in range(VOLUMES_OF_AN_INSTANCE)], NOW).orders
    assert len(copies) == VOLUMES_OF_AN_INSTANCE
    volumes = [order.volume_id for order in copies]
    failed = {"status": "FAILED", "region": "ap-southeast-2", "error": "AwsUnavailable", "cause": cause}
    results = [failed | {"snapshot_id": order.snapshot_id} for order in copies]
    assert max(size_bytes(result) for result in results) <= RESULT_BYTES
    state: dict[str, Any] = {"event": "e" * (EVENT_BYTES_PER_MEMBER * len(copies) + ENVELOPE_BYTES)}
    state |= {"tagged": {"volumes": volumes, "copies": copies}, "copies": {"results": results, "any_failed": True}}
    assert size_bytes(state) < STATE_BYTES


def failed_deletions(plan: DeletionPlan) -> Deletions:
    """Return what is done of a plan whose deletions are all refused."""
    orders = deletion_orders(plan.deletions)[:400]
    results = [DeletionResult(order.snapshot_id, DeletionOutcome.NOT_ALLOWED, "r" * 2_000) for order in orders]
    return Deletions(orders, results, list(plan.refusals))


@pytest.mark.parametrize("volumes", [1, 64, VOLUMES_OF_AN_INSTANCE])
@pytest.mark.parametrize(("tags", "refused"), [(0, 0), (42, 64), (0, VOLUMES_OF_AN_INSTANCE)])
def test_the_largest_run_fits_into_its_state(volumes: int, tags: int, refused: int) -> None:
    """128 failed copies and a plan of 48 KB were 290 KB."""
    copies = fit_copies([request(number, tags=tags) for number in range(volumes)], NOW).orders
    cause = "c" * CAUSE_LIMIT
    results = [
        CopyResult(CopyResultStatus.FAILED, order.snapshot_id, "ap-southeast-2", error="E" * 30, cause=cause) for order in copies
    ]
    refusals = tuple(Refusal(Lineage("us-east-1", f"vol-{number:017x}"), "INV-08: " + "x" * 700) for number in range(refused))
    plan = DeletionPlan("plan-1", "us-east-1", NOW, tuple(verdict(number) for number in range(1000)), refusals)
    call = DeletionCall(tuple(order.volume_id for order in copies), tuple(results))
    deletion = deletion_answer(failed_deletions(plan), call)
    assert deletion.delete
    assert deletion.failed
    assert deletion.problems[-1].subject == f"{400 - len(deletion.failed)} other snapshots"
    state: dict[str, Any] = {"event": "e" * (EVENT_BYTES_PER_MEMBER * volumes + ENVELOPE_BYTES)}
    state |= {"tagged": {"volumes": [order.volume_id for order in copies], "copies": copies}}
    state |= {"copies": {"results": results, "any_failed": True}, "deletion": deletion}
    assert size_bytes(state) < STATE_BYTES
    # A run that began under an earlier version has a plan besides.
    assert fit_retention(plan, plan_bytes(volumes, results)).delete


def test_a_sweep_with_many_failed_copies_and_deletions_fits_into_its_state() -> None:
    """400 failed copies and 300 deletions were 287 KB."""
    failed = [(verdict(number).snapshot, "Given key ID is not accessible; " + "k" * 400) for number in range(400)]
    plan = DeletionPlan("plan-1", "us-east-2", NOW, tuple(verdict(number) for number in range(300)))
    answer = fit_plan(plan, failed, most_bytes=SWEEP_PLAN_BYTES)
    kinds = [order.kind for order in answer.delete]
    assert min(kinds.count(DeletionKind.RETENTION), kinds.count(DeletionKind.FAILED_COPY)) > 50
    results = [DeletionResult(order.snapshot_id, DeletionOutcome.NOT_ALLOWED, "r" * 2_000) for order in answer.delete]
    deletion = deletion_answer(Deletions(list(answer.delete), results), DeletionCall(plan=answer))
    assert (len(deletion.failed), deletion.problems, deletion.delete) == (len(answer.delete), (), ())
    assert size_bytes({"plan": answer, "deletion": deletion}) < STATE_BYTES


def test_deletions_without_room_in_a_sweeps_state_are_left_and_named() -> None:
    plan = DeletionPlan("plan-1", "us-east-2", NOW, tuple(verdict(number) for number in range(300)))
    failed = ((verdict(301).snapshot, "Given key ID is not accessible"),)
    report = SweepReport("sweep-1", "snapkeep", "dr", "us-east-2", NOW, NOW)
    answer = fit_plan(plan, failed, most_bytes=SWEEP_PLAN_BYTES // 4)
    left = with_left(SweepResult(report, plan, failed), answer.delete)
    ordered = {order.snapshot_id for order in answer.delete}
    assert 0 < left.count(Handling.LEFT) == 301 - len(ordered)
    assert ordered.isdisjoint(item.subject for item in left.items)
    assert left.outcome is SweepOutcome.PARTIAL
