"""The copies that a dispatcher starts are soon locked: also in a long batch, and if it fails right after a start."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.errors import AwsRefused, AwsUnavailable
from snapkeep.lab.simulator.layout import SystemLayout
from support.dispatch_scenarios import QUOTA, ManualClock, PausedDispatcher


class Requests:
    """Records how many seconds into the dispatch locks are requested."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.began = clock, clock.now()
        self.at: list[float] = []

    def request(self, snapshot_ids: Collection[str]) -> None:
        assert not snapshot_ids, "all pending copies"
        self.at.append((self.clock.now() - self.began).total_seconds())


@pytest.fixture
def lab() -> PausedDispatcher:
    return PausedDispatcher(layout=SystemLayout(copy_quota=QUOTA))


def dispatched(lab: PausedDispatcher, *errors: AwsRefused | AwsUnavailable | None, seconds: float) -> list[float]:
    """Dispatch, with so many seconds for each call of CopySnapshot; return when locks were requested."""
    clock = ManualClock(lab.runner.composition.clock.now())
    requests = Requests(clock)
    dispatch, copier = lab.dispatcher(*errors, clock=clock, locks=requests)
    copier.before = lambda: clock.turn(seconds)
    dispatch.run("the dispatcher")
    return requests.at


def test_the_first_copies_of_a_batch_do_not_wait_for_the_last(lab: PausedDispatcher) -> None:
    lab.waiting(QUOTA)
    assert dispatched(lab, seconds=11) == [0, 22, 33]


def test_the_locks_of_a_short_batch_are_requested_once(lab: PausedDispatcher) -> None:
    lab.waiting(QUOTA)
    assert dispatched(lab, seconds=1) == [0, 3]


def test_a_batch_that_starts_nothing_requests_no_further_locks(lab: PausedDispatcher) -> None:
    lab.waiting(1)
    assert dispatched(lab, AwsRefused("no"), AwsRefused("no"), seconds=1) == [0]


def test_a_copy_that_may_have_started_is_locked_too(lab: PausedDispatcher) -> None:
    lab.waiting(1)
    assert dispatched(lab, AwsUnavailable("no answer"), seconds=1) == [0, 1]


def test_a_dispatcher_that_fails_after_a_start_requests_the_lock(lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue did not answer, the dispatch ended, and a copy of less than a minute completed without its lock."""
    (source,) = lab.waiting(1)
    clock = ManualClock(lab.runner.composition.clock.now())
    requests = Requests(clock)
    dispatch, copier = lab.dispatcher(clock=clock, locks=requests)
    write = dispatch.queue.write

    def failing(entry: QueueEntry) -> Any:
        if entry.state is EntryState.RUNNING:
            raise AwsUnavailable("the table does not answer")
        return write(entry)

    monkeypatch.setattr(dispatch.queue, "write", failing)
    with pytest.raises(AwsUnavailable):
        dispatch.run("the dispatcher")
    assert copier.asked == [source]
    assert len(requests.at) == 2
