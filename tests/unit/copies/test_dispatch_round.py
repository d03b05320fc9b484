"""One round of the dispatcher: what counts against the quota, what is taken for a copy that is there, and when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.errors import (
    AwsRefused,
    SnapshotGone,
)
from snapkeep.domain.model import CLOCK_SKEW
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.layout import SystemLayout
from support.dispatch_scenarios import QUOTA, ManualClock, PausedDispatcher, RecordingKeys
from support.flows import DR


@pytest.fixture
def lab() -> PausedDispatcher:
    return PausedDispatcher(layout=SystemLayout(copy_quota=QUOTA))


def test_copies_by_others_count_against_the_quota(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(3)
    lab.copy_by_hand(waiting[2])
    done, asked = lab.run()
    assert asked == waiting[:2]
    assert done.in_flight == QUOTA
    assert [lab.state(snapshot_id) for snapshot_id in waiting] == [EntryState.RUNNING, EntryState.RUNNING, EntryState.WAITING]


@pytest.mark.parametrize("in_flight", [QUOTA, QUOTA + 1], ids=["full", "more than full"])
def test_in_a_full_region_an_interrupted_start_makes_no_copy(lab: PausedDispatcher, in_flight: int) -> None:
    waiting = lab.waiting(2)
    lab.put(waiting[0], state=EntryState.STARTING, attempts=1)
    for _ in range(in_flight):
        lab.copy_by_hand(waiting[1])
    done, asked = lab.run()
    assert (asked, done.in_flight) == ([], in_flight)
    assert lab.state(waiting[0]) is EntryState.STARTING


@pytest.mark.parametrize(("seconds", "again"), [(1, False), (0, True)])
def test_another_dispatchers_start_is_left_until_ec2_must_show_its_copy(
    lab: PausedDispatcher, seconds: float, again: bool
) -> None:
    (source,) = lab.waiting(1)
    due = lab.runner.composition.clock.now() + timedelta(seconds=seconds)
    lab.put(source, state=EntryState.STARTING, attempts=1, not_before=due)
    assert lab.run()[1] == ([source] if again else [])
    assert lab.entry(source).attempts == 1, "a start that left no copy was no attempt"


@pytest.mark.parametrize("state", ["pending", "completed"])
def test_an_existing_managed_copy_is_taken_over_and_none_is_started(lab: PausedDispatcher, state: str) -> None:
    (source,) = lab.waiting(1)
    made = lab.copy_by_hand(source, **lab.entry(source).request.tags)
    if state == "completed":
        lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
        lab.runner.advance(300)
    _, asked = lab.run()
    assert asked == []
    assert lab.entry(source).copy_id == made
    assert lab.state(source) is (EntryState.DONE if state == "completed" else EntryState.RUNNING)


def test_a_failed_copy_or_another_systems_copy_is_not_taken_over(lab: PausedDispatcher) -> None:
    failing, foreign = lab.waiting(2)
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    lab.world.add_fault(FaultRule("copy_fails", times=1))
    lab.copy_by_hand(failing, **lab.entry(failing).request.tags)
    lab.runner.advance(300)
    lab.copy_by_hand(foreign, **{**lab.entry(foreign).request.tags, "snapkeep:managed": "another"})
    assert lab.run()[1] == [failing, foreign]


def test_an_entry_that_another_writer_changed_is_not_started(lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = lab.waiting(1)
    queue = lab.runner.composition.queues[DR]
    stale = lab.entry(source)
    lab.put(source, cause="written meanwhile")
    monkeypatch.setattr(queue, "most_urgent", lambda _: [stale])
    assert lab.run()[1] == []
    assert lab.state(source) is EntryState.WAITING


def test_an_entry_records_its_visibility_deadline_before_the_call(lab: PausedDispatcher) -> None:
    (source,) = lab.waiting(1)
    dispatch, copier = lab.dispatcher()
    seen: list[QueueEntry] = []
    copier.before = lambda: seen.append(lab.entry(source))
    dispatch.run("the dispatcher")
    (entry,) = seen
    assert entry.state is EntryState.STARTING
    assert entry.not_before == lab.runner.composition.clock.now() + timedelta(seconds=dispatch.visible_after_seconds)


def test_copies_that_ec2_does_not_show_yet_count_in_the_next_round(
    lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = lab.waiting(QUOTA + 1)
    dispatch, copier = lab.dispatcher()
    monkeypatch.setattr(dispatch.reader, "copies_in_flight", list)
    queue = lab.runner.composition.queues[DR]
    copier.before = lambda: queue.take_lease("another", lab.runner.composition.clock.now(), 60)
    dispatch.run("the dispatcher")
    assert copier.asked == waiting[:QUOTA]


def test_new_entries_are_started_before_a_contested_lease_is_released(
    lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = lab.waiting(2)
    queue, now = lab.runner.composition.queues[DR], lab.runner.composition.clock.now()
    lab.put(late, state=EntryState.DELAYED, not_before=now + timedelta(hours=1))
    release = queue.release_lease

    def ask_first(holder: str) -> bool:
        if lab.state(late) is EntryState.DELAYED:
            lab.put(late, state=EntryState.WAITING)
            assert not queue.take_lease("another", now, 60)
        return release(holder)

    monkeypatch.setattr(queue, "release_lease", ask_first)
    assert lab.run()[1] == [first, late]
    assert queue.take_lease("the next one", now, 60)


def test_copies_that_end_during_a_dispatch_leave_room_for_others(lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their ends found the lease taken: no other dispatcher would start the rest before the schedule's next minute."""
    waiting = lab.waiting(QUOTA + 1)
    queue, release = lab.runner.composition.queues[DR], lab.runner.composition.queues[DR].release_lease
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]

    def copies_end_first(holder: str) -> bool:
        if lab.state(waiting[-1]) is EntryState.WAITING:
            lab.runner.advance(300)
            assert not queue.take_lease("another", lab.runner.composition.clock.now(), 60)
        return release(holder)

    monkeypatch.setattr(queue, "release_lease", copies_end_first)
    assert lab.run(work_seconds=3600, lease_seconds=7200)[1] == waiting


def test_each_key_is_checked_once_in_a_round(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(3)
    for source in waiting:
        lab.name_key(source, "a key")
    keys = RecordingKeys()
    assert dict.fromkeys(lab.run(*[AwsRefused("no")] * 6, keys=keys)[1]) == dict.fromkeys(waiting)
    assert keys.asked == ["a key"]


@pytest.mark.parametrize("there", [False, True], ids=["started", "taken over"])
def test_a_running_entry_has_its_start_and_no_earlier_cause(lab: PausedDispatcher, there: bool) -> None:
    (source,) = lab.waiting(1)
    lab.put(source, cause="a former failure", not_before=lab.runner.composition.clock.now() - timedelta(hours=1))
    if there:
        lab.copy_by_hand(source, **lab.entry(source).request.tags)
    lab.run()
    entry = lab.entry(source)
    assert (entry.state, entry.not_before) == (EntryState.RUNNING, lab.runner.composition.clock.now())
    assert entry.cause == ""


def test_no_copy_is_started_once_the_time_for_work_is_over(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(3)
    clock = ManualClock(lab.runner.composition.clock.now())
    dispatch, copier = lab.dispatcher(clock=clock, work_seconds=60)
    copier.before = lambda: clock.turn(30)
    dispatch.run("the dispatcher")
    assert copier.asked == waiting[:2]
    assert lab.state(waiting[2]) is EntryState.WAITING


def test_an_existing_copy_is_settled_by_the_writer_of_its_entry_only(
    lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = lab.waiting(1)
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    made = lab.copy_by_hand(source, **lab.entry(source).request.tags)
    lab.runner.advance(300)
    stale = lab.entry(source)
    lab.put(source, state=EntryState.RUNNING, copy_id=made)
    monkeypatch.setattr(lab.runner.composition.queues[DR], "most_urgent", lambda _: [stale])
    done, asked = lab.run()
    assert (asked, done.settled) == ([], ())
    assert (lab.state(source), lab.entry(source).tokens) == (EntryState.RUNNING, stale.tokens)


def test_a_stale_index_hides_no_entry_behind_the_former_batch(lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = lab.waiting(QUOTA + 1)
    before = [lab.entry(snapshot_id) for snapshot_id in waiting]
    monkeypatch.setattr(lab.runner.composition.queues[DR], "most_urgent", lambda count: before[:count])
    assert lab.run(SnapshotGone("it is gone"))[1] == waiting


@pytest.mark.parametrize(
    ("seconds", "change", "looked_for"),
    [
        (0, {}, False),
        (3600, {}, True),
        (0, {"attempts": 1}, True),
        (0, {"again": True}, True),
    ],
    ids=["first", "long ago", "tried before", "settled before"],
)
def test_only_an_entry_that_may_have_a_copy_is_looked_for(
    lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch, seconds: float, change: dict[str, object], looked_for: bool
) -> None:
    lab.run()
    lab.runner.advance(CLOCK_SKEW.total_seconds() + 60)
    (source,) = lab.waiting(1)
    lab.put(source, **change)
    lab.runner.advance(seconds)
    assert bool(looks_for_copies(lab, monkeypatch)) is looked_for
    assert lab.state(source) is EntryState.RUNNING


def test_a_lost_queue_knows_no_first_copy(lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run()
    lab.runner.advance(CLOCK_SKEW.total_seconds() + 60)
    (source,) = lab.waiting(1)
    entry, queue = lab.entry(source), lab.runner.composition.queues[DR]
    copy_id = lab.copy_by_hand(source, **entry.request.tags)
    queue.lose_everything()
    queue.insert(entry)
    assert looks_for_copies(lab, monkeypatch) == [source]
    assert lab.entry(source).copy_id == copy_id


def looks_for_copies(lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Dispatch once; return the sources whose copies were listed."""
    dispatch, _ = lab.dispatcher()
    listing, asked = dispatch.reader.copies_of_snapshots, list[str]()
    monkeypatch.setattr(dispatch.reader, "copies_of_snapshots", lambda ids: asked.extend(ids) or listing(ids))
    dispatch.run("the dispatcher")
    return asked
