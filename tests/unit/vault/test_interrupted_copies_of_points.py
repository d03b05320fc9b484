"""Copies of a vault's points for another account are finished or undone, wherever the process ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.domain.recovery.choice import Target
from snapkeep.domain.recovery.copy_steps import copy_steps
from snapkeep.domain.recovery.recovery_plan import RecoveryRun
from snapkeep.domain.tag_names import HOLD, RECOVERY
from snapkeep.lab.simulator.memory_ports import HookedPort, MemoryDocuments, StepKill
from snapkeep.usecases.recovery.all_actions import all_actions
from snapkeep.usecases.recovery.begin import new_run
from snapkeep.usecases.recovery.prepare_copies import prepare_copies
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.vaulting import CLEAN, DR, VAULT_ACCOUNT, VaultLaboratory, key_to_share, vault_with_two_points, volume_of


def copying(lab: VaultLaboratory, documents: MemoryDocuments, hook: Any = None) -> Recover:
    client = lab.world.client("ec2", DR, VAULT_ACCOUNT, caller="keeper")
    port: Any = HookedPort(client, "ec2", hook) if hook else client
    clock = lab.runner.composition.clock
    ec2 = Ec2Instances(client=port, region=DR)
    return Recover(journal=Journal(documents=documents), actions=all_actions(ec2, clock), clock=clock)


USABLE = SimpleNamespace(fault_of=lambda _: None, managed_by_aws=lambda _: False)


def begun(lab: VaultLaboratory, documents: MemoryDocuments) -> RecoveryRun:
    now = lab.runner.composition.clock.now()
    ec2 = Ec2Instances(client=lab.world.client("ec2", DR, VAULT_ACCOUNT), region=DR)
    reader = lab.runner.composition.points(DR)
    plan = prepare_copies(reader, ec2, Target((volume_of(lab),)), now, key_to_share(lab, CLEAN), CLEAN, USABLE)
    started = new_run(DR, tuple(point.id for point in plan.points), copy_steps(plan), plan.obstacles, "keeper", now)
    Journal(documents=documents).begin(started)
    return started


class KillAt:
    """Ends the process at the n-th call, counted before and after each."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, _: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise StepKill("killed")


@pytest.mark.parametrize("undo", [False, True])
def test_killed_at_any_call_it_is_resumed_or_undone(undo: bool) -> None:
    lab = vault_with_two_points()
    for number in range(1, 200):
        documents = MemoryDocuments()
        started = begun(lab, documents)
        try:
            session = copying(lab, documents, KillAt(number))
            session.run(session.journal.read(started.id))
        except StepKill:
            killed = True
        else:
            killed = False
        recover = copying(lab, documents)
        seen = recover.journal.read(started.id)
        if killed and not undo:
            seen = recover.run(seen)
        made = [copy for copy in lab.copies() if lab.tags(copy.id).get(RECOVERY) == started.id]
        if not undo:
            assert len(made) == 1, number
            assert list(lab.world.region_account(DR, VAULT_ACCOUNT).permissions[made[0].id]) == [CLEAN]
        recover.undo(recover.journal.read(started.id))
        assert not [copy for copy in lab.copies() if lab.tags(copy.id).get(RECOVERY) == started.id]
        assert not any(HOLD in lab.tags(copy.id) for copy in lab.copies())
        if not killed:
            return
    raise AssertionError("it makes more calls than were tried")
