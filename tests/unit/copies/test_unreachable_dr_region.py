"""The DR region does not answer for hours: nothing is lost, and all is copied afterwards, without a sweep."""

from __future__ import annotations

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.system import StackKind
from support.flows import DR, HOUR, Laboratory


def test_a_dr_region_gets_every_copy_after_hours_unreachable() -> None:
    lab = Laboratory()
    volumes = [lab.make_volume(size_gib=size) for size in (8, 500, 64)]
    lab.world.take_region_away(DR)
    snapshots = [lab.start_snapshot(volume) for volume in volumes]
    lab.runner.advance(6 * HOUR)
    assert lab.runs("protect") == [], "they go on asking"
    assert lab.sources_of_copies() == []
    lab.world.bring_region_back(DR)
    lab.settle()
    assert lab.sources_of_copies() == sorted(snapshots)
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"] * 3
    assert lab.notified == []


def test_a_failed_request_does_not_undo_an_arrived_copy() -> None:
    lab = Laboratory()
    lab.protect(lab.make_volume())
    queue = lab.runner.composition.queues[DR]
    (done,) = queue.in_state(EntryState.DONE)
    stale = type(done)(
        done.request, EntryState.RUNNING, done.enqueued_at, done.not_before, 1, done.copy_id, version=done.version - 1
    )
    lab.runner.composition.stack(DR, StackKind.DR).settlement.give_up(stale, "a late event says that it failed")
    assert queue.get(done.key).state is EntryState.DONE
