"""One round of the dispatcher: what counts against the quota, what is taken for a copy that is there, and what an attempt is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, CopyQuotaReached, SnapkeepError
from snapkeep.domain.model import CopyWanted
from snapkeep.ebsmodel import FaultRule
from snapkeep.simulate.wiring import Deployment
from snapkeep.usecases.dispatch import Dispatch, Dispatched
from snapkeep.usecases.ports import EntryState, QueueEntry, entry_key
from support.flows import DR, PRIMARY, Laboratory

QUOTA = 3


class Copier:
    """Starts copies, or fails with what it was given, call by call; None lets one through."""

    def __init__(self, real: Any, *errors: SnapkeepError | None) -> None:
        self.real, self.errors, self.asked = real, list(errors), list[str]()
        self.before: Callable[[], object] = lambda: None

    def start_copy(self, wanted: CopyWanted) -> str:
        self.asked.append(wanted.origin.snapshot_id)
        self.before()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return str(self.real.start_copy(wanted))


class Resting(Laboratory):
    """A system whose dispatcher runs only when a test says so."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runner.dispatch = lambda _: None  # type: ignore[method-assign]

    def waiting(self, count: int) -> list[str]:
        """So many snapshots whose copies wait, in this order."""
        made = []
        for _ in range(count):
            made.append(self.start_snapshot(self.make_volume()))
            self.runner.advance(60)
        assert [self.state(one) for one in made] == [EntryState.WAITING] * count
        return made

    def dispatcher(self, *errors: SnapkeepError | None, **changes: Any) -> tuple[Dispatch, Copier]:
        real = self.runner.wiring.dispatch(DR)
        copier = Copier(real.copier, *errors)
        return replace(real, copier=copier, **changes), copier

    def run(self, *errors: SnapkeepError | None, **changes: Any) -> tuple[Dispatched, Sequence[str]]:
        dispatch, copier = self.dispatcher(*errors, **changes)
        return dispatch.run("the dispatcher"), copier.asked

    def entry(self, source: str) -> QueueEntry:
        return self.runner.wiring.queues[DR].get(entry_key(PRIMARY, source, DR))

    def state(self, source: str) -> EntryState:
        return self.entry(source).state

    def put(self, source: str, **changes: Any) -> None:
        self.runner.wiring.queues[DR].write(replace(self.entry(source), **changes))

    def copy_by_hand(self, source: str, **tags: str) -> str:
        listed = [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        given = {"TagSpecifications": listed} if tags else {}
        return str(self.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, **given)["SnapshotId"])


@pytest.fixture
def lab() -> Resting:
    return Resting(deployment=Deployment(copy_quota=QUOTA))


def test_copies_of_others_count_against_the_quota_and_the_most_urgent_take_what_is_left(lab: Resting) -> None:
    waiting = lab.waiting(3)
    lab.copy_by_hand(waiting[2])
    done, asked = lab.run()
    assert asked == waiting[:2]
    assert done.in_flight == QUOTA
    assert [lab.state(one) for one in waiting] == [EntryState.RUNNING, EntryState.RUNNING, EntryState.WAITING]


def test_a_full_region_is_asked_for_no_copy_though_a_dead_dispatchers_start_is_to_be_looked_for(lab: Resting) -> None:
    waiting = lab.waiting(2)
    lab.put(waiting[0], state=EntryState.STARTING, attempts=1)
    for _ in range(QUOTA):
        lab.copy_by_hand(waiting[1])
    done, asked = lab.run()
    assert (asked, done.in_flight) == ([], QUOTA)
    assert lab.state(waiting[0]) is EntryState.STARTING


def test_what_was_begun_and_not_answered_takes_a_slot_in_the_same_round(lab: Resting) -> None:
    waiting = lab.waiting(4)
    _, asked = lab.run(AwsUnavailable("no answer"))
    assert asked == waiting[:QUOTA]
    assert lab.state(waiting[0]) is EntryState.STARTING
    assert lab.entry(waiting[0]).not_before > lab.runner.wiring.clock.now()


@pytest.mark.parametrize(("seconds", "again"), [(1, False), (0, True)])
def test_what_another_dispatcher_began_is_left_to_it_until_ec2_must_show_its_copy(
    lab: Resting, seconds: float, again: bool
) -> None:
    (source,) = lab.waiting(1)
    due = lab.runner.wiring.clock.now() + timedelta(seconds=seconds)
    lab.put(source, state=EntryState.STARTING, attempts=1, not_before=due)
    assert lab.run()[1] == ([source] if again else [])
    assert lab.entry(source).attempts == 1, "a start that left no copy was no attempt"


@pytest.mark.parametrize("state", ["pending", "completed"])
def test_a_copy_of_ours_that_is_there_is_taken_over_and_none_is_started(lab: Resting, state: str) -> None:
    (source,) = lab.waiting(1)
    made = lab.copy_by_hand(source, **lab.entry(source).wanted.tags)
    if state == "completed":
        lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
        lab.runner.advance(300)
    _, asked = lab.run()
    assert asked == []
    assert lab.entry(source).copy_id == made
    assert lab.state(source) is (EntryState.DONE if state == "completed" else EntryState.RUNNING)


def test_neither_a_failed_copy_nor_one_of_another_system_is_taken_for_one_that_is_there(lab: Resting) -> None:
    failing, foreign = lab.waiting(2)
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    lab.world.add_fault(FaultRule("copy_fails", times=1))
    lab.copy_by_hand(failing, **lab.entry(failing).wanted.tags)
    lab.runner.advance(300)
    lab.copy_by_hand(foreign, **{**lab.entry(foreign).wanted.tags, "snapkeep:managed": "another"})
    assert lab.run()[1] == [failing, foreign]


@pytest.mark.parametrize("error", [CopyQuotaReached("full"), AwsThrottled("slower")])
def test_a_copy_that_ec2_would_not_start_now_used_up_no_attempt_and_ends_the_round(lab: Resting, error: SnapkeepError) -> None:
    first, second = lab.waiting(2)
    _, asked = lab.run(error)
    assert asked == [first]
    assert (lab.state(first), lab.entry(first).attempts) == (EntryState.DELAYED, 0)
    assert lab.state(second) is EntryState.WAITING


def test_a_start_that_is_refused_uses_an_attempt_up_and_the_last_one_is_told(lab: Resting) -> None:
    first, second = lab.waiting(2)
    lab.put(first, attempts=2)
    done, asked = lab.run(AwsRefused("no"), AwsRefused("no"))
    assert asked == [first, second]
    assert (lab.state(first), lab.state(second)) == (EntryState.FAILED, EntryState.DELAYED)
    assert done.failed == (lab.entry(first).key,)
    assert (lab.entry(second).attempts, lab.entry(second).copy_id) == (1, "")
    lab.runner.advance(5)
    assert lab.runs("protect")[0].state["copies"]["failed"][0]["error"] == "CopyFailed"


def test_where_nobody_waits_for_a_copy_that_is_given_up_a_notice_tells_of_it_once(lab: Resting) -> None:
    alone, heard = lab.waiting(2)
    lab.put(alone, attempts=2, tokens=(), runs=())
    lab.put(heard, attempts=2)
    lab.run(AwsRefused("no"), AwsRefused("no"))
    assert [notice.subject for notice in lab.runner.wiring.notices.told] == [alone]


def test_an_answer_that_reached_nobody_is_told_by_a_notice(lab: Resting) -> None:
    (source,) = lab.waiting(1)
    lab.put(source, attempts=2, tokens=("of a run that has ended",))
    lab.run(AwsRefused("no"))
    assert [notice.subject for notice in lab.runner.wiring.notices.told] == [source]


def test_an_entry_that_somebody_else_wrote_first_is_not_started(lab: Resting, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = lab.waiting(1)
    queue = lab.runner.wiring.queues[DR]
    stale = lab.entry(source)
    lab.put(source, cause="written meanwhile")
    monkeypatch.setattr(queue, "most_urgent", lambda _: [stale])
    assert lab.run()[1] == []
    assert lab.state(source) is EntryState.WAITING


def test_an_entry_says_before_the_call_how_long_its_copy_may_take_to_show(lab: Resting) -> None:
    (source,) = lab.waiting(1)
    dispatch, copier = lab.dispatcher()
    seen: list[QueueEntry] = []
    copier.before = lambda: seen.append(lab.entry(source))
    dispatch.run("the dispatcher")
    (entry,) = seen
    assert entry.state is EntryState.STARTING
    assert entry.not_before == lab.runner.wiring.clock.now() + timedelta(seconds=dispatch.settle_seconds)


def test_copies_that_ec2_does_not_show_yet_count_when_word_is_left_to_go_round_once_more(
    lab: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = lab.waiting(QUOTA + 1)
    dispatch, copier = lab.dispatcher()
    monkeypatch.setattr(dispatch.reader, "copies_in_flight", list)
    queue = lab.runner.wiring.queues[DR]
    copier.before = lambda: queue.take_lease("another", lab.runner.wiring.clock.now(), 60)
    dispatch.run("the dispatcher")
    assert copier.asked == waiting[:QUOTA]
