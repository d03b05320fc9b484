"""The failed deletions of a run fit into its state, however many there are and however long their causes."""

import json

import pytest

from snapkeep.domain.json_codec import to_json
from snapkeep.functions.state_budget import SWEEP_FAILED_BYTES, fit_failed, size_bytes
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult

REFUSAL = "You are not authorized to perform this operation. Encoded authorization failure message: " + "x" * 1200


@pytest.mark.parametrize("count", [1, 40, 400])
def test_each_failure_of_a_sweep_keeps_the_beginning_of_its_cause(count: int) -> None:
    results = [DeletionResult(f"snap-{number:017x}", DeletionOutcome.NOT_ALLOWED, REFUSAL) for number in range(count)]
    failed = fit_failed(results, SWEEP_FAILED_BYTES)
    assert [result.snapshot_id for result in failed] == [result.snapshot_id for result in results]
    assert all(result.cause.startswith("You are not authorized to perform this") for result in failed)
    assert len(json.dumps(to_json(failed))) <= SWEEP_FAILED_BYTES


def test_every_failure_of_a_sweep_has_room_in_any_script() -> None:
    """The report counts an order without a failure as deleted."""
    results = [DeletionResult(f"snap-{number:017x}", DeletionOutcome.UNSAFE, "🔒" * 2_000) for number in range(400)]
    failed = fit_failed(results, SWEEP_FAILED_BYTES)
    assert len(failed) == len(results)
    assert size_bytes(failed) <= SWEEP_FAILED_BYTES


def test_failures_without_room_are_left_out() -> None:
    results = [DeletionResult(f"snap-{number:017x}", DeletionOutcome.NOT_ALLOWED, REFUSAL) for number in range(1000)]
    failed = fit_failed(results, 10_000)
    assert 20 < len(failed) < 1000
    assert len(json.dumps(to_json(failed))) <= 10_000


def test_a_cause_that_has_room_stays_whole() -> None:
    result = DeletionResult("snap-0a", DeletionOutcome.IN_USE, "in use by ami-0a")
    assert fit_failed([result], 10_000) == (result,)
