"""The actions of recovery steps that make an instance, or replace its root volume: take, find, undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from snapkeep.domain.errors import RecoveryFailed
from snapkeep.domain.json_codec import from_json
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.launch_facts import Billing
from snapkeep.domain.recovery.rates import RATE
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryStep, StepKind
from snapkeep.domain.tag_names import RECOVERY, RECOVERY_STEP
from snapkeep.usecases.ports import Pacer
from snapkeep.usecases.recovery.actions import PATIENCE_SECONDS, VISIBLE_SECONDS, RecoveryEc2, looks, made_by, own_tags
from snapkeep.usecases.recovery.states import GONE, ImageState, InstanceState, RootReplacement, VolumeState

TASK_ENDED, TASK_FAILED = ("succeeded", "failed", "failed-detached"), ("failed", "failed-detached")
"""States of a replacement of a root volume (botocore: ec2 2016-11-15, ReplaceRootVolumeTaskState)."""
UNDO = "-undo"


class InstanceEc2(Protocol):
    """Makes and removes instances in one region. Raises AwsRefused, AwsThrottled, AwsUnavailable."""

    def images_named(self, name: str) -> list[ImageState]:
        """Return the account's AMIs of a name: one or none."""

    def register_image(self, request: Mapping[str, Any], name: str, tags: Mapping[str, str]) -> bool:
        """Register an AMI; return False where its name is taken."""

    def deregister_image(self, image_id: str) -> None:
        """Deregister an AMI; one that does not exist is deregistered."""

    def refusals_to_launch(
        self, request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str]
    ) -> list[str]:
        """Return why RunInstances, or DeregisterImage afterwards, would be refused, by dry runs."""

    def run_instance(
        self, request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str], token: str
    ) -> tuple[str, str]:
        """Launch an instance with tags, its volumes with those of its own; return its id, and a remark as `create_volume`."""

    def instances_of(self, tags: Mapping[str, str]) -> list[InstanceState]:
        """Return the instances that have all of these tags."""

    def instance(self, instance_id: str) -> InstanceState | None:
        """Return an instance; None if it does not exist."""

    def checks_passed(self, instance_id: str) -> bool:
        """Whether both status checks of an instance are passed now."""

    def tag(self, resource_ids: list[str], tags: Mapping[str, str]) -> None:
        """Write tags."""

    def set_source_dest_check(self, instance_id: str, *, enabled: bool) -> None:
        """Turn the source/destination check on or off."""

    def stop_instance(self, instance_id: str) -> None:
        """Start to stop an instance."""

    def terminate_instance(self, instance_id: str) -> None:
        """Start to terminate an instance, also one that is protected from it."""

    def replace_root(self, instance_id: str, source: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        """Start to replace a root volume; return the task's id."""

    def root_replacements(self, instance_id: str) -> list[RootReplacement]:
        """Return the tasks that replace, or replaced, the root volume of an instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceActions:
    """The actions of steps that make instances. Each may be called again after it was interrupted anywhere."""

    ec2: InstanceEc2
    volumes: RecoveryEc2
    pacer: Pacer

    def do(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Take a step, or find that it was taken; return it with its result. Raise RecoveryFailed where it cannot succeed."""
        actions: dict[StepKind, Callable[[RecoveryRun, RecoveryStep], RecoveryStep]] = {
            StepKind.REGISTER_IMAGE: self._register,
            StepKind.RUN_INSTANCE: self._launch,
            StepKind.WAIT_FOR_INSTANCE: self._await_running,
            StepKind.DEREGISTER_IMAGE: self._deregister,
            StepKind.SET_UP_INSTANCE: self._set_up,
            StepKind.CHECK_INSTANCE: self._check,
            StepKind.STOP_INSTANCE: self._stop,
            StepKind.REPLACE_ROOT: self._replace_root,
            StepKind.WAIT_FOR_ROOT: self._await_root,
        }
        return actions[step.kind](run, step)

    def undo(self, run: RecoveryRun, step: RecoveryStep) -> None:
        """Undo a step, whether it was taken, half taken or not. Raise RecoveryFailed if others use its resource."""
        match step.kind:
            case StepKind.RUN_INSTANCE:
                self._terminate(run, step)
            case StepKind.REGISTER_IMAGE:
                for image in made_by(step, lambda: self.ec2.images_named(_image_name(run, step)), self.pacer):
                    self.ec2.deregister_image(image.id)
            case StepKind.REPLACE_ROOT:
                self._put_root_back(run, step)
            case _:  # the other steps make nothing
                pass

    # The AMI

    def _register(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Register the AMI, unless its name shows it: RegisterImage has no client token, and a name is unique in a region."""
        name = _image_name(run, step)
        if not self.ec2.images_named(name):
            self.ec2.register_image(step.parameters["request"], name, own_tags(run, step))
        image = self._image(name)
        recorded = from_json(Billing, step.parameters["billing"])
        if image.billing != recorded:
            self.ec2.deregister_image(image.id)
            raise RecoveryFailed(
                f"the AMI of the points would be billed as {image.billing.text}, the instance was billed as {recorded.text}: "
                f"{image.id} was deregistered, and nothing was launched. Undo {run.id}; then {step.parameters['otherwise']}"
            )
        return replace(step, result=image.id)

    def _deregister(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        self.ec2.deregister_image(run.step(step.made_by).result)
        return step

    def _image(self, name: str) -> ImageState:
        """Return a new AMI once it is available: EC2 may show it late."""
        image = None
        for _ in looks(self.pacer):
            image = next(iter(self.ec2.images_named(name)), None)
            if image and image.state == "available":
                return image
            if image and image.state not in ("pending", "transient"):
                break
        raise RecoveryFailed(f"the AMI {name} is {image.state if image else 'not shown by EC2'}; resume later, or undo")

    # The instance

    def _launch(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        """Launch the instance, unless its tags show it: EC2 forgets a client token, and this may be resumed days later."""
        made = self._made(run, step)
        if made:
            return replace(step, result=made[0].id)
        image_id, request, tags = run.step(step.made_by).result, step.parameters["request"], run.tags_of(step)
        refusals = self.ec2.refusals_to_launch(request, image_id, tags, own_tags(run, step))
        if refusals:
            raise RecoveryFailed(f"nothing was launched: {'; '.join(refusals)}. Undo {run.id}, and recover again")
        instance_id, remark = self.ec2.run_instance(request, image_id, tags, own_tags(run, step), run.token(step))
        return replace(step, result=instance_id, remark=remark)

    def _await_running(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        instance_id = run.step(step.made_by).result
        self._await(instance_id, lambda instance: instance.state == "running")
        return replace(step, result=instance_id)

    def _stop(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        instance_id = run.step(step.made_by).result
        self.ec2.stop_instance(instance_id)
        self._await(instance_id, lambda instance: instance.state == "stopped")
        return replace(step, result=instance_id)

    def _set_up(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        instance_id = run.step(step.made_by).result
        devices: Mapping[str, Mapping[str, str]] = step.parameters["volumes"]
        instance = self._await(instance_id, lambda seen: devices.keys() <= seen.volumes.keys())
        for device, tags in devices.items():
            self.ec2.tag([instance.volumes[device]], tags)
        if not step.parameters["source_dest_check"]:
            self.ec2.set_source_dest_check(instance_id, enabled=False)
        return replace(step, result=instance_id)

    def _check(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        instance_id = run.step(step.made_by).result
        if any(self.ec2.checks_passed(instance_id) for _ in looks(self.pacer)):
            return replace(step, result=instance_id)
        raise RecoveryFailed(
            f"{instance_id} does not pass its status checks after {PATIENCE_SECONDS:.0f} seconds. Look at `aws ec2 "
            f"get-console-output --region {run.region} --instance-id {instance_id}`; resume checks again, undo removes it"
        )

    def _terminate(self, run: RecoveryRun, step: RecoveryStep) -> None:
        own = own_tags(run, step)
        for instance in made_by(step, lambda: self.ec2.instances_of(own), self.pacer):
            if instance.state == "terminated":
                continue
            # Before the instance ends: what others attached to it may be in use.
            for volume_id in instance.volumes.values():
                volume = self.volumes.volume(volume_id)
                if volume and volume.tags.get(RECOVERY) != run.id:
                    raise RecoveryFailed(f"{volume_id} is attached to {instance.id}, and not by this recovery: detach it first")
            if instance.state not in GONE:
                self.ec2.terminate_instance(instance.id)
            self._await(instance.id, lambda seen: seen.state == "terminated", expected=GONE)
        for volume in self._left(own):
            if volume.attachments:
                users = ", ".join(volume.attachments)
                raise RecoveryFailed(f"{volume.id} is attached to {users}, and not by this recovery: detach it first")
            self.volumes.delete_volume(volume.id)

    def _left(self, own: Mapping[str, str]) -> list[VolumeState]:
        """Return the volumes that remain of an instance, once none is attached to it."""
        remaining: list[VolumeState] = []
        for _ in looks(self.pacer, VISIBLE_SECONDS):
            ended = {instance.id for instance in self.ec2.instances_of(own)}
            remaining = [volume for volume in self.volumes.volumes_of(own) if volume.state not in ("deleting", "deleted")]
            if not any(ended & volume.attachments.keys() for volume in remaining):
                break
        return remaining

    # The root volume in place

    def _replace_root(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        task = self._task(run, step, step.id)
        if task is None:
            source = {"SnapshotId": step.parameters["snapshot"]}
            if rate := step.parameters.get("rate_mibps"):
                source[RATE] = rate
            own = own_tags(run, step)
            task_id, remark = self.ec2.replace_root(step.parameters["instance"], source, own, run.token(step))
            return replace(step, result=task_id, remark=remark)
        return replace(step, result=task.id)

    def _await_root(self, run: RecoveryRun, step: RecoveryStep) -> RecoveryStep:
        made_by = run.step(step.made_by)
        self._await_task(run, made_by, made_by.id)
        return replace(step, result=self._root_of(made_by.parameters["instance"]))

    def _put_root_back(self, run: RecoveryRun, step: RecoveryStep) -> None:
        """Let the former root volume take its place again; the volume that the recovery made is deleted with that."""
        instance_id, former = step.parameters["instance"], step.parameters["root"]
        tasks = made_by(step, lambda: [task] if (task := self._task(run, step, step.id)) else [], self.pacer)
        if not tasks:
            return
        if tasks[0].state not in TASK_ENDED:
            self._wait_for_end(run, step, step.id)
        root, made = self._root_of(instance_id), next((other.result for other in run.steps if other.made_by == step.id), "")
        if root == former:
            return
        if made and root != made:
            raise RecoveryFailed(f"the root volume of {instance_id} is {root}, which this recovery did not make: it stays")
        if self._task(run, step, step.id + UNDO) is None:
            tags = {RECOVERY: run.id, RECOVERY_STEP: step.id + UNDO}
            source = {"VolumeId": former, "DeleteReplacedRootVolume": True}
            self.ec2.replace_root(instance_id, source, tags, run.token(step) + UNDO)
        self._await_task(run, step, step.id + UNDO)

    def _await_task(self, run: RecoveryRun, step: RecoveryStep, name: str) -> None:
        task = self._wait_for_end(run, step, name)
        if task.state in TASK_FAILED:
            raise RecoveryFailed(
                f"{task.id} is {task.state}: EC2 did not replace the root volume of {step.parameters['instance']}, and gives no "
                "reason; a KMS key that cannot be used, or an instance that was stopped, is one"
            )

    def _wait_for_end(self, run: RecoveryRun, step: RecoveryStep, name: str) -> RootReplacement:
        state = ""
        for _ in looks(self.pacer):
            task = self._task(run, step, name)
            if task and task.state in TASK_ENDED:
                return task
            state = task.state if task else "not shown by EC2"
        waited = f"after {PATIENCE_SECONDS:.0f} seconds"
        raise RecoveryFailed(f"the replacement of the root volume is still {state} {waited}; resume later")

    def _task(self, run: RecoveryRun, step: RecoveryStep, name: str) -> RootReplacement | None:
        tasks = self.ec2.root_replacements(step.parameters["instance"])
        return next((task for task in tasks if (task.tags.get(RECOVERY), task.tags.get(RECOVERY_STEP)) == (run.id, name)), None)

    def _root_of(self, instance_id: str) -> str:
        instance = self.ec2.instance(instance_id)
        if instance is None or instance.root_device not in instance.volumes:
            raise RecoveryFailed(f"{instance_id} has no root volume any more, or does not exist")
        return instance.volumes[instance.root_device]

    # Waiting

    def _made(self, run: RecoveryRun, step: RecoveryStep) -> list[InstanceState]:
        """Return what a step launched: EC2 knows it by its tags, also where the journal does not know it yet."""
        return [instance for instance in self.ec2.instances_of(own_tags(run, step)) if instance.state not in GONE]

    def _await(self, instance_id: str, test: Callable[[InstanceState], bool], expected: tuple[str, ...] = ()) -> InstanceState:
        """Return an instance once it is so. Raise RecoveryFailed where it never will be, or is not soon."""
        state = ""
        for waited in looks(self.pacer):
            instance = self.ec2.instance(instance_id)
            if instance and test(instance):
                return instance
            state = instance.state if instance else "not shown by EC2"
            if (instance and state in GONE and state not in expected) or (instance is None and waited >= VISIBLE_SECONDS):
                reason = instance.reason if instance and instance.reason else "EC2 gives no reason"
                raise RecoveryFailed(f"{instance_id} is {state}: {reason}; a KMS key that cannot be used is one. Undo it")
        raise RecoveryFailed(f"{instance_id} is still {state} after {PATIENCE_SECONDS:.0f} seconds; resume later")


def _image_name(run: RecoveryRun, step: RecoveryStep) -> str:
    """Return the name of a step's AMI: 3 to 128 characters (EC2 API reference: RegisterImage)."""
    return run.token(step)
