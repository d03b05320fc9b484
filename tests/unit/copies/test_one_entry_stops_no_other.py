"""One entry that cannot be started, answered or closed keeps no other waiting; a dispatcher always ends and releases its lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import AwsRefused, AwsUnavailable, CopyQuotaReached
from snapkeep.domain.model import Origin
from snapkeep.usecases.copies.dispatch import Dispatch
from support.flows import DR, PRIMARY, Laboratory

AWAY, GONE_KEY = "eu-west-1", "alias/of-nobody"


@pytest.fixture
def lab() -> Laboratory:
    return Laboratory(regions=(PRIMARY, DR, AWAY))


def entry_of(lab: Laboratory, snapshot_id: str, region: str, hours: float, **changes: Any) -> QueueEntry:
    """An entry whose deadline is so many hours away."""
    now = lab.runner.composition.clock.now()
    source = next(snapshot for snapshot in lab.snapshots(region) if snapshot.id == snapshot_id)
    tags = {"snapkeep:managed": "snapkeep", "snapkeep:source-snapshot": snapshot_id, "snapkeep:source-region": region}
    tags |= {"OriginalVolumeId": source.volume_id, "snapkeep:source-volume": source.volume_id}
    request = CopyRequest(
        Origin(region, source.volume_id, snapshot_id, now), "default", DR, "", now + timedelta(hours=hours), 8, False, tags
    )
    return replace(QueueEntry(request, EntryState.WAITING, now, now), **changes)


def quiet_snapshots(lab: Laboratory, region: str, count: int) -> list[str]:
    """Snapshots without an event, so that nothing runs for them."""
    found = []
    for _ in range(count):
        volume = lab.make_volume({}, region=region)
        found.append(lab.start_snapshot(volume, region=region))
    lab.settle()
    return found


class CopierOf:
    """Starts copies, but for those from a region that does not answer."""

    def __init__(self, real: Any, away: str) -> None:
        self.real, self.away, self.asked = real, away, 0

    def start_copy(self, request: CopyRequest) -> str:
        if request.origin.region == self.away:
            self.asked += 1
            raise AwsUnavailable(f"no answer from {self.away}")
        return str(self.real.start_copy(request))


def dispatch_of(lab: Laboratory, **changes: Any) -> Dispatch:
    return replace(lab.runner.composition.dispatch(DR), **changes)


def test_an_unreachable_source_region_keeps_no_other_primary_waiting(lab: Laboratory) -> None:
    queue = lab.runner.composition.queues[DR]
    (reachable,) = quiet_snapshots(lab, PRIMARY, 1)
    for snapshot in quiet_snapshots(lab, AWAY, 30):
        queue.insert(entry_of(lab, snapshot, AWAY, hours=1))
    queue.insert(entry_of(lab, reachable, PRIMARY, hours=20))
    dispatch = dispatch_of(lab)
    copier = CopierOf(dispatch.copier, AWAY)
    done = replace(dispatch, copier=copier).run("one")
    assert [key.split("#")[1] for key in done.started] == [reachable]
    assert copier.asked <= 3, "a region that does not answer is not called for each of its copies"


def test_a_source_region_that_recovers_gets_all_copies_without_counted_attempts(lab: Laboratory) -> None:
    queue = lab.runner.composition.queues[DR]
    snapshots = quiet_snapshots(lab, AWAY, 5)
    for snapshot in snapshots:
        queue.insert(entry_of(lab, snapshot, AWAY, hours=1))
    dispatch = dispatch_of(lab)
    for number in range(10):
        replace(dispatch, copier=CopierOf(dispatch.copier, AWAY)).run(f"{number}")
        lab.world.clock.advance(61)
    entries = [entry for state in EntryState for entry in queue.in_state(state)]
    assert {entry.state for entry in entries} <= {EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING}
    assert max(entry.attempts for entry in entries) <= 1
    for number in range(4):
        dispatch.run(f"{number} again")
        lab.world.clock.advance(61)
    assert lab.sources_of_copies() == sorted(snapshots)


@pytest.mark.parametrize("error", [AwsUnavailable, AwsRefused])
def test_an_execution_that_cannot_be_answered_keeps_no_other_copy_waiting(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    queue = lab.runner.composition.queues[DR]
    (reachable,) = quiet_snapshots(lab, PRIMARY, 1)
    for snapshot in quiet_snapshots(lab, AWAY, 25):
        entry = entry_of(lab, snapshot, AWAY, hours=1)
        queue.insert(replace(entry, request=replace(entry.request, kms_key=GONE_KEY), tokens=("token",)))
    queue.insert(entry_of(lab, reachable, PRIMARY, hours=20))

    def unanswered(entry: QueueEntry, cause: str) -> int:
        raise error(f"send_task_failure in {AWAY}")

    dispatch = dispatch_of(lab)
    monkeypatch.setattr(type(dispatch.settlement), "give_up", lambda self, entry, cause: unanswered(entry, cause))
    with pytest.raises(error):
        dispatch.run("one")
    assert queue.get(f"{PRIMARY}#{reachable}#{DR}").state is EntryState.RUNNING
    assert queue.take_lease("next", lab.runner.composition.clock.now(), 60), "the lease was given back"


def test_a_wrong_copy_without_a_waiting_run_is_notified_by_the_dispatcher(lab: Laboratory) -> None:
    (snapshot,) = quiet_snapshots(lab, PRIMARY, 1)
    entry = entry_of(lab, snapshot, PRIMARY, hours=1)
    lab.runner.composition.dispatch(DR).copier.start_copy(entry.request)
    lab.settle()
    lab.runner.composition.queues[DR].insert(replace(entry, request=replace(entry.request, size_gib=9)))
    lab.runner.composition.dispatch(DR).run("one")
    assert ("CopyWrong", snapshot) in lab.notified


def test_a_stopped_dispatcher_releases_a_contested_lease(lab: Laboratory) -> None:
    queue = lab.runner.composition.queues[DR]
    (snapshot,) = quiet_snapshots(lab, PRIMARY, 1)
    queue.insert(entry_of(lab, snapshot, PRIMARY, hours=1))
    clock = lab.runner.composition.clock

    class Full:
        def start_copy(self, request: CopyRequest) -> str:
            assert not queue.take_lease("another", clock.now(), 60), "it leaves word"
            raise CopyQuotaReached("too many")

    dispatch_of(lab, copier=Full()).run("one")
    assert queue.take_lease("next", clock.now(), 60)


def test_a_dispatcher_whose_lease_is_always_contested_ends_in_time(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = lab.runner.composition.queues[DR]
    dispatch = dispatch_of(lab, queue=queue)
    rounds = 0

    def word_was_left(again: Callable[[str], bool], holder: str) -> bool:
        nonlocal rounds
        rounds += 1
        assert rounds < 100, "it never ends"
        lab.world.clock.advance(3)
        queue.take_lease("another", lab.runner.composition.clock.now(), 60)
        return again(holder)

    real = queue.release_lease
    monkeypatch.setattr(queue, "release_lease", lambda holder: word_was_left(real, holder))
    began = lab.runner.composition.clock.now()
    dispatch.run("one")
    assert lab.runner.composition.clock.now() - began <= timedelta(seconds=dispatch.work_seconds + 10)


def test_a_copy_without_an_answer_that_began_takes_a_slot(lab: Laboratory) -> None:
    queue = lab.runner.composition.queues[DR]
    for snapshot in quiet_snapshots(lab, PRIMARY, 3):
        queue.insert(entry_of(lab, snapshot, PRIMARY, hours=1))
    dispatch = dispatch_of(lab, quota=1)

    class Silent:
        def start_copy(self, request: CopyRequest) -> str:
            dispatch.copier.start_copy(request)
            raise AwsUnavailable("no answer")

    replace(dispatch, copier=Silent()).run("one")
    assert len(lab.world.region_account(DR).copies_in_flight) == 1
