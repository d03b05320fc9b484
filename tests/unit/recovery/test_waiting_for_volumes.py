"""A recovery waits for EC2, which shows new volumes late, and not for volumes that cannot become available."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.domain.errors import RecoveryFailed
from snapkeep.domain.recovery.recovery_plan import RecoveryState
from snapkeep.usecases.recovery.actions import RecoveryEc2
from snapkeep.usecases.recovery.recover import Recover
from snapkeep.usecases.recovery.states import VolumeState
from support.flows import DR
from support.recovering import RecoveryLab


def test_an_attachment_is_awaited_until_ec2_ends_it() -> None:
    lab = RecoveryLab()
    lab.lab.world.change_speeds(attachment_seconds=30.0)
    run = lab.begin()
    lab.carry_out(run.id, Recover.run)
    assert {volume["Attachments"][0]["State"] for volume in lab.made(run)} == {"attached"}


class LateEc2(Ec2Recovery):
    """EC2 that does not show a new volume at first: its listings are eventually consistent."""

    looks = 0

    def volume(self, volume_id: str) -> VolumeState | None:
        self.looks += 1
        return None if self.looks <= 2 else super().volume(volume_id)


def test_a_new_volume_that_ec2_does_not_show_yet_is_awaited() -> None:
    lab = RecoveryLab()
    run = lab.begin(lab.plan(attach=False))
    recover = lab.recover()
    ec2 = LateEc2(client=lab.lab.world.client("ec2", DR), region=DR)
    late = replace_actions(recover, ec2)
    assert late.run(late.journal.read(run.id)).state is RecoveryState.COMPLETED


class GoneEc2(Ec2Recovery):
    """EC2 that shows volumes in one state."""

    state = ""

    def volume(self, volume_id: str) -> VolumeState | None:
        volume = super().volume(volume_id)
        return replace(volume, state=self.state) if volume else None


@pytest.mark.parametrize("state", ["error", "deleting", "deleted"])
def test_no_volume_is_awaited_that_cannot_become_available(state: str) -> None:
    lab = RecoveryLab()
    run = lab.begin(lab.plan(attach=False))
    ec2 = GoneEc2(client=lab.lab.world.client("ec2", DR), region=DR)
    ec2.state = state
    gone, before = replace_actions(lab.recover(), ec2), lab.clock.now()
    with pytest.raises(RecoveryFailed, match="could not be made"):
        gone.run(gone.journal.read(run.id))
    assert lab.clock.now() == before, "it waited"


def replace_actions(recover: Recover, ec2: RecoveryEc2) -> Recover:
    return Recover(journal=recover.journal, actions=replace(recover.actions, ec2=ec2), clock=recover.clock)


class FailedEc2(Ec2Recovery):
    """EC2 whose volumes are in state `error`."""

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        return [replace(volume, state="error") for volume in super().volumes_of(tags)]


def test_an_undo_deletes_volumes_in_state_error() -> None:
    lab = RecoveryLab()
    run = lab.begin(lab.plan(attach=False))
    lab.carry_out(run.id, Recover.run)
    undo = replace_actions(lab.recover(), FailedEc2(client=lab.lab.world.client("ec2", DR), region=DR))
    undo.undo(undo.journal.read(run.id))
    assert lab.made(run) == []
