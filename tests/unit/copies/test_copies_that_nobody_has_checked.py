"""EC2 lists a copy as completed before Receive has looked at it: it counts once it is checked and good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapkeep.domain.copies.entry import EntryState, entry_key
from snapkeep.domain.copies.known_copies import known_copies
from snapkeep.domain.events import CopyEndEvent
from snapkeep.usecases.copies.receive import ReceiveOutcome
from snapkeep.usecases.ports import CopyResult, CopyResultStatus
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.flows import DAY, DR, PRIMARY, policy_set
from support.unreceived import Meanwhile, Unreceived


def test_a_wrong_copy_is_marked_before_a_run_gets_its_answer() -> None:
    """The run plans retention at once: a copy without its mark would count for its volume (INV-13)."""
    lab = Unreceived()
    source, copy = lab.copy()
    lab.put(source, request=replace(lab.entry(source).request, encrypted=True))
    marked: list[bool] = []
    receive = lab.runner.composition.receive(DR)
    task_tokens = Meanwhile(receive.settlement.task_tokens, lambda: marked.append("snapkeep:check" in lab.tags(copy.id, DR)))
    receive = replace(receive, settlement=replace(receive.settlement, task_tokens=task_tokens))
    assert receive.run(CopyEndEvent(copy.id, DR, source, PRIMARY, True, "")).outcome is ReceiveOutcome.FAILED
    assert marked == [True]


def test_an_unchecked_copy_displaces_no_good_copy() -> None:
    """The event of the first copy is delivered again while the second has completed and is not checked yet."""
    lab = Unreceived(policies=policy_set(keep_copies=1))
    (first, good), (second, unchecked) = lab.two_copies()
    lab.receive(first, good)
    lab.put(second, request=replace(lab.entry(second).request, encrypted=True))
    volumes = lab.receive(first, good).volume_ids
    assert lab.runner.composition.delete_snapshots(DR).run(volumes).orders == []
    assert lab.receive(second, unchecked).outcome is ReceiveOutcome.FAILED
    assert lab.ids(DR) == [good, unchecked]


def test_a_copy_that_its_entry_calls_wrong_displaces_none_though_unmarked() -> None:
    lab = Unreceived(policies=policy_set(keep_copies=1))
    (first, good), (second, wrong) = lab.two_copies()
    lab.receive(first, good)
    lab.put(second, state=EntryState.FAILED, copy_id=wrong)
    assert lab.runner.composition.delete_snapshots(DR).run(lab.receive(first, good).volume_ids).orders == []
    lab.put(second, state=EntryState.WAITING, copy_id="", wrong=(wrong,))
    assert lab.runner.composition.delete_snapshots(DR).run(lab.receive(first, good).volume_ids).orders == []
    assert lab.ids(DR) == [good, wrong]


def test_an_unchecked_copy_frees_no_older_source() -> None:
    """INV-04: the first snapshot has no copy, and the second one's may turn out to be wrong."""
    lab = Unreceived(policies=policy_set(keep=1))
    (first, lost), (second, unchecked) = lab.two_copies()
    lab.ec2(DR).delete_snapshot(SnapshotId=lost)
    lab.put(first, state=EntryState.FAILED, copy_id="")
    volume = lab.entry(second).request.origin.volume_id
    assert lab.runner.composition.delete_snapshots(PRIMARY).run([volume]).orders == []
    lab.receive(second, unchecked)
    assert [order.snapshot_id for order in lab.runner.composition.delete_snapshots(PRIMARY).run([volume]).orders] == [first]


def test_a_run_counts_no_wrong_copy_without_a_mark() -> None:
    """EC2 may show the mark late, and the run plans at once."""
    lab = Unreceived(policies=policy_set(keep=1))
    (first, lost), (second, wrong) = lab.two_copies()
    lab.ec2(DR).delete_snapshot(SnapshotId=lost)
    lab.put(first, state=EntryState.FAILED, copy_id="")
    lab.put(second, state=EntryState.FAILED, copy_id=wrong)
    volume = lab.entry(second).request.origin.volume_id
    heard = CopyResult(CopyResultStatus.FAILED, second, DR, error="CopyWrong", cause="its size is 9 GiB")
    assert lab.runner.composition.delete_snapshots(PRIMARY).run([volume], [heard]).orders == []
    assert lab.ids() == [first, second]


def test_a_copy_that_is_unchecked_for_days_counts_again() -> None:
    """It is a sweep's to check; a lost entry must not stop retention."""
    lab = Unreceived(policies=policy_set(keep_copies=1))
    (first, good), (second, _) = lab.two_copies()
    volumes = lab.receive(first, good).volume_ids
    lab.runner.advance(2 * DAY)
    lab.put(second, state=EntryState.RUNNING)
    done = lab.runner.composition.delete_snapshots(DR).run(volumes)
    assert [order.snapshot_id for order in done.orders] == [good]


@pytest.mark.parametrize(("days", "counts"), [(0, False), (2, True)])
def test_a_plan_counts_an_unchecked_copy_as_a_run_does(days: int, counts: bool) -> None:
    lab = Unreceived(policies=policy_set(keep_copies=1))
    (first, good), (second, _) = lab.two_copies()
    volumes = lab.receive(first, good).volume_ids
    lab.runner.advance(days * DAY)
    lab.put(second, state=EntryState.RUNNING)
    composition = lab.runner.composition
    readers, queue = [composition.reader(PRIMARY), composition.reader(DR)], composition.queues[DR]
    known = known_copies([queue.get(entry_key(PRIMARY, source, DR)) for source in (first, second)], composition.clock.now())
    facts = gather_all_facts(readers[0], readers[1:], {DR: known})
    made = make_plans(readers, facts, dict.fromkeys((PRIMARY, DR), lab.policies), composition.clock.now(), system="snapkeep")
    run = composition.planner(DR).plan_copies(volumes)
    for plan in (made[1], run):
        assert [verdict.snapshot.id for verdict in plan.deletions] == ([good] if counts else [])
