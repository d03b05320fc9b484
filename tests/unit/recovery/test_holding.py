"""Several recoveries and drills hold one point: it is held until the last of them ends (INV-18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import pytest

from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.domain.recovery.holders import holders_of, is_held
from snapkeep.domain.recovery.recovery_plan import RecoveryState, StepState
from snapkeep.domain.tag_names import HOLD
from snapkeep.domain.tags import TAG_LIMIT
from snapkeep.lab.simulator.memory_ports import HookedPort
from snapkeep.usecases.recovery.holding import PointHolds
from snapkeep.usecases.recovery.recover import Recover
from support.flows import DAY, DR
from support.recovering import KillAt, Killed, RecoveryLab


@dataclass
class Points:
    """The holds of one point: of recoveries that begin and end."""

    lab: RecoveryLab

    def __post_init__(self) -> None:
        self.id = self.lab.lab.ids(DR)[0]

    @property
    def tags(self) -> dict[str, str]:
        return self.lab.lab.tags(self.id, DR)

    def holds(self, before: Callable[[str], None] | None = None) -> PointHolds:
        return PointHolds(HookedPort(self.lab.ec2(), "ec2", before) if before else self.lab.ec2())  # type: ignore[arg-type]

    def hold(self, run_id: str) -> None:
        self.lab.lab.runner.advance(5)  # within EC2's request rate
        self.holds().hold([self.id], run_id, self.lab.clock.now())

    def release(self, run_id: str) -> None:
        self.holds().release([self.id], run_id)


@pytest.fixture
def points() -> Points:
    return Points(RecoveryLab())


@pytest.mark.parametrize("first", ["recovery-1", "drill-2"])
def test_a_point_is_held_until_the_last_holder_ends(points: Points, first: str) -> None:
    runs = ["recovery-1", "drill-2"]
    for run_id in runs:
        points.hold(run_id)
    assert sorted(holders_of(points.tags)) == sorted(runs)
    points.release(first)
    (last,) = {*runs} - {first}
    assert (points.tags[HOLD], list(holders_of(points.tags))) == (last, [last]), "the role that deletes is denied this tag"
    points.release(last)
    assert not is_held(points.tags)


def test_every_interleaving_of_two_ends_and_a_beginning_keeps_a_hold(points: Points) -> None:
    """While one recovery ends, another ends at one moment, and a third one begins at the same or a later one."""
    for run_id in ("a", "b"):
        points.hold(run_id)
    count = KillAt(0)
    points.holds(count).release([points.id], "b")
    points.release("a")
    for ends, begins in combinations_with_replacement(range(1, count.seen + 1), 2):
        for run_id in ("a", "b"):
            points.hold(run_id)
        seen = KillAt(0)

        def meanwhile(name: str, seen: KillAt = seen, ends: int = ends, begins: int = begins) -> None:
            seen(name)
            if seen.seen == ends:
                points.release("a")
            if seen.seen == begins:
                points.hold("c")

        points.holds(meanwhile).release([points.id], "b")
        if seen.seen < begins:  # without others to pass the hold to, fewer calls are made
            points.hold("c")
        assert (list(holders_of(points.tags)), points.tags.get(HOLD)) == (["c"], "c"), (ends, begins)
        points.release("c")
        assert not is_held(points.tags), (ends, begins)


def test_a_hold_that_a_person_wrote_outlives_a_recovery(points: Points) -> None:
    points.lab.ec2().tag_snapshots([points.id], {HOLD: "legal"})
    points.hold("recovery-1")
    points.release("recovery-1")
    assert points.tags[HOLD] == "legal"
    assert list(holders_of(points.tags)) == ["legal"]


def test_a_release_ended_anywhere_is_continued(points: Points) -> None:
    points.hold("a")
    points.hold("b")
    count = KillAt(0)
    points.holds(count).release([points.id], "b")
    for moment in range(1, count.seen + 1):
        points.hold("b")
        with pytest.raises(Killed):
            points.holds(KillAt(moment)).release([points.id], "b")
        assert HOLD in points.tags
        points.release("b")
        assert (points.tags[HOLD], list(holders_of(points.tags))) == ("a", ["a"])


def test_a_point_that_was_deleted_is_released() -> None:
    """A recovery whose point a person deleted could never end."""
    lab = RecoveryLab()
    run = lab.begin(lab.plan(attach=False))
    lab.lab.ec2(DR).delete_snapshot(SnapshotId=run.points[0])
    with pytest.raises(Exception, match=run.points[0]):
        lab.carry_out(run.id, Recover.run)
    assert lab.carry_out(run.id, Recover.undo).state is RecoveryState.UNDONE
    assert lab.held() == []


def test_a_point_whose_tags_leave_no_room_is_recovered_without_a_hold(points: Points) -> None:
    lab = points.lab
    volume_id = next(iter(lab.volumes.values()))
    point = next(volume.point for volume in lab.plan(volume_id, attach=False).volumes)
    lab.ec2().tag_snapshots([point.id], {f"more-{number:02}": "x" for number in range(TAG_LIMIT - len(point.tags))})
    plan = lab.plan(volume_id, attach=False)
    assert plan.obstacles == ()
    assert [remark for remark in plan.remarks if "no room" in remark]
    run = lab.begin(plan)
    ended = lab.carry_out(run.id, Recover.run)
    assert {step.state for step in ended.steps} == {StepState.DONE}
    assert point.id in ended.step("hold").remark


def test_two_recoveries_of_one_point_hold_it_until_both_end() -> None:
    """Retention deletes the points once the second recovery ended, not the first."""
    lab = RecoveryLab()
    runs = [lab.begin(lab.plan(attach=False)) for _ in range(2)]
    for run in runs:
        with pytest.raises(Killed):
            lab.carry_out(run.id, Recover.run, hook=KillAt(12))
    lab.carry_out(runs[1].id, Recover.run)
    for _ in range(4):
        lab.lab.runner.advance(DAY)
        for volume_id in lab.volumes.values():
            lab.lab.protect(volume_id)
    assert set(runs[0].points) <= set(lab.lab.ids(DR))
    lab.carry_out(runs[0].id, Recover.run)
    assert lab.held() == []


def test_ec2_recovery_has_the_calls_of_holds() -> None:
    lab = RecoveryLab()
    ids = lab.lab.ids(DR)
    assert isinstance(lab.ec2(), Ec2Recovery)
    assert lab.ec2().tags_of([*ids, "snap-0123456789abcdef0"]).keys() == set(ids)
