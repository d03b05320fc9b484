"""The same event again, two runs at once, functions that are ended between two calls, regions that are away."""

from __future__ import annotations

from datetime import timedelta

import pytest

from snapkeep.domain.copies.entry import EntryState
from snapkeep.lab.ebs_model import FaultRule, Faults, Quotas, Speeds
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DAY, DR, HOUR, PRIMARY, CallCounter, KillAt, Laboratory, policy_set, retry_policy

BEFORE, AFTER = 1, 2


def test_the_same_events_again_change_nothing() -> None:
    counter = CallCounter()
    lab = Laboratory(hook=counter)
    volume = lab.make_volume()
    for _ in range(5):
        lab.protect(volume)
    before = lab.ids(PRIMARY), lab.ids(DR), [lab.tags(snapshot_id) for snapshot_id in lab.ids()]
    counter.calls.clear()
    for event in list(lab.events):
        lab.world.deliver(event)
    lab.settle()
    assert (lab.ids(PRIMARY), lab.ids(DR), [lab.tags(snapshot_id) for snapshot_id in lab.ids()]) == before
    assert {counter.count(f"{port}") for port in ("tagger.tag", "copier.start_copy", "deleter.delete")} == {0}


def test_duplicate_events_make_one_copy_of_each_snapshot() -> None:
    lab = Laboratory(faults=Faults(event_doubled=1.0))
    volume = lab.make_volume()
    snapshots = [lab.protect(volume) for _ in range(2)]
    assert lab.sources_of_copies() == sorted(snapshots)
    assert lab.world.state.faults.armed
    assert len(lab.runs("protect", "SUCCEEDED")) == 4, "both runs for a snapshot are answered"


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
@pytest.mark.parametrize(
    "call",
    [
        "copier.start_copy",
        "queue.write",
        "queue.take_lease",
        "queue.most_urgent",
        "queue.release_lease",
        "queue.insert",
        "reader.copies_in_flight",
        "reader.copies_of_snapshots",
        "task_tokens.send_success",
        "tagger.tag",
        "deleter.delete",
    ],
)
def test_a_step_killed_at_any_call_makes_exactly_one_copy(call: str, moment: int) -> None:
    lab = Laboratory(policies=policy_set(keep=1, keep_copies=1), hook=KillAt(call, moment))
    volume = lab.make_volume()
    first = lab.protect(volume)
    newest = lab.protect(volume)
    assert lab.runner.totals.kills == 1, f"{call} was called"
    assert lab.sources_of_copies() == [newest] or lab.sources_of_copies() == [first, newest]
    made = [event for event in lab.events if event["detail"].get("event") == "copySnapshot"]
    assert len(made) == 2
    assert {run.status for run in lab.runs("protect")} == {"SUCCEEDED"}


def test_the_lease_of_an_interrupted_dispatcher_expires() -> None:
    lab = Laboratory(hook=KillAt("copier.start_copy", BEFORE))
    lab.start_snapshot(lab.make_volume())
    started = lab.world.now()
    lab.settle()
    (copy,) = lab.snapshots(DR)
    assert 100 < copy.start - started < 300


def test_two_dispatchers_are_never_at_work_at_once() -> None:
    at_work = most = 0
    lab = Laboratory()

    def look(name: str) -> None:
        nonlocal at_work, most
        if name == "copier.start_copy":
            at_work += 1
            most = max(most, at_work)
            if at_work == 1:
                lab.runner.dispatch(DR)
            at_work -= 1

    lab.runner.composition.hook = look
    for _ in range(3):
        lab.start_snapshot(lab.make_volume())
    lab.settle()
    assert most == 1
    assert len(lab.snapshots(DR)) == 3


def test_a_copy_call_whose_answer_is_lost_makes_no_second_copy() -> None:
    lab = Laboratory(faults=Faults(script=(FaultRule("api_timeout", action="CopySnapshot", effect="after", times=1),)))
    snapshot = lab.protect(lab.make_volume())
    assert lab.sources_of_copies() == [snapshot]
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}


def test_a_failed_copy_is_removed_and_tried_again_with_growing_delay() -> None:
    faults = Faults(script=(FaultRule("copy_fails", times=2),))
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=3, minutes=5)), faults=faults)
    snapshot = lab.protect(lab.make_volume())
    starts = [event["detail"]["startTime"][11:16] for event in lab.events if event["detail"].get("event") == "copySnapshot"]
    minutes = [int(start[:2]) * 60 + int(start[3:]) for start in starts]
    assert minutes[1] - minutes[0] in (5, 6, 7)
    assert minutes[2] - minutes[1] in (10, 11, 12)
    assert lab.sources_of_copies() == [snapshot]
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]


def test_a_copy_that_fails_for_good_is_notified_once_with_its_cause() -> None:
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=2)), faults=Faults(copy_fails=1.0))
    snapshot = lab.protect(lab.make_volume())
    (run,) = lab.runs("protect")
    (failed,) = run.state["copies"]["results"]
    assert (failed["snapshot_id"], failed["region"], failed["error"]) == (snapshot, DR, "CopyFailed")
    assert "Internal error" in failed["cause"]
    assert lab.ids() == [snapshot]
    assert lab.snapshots(DR) == []


def test_a_late_copy_is_notified_and_stays_in_the_queue() -> None:
    lab = Laboratory(policies=policy_set(copy_within=timedelta(hours=2)), layout=SystemLayout(copy_quota=1))
    lab.world.add_fault(FaultRule("slow_copy", factor=200.0, times=1))
    for _ in range(2):
        lab.start_snapshot(lab.make_volume())
    lab.runner.advance(3 * HOUR)
    assert {run.status for run in lab.runs("protect")} == {"FAILED"}
    assert lab.notified[0][0] == "States.Timeout"
    lab.settle()
    assert len(lab.sources_of_copies()) == 2


def test_a_dr_region_out_of_reach_for_hours_loses_nothing() -> None:
    lab = Laboratory(layout=SystemLayout(copy_quota=1))
    lab.world.take_region_away(DR)
    by_hours = {}
    for hours in (48, 6, 24):
        lab.policies = policy_set(copy_within=timedelta(hours=hours))
        by_hours[hours] = lab.start_snapshot(lab.make_volume())
        lab.runner.advance(40)
        lab.policies = policy_set(copy_within=timedelta(hours=hours))
    lab.runner.advance(5 * HOUR)
    assert lab.runs("protect") == [], "they go on asking"
    assert lab.ids() == list(by_hours.values())
    lab.world.bring_region_back(DR)
    lab.settle()
    assert lab.sources_of_copies() == sorted(by_hours.values())
    assert len(lab.runs("protect", "SUCCEEDED")) == 3


def test_the_most_urgent_deadline_is_copied_first_in_any_order_of_requests() -> None:
    lab = Laboratory(layout=SystemLayout(copy_quota=1), speeds=Speeds(copy_base_seconds=600.0))
    order = []
    for hours in (30, 10, 20, 5):
        lab.policies = policy_set(copy_within=timedelta(hours=hours))
        volume = lab.make_volume()
        lab.runner.advance(1)
        order.append((hours, lab.start_snapshot(volume)))
        lab.runner.advance(31)
    lab.settle()
    copies = [copy.source_id for copy in sorted(lab.snapshots(DR), key=lambda copy: copy.start)]
    first, *rest = [snapshot for _, snapshot in order]
    by_deadline = [snapshot for _, snapshot in sorted(order[1:])]
    assert copies[0] == first, "it started while nothing else waited"
    assert copies[1:] == by_deadline
    assert sorted(rest) == sorted(by_deadline)


def test_the_quota_that_others_use_is_respected() -> None:
    lab = Laboratory(quotas=Quotas(copies_per_destination=2))
    by_hand = lab.protect(lab.make_volume({"Name": "scratch"}))
    for _ in range(2):
        lab.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=by_hand)
    snapshots = [lab.start_snapshot(lab.make_volume()) for _ in range(4)]
    lab.settle()
    assert set(snapshots) <= set(lab.sources_of_copies())
    assert {run.status for run in lab.runs("protect")} == {"SUCCEEDED"}


def test_several_primaries_share_the_quota_of_their_destination() -> None:
    regions = (PRIMARY, "eu-west-1", DR)
    lab = Laboratory(regions=regions, layout=SystemLayout(primaries=regions[:2], copy_quota=2))
    most = 0

    def look(_: object) -> None:
        nonlocal most
        most = max(most, len(lab.world.region_account(DR).copies_in_flight))

    lab.world.subscribe(look)
    made = [lab.start_snapshot(lab.make_volume(region=region), region=region) for region in regions[:2] for _ in range(4)]
    lab.settle()
    assert lab.sources_of_copies() == sorted(made)
    assert most == 2


def test_an_unreachable_destination_holds_up_no_other() -> None:
    far = "eu-west-1"
    lab = Laboratory(
        regions=(PRIMARY, DR, far), policies=policy_set(regions=(DR, far)), layout=SystemLayout(destinations=(DR, far))
    )
    volume = lab.make_volume()
    first = lab.protect(volume)
    assert lab.sources_of_copies(DR) == lab.sources_of_copies(far) == [first]
    lab.world.take_region_away(far)
    second = lab.start_snapshot(volume)
    lab.runner.advance(HOUR)
    assert lab.sources_of_copies(DR) == sorted([first, second])
    lab.world.bring_region_back(far)
    lab.settle()
    assert lab.sources_of_copies(far) == sorted([first, second])
    assert lab.runs("protect", "FAILED") == []


def test_a_snapshot_deleted_before_its_copy_is_notified() -> None:
    lab = Laboratory()
    snapshot = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(31)
    lab.ec2().delete_snapshot(SnapshotId=snapshot)
    lab.settle()
    assert lab.notified
    assert all(queue.count(EntryState.WAITING) == 0 for queue in lab.runner.composition.queues.values())


def test_finished_entries_are_forgotten_after_their_time() -> None:
    lab = Laboratory()
    lab.protect(lab.make_volume())
    queue = lab.runner.composition.queues[DR]
    assert queue.count(EntryState.DONE) == 1
    lab.runner.advance(31 * DAY)
    queue.expire(lab.runner.composition.clock.now())
    assert len(queue) == 0
