"""A drill of one volume as data: its progress, its next step, its checks, and its verdict.

Steps in order: hold the point, make a volume of it, wait until it is available and initialised, make a snapshot of it, compare
all blocks of this snapshot with the point's, remove what was made. A drill of instances registers AMIs of the points, launches
instances and waits for their status checks and the initialisation of their volumes. A failure in any step leads to the removal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from snapkeep.domain.drills.commands import AGENT_WITHIN
from snapkeep.domain.drills.cost import HOUR, estimate_of, estimate_of_instances, storage_dollars
from snapkeep.domain.drills.instances import DrilledInstance, DrillPlan, next_to_make
from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.drill_rules import LONGEST_DRILL, DrillCommand, DrillLevel, DrillRule
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.proof import Proof
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.tag_names import DRILL, DRILL_END, INSTANCE, MANAGED, SYSTEM
from snapkeep.domain.tags import format_time

AVAILABLE_WITHIN = timedelta(minutes=15)
"""The time until a volume must be available; it normally takes seconds. After it, the volume counts as not made."""
CHECKED_WITHIN = timedelta(hours=1)
"""The time until the status checks must pass; they normally take minutes."""
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=15), timedelta(minutes=5)
"""The shortest and the longest wait between two looks; EC2's progress of an initialisation is up to five minutes old (botocore:
ec2 2016-11-15, VolumeStatusItem)."""


class DrillStep(StrEnum):
    """The next step of a drill. The state machine branches on it."""

    MAKE = "make"
    WAIT = "wait"
    PROVE = "prove"
    REMOVE = "remove"
    CONCLUDE = "conclude"


class CheckOutcome(StrEnum):
    """Result of one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class DrillCheck(LabelledEnum):
    """The checks of a drill. It has passed only if every check ran and passed (INV-19)."""

    AVAILABLE = "available", "a volume was made of the point"
    LAUNCHED = "launched", "the instances run"
    STATUS_CHECKS = "status_checks", "their status checks passed"
    COMMAND = "command", "the command succeeded in every instance"
    INITIALISED = "initialised", "all its blocks were loaded"
    PROVED = "proved", "every block equals the point's"
    WITHIN_RTO = "within_rto", "it was usable within the recovery time objective"
    REMOVED = "removed", "what the drill made was removed"


class DrillVerdict(LabelledEnum):
    """Verdict of a drill."""

    PASSED = "PASSED", "passed"
    FAILED = "FAILED", "failed"


@dataclass(frozen=True, slots=True)
class DrillProof:
    """The numbers of the comparison of the restored volume with the point; the proof itself is stored beside the evidence."""

    verdict: str
    method: str
    compared: int
    differing: int
    root: str
    list_requests: int
    reads: int
    dollars: float
    end: str = field(default="", metadata=OPTIONAL)


def summary_of(proof: Proof) -> DrillProof:
    """Return the numbers of a proof."""
    progress = proof.progress
    return DrillProof(
        str(proof.verdict),
        str(progress.method),
        progress.compared,
        progress.differing,
        progress.root,
        progress.list_requests,
        progress.reads,
        progress.dollars,
        str(proof.end or ""),
    )


@dataclass(frozen=True, slots=True)
class DrillRun:
    """One drill of one volume, and its progress. The state machine passes it on as JSON."""

    id: str
    drill: str
    policy: str
    volume_id: str
    """The volume whose point is restored."""
    region: str
    """The DR region."""
    point: str
    """The copy that is restored."""
    point_start: datetime
    """The time of its data."""
    size_gib: int
    asked_at: datetime
    ends_at: datetime
    rto: timedelta
    """0: none."""
    estimate_usd: float
    """At most."""
    system: str = field(default="", metadata=OPTIONAL)
    """Empty for drills that began before they named it."""
    level: DrillLevel | None = field(default=None, metadata=OPTIONAL)
    """None at the level volume. At the level instance, `volume_id` names the instance or the group, and `point` is empty."""
    group: str = field(default="", metadata=OPTIONAL)
    instances: tuple[DrilledInstance, ...] = field(default=(), metadata=OPTIONAL)
    """The instances in the order of their launch; none before the drill is planned."""
    next_when_running: bool = field(default=False, metadata=OPTIONAL)
    """Whether a stage is launched once the instances before it run; otherwise once their status checks pass."""
    instance_types: Mapping[str, str] = field(default_factory=dict, metadata=OPTIONAL)
    """Instance types, and their replacements."""
    instance_usd_per_hour: float = field(default=0.0, metadata=OPTIONAL)
    """The price of its most expensive instance; 0 if it is not known."""
    command: DrillCommand | None = field(default=None, metadata=OPTIONAL)
    """The command that runs in each instance; None for no command."""
    restored_id: str = field(default="", metadata=OPTIONAL)
    available_at: datetime | None = field(default=None, metadata=OPTIONAL)
    progress_percent: int = field(default=0, metadata=OPTIONAL)
    """The progress of the volume's initialisation."""
    initialised_at: datetime | None = field(default=None, metadata=OPTIONAL)
    snapshot_id: str = field(default="", metadata=OPTIONAL)
    """The snapshot of the restored volume."""
    snapshot_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when it was found completed."""
    proof: DrillProof | None = field(default=None, metadata=OPTIONAL)
    failure: str = field(default="", metadata=OPTIONAL)
    """The first failure, which led to the removal."""
    removed_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when everything was removed; None before, and if something could not be removed."""
    left: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """Ids of resources that could not be removed, with the causes."""
    removal_ended: bool = field(default=False, metadata=OPTIONAL)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the drill's resources. Tags of the source are not carried over: policies and tools select by them."""
        of_system = {SYSTEM: self.system} if self.system else {}
        return {DRILL: self.id, DRILL_END: format_time(self.ends_at), "Name": f"Snapkeep drill of {self.volume_id}", **of_system}

    @property
    def of_instances(self) -> bool:
        """Whether the drill is one of instances."""
        return self.level is DrillLevel.INSTANCE

    @property
    def points(self) -> tuple[str, ...]:
        """All points that the drill restores."""
        return tuple(point for instance in self.instances for point in instance.points) if self.of_instances else (self.point,)

    @property
    def covered(self) -> tuple[str, ...]:
        """The volumes whose points the drill restores, besides `volume_id`."""
        return tuple(volume_id for instance in self.instances for volume_id in instance.volumes)

    def planned(self, plan: DrillPlan, *, next_when_running: bool) -> DrillRun:
        """Return the run of a drill of instances with its plan."""
        return replace(
            self,
            point_start=plan.moment,
            size_gib=plan.size_gib,
            instances=plan.instances,
            next_when_running=next_when_running,
        )

    @property
    def next_instance(self) -> int | None:
        """The index of the instance that is made next, or whose AMI is; None if a wait is next."""
        return next_to_make(self.instances, when_running=self.next_when_running)

    def with_instance(self, place: int, instance: DrilledInstance) -> DrillRun:
        """Return the run with the new state of one of its instances."""
        return replace(self, instances=(*self.instances[:place], instance, *self.instances[place + 1 :]))

    def tags_of(self, instance: DrilledInstance) -> dict[str, str]:
        """Return the tags of what the drill makes for an instance, including those by which it is found again."""
        return {**self.tags, INSTANCE: instance.instance_id, "Name": f"Snapkeep drill of {instance.instance_id}"}

    def request(self, zone: str) -> dict[str, Any]:
        """Return the parameters of CreateVolume: the point's size, and always gp3."""
        return {"SnapshotId": self.point, "AvailabilityZone": zone, "VolumeType": "gp3", "Size": self.size_gib}

    def failed(self, why: str) -> DrillRun:
        """Return the run after a failure; the first one stays."""
        return replace(self, failure=self.failure or why)

    def step(self) -> DrillStep:
        """Return the next step."""
        if self.removal_ended:
            return DrillStep.CONCLUDE
        if self.failure or self.proof is not None:
            return DrillStep.REMOVE
        if self.of_instances:
            commands_ended = self.command is None or all(instance.command_ended for instance in self.instances)
            if self.full_speed_after is not None and self.usable_after is not None and commands_ended:
                return DrillStep.REMOVE
            return DrillStep.WAIT if self.next_instance is None else DrillStep.MAKE
        if not self.restored_id or (self.initialised_at is not None and not self.snapshot_id):
            return DrillStep.MAKE
        return DrillStep.WAIT if self.initialised_at is None or self.snapshot_at is None else DrillStep.PROVE

    def wait_seconds(self, now: datetime) -> int:
        """Return the seconds until the next look: a tenth of the time so far, so that measured times are exact to 10 %."""
        return round(min(max((now - self.asked_at) / 10, SHORTEST_WAIT), LONGEST_WAIT).total_seconds())

    def ended_early(self, now: datetime) -> str:
        """Return the reason to wait no longer; empty while the drill can wait."""
        if self.failure or self.proof is not None:
            return ""
        if now > self.ends_at:
            return f"it was not done by its end, {format_time(self.ends_at)}: {self._waits_for}"
        for instance in self.instances:
            if why := _late(instance, self.command, now):
                return why
        if self.restored_id and self.available_at is None and now > self.asked_at + AVAILABLE_WITHIN:
            return f"{self.restored_id} did not become available; a KMS key that cannot be used is one reason"
        return ""

    @property
    def _waits_for(self) -> str:
        if self.of_instances:
            late = [f"{each.instance_id} at {each.progress_percent} %" for each in self.instances if each.initialised_at is None]
            return f"its volumes were not initialised: {', '.join(late)}"
        if self.initialised_at is None:
            return f"the initialisation of its volume was at {self.progress_percent} %"
        return "the snapshot of its volume was not compared"

    @property
    def usable_after(self) -> timedelta | None:
        """The time until the volume was available, or the instances passed their status checks: the measured recovery time."""
        if self.of_instances:
            return _last([instance.checked_at for instance in self.instances], self.asked_at)
        return self.available_at - self.asked_at if self.available_at else None

    @property
    def full_speed_after(self) -> timedelta | None:
        """The time until all blocks were loaded."""
        if self.of_instances:
            return _last([instance.initialised_at for instance in self.instances], self.asked_at)
        return self.initialised_at - self.asked_at if self.initialised_at else None

    @property
    def checks(self) -> dict[DrillCheck, CheckOutcome]:
        """The result of every check of this drill."""
        made, loaded, proof = self.available_at is not None, self.full_speed_after is not None, self.proof
        if self.of_instances:
            launched = any(instance.restored_id for instance in self.instances)
            made = bool(self.instances) and all(instance.running_at for instance in self.instances)
            results = {
                DrillCheck.LAUNCHED: _result(ran=launched, passed=made),
                DrillCheck.STATUS_CHECKS: _result(ran=made, passed=self.usable_after is not None),
                DrillCheck.INITIALISED: _result(ran=made, passed=loaded),
            }
            if self.command:
                results[DrillCheck.COMMAND] = self._of_command()
        else:
            results = {
                DrillCheck.AVAILABLE: _result(ran=bool(self.restored_id), passed=made),
                DrillCheck.INITIALISED: _result(ran=made, passed=loaded),
                DrillCheck.PROVED: _result(ran=proof is not None, passed=_is_equal(proof)),
            }
        removed = self.removed_at is not None and not self.left
        results[DrillCheck.REMOVED] = _result(ran=self.removal_ended, passed=removed)
        if self.rto:
            within = self.usable_after is not None and self.usable_after <= self.rto
            results[DrillCheck.WITHIN_RTO] = _result(ran=made, passed=within)
        return results

    def _of_command(self) -> CheckOutcome:
        sent = any(instance.command_at for instance in self.instances)
        succeeded = [instance.command is not None and instance.command.succeeded for instance in self.instances]
        return _result(ran=sent, passed=bool(succeeded) and all(succeeded))

    @property
    def verdict(self) -> DrillVerdict:
        """The verdict: passed only if every check ran and passed, and nothing else failed (INV-19)."""
        passed = not self.failure and all(result is CheckOutcome.PASSED for result in self.checks.values())
        return DrillVerdict.PASSED if passed else DrillVerdict.FAILED

    @property
    def cause(self) -> str:
        """The cause of a drill that did not pass, in words; empty otherwise."""
        if self.verdict is DrillVerdict.PASSED:
            return ""
        failed = [check.label for check, result in self.checks.items() if result is not CheckOutcome.PASSED]
        return "; ".join(filter(None, [self.failure, f"not so: {', '.join(failed)}" if failed else "", *self.left]))

    @property
    def dollars(self) -> float:
        """The cost: volumes, snapshot and instances while they existed, and the requests."""
        until = self.removed_at or self.ends_at
        made = self.restored_id or any(instance.restored_id for instance in self.instances)
        volume = until - self.asked_at if made else timedelta(0)
        snapshot = until - (self.initialised_at or self.asked_at) if self.snapshot_id else timedelta(0)
        ran = [until - (instance.running_at or self.asked_at) for instance in self.instances if instance.restored_id]
        instances = sum(ran, timedelta(0)) / HOUR * self.instance_usd_per_hour
        return storage_dollars(self.size_gib, volume, snapshot) + instances + (self.proof.dollars if self.proof else 0.0)

    @property
    def priced(self) -> str:
        """The resources that its price pays for, in words."""
        if not self.of_instances:
            return "volumes, snapshots and read blocks"
        if self.instance_usd_per_hour:
            return f"volumes, and instances at {self.instance_usd_per_hour:g} USD an hour each"
        return "volumes; the price of the instances is not known"


def _last(times: Sequence[datetime | None], since: datetime) -> timedelta | None:
    """Return the time from the start to the last of these moments; None while one is missing."""
    known = [at for at in times if at is not None]
    return max(known) - since if known and len(known) == len(times) else None


def _late(instance: DrilledInstance, command: DrillCommand | None, now: datetime) -> str:
    """Return the reason to wait no longer for an instance; empty while the drill waits."""
    name = f"{instance.restored_id} of {instance.instance_id}"
    if instance.running_at and instance.checked_at is None and now > instance.running_at + CHECKED_WITHIN:
        return f"{name} did not pass its status checks"
    if command is None or instance.checked_at is None or instance.command_ended:
        return ""
    if instance.command_at is None and now > instance.checked_at + AGENT_WITHIN:
        if instance.command_lost_at:
            return f"Systems Manager does not say whether {command.document} was sent to {name}"
        return f"the SSM agent of {name} did not connect: is it installed, and does it start?"
    if instance.command_at and now > instance.command_at + command.timeout:
        return f"{command.document} did not end in time in {name}"
    return ""


def _result(*, ran: bool, passed: bool) -> CheckOutcome:
    if passed:
        return CheckOutcome.PASSED
    return CheckOutcome.FAILED if ran else CheckOutcome.NOT_RUN


def _is_equal(proof: DrillProof | None) -> bool:
    return proof is not None and proof.verdict == ProofVerdict.PROVED and not proof.differing


def make_run(rule: DrillRule, points: Sequence[Snapshot], due: datetime, now: datetime, subject: str = "") -> DrillRun:
    """Return a new run of the system that manages the points, for one point, or for an instance or a group as its subject.

    Its name derives from the system, the drill, its due time and the volume: no drill begins twice for one time, and no drill
    of another system has its name.
    """
    point, of_instances = points[0], rule.level is DrillLevel.INSTANCE
    system, size_gib = point.tags[MANAGED], sum(restored.size_gib for restored in points)
    digest = hashlib.sha256(f"{system}/{rule.name}".encode()).hexdigest()[:6]
    volume_id = subject or point.origin.volume_id
    instances, usd_per_hour = len({restored.tags.get(INSTANCE) for restored in points}), rule.instance_usd_per_hour
    return DrillRun(
        # The name of an execution has 80 characters at most, a client token 64; a group's name may have 64 by itself.
        id=f"drill-{due:%Y%m%dT%H%M%S}-{volume_id[:24]}-{digest}",
        drill=rule.name,
        policy=point.policy,
        volume_id=volume_id,
        region=point.region,
        point="" if of_instances else point.id,
        point_start=max(restored.origin.start_time for restored in points),
        size_gib=size_gib,
        asked_at=now,
        ends_at=now + LONGEST_DRILL,
        rto=rule.rto,
        estimate_usd=estimate_of_instances(size_gib, instances, usd_per_hour) if of_instances else estimate_of(size_gib),
        system=system,
        level=rule.level if of_instances else None,
        group=rule.group,
        instance_types=rule.map.instance_types if of_instances else {},
        command=rule.command if of_instances else None,
        instance_usd_per_hour=usd_per_hour if of_instances else 0.0,
    )
