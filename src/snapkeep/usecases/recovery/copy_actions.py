"""The actions of steps that copy points under another key and share the copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from snapkeep.domain.errors import RecoveryFailed
from snapkeep.domain.model import SnapshotState
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryStep, StepKind
from snapkeep.usecases.ports import Pacer
from snapkeep.usecases.recovery.actions import PATIENCE_SECONDS, VISIBLE_SECONDS, StepActions, looks, made_by, own_tags
from snapkeep.usecases.recovery.states import MadeSnapshot


class CopyEc2(Protocol):
    """Makes, shares and removes copies in one region. Raises AwsRefused, AwsThrottled, AwsUnavailable."""

    def snapshots_of(self, tags: Mapping[str, str]) -> list[MadeSnapshot]:
        """Return the account's snapshots that have all of these tags."""

    def copy_point(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Start a copy with its tags in the call; return its id."""

    def share_copy(self, snapshot_id: str, account: str) -> None:
        """Let an account make volumes and copies of a snapshot."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot, with its shares; one that does not exist is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyActions:
    """The actions of these steps; those of all others are `others`'. Each may be called again after it was interrupted."""

    ec2: CopyEc2
    pacer: Pacer
    others: StepActions

    def do(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Take a step, or find that it was taken; return it with its result. Raise RecoveryFailed where it cannot succeed."""
        match step.kind:
            case StepKind.COPY_POINT:
                # CopySnapshot has no client token (botocore: ec2 2016-11-15): what was made is found by its tags.
                made = self._made(run, step)
                copy_id = made[0].id if made else self.ec2.copy_point(step.parameters["request"], run.tags_of(step))
                return replace(step, result=copy_id)
            case StepKind.WAIT_FOR_COPY:
                return replace(step, result=self._wait(run, run.step(step.made_by)))
            case StepKind.SHARE_COPY:
                copy_id = run.step(step.made_by).result
                self.ec2.share_copy(copy_id, step.parameters["account"])
                return replace(step, result=copy_id)
            case _:
                return self.others.do(run, step)

    def undo(self, run: RecoveryRun, step: RecoveryStep) -> None:
        """Undo a step, whether it was taken, half taken or not: a copy is deleted, and its shares with it."""
        match step.kind:
            case StepKind.COPY_POINT:
                for copy in made_by(step, lambda: self._made(run, step), self.pacer):
                    self.ec2.delete_snapshot(copy.id)
            case StepKind.WAIT_FOR_COPY | StepKind.SHARE_COPY:
                pass
            case _:
                self.others.undo(run, step)

    def _made(self, run: RecoveryRun, step: RecoveryStep) -> list[MadeSnapshot]:
        return self.ec2.snapshots_of(own_tags(run, step))

    def _wait(self, run: RecoveryRun, copying: RecoveryStep) -> str:
        """Return the id of a copy once it is complete. A copy can take hours: the recovery is resumed then."""
        for waited in looks(self.pacer):
            copy = next(iter(self._made(run, copying)), None)
            if copy and copy.state == SnapshotState.COMPLETED:
                return copy.id
            if copy and copy.state == SnapshotState.ERROR:
                raise RecoveryFailed(f"{copy.id} failed: {copy.message or 'EC2 gives no reason'}; undo {run.id}")
            if copy is None and waited >= VISIBLE_SECONDS:
                raise RecoveryFailed(f"{copying.result} does not exist any more; undo {run.id}")
        raise RecoveryFailed(f"{copying.result} is still pending after {PATIENCE_SECONDS:.0f} seconds; resume later")
