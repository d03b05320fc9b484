"""However many deletions fail, and however much AWS says of each, a run's state has room for them."""

import json

import pytest

from snapkeep.functions.answers import deletions_answer
from snapkeep.usecases.ports import Deletion, DeletionResult

REFUSAL = "You are not authorized to perform this operation. Encoded authorization failure message: " + "x" * 1200


@pytest.mark.parametrize("count", [1, 40, 400, 1000])
def test_each_failure_is_there_with_the_beginning_of_its_cause(count: int) -> None:
    results = [DeletionResult(f"snap-{number:017x}", Deletion.NOT_ALLOWED, REFUSAL) for number in range(count)]
    failed = deletions_answer(results)["failed"]
    assert [one["snapshot_id"] for one in failed] == [one.snapshot_id for one in results]
    assert all(one["cause"].startswith("You are not authorized to perform this") for one in failed)
    assert len(json.dumps(failed)) < 140_000


def test_a_cause_that_has_room_stays_whole() -> None:
    (one,) = deletions_answer([DeletionResult("snap-0a", Deletion.IN_USE, "in use by ami-0a")])["failed"]
    assert one == {"snapshot_id": "snap-0a", "outcome": "in use", "cause": "in use by ami-0a"}
