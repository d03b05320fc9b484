"""A drill of one volume as data: how far it is, the step that comes next, its checks, and its verdict.

Steps in order: hold the point, make a volume of it, wait until it is available and initialised, make a snapshot of it, compare
all blocks of that with the point's, remove what was made. A failure anywhere leads to the removal.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import LONGEST_DRILL, DrillRule
from snapkeep.domain.prices import SNAPSHOT_STORAGE, VOLUME_STORAGE
from snapkeep.domain.recovery.methods import FULL, estimate
from snapkeep.domain.recovery.proof import Proof
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.tag_names import DRILL, DRILL_END, MANAGED, SYSTEM
from snapkeep.domain.tags import format_time

AVAILABLE_WITHIN = timedelta(minutes=15)
"""A volume that EC2 does not show as available by then was not made; it normally takes seconds."""
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=15), timedelta(minutes=5)
"""Between two looks; EC2's progress of an initialisation is up to five minutes old (botocore: ec2 2016-11-15,
VolumeStatusItem)."""
HOURS_PER_MONTH = 730


class DrillStep(StrEnum):
    """The step that comes next. The state machine goes by it."""

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
    """The numbers of the comparison of the restored volume with the point; the proof itself lies beside the evidence."""

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
    """One drill of one volume, as far as it is. It travels through the state machine as JSON."""

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
    """The moment of its data."""
    size_gib: int
    asked_at: datetime
    ends_at: datetime
    rto: timedelta
    """0: none."""
    estimate_usd: float
    """At most."""
    system: str = field(default="", metadata=OPTIONAL)
    """Empty for drills that began before they named it."""
    restored_id: str = field(default="", metadata=OPTIONAL)
    available_at: datetime | None = field(default=None, metadata=OPTIONAL)
    progress_percent: int = field(default=0, metadata=OPTIONAL)
    """The progress of the volume's initialisation."""
    initialised_at: datetime | None = field(default=None, metadata=OPTIONAL)
    snapshot_id: str = field(default="", metadata=OPTIONAL)
    """The snapshot of the restored volume."""
    snapshot_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """When it was seen completed."""
    proof: DrillProof | None = field(default=None, metadata=OPTIONAL)
    failure: str = field(default="", metadata=OPTIONAL)
    """The first failure, which led to the removal."""
    removed_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """When nothing was left; None also where something is."""
    left: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """Ids of resources that could not be removed, with why."""
    removal_ended: bool = field(default=False, metadata=OPTIONAL)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything that the drill makes. Tags of the source are not carried: policies and tools select by them."""
        of_system = {SYSTEM: self.system} if self.system else {}
        return {DRILL: self.id, DRILL_END: format_time(self.ends_at), "Name": f"Snapkeep drill of {self.volume_id}", **of_system}

    def request(self, zone: str) -> dict[str, Any]:
        """Return the parameters of CreateVolume: the point's size, and gp3 whatever its volume was."""
        return {"SnapshotId": self.point, "AvailabilityZone": zone, "VolumeType": "gp3", "Size": self.size_gib}

    def failed(self, why: str) -> DrillRun:
        """Return the run after a failure; the first one stays."""
        return replace(self, failure=self.failure or why)

    def step(self) -> DrillStep:
        """Return what comes next."""
        if self.removal_ended:
            return DrillStep.CONCLUDE
        if self.failure or self.proof is not None:
            return DrillStep.REMOVE
        if not self.restored_id or (self.initialised_at is not None and not self.snapshot_id):
            return DrillStep.MAKE
        return DrillStep.WAIT if self.initialised_at is None or self.snapshot_at is None else DrillStep.PROVE

    def wait_seconds(self, now: datetime) -> int:
        """Return how long to wait before the next look: a tenth of the time so far, so that measured times are as exact."""
        return round(min(max((now - self.asked_at) / 10, SHORTEST_WAIT), LONGEST_WAIT).total_seconds())

    def ended_early(self, now: datetime) -> str:
        """Return why the drill cannot wait any longer; empty while it can."""
        if self.failure or self.proof is not None:
            return ""
        if now > self.ends_at:
            return f"it was not done by its end, {format_time(self.ends_at)}: {self._waits_for}"
        if self.restored_id and self.available_at is None and now > self.asked_at + AVAILABLE_WITHIN:
            return f"{self.restored_id} did not become available; a KMS key that cannot be used is one reason"
        return ""

    @property
    def _waits_for(self) -> str:
        if self.initialised_at is None:
            return f"the initialisation of its volume was at {self.progress_percent} %"
        return "the snapshot of its volume was not compared"

    @property
    def usable_after(self) -> timedelta | None:
        """The time until the volume was available: the measured recovery time."""
        return self.available_at - self.asked_at if self.available_at else None

    @property
    def full_speed_after(self) -> timedelta | None:
        """The time until all blocks were loaded."""
        return self.initialised_at - self.asked_at if self.initialised_at else None

    @property
    def checks(self) -> dict[DrillCheck, CheckOutcome]:
        """The result of every check of this drill."""
        made, loaded, proof = self.available_at is not None, self.initialised_at is not None, self.proof
        results = {
            DrillCheck.AVAILABLE: _result(ran=bool(self.restored_id), passed=made),
            DrillCheck.INITIALISED: _result(ran=made, passed=loaded),
            DrillCheck.PROVED: _result(ran=proof is not None, passed=_is_equal(proof)),
            DrillCheck.REMOVED: _result(ran=self.removal_ended, passed=self.removed_at is not None and not self.left),
        }
        if self.rto:
            within = self.usable_after is not None and self.usable_after <= self.rto
            results[DrillCheck.WITHIN_RTO] = _result(ran=made, passed=within)
        return results

    @property
    def verdict(self) -> DrillVerdict:
        """The verdict: passed only if every check ran and passed, and nothing else failed (INV-19)."""
        passed = not self.failure and all(result is CheckOutcome.PASSED for result in self.checks.values())
        return DrillVerdict.PASSED if passed else DrillVerdict.FAILED

    @property
    def cause(self) -> str:
        """Why it has not passed, in words; empty if it has."""
        if self.verdict is DrillVerdict.PASSED:
            return ""
        failed = [check.label for check, result in self.checks.items() if result is not CheckOutcome.PASSED]
        return "; ".join(filter(None, [self.failure, f"not so: {', '.join(failed)}" if failed else "", *self.left]))

    @property
    def dollars(self) -> float:
        """Its cost by the documented prices: its volume and its snapshot as long as they were there, and the requests."""
        until = self.removed_at or self.ends_at
        volume = until - self.asked_at if self.restored_id else timedelta(0)
        snapshot = until - (self.initialised_at or self.asked_at) if self.snapshot_id else timedelta(0)
        return storage_dollars(self.size_gib, volume, snapshot) + (self.proof.dollars if self.proof else 0.0)


def _result(*, ran: bool, passed: bool) -> CheckOutcome:
    if passed:
        return CheckOutcome.PASSED
    return CheckOutcome.FAILED if ran else CheckOutcome.NOT_RUN


def _is_equal(proof: DrillProof | None) -> bool:
    return proof is not None and proof.verdict == ProofVerdict.PROVED and not proof.differing


def storage_dollars(size_gib: int, volume: timedelta, snapshot: timedelta) -> float:
    """Return the price of a volume and of a full snapshot of it for some time, in US dollars."""
    hour = timedelta(hours=1)
    return size_gib * (volume / hour * VOLUME_STORAGE.dollars + snapshot / hour * SNAPSHOT_STORAGE.dollars) / HOURS_PER_MONTH


def estimate_of(size_gib: int) -> float:
    """Return what a drill costs at most, in US dollars: volume and snapshot until its end, and every block read on both sides."""
    return storage_dollars(size_gib, LONGEST_DRILL, LONGEST_DRILL) + estimate(FULL, size_gib).dollars


def make_run(rule: DrillRule, point: Snapshot, due: datetime, now: datetime) -> DrillRun:
    """Return a new run of the system that manages the point.

    Its name follows from the system, the drill, its due time and the volume: no drill is begun twice for one time, and no other
    system's has its name.
    """
    system = point.tags[MANAGED]
    digest = hashlib.sha256(f"{system}/{rule.name}".encode()).hexdigest()[:6]
    volume_id = point.origin.volume_id
    return DrillRun(
        id=f"drill-{due:%Y%m%dT%H%M%S}-{volume_id}-{digest}",
        drill=rule.name,
        policy=point.policy,
        volume_id=volume_id,
        region=point.region,
        point=point.id,
        point_start=point.origin.start_time,
        size_gib=point.size_gib,
        asked_at=now,
        ends_at=now + LONGEST_DRILL,
        rto=rule.rto,
        estimate_usd=estimate_of(point.size_gib),
        system=system,
    )
