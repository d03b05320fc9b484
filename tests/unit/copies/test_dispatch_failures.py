"""A round of the dispatcher in which a call fails: attempts, delayed entries, entries given up, and notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.errors import (
    UNREACHABLE_AFTER,
    AwsRefused,
    AwsThrottled,
    AwsUnavailable,
    CopyQuotaReached,
    InvalidConfiguration,
    KeyNotUsable,
    SnapkeepError,
    SnapshotGone,
)
from snapkeep.domain.tag_names import OWN_TAGS
from snapkeep.lab.simulator.layout import SystemLayout
from support.dispatch_scenarios import QUOTA, PausedDispatcher, RecordingKeys
from support.flows import DR, HOUR


@pytest.fixture
def lab() -> PausedDispatcher:
    return PausedDispatcher(layout=SystemLayout(copy_quota=QUOTA))


def test_a_copy_without_an_answer_takes_a_slot_in_its_round(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(4)
    _, asked = lab.run(AwsUnavailable("no answer"))
    assert asked == waiting[:QUOTA]
    assert lab.state(waiting[0]) is EntryState.STARTING
    assert lab.entry(waiting[0]).not_before > lab.runner.composition.clock.now()


@pytest.mark.parametrize("error", [CopyQuotaReached("full"), AwsThrottled("slower")])
def test_a_copy_refused_for_now_uses_no_attempt_and_ends_the_round(lab: PausedDispatcher, error: SnapkeepError) -> None:
    first, second = lab.waiting(2)
    _, asked = lab.run(error)
    assert asked == [first]
    assert (lab.state(first), lab.entry(first).attempts) == (EntryState.DELAYED, 0)
    assert lab.state(second) is EntryState.WAITING


def test_a_refused_start_uses_an_attempt_and_the_last_one_is_notified(lab: PausedDispatcher) -> None:
    first, second = lab.waiting(2)
    lab.put(first, attempts=2)
    done, asked = lab.run(*[AwsRefused("no")] * 4)
    assert asked == [first, first, second, second]
    assert (lab.state(first), lab.state(second)) == (EntryState.FAILED, EntryState.DELAYED)
    assert done.failed == (lab.entry(first).key,)
    assert (lab.entry(second).attempts, lab.entry(second).copy_id) == (1, "")
    lab.runner.advance(5)
    assert lab.runs("protect")[0].state["copies"]["results"][0]["error"] == "CopyFailed"


def test_a_copy_given_up_without_a_waiting_run_is_notified_once(lab: PausedDispatcher) -> None:
    alone, heard, about_to_wait = lab.waiting(3)
    lab.put(alone, attempts=2, tokens=(), runs=(), requester="")
    lab.put(heard, attempts=2)
    lab.put(about_to_wait, attempts=2, tokens=(), runs=())
    lab.run(*[AwsRefused("no")] * 6)
    assert lab.state(about_to_wait) is EntryState.FAILED
    assert [notice.subject for notice in lab.runner.composition.notices.added] == [alone]


def test_an_answer_without_a_waiting_run_becomes_a_notice(lab: PausedDispatcher) -> None:
    (source,) = lab.waiting(1)
    lab.put(source, attempts=2, tokens=("of a run that has ended",))
    lab.run(AwsRefused("no"), AwsRefused("no"))
    assert [notice.subject for notice in lab.runner.composition.notices.added] == [source]


def test_a_copy_refused_for_a_tag_starts_with_only_snapkeeps_tags(lab: PausedDispatcher) -> None:
    """A service control policy that denies one tag key let EC2 refuse the whole call, and no copy was ever made."""
    (source,) = lab.waiting(1)
    carried = lab.entry(source).request.carried
    assert carried
    done, asked = lab.run(AwsRefused("UnauthorizedOperation: with an explicit deny"))
    entry = lab.entry(source)
    assert asked == [source, source]
    assert (entry.state, entry.attempts) == (EntryState.RUNNING, 1)
    assert lab.tags(entry.copy_id, DR) == entry.request.tags
    assert entry.request.tags.keys() <= OWN_TAGS
    (left_out,) = done.tags_left_out
    assert carried[0] in left_out
    lab.runner.advance(HOUR)
    assert lab.state(source) is EntryState.DONE


def test_after_two_unanswered_calls_a_source_regions_copies_are_delayed(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(QUOTA + 1)
    _, asked = lab.run(*[AwsUnavailable("no answer")] * QUOTA)
    assert UNREACHABLE_AFTER == 2
    assert asked == waiting[:UNREACHABLE_AFTER]
    assert [lab.state(snapshot_id) for snapshot_id in waiting[UNREACHABLE_AFTER:]] == [EntryState.DELAYED] * 2
    until = lab.runner.composition.clock.now() + timedelta(seconds=lab.dispatcher()[0].unreachable_delay_seconds)
    assert [lab.entry(snapshot_id).not_before for snapshot_id in waiting[UNREACHABLE_AFTER:]] == [until] * 2


def test_an_unreachable_source_region_holds_up_no_copy_from_another(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(3)
    last = lab.entry(waiting[2]).request
    elsewhere = replace(last, origin=replace(last.origin, region="eu-west-1", snapshot_id="snap-0elsewhere"))
    lab.runner.composition.queues[DR].insert(replace(lab.entry(waiting[2]), request=elsewhere))
    _, asked = lab.run(*[AwsUnavailable("no answer")] * QUOTA)
    assert asked == [*waiting[:2], "snap-0elsewhere"]


def test_an_unanswered_start_is_looked_for_after_other_entries(lab: PausedDispatcher) -> None:
    (source,) = lab.waiting(1)
    lab.run(AwsUnavailable("no answer"))
    dispatch, _ = lab.dispatcher()
    assert dispatch.unreachable_delay_seconds > dispatch.visible_after_seconds
    assert lab.entry(source).not_before == lab.runner.composition.clock.now() + timedelta(
        seconds=dispatch.unreachable_delay_seconds
    )


def test_a_start_without_an_answer_is_looked_for_by_its_tags(lab: PausedDispatcher) -> None:
    waiting = lab.waiting(3)
    for source in waiting:
        lab.put(source, state=EntryState.STARTING, attempts=1)
    before = lab.entry(waiting[2])
    assert lab.run(*[AwsUnavailable("no answer")] * QUOTA)[1] == waiting[:2]
    assert lab.entry(waiting[2]) == before


@pytest.mark.parametrize("error", [AwsThrottled("slower"), AwsUnavailable("no answer")])
def test_a_key_that_cannot_be_checked_ends_the_round_without_failure(lab: PausedDispatcher, error: SnapkeepError) -> None:
    first, second, third = lab.waiting(3)
    lab.name_key(second, "a key")
    done, asked = lab.run(keys=RecordingKeys(error))
    assert asked == [first]
    assert done.failed == ()
    assert [lab.state(snapshot_id) for snapshot_id in (second, third)] == [EntryState.WAITING] * 2
    assert lab.entry(second).attempts == 0


@pytest.mark.parametrize("error", [KeyNotUsable("key alias/dr: AccessDenied"), SnapshotGone("it is gone")])
def test_a_start_that_no_retry_can_repair_is_given_up_at_once(lab: PausedDispatcher, error: SnapkeepError) -> None:
    first, second = lab.waiting(2)
    done, asked = lab.run(error)
    assert asked == [first, second]
    assert (lab.state(first), lab.entry(first).cause) == (EntryState.FAILED, str(error))
    assert done.failed == (lab.entry(first).key,)
    assert lab.state(second) is EntryState.RUNNING


def test_an_unexpected_error_is_raised_after_the_lease_is_released(lab: PausedDispatcher) -> None:
    (source,) = lab.waiting(1)
    with pytest.raises(InvalidConfiguration):
        lab.run(InvalidConfiguration("no such region"))
    assert lab.state(source) is EntryState.STARTING
    assert lab.runner.composition.queues[DR].take_lease("the next one", lab.runner.composition.clock.now(), 60)


def test_a_starting_entry_names_no_copy_of_an_earlier_attempt(lab: PausedDispatcher) -> None:
    (source,) = lab.waiting(1)
    lab.put(source, copy_id="snap-0former")
    lab.run(AwsUnavailable("no answer"))
    assert (lab.state(source), lab.entry(source).copy_id) == (EntryState.STARTING, "")


def test_an_existing_copy_whose_run_cannot_be_answered_stays_running_and_raises(
    lab: PausedDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing, waiting = lab.waiting(2)
    lab.runner.start = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    made = lab.copy_by_hand(existing, **lab.entry(existing).request.tags)
    lab.runner.advance(300)

    def unanswered(*_: object) -> bool:
        raise AwsUnavailable("no answer to send_task_success")

    dispatch, copier = lab.dispatcher()
    monkeypatch.setattr(type(dispatch.settlement.task_tokens), "send_success", unanswered)
    with pytest.raises(AwsUnavailable, match="send_task_success"):
        dispatch.run("the dispatcher")
    assert copier.asked == [waiting]
    assert (lab.state(existing), lab.entry(existing).copy_id) == (EntryState.RUNNING, made)
    assert lab.entry(existing).tokens
