"""A recovery is undone while another session still carries it out: nothing of it is left."""

from __future__ import annotations

from contextlib import suppress

import pytest

from snapkeep.domain.errors import RecoveryFailed, SnapkeepError
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryState
from snapkeep.usecases.recovery.recover import Recover
from support.recovering import KillAt, Killed, RecoveryLab


@pytest.fixture(scope="module")
def lab() -> RecoveryLab:
    return RecoveryLab()


def moments(lab: RecoveryLab, action: object) -> range:
    run, count = lab.begin(), KillAt(0)
    if action is Recover.undo:
        with pytest.raises(Killed):
            lab.carry_out(run.id, Recover.run, hook=KillAt(20))
    lab.carry_out(run.id, action, hook=count)  # type: ignore[arg-type]
    lab.carry_out(run.id, Recover.undo)
    return range(1, count.seen + 1)


def test_an_undo_stops_a_run_at_any_moment_and_leaves_nothing(lab: RecoveryLab) -> None:
    for moment in moments(lab, Recover.run):
        run, seen = lab.begin(), KillAt(0)

        def undo(name: str, run: RecoveryRun = run, seen: KillAt = seen, moment: int = moment) -> None:
            seen(name)
            if seen.seen == moment:
                with suppress(RecoveryFailed):  # attached since it looked: repeated below, as a person would
                    lab.carry_out(run.id, Recover.undo)

        with suppress(SnapkeepError):
            lab.carry_out(run.id, Recover.run, hook=undo)
        assert lab.carry_out(run.id, Recover.undo).state is RecoveryState.UNDONE
        assert (lab.made(run), lab.held()) == ([], []), moment


def test_a_session_that_makes_a_volume_during_an_undo_removes_it_itself(lab: RecoveryLab) -> None:
    run, seen = lab.begin(), KillAt(0)

    def undo(name: str) -> None:
        if name == "ec2.create_volume" and not seen.seen:
            seen(name)
            lab.carry_out(run.id, Recover.undo)

    with pytest.raises(RecoveryFailed, match="is being undone"):
        lab.carry_out(run.id, Recover.run, hook=undo)
    assert (lab.made(run), lab.held()) == ([], [])


def test_a_runner_that_is_late_in_an_undo_leaves_nothing(lab: RecoveryLab) -> None:
    for moment in moments(lab, Recover.undo):
        run, seen = lab.begin(), KillAt(0)
        with pytest.raises(Killed):
            lab.carry_out(run.id, Recover.run, hook=KillAt(20))
        late = lab.recover()
        known = late.journal.read(run.id)

        def run_on(
            name: str, seen: KillAt = seen, moment: int = moment, late: Recover = late, known: RecoveryRun = known
        ) -> None:
            seen(name)
            if seen.seen == moment:
                with suppress(SnapkeepError):
                    late.run(known)

        try:
            lab.carry_out(run.id, Recover.undo, hook=run_on)
        except SnapkeepError:
            lab.carry_out(run.id, Recover.undo)
        assert lab.recover().journal.read(run.id).state is RecoveryState.UNDONE
        assert (lab.made(run), lab.held()) == ([], []), moment


def test_an_undo_of_an_undone_recovery_looks_again(lab: RecoveryLab) -> None:
    """The session that carried it out was ended after CreateVolume, and before it could remove the volume."""
    run, seen = lab.begin(), KillAt(0)

    def undo_and_end(name: str) -> None:
        if name == "ec2.create_volume":
            seen(name)
            if seen.seen == 1:
                lab.carry_out(run.id, Recover.undo)
            else:
                raise Killed(name)

    with pytest.raises(Killed):
        lab.carry_out(run.id, Recover.run, hook=undo_and_end)
    assert len(lab.made(run)) == 1
    lab.carry_out(run.id, Recover.undo)
    assert lab.made(run) == []


def test_an_undo_removes_nothing_of_another_recovery(lab: RecoveryLab) -> None:
    """The volumes of both have one name."""
    first, second = (lab.begin(lab.plan(attach=False)) for _ in range(2))
    for run in (first, second):
        lab.carry_out(run.id, Recover.run)
    lab.carry_out(first.id, Recover.undo)
    assert (len(lab.made(first)), len(lab.made(second))) == (0, 3)
    lab.carry_out(second.id, Recover.undo)
