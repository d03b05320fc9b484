"""The dispatcher when EC2 allows less than its quota, when its time is over, and when a call fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.lab.ebs_model import Quotas
from snapkeep.usecases.copies.dispatch import DispatchResult
from support.flows import DR, CallCounter, Laboratory

REAL_QUOTA, VOLUMES = 2, 12


def test_a_quota_lower_than_configured_costs_few_calls_and_loses_no_copy() -> None:
    counter = CallCounter()
    lab = Laboratory(hook=counter, quotas=Quotas(copies_per_destination=REAL_QUOTA))
    volumes = [lab.make_volume() for _ in range(VOLUMES)]
    for volume in volumes:
        lab.start_snapshot(volume)
    lab.settle()
    assert len(lab.sources_of_copies()) == VOLUMES
    assert lab.runs("protect", "FAILED") == []
    dispatches = lab.runner.totals.dispatches
    refused = counter.count("copier.start_copy") - VOLUMES
    assert refused <= dispatches, "at most one refused call for each time that something woke the dispatcher"
    assert refused <= 3 * VOLUMES


def test_an_entry_that_ec2_would_not_start_wakes_no_dispatcher_by_itself() -> None:
    lab = Laboratory(quotas=Quotas(copies_per_destination=1))
    for volume in [lab.make_volume() for _ in range(2)]:
        lab.start_snapshot(volume)
    lab.runner.advance(40)
    states = [entry.state for entry in lab.runner.composition.queues[DR].in_state(EntryState.DELAYED)]
    assert states == [EntryState.DELAYED]
    assert list(lab.runner.composition.queues[DR].in_state(EntryState.WAITING)) == []


def test_a_dispatcher_whose_call_fails_gives_its_lease_back(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Laboratory()
    lab.start_snapshot(lab.make_volume())
    lab.runner.advance(31)
    dispatch = lab.runner.composition.dispatch(DR)
    queue = lab.runner.composition.queues[DR]

    def away(count: int) -> list[object]:
        raise AwsUnavailable("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(queue, "most_urgent", away)
        with pytest.raises(AwsUnavailable):
            dispatch.run("the first")
    assert queue.take_lease("the next", lab.runner.composition.clock.now(), 60)


def test_a_second_dispatcher_starts_no_copy_and_requests_another_round(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = CallCounter()
    lab = Laboratory(hook=counter)
    queue = lab.runner.composition.queues[DR]
    monkeypatch.setattr(lab.runner, "dispatch", lambda _: None)
    lab.start_snapshot(lab.make_volume())
    lab.runner.advance(60)
    assert queue.take_lease("the first", lab.runner.composition.clock.now(), 60)
    assert lab.runner.composition.dispatch(DR).run("the second") == DispatchResult(lease_taken=False)
    assert counter.count("copier.start_copy") == 0
    assert not queue.release_lease("the first"), "there is more to do"


def test_a_dispatcher_stops_well_before_its_lease_is_over() -> None:
    lab = Laboratory()
    dispatch = lab.runner.composition.dispatch(DR)
    assert timedelta(seconds=dispatch.work_seconds) < timedelta(seconds=dispatch.lease_seconds) * 0.75
