"""One round of the dispatcher: what counts against the quota, what is taken for a copy that is there, and what an attempt is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.errors import (
    AwsRefused,
    AwsThrottled,
    AwsUnavailable,
    CopyQuotaReached,
    KeyNotUsable,
    SnapkeepError,
    SnapshotGone,
)
from snapkeep.domain.model import CopyWanted
from snapkeep.ebsmodel import FaultRule
from snapkeep.simulate.wiring import Deployment
from snapkeep.usecases.dispatch import AWAY_AFTER, Dispatch, Dispatched
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


class KeysAsked:
    """Finds every key good, or fails with what it was given, and remembers which were asked for."""

    def __init__(self, error: SnapkeepError | None = None) -> None:
        self.error, self.asked = error, list[str]()

    def check(self, key: str) -> str:
        self.asked.append(key)
        if self.error is not None:
            raise self.error
        return key


class Hands:
    """A clock that a test turns."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def turn(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


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

    def name_key(self, source: str, key: str) -> None:
        self.put(source, wanted=replace(self.entry(source).wanted, kms_key=key))

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


@pytest.mark.parametrize("in_flight", [QUOTA, QUOTA + 1], ids=["full", "more than full"])
def test_a_full_region_is_asked_for_no_copy_though_a_dead_dispatchers_start_is_to_be_looked_for(
    lab: Resting, in_flight: int
) -> None:
    waiting = lab.waiting(2)
    lab.put(waiting[0], state=EntryState.STARTING, attempts=1)
    for _ in range(in_flight):
        lab.copy_by_hand(waiting[1])
    done, asked = lab.run()
    assert (asked, done.in_flight) == ([], in_flight)
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


def test_a_source_region_is_away_after_two_calls_without_an_answer_and_its_other_copies_rest(lab: Resting) -> None:
    waiting = lab.waiting(QUOTA + 1)
    _, asked = lab.run(*[AwsUnavailable("no answer")] * QUOTA)
    assert AWAY_AFTER == 2
    assert asked == waiting[:AWAY_AFTER]
    assert [lab.state(one) for one in waiting[AWAY_AFTER:]] == [EntryState.DELAYED] * 2
    until = lab.runner.wiring.clock.now() + timedelta(seconds=lab.dispatcher()[0].rest_seconds)
    assert [lab.entry(one).not_before for one in waiting[AWAY_AFTER:]] == [until] * 2


def test_a_source_region_that_is_away_holds_up_no_copy_from_another_one(lab: Resting) -> None:
    waiting = lab.waiting(3)
    last = lab.entry(waiting[2]).wanted
    elsewhere = replace(last, origin=replace(last.origin, region="eu-west-1", snapshot_id="snap-0elsewhere"))
    lab.runner.wiring.queues[DR].insert(replace(lab.entry(waiting[2]), wanted=elsewhere))
    _, asked = lab.run(*[AwsUnavailable("no answer")] * QUOTA)
    assert asked == [*waiting[:2], "snap-0elsewhere"]


def test_what_was_begun_and_not_answered_is_looked_for_only_when_others_had_their_turn(lab: Resting) -> None:
    (source,) = lab.waiting(1)
    lab.run(AwsUnavailable("no answer"))
    dispatch, _ = lab.dispatcher()
    assert dispatch.rest_seconds > dispatch.settle_seconds
    assert lab.entry(source).not_before == lab.runner.wiring.clock.now() + timedelta(seconds=dispatch.rest_seconds)


def test_what_was_begun_from_a_region_that_is_away_stays_begun_to_be_looked_for_by_its_tags(lab: Resting) -> None:
    waiting = lab.waiting(3)
    for source in waiting:
        lab.put(source, state=EntryState.STARTING, attempts=1)
    before = lab.entry(waiting[2])
    assert lab.run(*[AwsUnavailable("no answer")] * QUOTA)[1] == waiting[:2]
    assert lab.entry(waiting[2]) == before


def test_where_word_is_left_with_the_lease_what_came_since_is_started_before_it_is_given_back(
    lab: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = lab.waiting(2)
    queue, now = lab.runner.wiring.queues[DR], lab.runner.wiring.clock.now()
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


@pytest.mark.parametrize("error", [AwsThrottled("slower"), AwsUnavailable("no answer")])
def test_a_key_that_cannot_be_looked_at_now_ends_the_round_and_neither_starts_nor_fails_a_copy(
    lab: Resting, error: SnapkeepError
) -> None:
    first, second, third = lab.waiting(3)
    lab.name_key(second, "a key")
    done, asked = lab.run(keys=KeysAsked(error))
    assert asked == [first]
    assert done.failed == ()
    assert [lab.state(one) for one in (second, third)] == [EntryState.WAITING] * 2
    assert lab.entry(second).attempts == 0


def test_a_key_is_looked_at_once_in_a_round_however_many_copies_name_it(lab: Resting) -> None:
    waiting = lab.waiting(3)
    for source in waiting:
        lab.name_key(source, "a key")
    keys = KeysAsked()
    assert lab.run(*[AwsRefused("no")] * 3, keys=keys)[1] == waiting
    assert keys.asked == ["a key"]


@pytest.mark.parametrize("error", [KeyNotUsable("key alias/dr: AccessDenied"), SnapshotGone("it is gone")])
def test_a_start_that_no_other_attempt_would_mend_is_given_up_at_once_and_others_go_on(
    lab: Resting, error: SnapkeepError
) -> None:
    first, second = lab.waiting(2)
    done, asked = lab.run(error)
    assert asked == [first, second]
    assert (lab.state(first), lab.entry(first).cause) == (EntryState.FAILED, str(error))
    assert done.failed == (lab.entry(first).key,)
    assert lab.state(second) is EntryState.RUNNING


def test_no_copy_is_started_from_the_second_on_in_which_the_time_for_work_is_over(lab: Resting) -> None:
    waiting = lab.waiting(3)
    hands = Hands(lab.runner.wiring.clock.now())
    dispatch, copier = lab.dispatcher(clock=hands, work_seconds=60)
    copier.before = lambda: hands.turn(30)
    dispatch.run("the dispatcher")
    assert copier.asked == waiting[:2]
    assert lab.state(waiting[2]) is EntryState.WAITING


def test_a_copy_that_is_there_is_settled_by_whoever_wrote_its_entry_and_by_nobody_else(
    lab: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = lab.waiting(1)
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    made = lab.copy_by_hand(source, **lab.entry(source).wanted.tags)
    lab.runner.advance(300)
    stale = lab.entry(source)
    lab.put(source, state=EntryState.RUNNING, copy_id=made)
    monkeypatch.setattr(lab.runner.wiring.queues[DR], "most_urgent", lambda _: [stale])
    done, asked = lab.run()
    assert (asked, done.settled) == ([], ())
    assert (lab.state(source), lab.entry(source).tokens) == (EntryState.RUNNING, stale.tokens)


def test_what_is_begun_names_no_copy_of_an_earlier_attempt(lab: Resting) -> None:
    (source,) = lab.waiting(1)
    lab.put(source, copy_id="snap-0former")
    lab.run(AwsUnavailable("no answer"))
    assert (lab.state(source), lab.entry(source).copy_id) == (EntryState.STARTING, "")


def test_an_index_that_shows_the_former_batch_as_it_was_hides_no_entry_behind_it(
    lab: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = lab.waiting(QUOTA + 1)
    before = [lab.entry(one) for one in waiting]
    monkeypatch.setattr(lab.runner.wiring.queues[DR], "most_urgent", lambda count: before[:count])
    assert lab.run(SnapshotGone("it is gone"))[1] == waiting
