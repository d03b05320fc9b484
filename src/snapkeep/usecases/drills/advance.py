"""The deciding step of a drill: hold the point, watch the volume, conclude with evidence.

The state machine calls it repeatedly, with the steps that make, prove and remove in between.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from snapkeep.domain.drills.instances import DrilledInstance
from snapkeep.domain.drills.ledger import DrillEvidence, page_key
from snapkeep.domain.drills.run import DrillRun, DrillStep, summary_of
from snapkeep.domain.errors import AwsRefused, AwsUnavailable, SnapshotGone
from snapkeep.domain.policy.drill_rules import DrillCommand
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.proof import Proof
from snapkeep.domain.tag_names import DRILL, INSTANCE
from snapkeep.usecases.drills.ledger_store import LedgerStore
from snapkeep.usecases.drills.plan import DrillPlanner
from snapkeep.usecases.drills.ports import DrillReader, InstanceCommands, MadeResource, Removal
from snapkeep.usecases.ports import Clock, PageStore
from snapkeep.usecases.recovery.holding import PointHolds
from snapkeep.usecases.recovery.states import GONE

COMPLETE = 100
DELIVERED_WITHIN = timedelta(minutes=5)
"""The time within which an agent must receive a command, or the command does not run. Systems Manager lists a command within
the same time."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of the previous step."""

    step: DrillStep
    made: MadeResource | None = None
    proof: Proof | None = None
    """None while the comparison has not ended."""
    removal: Removal | None = None
    failure: str = ""
    """The cause of a failed step; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceDrill:
    """Advances drills from one step to the next."""

    reader: DrillReader
    commands: InstanceCommands
    planner: DrillPlanner
    holds: PointHolds
    ledger: LedgerStore
    pages: PageStore
    render: Callable[[DrillEvidence], str]
    clock: Clock
    version: str

    def begin(self, run_id: str, *, end: bool) -> DrillRun | None:
        """Return an open drill with its point held; None if the ledger does not have it as open.

        With `end`, the drill has to end, because it did not end by itself.
        """
        run = self.ledger.read().run(run_id)
        if run is None:
            return None
        if end:
            return run.failed("it did not come to its end by itself: its execution was stopped, or failed")
        if run.of_instances:
            run = self.planner.planned(run)
            if run.failure:
                return run
        try:
            full = self.holds.hold(run.points, run.id, run.asked_at)
        except SnapshotGone as error:
            return run.failed(f"its point was deleted: {error}")
        return run.failed(f"the tags of {', '.join(full)} leave no room to hold it") if full else run

    def advance(self, run: DrillRun, result: StepResult, *, repeated: bool = False) -> DrillRun:
        """Return the drill after a step, and after a look at the resources that it waits for.

        `repeated` is whether an earlier call had the same run; that call may have been interrupted anywhere.
        """
        now = self.clock.now()
        match result.step:
            case DrillStep.MAKE:
                run = _after_making(run, result)
            case DrillStep.WAIT if run.of_instances:
                for place in range(len(run.instances)):
                    run = self._look_at_instance(run, place, now, repeated=repeated)
            case DrillStep.WAIT:
                run = self._look(run, now)
            case DrillStep.PROVE if result.failure:
                run = run.failed(result.failure)
            case DrillStep.PROVE if result.proof is not None:
                run = replace(run, proof=summary_of(result.proof))
            case DrillStep.REMOVE:
                run = _after_removal(run, result, now)
        why = run.ended_early(now)
        return run.failed(why) if why else run

    def _look(self, run: DrillRun, now: datetime) -> DrillRun:
        volume = self.reader.volume(run.restored_id)
        if volume is None or volume.state in ("deleting", "deleted"):
            # EC2's answers may lack a new volume for a while; a volume that they once had was deleted.
            return run.failed(f"{run.restored_id} was deleted by others") if run.available_at else run
        if volume.attachments:
            return run.failed(f"{run.restored_id} was attached to {', '.join(volume.attachments)}: its content may have changed")
        if volume.state == "error":
            return run.failed(f"{run.restored_id} could not be made: EC2 gives no reason; a KMS key that cannot be used is one")
        if run.available_at is None and volume.state in ("available", "in-use"):
            run = replace(run, available_at=now)
        if run.available_at is not None and run.initialised_at is None:
            percent = self.reader.initialised_percent(run.restored_id) or 0
            run = replace(run, progress_percent=percent, initialised_at=now if percent >= COMPLETE else None)
        if run.snapshot_id and run.snapshot_at is None:
            snapshot = self.reader.made_snapshot(run.snapshot_id)
            if snapshot is not None and snapshot.state == "error":
                return run.failed(f"{run.snapshot_id}, the snapshot of the restored volume, failed")
            run = replace(run, snapshot_at=now if snapshot is not None and snapshot.state == "completed" else None)
        return run

    def _look_at_instance(self, run: DrillRun, place: int, now: datetime, *, repeated: bool) -> DrillRun:
        instance = run.instances[place]
        if instance.image_id and not instance.image_checked:
            return self._look_at_image(run, place)
        state = self.reader.instance(instance.restored_id) if instance.restored_id else None
        if state is None:  # EC2's answers may lack a new instance for a while; the drill's end limits the wait
            return run
        if state.state in GONE:
            reason = state.reason or "EC2 gives no reason; a KMS key that cannot be used is one"
            return run.failed(f"{state.id} of {instance.instance_id} is {state.state}: {reason}")
        if instance.running_at is None and state.state == "running":
            instance = replace(instance, running_at=now)
        if instance.running_at is None:
            return run
        if instance.checked_at is None and self.reader.checks_passed(state.id):
            instance = replace(instance, checked_at=now)
        if instance.initialised_at is None:
            shown = [self.reader.initialised_percent(volume_id) or 0 for volume_id in state.volumes.values()]
            percent = min(shown) if len(shown) == len(instance.volumes) else 0
            instance = replace(instance, progress_percent=percent, initialised_at=now if percent >= COMPLETE else None)
        if run.command and instance.checked_at and not instance.command_ended:
            return self._look_at_command(run, run.command, place, instance, now, repeated=repeated)
        return run.with_instance(place, instance)

    def _look_at_command(
        self, run: DrillRun, command: DrillCommand, place: int, instance: DrilledInstance, now: datetime, *, repeated: bool
    ) -> DrillRun:
        """Send the command once the agent is online, or read the status of a sent one.

        The answer to an earlier call may have been lost, and Systems Manager may list its command late: it is sent again only
        if it is not listed for five minutes. The call before a repeated one may have sent it and ended, or may still run: Step
        Functions repeats calls for which it no longer waits.
        """
        # The search is first: SendCommand has no client token, and its answer may have been lost.
        result = self.commands.find(instance.restored_id, run.id, run.asked_at)
        if result is not None:
            instance = replace(instance, command=result, command_at=instance.command_at or now)
        elif repeated and _may_send(instance, now):
            instance = replace(instance, command_lost_at=now)
        elif _may_send(instance, now) and self.commands.agent_is_online(instance.restored_id):
            try:
                self.commands.send(instance.restored_id, command.document, run.id, within=DELIVERED_WITHIN)
                instance = replace(instance, command_at=now)
            except AwsRefused as error:
                return run.with_instance(place, instance).failed(f"{command.document} cannot run: {error}")
            except AwsUnavailable:
                instance = replace(instance, command_lost_at=now)
        run = run.with_instance(place, instance)
        if result is not None and result.ended and not result.succeeded:
            return run.failed(f"{command.document} in {instance.restored_id} of {instance.instance_id}: {result.text}")
        return run

    def _look_at_image(self, run: DrillRun, place: int) -> DrillRun:
        instance = run.instances[place]
        own = {DRILL: run.id, INSTANCE: instance.instance_id}
        image = next((image for image in self.reader.images_of(own) if image.id == instance.image_id), None)
        if image is None or image.state in ("pending", "transient"):
            return run
        if image.state != "available":
            return run.failed(f"the AMI {image.id} of {instance.instance_id} is {image.state}")
        if image.billing != instance.billing:
            return run.failed(
                f"the AMI of {instance.instance_id} would be billed as {image.billing.text}, the instance was billed as "
                f"{instance.billing.text}: nothing was launched"
            )
        return run.with_instance(place, replace(instance, image_checked=True))

    def conclude(self, run: DrillRun) -> DrillEvidence:
        """Release the point and store the evidence; return it, or that of another execution that ended the same drill first."""
        with suppress(SnapshotGone):
            self.holds.release(run.points, run.id)
        evidence = self.ledger.conclude(run, self.version)
        self.pages.put(page_key(run.id), self.render(evidence), "text/html; charset=utf-8")
        return evidence


def _may_send(instance: DrilledInstance, now: datetime) -> bool:
    lost = instance.command_lost_at
    return instance.command_at is None and (lost is None or now > lost + DELIVERED_WITHIN)


def _after_making(run: DrillRun, result: StepResult) -> DrillRun:
    if result.made is None:
        return run.failed(result.failure)
    place = run.next_instance
    if run.of_instances and place is not None:
        instance, made = run.instances[place], result.made
        image_id = made.image_id or instance.image_id
        return run.with_instance(place, replace(instance, image_id=image_id, restored_id=made.instance_id))
    return replace(
        run, restored_id=result.made.volume_id or run.restored_id, snapshot_id=result.made.snapshot_id or run.snapshot_id
    )


def _after_removal(run: DrillRun, result: StepResult, now: datetime) -> DrillRun:
    removal = result.removal or Removal(more=False, left=(f"what it made was not removed: {result.failure}",))
    # The time is not that of this step: a repetition has to conclude with the same evidence, whose hash the ledger may already
    # have.
    return replace(run, left=removal.left, removed_at=None if removal.left else removal.at or now, removal_ended=True)
