"""The actions of recovery steps in EC2: take a step, find a step that was taken before, undo a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from snapkeep.domain.errors import RecoveryFailed
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryStep, StepKind, StepState
from snapkeep.domain.tag_names import RECOVERY, RECOVERY_STEP
from snapkeep.usecases.ports import Pacer
from snapkeep.usecases.recovery.holding import PointHolds, SnapshotTags
from snapkeep.usecases.recovery.states import VolumeState

Made = TypeVar("Made")


class RecoveryEc2(SnapshotTags, Protocol):
    """Makes and removes the resources of a recovery in one region.

    Raises AwsRefused, AwsThrottled, AwsUnavailable, SnapshotGone.
    """

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        """Return the volumes that have all of these tags."""

    def volume(self, volume_id: str) -> VolumeState | None:
        """Return a volume; None if it does not exist."""

    def create_volume(self, request: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        """Make a volume; return its id, and a remark where it differs from the request."""

    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        """Start to attach a volume."""

    def detach(self, volume_id: str, instance_id: str) -> None:
        """Start to detach a volume."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; one that does not exist is deleted."""


class StepActions(Protocol):
    """The actions of some kinds of steps."""

    def do(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Take a step, or find that it was taken; return it with its result. Raise RecoveryFailed where it cannot succeed."""

    def undo(self, run: RecoveryRun, step: RecoveryStep) -> None:
        """Undo a step, whether it was taken, half taken or not. Raise RecoveryFailed if others use its resource."""


VISIBLE_SECONDS = 60.0
"""The time for which EC2's eventually consistent answers may lack a new volume."""
POLL_SECONDS, PATIENCE_SECONDS = 5.0, 900.0
"""How often a volume is looked at, and how long; a volume is available within seconds, and attached within seconds."""


def looks(pacer: Pacer, most_seconds: float = PATIENCE_SECONDS) -> Iterator[float]:
    """Yield once for each look at something that is awaited, with the seconds that were waited so far."""
    waited = 0.0
    yield waited
    while waited < most_seconds:
        pacer.pause(POLL_SECONDS)
        waited += POLL_SECONDS
        yield waited


def made_by(step: RecoveryStep, look: Callable[[], list[Made]], pacer: Pacer) -> list[Made]:
    """Return what a step made, by one look or two: EC2 is eventually consistent, and it may have been made a moment ago."""
    made = look()
    if not made and step.state is StepState.PLANNED:
        pacer.pause(POLL_SECONDS)
        made = look()
    return made


def own_tags(run: RecoveryRun, step: RecoveryStep) -> dict[str, str]:
    """Return the tags by which what a step makes is found."""
    return {RECOVERY: run.id, RECOVERY_STEP: step.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """The actions of all kinds of steps. Each may be called again after it was interrupted anywhere."""

    ec2: RecoveryEc2
    pacer: Pacer
    others: StepActions
    """The actions of steps that make instances, or copies."""

    def do(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Take a step, or find that it was taken; return it with its result. Raise RecoveryFailed where it cannot succeed."""
        match step.kind:
            case StepKind.HOLD:
                full = PointHolds(self.ec2).hold(step.parameters["snapshots"], run.id, run.started_at)
                remark = f"not held, as its tags leave no room: {', '.join(full)}" if full else ""
                return replace(step, remark=remark)
            case StepKind.CREATE_VOLUME:
                return self._create(run, step)
            case StepKind.WAIT_FOR_VOLUME:
                volume_id = run.step(step.made_by).result
                self._wait(volume_id, lambda volume: volume.state in ("available", "in-use"))
                return replace(step, result=volume_id)
            case StepKind.ATTACH_VOLUME:
                return self._attach(run, step)
            case StepKind.RELEASE:
                PointHolds(self.ec2).release(step.parameters["snapshots"], run.id)
                return step
            case _:
                return self.others.do(run, step)

    def let_listings_follow(self) -> None:
        """Wait until EC2, which is eventually consistent, shows what an interrupted session made a moment ago."""
        self.pacer.pause(POLL_SECONDS)

    def undo(self, run: RecoveryRun, step: RecoveryStep) -> None:
        """Undo a step, whether it was taken, half taken or not. Raise RecoveryFailed if others use its resource."""
        match step.kind:
            case StepKind.ATTACH_VOLUME:
                self._detach(run, step)
            case StepKind.CREATE_VOLUME:
                self._delete(run, step)
            case StepKind.HOLD:
                PointHolds(self.ec2).release(step.parameters["snapshots"], run.id)
            case StepKind.WAIT_FOR_VOLUME | StepKind.RELEASE:
                pass
            case _:
                self.others.undo(run, step)

    def _create(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Create the volume, unless its tags show it: EC2 forgets a client token, and this may be resumed days later."""
        made = self._made(run, step)
        if made:
            return replace(step, result=made[0].id)
        volume_id, remark = self.ec2.create_volume(step.parameters["request"], run.tags_of(step), run.token(step))
        return replace(step, result=volume_id, remark=remark)

    def _attach(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        volume_id = run.step(step.made_by).result
        instance_id, device = step.parameters["instance"], step.parameters["device"]
        volume = self.ec2.volume(volume_id)
        if volume is None:
            raise RecoveryFailed(f"{volume_id} does not exist any more; undo {run.id} and recover again")
        if not volume.attachment_state(instance_id, device):
            if volume.attachments:
                raise RecoveryFailed(f"{volume_id} is attached to {', '.join(volume.attachments)} already")
            self.ec2.attach(volume_id, instance_id, device)
        self._wait(volume_id, lambda volume: volume.attachment_state(instance_id, device) == "attached")
        return replace(step, result=volume_id)

    def _detach(self, run: RecoveryRun, step: RecoveryStep) -> None:
        instance_id, device = step.parameters["instance"], step.parameters["device"]
        for volume in self._made(run, run.step(step.made_by)):
            if volume.attachment_state(instance_id, device):
                self.ec2.detach(volume.id, instance_id)
                self._wait(volume.id, lambda seen: instance_id not in seen.attachments)

    def _delete(self, run: RecoveryRun, step: RecoveryStep) -> None:
        for volume in made_by(step, lambda: self._made(run, step), self.pacer):
            if volume.attachments:
                users = ", ".join(volume.attachments)
                raise RecoveryFailed(f"{volume.id} is attached to {users}, and not by this recovery: detach it first")
            if volume.state == "creating":  # EC2 refuses to delete it in this state
                self._wait(volume.id, lambda seen: seen.state != "creating")
            self.ec2.delete_volume(volume.id)

    def _made(self, run: RecoveryRun, step: RecoveryStep) -> list[VolumeState]:
        """Return what a step made: EC2 knows it by its tags, also where the journal does not know it yet."""
        tagged = self.ec2.volumes_of(own_tags(run, step))
        return [volume for volume in tagged if volume.state not in ("deleting", "deleted")]

    def _wait(self, volume_id: str, ready: Callable[[VolumeState], bool]) -> None:
        state = ""
        for waited in looks(self.pacer):
            volume = self.ec2.volume(volume_id)
            if volume and ready(volume):
                return
            state = volume.state if volume else "not shown by EC2"
            if state in ("error", "deleting", "deleted") or (volume is None and waited >= VISIBLE_SECONDS):
                raise RecoveryFailed(f"{volume_id} could not be made: EC2 gives no reason; a KMS key that cannot be used is one")
        raise RecoveryFailed(f"{volume_id} is still {state} after {PATIENCE_SECONDS:.0f} seconds; resume later")
