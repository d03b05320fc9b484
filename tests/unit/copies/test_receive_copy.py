"""Receive handles the end of a copy when the queue, the copy and its tags disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.errors import AwsRefused, AwsUnavailable
from snapkeep.domain.events import CopyEndEvent
from snapkeep.domain.tag_names import SOURCE_REGION, SOURCE_SNAPSHOT, SOURCE_START
from snapkeep.lab.simulator.invariant_monitor import InvariantMonitor
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.usecases.copies.receive import ReceiveOutcome, ReceiveResult
from support.flows import DR, PRIMARY, Laboratory, policy_set, retry_policy
from support.unreceived import Meanwhile, Unreceived


def deletes(lab: Laboratory, received: ReceiveResult) -> list[str]:
    """Return what DeleteOldSnapshots deletes for the volumes of a received copy."""
    assert received.volume_ids
    return [order.snapshot_id for order in lab.runner.composition.delete_snapshots(DR).run(received.volume_ids).orders]


def test_a_copy_made_by_hand_does_not_stand_for_a_waiting_entry() -> None:
    lab = Unreceived(layout=SystemLayout(copy_quota=0))
    source = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(60)
    assert lab.entry(source).state is EntryState.WAITING
    made = lab.copy_by_hand(source, {})
    assert lab.receive(source, made).outcome is ReceiveOutcome.NOT_OURS
    assert lab.tags(made, DR) == {}
    assert lab.entry(source).state is EntryState.WAITING


def test_another_copy_with_our_tags_does_not_settle_the_one_that_runs() -> None:
    lab = Unreceived()
    source, running = lab.copy(kind="slow_copy", factor=1000.0, times=1)
    stranger = lab.copy_by_hand(source, lab.tags(running.id, DR))
    assert lab.receive(source, stranger).outcome is ReceiveOutcome.NOT_OURS
    other = lab.copy_by_hand(source, lab.tags(running.id, DR), running.description)
    assert lab.receive(source, other).outcome is ReceiveOutcome.RECEIVED
    entry = lab.entry(source)
    assert (entry.state, entry.copy_id) == (EntryState.RUNNING, running.id)
    assert entry.tokens


@pytest.mark.parametrize("state", [EntryState.STARTING, EntryState.RUNNING, EntryState.FAILED])
def test_a_good_copy_closes_its_entry_whatever_the_queue_knew_of_it(state: EntryState) -> None:
    lab = Unreceived()
    source, made = lab.copy()
    lab.put(source, state=state, copy_id="" if state is EntryState.STARTING else made.id)
    assert lab.receive(source, made.id).outcome is ReceiveOutcome.RECEIVED
    assert (lab.entry(source).state, lab.entry(source).copy_id) == (EntryState.DONE, made.id)


def test_a_copy_that_is_received_again_changes_nothing_in_the_queue() -> None:
    lab = Unreceived()
    source, made = lab.copy()
    lab.receive(source, made.id)
    before = lab.entry(source)
    assert lab.receive(source, made.id).outcome is ReceiveOutcome.RECEIVED
    assert lab.entry(source) == before


def test_a_copys_lost_tags_are_restored_before_the_runs_plan() -> None:
    lab = Unreceived(policies=policy_set(keep=9, keep_copies=1))
    (first, first_copy), (second, second_copy) = lab.two_copies()
    lab.receive(first, first_copy)
    keys = [{"Key": key} for key in lab.tags(second_copy, DR)]
    lab.ec2(DR).delete_tags(Resources=[second_copy], Tags=keys)
    received = lab.receive(second, second_copy)
    assert deletes(lab, received) == [first_copy]
    assert lab.tags(second_copy, DR)[SOURCE_SNAPSHOT] == second


def test_a_copy_that_ec2_still_shows_as_pending_is_read_again() -> None:
    lab = Unreceived()
    source, running = lab.copy(kind="slow_copy", factor=1000.0, times=1)
    for succeeded in (True, False):
        with pytest.raises(AwsUnavailable, match=f"{running.id} has ended; EC2 says it is pending"):
            lab.receive(source, running.id, succeeded=succeeded)
    assert lab.entry(source).state is EntryState.RUNNING


@pytest.mark.parametrize("state", [EntryState.STARTING, EntryState.RUNNING])
def test_a_failed_copy_under_way_is_removed_and_tried_again(state: EntryState) -> None:
    lab = Unreceived()
    source, failed = lab.copy(kind="copy_fails", times=1)
    lab.put(source, state=state, copy_id="" if state is EntryState.STARTING else failed.id)
    received = lab.receive(source, failed.id, succeeded=False)
    assert (received.outcome, [copy.id for copy in received.remove]) == (ReceiveOutcome.RETRYING, [failed.id])
    assert lab.entry(source).state is EntryState.DELAYED


@pytest.mark.parametrize("state", [EntryState.WAITING, EntryState.DELAYED, EntryState.DONE])
def test_a_failed_copy_without_a_waiting_entry_is_removed_and_no_attempt(state: EntryState) -> None:
    lab = Unreceived()
    source, failed = lab.copy(kind="copy_fails", times=1)
    lab.put(source, state=state, copy_id="" if state in (EntryState.WAITING, EntryState.DELAYED) else failed.id)
    before = lab.entry(source)
    received = lab.receive(source, failed.id, succeeded=False)
    assert (received.outcome, [copy.id for copy in received.remove]) == (ReceiveOutcome.RETRYING, [failed.id])
    assert lab.entry(source) == before


def test_an_older_failed_copy_is_deleted_without_a_notice() -> None:
    lab = Unreceived(layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    source, failed = lab.copy(kind="copy_fails", times=1)
    lab.put(source, state=EntryState.FAILED, copy_id="snap-0another", cause="another cause")
    received = lab.receive(source, failed.id, succeeded=False)
    assert (received.outcome, received.problems) == (ReceiveOutcome.RETRYING, ())
    lab.put(source, copy_id=failed.id)
    received = lab.receive(source, failed.id, succeeded=False)
    assert (received.outcome, [problem.cause for problem in received.problems]) == (ReceiveOutcome.FAILED, ["another cause"])


@pytest.mark.parametrize(("state", "tried_again"), [(EntryState.RUNNING, True), (EntryState.DONE, False)])
def test_a_vanished_copy_is_made_again_only_for_waiting_executions(state: EntryState, tried_again: bool) -> None:
    lab = Unreceived()
    source, made = lab.copy()
    lab.ec2(DR).delete_snapshot(SnapshotId=made.id)
    lab.put(source, state=state)
    received = lab.receive(source, made.id)
    assert received.outcome is (ReceiveOutcome.RETRYING if tried_again else ReceiveOutcome.NOT_OURS)
    assert lab.entry(source).state is (EntryState.DELAYED if tried_again else EntryState.DONE)


def test_the_last_failure_of_a_copy_is_reported_with_ec2s_message() -> None:
    lab = Unreceived(layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    source, failed = lab.copy(kind="copy_fails", times=1)
    received = lab.receive(source, failed.id, succeeded=False)
    assert received.outcome is ReceiveOutcome.FAILED
    assert [(problem.kind, problem.subject) for problem in received.problems] == [("CopyFailed", source)]
    assert failed.message in received.why
    assert lab.entry(source).state is EntryState.FAILED


def test_an_event_without_a_source_settles_the_copy_and_plans_its_volume() -> None:
    lab = Unreceived(policies=policy_set(keep=9, keep_copies=1))
    (first, first_copy), (second, second_copy) = lab.two_copies()
    lab.receive(first, first_copy)
    received = lab.receive("", second_copy, source_region="")
    assert deletes(lab, received) == [first_copy]
    assert lab.entry(second).state is EntryState.DONE


def test_a_failure_with_a_changed_entry_is_retried_and_removes_nothing() -> None:
    lab = Unreceived()
    source, failed = lab.copy(kind="copy_fails", times=1)
    tokens = (*lab.entry(source).tokens, "of a run that joined meanwhile")
    receive = lab.runner.composition.receive(DR)
    ended = CopyEndEvent(failed.id, DR, source, PRIMARY, succeeded=False, cause="")
    clock = Meanwhile(receive.clock, lambda: lab.put(source, tokens=tokens))
    with pytest.raises(AwsUnavailable, match=f"{lab.entry(source).key} changed since it was read"):
        replace(receive, clock=clock).run(ended)
    assert lab.entry(source).state is EntryState.RUNNING
    assert [copy.id for copy in receive.run(ended).remove] == [failed.id]
    assert (lab.entry(source).state, lab.entry(source).tokens) == (EntryState.DELAYED, tokens)


def test_a_copy_deleted_while_it_is_tagged_is_made_again() -> None:
    lab = Unreceived()
    source, made = lab.copy()
    lab.ec2(DR).delete_tags(Resources=[made.id], Tags=[{"Key": SOURCE_START}])
    receive = lab.runner.composition.receive(DR)
    tagger = Meanwhile(receive.tagger, lambda: lab.ec2(DR).delete_snapshot(SnapshotId=made.id))
    ended = CopyEndEvent(made.id, DR, source, PRIMARY, succeeded=True, cause="")
    with pytest.raises(AwsUnavailable, match=made.id):
        replace(receive, tagger=tagger).run(ended)
    assert lab.entry(source).state is EntryState.RUNNING
    assert receive.run(ended).outcome is ReceiveOutcome.RETRYING
    assert lab.entry(source).state is EntryState.DELAYED


def test_an_untaggable_copy_is_received_and_displaces_no_other() -> None:
    lab = Unreceived(policies=policy_set(keep=9, keep_copies=1))
    (first, first_copy), (second, second_copy) = lab.two_copies()
    lab.receive(first, first_copy)
    lab.ec2(DR).delete_tags(Resources=[second_copy], Tags=[{"Key": key} for key in lab.tags(second_copy, DR)])
    receive = lab.runner.composition.receive(DR)

    def refuse() -> None:
        raise AwsRefused("it is not managed")

    ended = CopyEndEvent(second_copy, DR, second, PRIMARY, succeeded=True, cause="")
    received = replace(receive, tagger=Meanwhile(receive.tagger, refuse)).run(ended)
    assert deletes(lab, received) == []
    assert lab.entry(second).state is EntryState.DONE


def test_copies_of_equal_volume_ids_in_two_regions_are_planned_apart() -> None:
    lab = Unreceived()
    source, made = lab.copy()
    elsewhere = {SOURCE_REGION: "eu-west-1", SOURCE_SNAPSHOT: "snap-0elsewhere"}
    lab.copy_by_hand(source, lab.tags(made.id, DR) | elsewhere)
    lab.policies = policy_set(keep_copies=1)
    assert deletes(lab, lab.receive(source, made.id)) == []


def test_the_event_has_the_cause_if_ec2_gives_none() -> None:
    lab = Unreceived(layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    for gone in (False, True):
        source, failed = lab.copy(kind="copy_fails", times=1)
        failed.message = ""
        if gone:
            lab.ec2(DR).delete_snapshot(SnapshotId=failed.id)
        assert lab.receive(source, failed.id, succeeded=False, cause="the event's cause").why == "the event's cause"


def test_a_wrong_copy_is_reported_and_kept_and_displaces_no_good_copy() -> None:
    lab = Unreceived(policies=policy_set(keep=9, keep_copies=1))
    (first, good), (second, wrong) = lab.two_copies()
    lab.receive(first, good)
    lab.put(second, request=replace(lab.entry(second).request, encrypted=True))
    received = lab.receive(second, wrong)
    assert (received.outcome, received.volume_ids, received.remove) == (ReceiveOutcome.FAILED, (), ())
    assert [(problem.kind, problem.subject) for problem in received.problems] == [("CopyWrong", wrong)]
    assert (lab.entry(second).state, lab.entry(second).copy_id) == (EntryState.FAILED, wrong)


def test_the_event_of_a_wrong_copy_again_writes_nothing() -> None:
    lab = Unreceived()
    source, copy = lab.copy()
    lab.put(source, request=replace(lab.entry(source).request, encrypted=True))
    lab.receive(source, copy.id)
    watch = InvariantMonitor(lab.runner, lambda: lab.policies, lambda *_: True).attach()
    assert lab.receive(source, copy.id).outcome is ReceiveOutcome.FAILED
    assert watch.writes == 0


def test_an_event_with_a_wrong_source_settles_the_copy_itself() -> None:
    lab = Unreceived()
    (first, first_copy), (second, second_copy) = lab.copy(), lab.copy()
    assert lab.receive(first, second_copy.id).outcome is ReceiveOutcome.RECEIVED
    assert (lab.entry(second).state, lab.entry(second).copy_id) == (EntryState.DONE, second_copy.id)
    assert (lab.entry(first).state, lab.entry(first).copy_id) == (EntryState.RUNNING, first_copy.id)


@pytest.mark.parametrize("state", [EntryState.WAITING, EntryState.STARTING, EntryState.FAILED])
def test_an_execution_started_by_hand_gives_no_entry_another_volumes_copy(state: EntryState) -> None:
    """A forged event ended a waiting entry with another volume's copy, wrote that copy's tags over, and both sources went."""
    lab = Unreceived()
    (waiting, _), (other, other_copy) = lab.copy(), lab.copy()
    lab.put(waiting, state=state, copy_id="")
    entry, tags = lab.entry(waiting), lab.tags(other_copy.id, DR)
    lab.receive(waiting, other_copy.id)
    assert lab.entry(waiting) == entry
    assert lab.tags(other_copy.id, DR) == tags
    assert (lab.entry(other).state, lab.entry(other).copy_id) == (EntryState.DONE, other_copy.id)


def test_an_entry_refuses_its_recorded_copy_of_another_source() -> None:
    lab = Unreceived()
    (source, _), (_, other_copy) = lab.copy(), lab.copy()
    lab.put(source, copy_id=other_copy.id)
    entry, tags = lab.entry(source), lab.tags(other_copy.id, DR)
    lab.receive(source, other_copy.id)
    assert lab.entry(source) == entry
    assert lab.tags(other_copy.id, DR) == tags


def test_a_second_copy_is_checked_too_though_the_entry_names_another() -> None:
    """Another principal's copy of our copy, under another key, was received as good without a check."""
    lab = Unreceived(policies=policy_set(keep=9, keep_copies=1))
    (first, first_copy), (second, second_copy) = lab.two_copies()
    lab.receive(first, first_copy)
    lab.put(second, request=replace(lab.entry(second).request, encrypted=True), state=EntryState.DONE, copy_id="snap-0checked")
    received = lab.receive(second, second_copy)
    assert (received.outcome, received.volume_ids) == (ReceiveOutcome.FAILED, ())
    assert [(problem.kind, problem.subject) for problem in received.problems] == [("CopyWrong", second_copy)]
    assert lab.entry(second).copy_id == "snap-0checked"


@pytest.mark.parametrize("requested_after_hours", [0, 1])
def test_a_copy_older_than_its_request_is_not_marked_as_wrong(requested_after_hours: int) -> None:
    """After the loss of a queue, copies are requested again under the current rules: a copy with an earlier key is not wrong."""
    lab = Unreceived()
    source, made = lab.copy()
    requested_at = lab.entry(source).enqueued_at + timedelta(hours=requested_after_hours)
    lab.put(source, request=replace(lab.entry(source).request, encrypted=True), enqueued_at=requested_at)
    assert lab.receive(source, made.id).outcome is ReceiveOutcome.FAILED
    assert ("snapkeep:check" in lab.tags(made.id, DR)) is (requested_after_hours == 0)
