"""The composition of the actions of all kinds of recovery steps."""

from __future__ import annotations

from typing import Protocol

from snapkeep.usecases.ports import Pacer
from snapkeep.usecases.recovery.actions import Actions, RecoveryEc2
from snapkeep.usecases.recovery.copy_actions import CopyActions, CopyEc2
from snapkeep.usecases.recovery.instance_actions import InstanceActions, InstanceEc2


class RecoveryCalls(RecoveryEc2, InstanceEc2, CopyEc2, Protocol):
    """All calls of recoveries to EC2, in one region."""


def all_actions(ec2: RecoveryCalls, pacer: Pacer) -> Actions:
    """Return the actions of all kinds of steps."""
    instances = InstanceActions(ec2=ec2, volumes=ec2, pacer=pacer)
    return Actions(ec2=ec2, pacer=pacer, others=CopyActions(ec2=ec2, pacer=pacer, others=instances))
