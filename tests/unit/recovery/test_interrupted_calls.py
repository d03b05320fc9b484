"""A recovery and its undo, ended before and after each single call of EC2 and S3, and continued by somebody else elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryState
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.simulator.memory_ports import Hook, HookedPort
from snapkeep.usecases.recovery.recover import Journal, Recover
from snapkeep.usecases.recovery.states import VolumeState
from support.flows import DR
from support.recovering import KillAt, Killed, RecoveryLab

Action = Callable[[Recover, RecoveryRun], RecoveryRun]


@pytest.fixture(scope="module")
def lab() -> RecoveryLab:
    return RecoveryLab()


def begin(lab: RecoveryLab) -> RecoveryRun:
    """Return a run whose second volume exceeds the quota of rates, so that it is requested twice."""
    run = lab.begin(lab.plan(rate_mibps=300))
    lab.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="CreateVolume", code="ResourceLimitExceeded", http_status=400, skip=1, times=1)
    )
    return run


def kill(lab: RecoveryLab, run: RecoveryRun, action: Action, moment: int) -> bool:
    """Carry out an action until a moment; return whether it was reached."""
    recover = lab.recover_by_calls(KillAt(moment))
    try:
        action(recover, recover.journal.read(run.id))
    except Killed:
        return True
    finally:
        lab.lab.world.set_faults(Faults())
        lab.lab.runner.advance(30)  # within EC2's request rates
    return False


def resume(lab: RecoveryLab, run: RecoveryRun, action: Action) -> RecoveryRun:
    ended = lab.carry_out(run.id, action, caller="somebody-else")
    lab.lab.runner.advance(30)
    return ended


def test_a_recovery_ended_at_any_call_and_resumed_makes_each_volume_once(lab: RecoveryLab) -> None:
    moment, reached = 0, True
    while reached:
        moment += 1
        run = begin(lab)
        reached = kill(lab, run, Recover.run, moment)
        ended = resume(lab, run, Recover.run)
        assert ended.state is RecoveryState.COMPLETED, moment
        assert len(lab.made(run)) == len({step.result for step in ended.steps if step.id.startswith("create")}) == 3, moment
        assert lab.held() == [], moment
        resume(lab, run, Recover.undo)
        assert lab.made(run) == [], moment
    assert moment > 40, "each call is a moment before it and one after it"


def test_an_undo_ended_at_any_call_is_continued_and_leaves_nothing(lab: RecoveryLab) -> None:
    moment, reached = 0, True
    while reached:
        moment += 1
        run = begin(lab)
        resume(lab, run, Recover.run)
        reached = kill(lab, run, Recover.undo, moment)
        assert resume(lab, run, Recover.undo).state is RecoveryState.UNDONE, moment
        assert (lab.made(run), lab.held()) == ([], []), moment
    assert moment > 40


def test_an_undo_of_a_recovery_ended_at_any_call_leaves_nothing(lab: RecoveryLab) -> None:
    moment, reached = 0, True
    while reached:
        moment += 1
        run = begin(lab)
        reached = kill(lab, run, Recover.run, moment)
        assert resume(lab, run, Recover.undo).state is RecoveryState.UNDONE, moment
        assert (lab.made(run), lab.held()) == ([], []), moment


class LateListing(Ec2Recovery):
    """EC2 whose listings show a volume three seconds after it was made."""

    def __init__(self, lab: RecoveryLab, made_at: dict[str, datetime]) -> None:
        super().__init__(client=lab.lab.world.client("ec2", DR), region=DR)  # type: ignore[arg-type]
        self.lab, self.made_at = lab, made_at

    def create_volume(self, request: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        made = super().create_volume(request, tags, token)
        self.made_at.setdefault(made[0], self.lab.clock.now())
        return made

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        shown = self.lab.clock.now() - timedelta(seconds=3)
        return [volume for volume in super().volumes_of(tags) if self.made_at.get(volume.id, shown) <= shown]


def test_a_recovery_resumed_at_once_finds_a_volume_that_is_shown_late() -> None:
    """Its first request was refused for the quota of rates, so that its token would make another volume."""
    lab = RecoveryLab()
    run, made_at = lab.begin(lab.plan(rate_mibps=300, attach=False)), dict[str, datetime]()
    lab.lab.world.add_fault(
        FaultRule("api_error", region=DR, action="CreateVolume", code="ResourceLimitExceeded", http_status=400, times=1)
    )

    def session(hook: Hook) -> Recover:
        ec2: Any = HookedPort(LateListing(lab, made_at), "ec2", hook)
        return replace(lab.recover(), journal=Journal(documents=lab.documents), actions=replace(lab.recover().actions, ec2=ec2))

    def end_after_the_first_volume(_: str) -> None:
        if made_at:
            raise Killed

    killed, resumed = session(end_after_the_first_volume), session(lambda _: None)
    with pytest.raises(Killed):
        killed.run(killed.journal.read(run.id))
    assert resumed.run(resumed.journal.read(run.id)).state is RecoveryState.COMPLETED
    assert len(lab.made(run)) == 3
