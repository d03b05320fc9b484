"""Independent observers of the invariants: they check every write that the model receives, and do not use the decisions.

Their facts are only those of the model: the true source of a copy, copies in progress, completed copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from snapkeep.domain.copies.entry import QueueEntry
from snapkeep.domain.model import Action, DeletionPlan
from snapkeep.domain.policy.frequency import between_copies, copies_all
from snapkeep.domain.policy.model import Policy, PolicySet
from snapkeep.domain.tag_names import CHECK, MADE, MANAGED, POLICY, WRONG
from snapkeep.lab.ebs_model.api import keys
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, PENDING, SnapshotRecord
from snapkeep.lab.ebs_model.store.region_account import RegionAccount
from snapkeep.lab.ebs_model.store.tags import BACKUP_TAG, as_dict, value_of
from snapkeep.lab.simulator.executions import PROTECT, SUCCEEDED, Execution
from snapkeep.lab.simulator.model_clients import CALLER
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.truth import Truth

HELD_TOLERANCE_SECONDS = 20 * 60.0
"""The time from a look at the holds of a snapshot to its deletion: a listing is valid for a minute, a plan for fifteen."""
FIRST_HELD_SECONDS = 12 * 3600.0 + HELD_TOLERANCE_SECONDS
"""Runs read AMIs and locks only if a sweep found one, or if there was no sweep for twelve hours: EC2 refuses the first ones."""
POLICY_TOLERANCE_SECONDS = 20 * 60.0
CLOCK_CHANGE_SECONDS = 3600.0
KEY_TOLERANCE_SECONDS = 25 * 60.0
"""The state of a key is valid for five minutes, and a plan for fifteen; the rest is for interrupted runs."""
OUR_DESCRIPTION = "[Snapkeep: "
"""The prefix of the description of every copy that the system makes: it identifies a copy that lost its tags."""


@dataclass(slots=True)
class InvariantMonitor:
    """A monitor of a runner's world. `violations` describes each breach, with its invariant's id."""

    runner: Runner
    policies: Callable[[], PolicySet]
    governed: Callable[[str, Mapping[str, str]], bool]
    """Whether a policy includes the volume with this id and tags, by the tester's own decision."""
    violations: list[str] = field(default_factory=list)
    writes: int = 0
    truths: dict[str, Truth] = field(default_factory=dict)
    failed_runs: set[str] = field(default_factory=set)
    """Snapshots of runs that ended FAILED: an alarm reports these, even if the notice itself could not be sent."""
    arrived: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of a source snapshot and a region with a completed copy of it."""
    forgotten: set[str] = field(default_factory=set)
    """Copies that were in progress when their queue was lost: only a listing of their region shows them."""
    planned_at: dict[str, datetime] = field(default_factory=dict)
    """The time of the plan that deletes a snapshot: later events do not count."""
    key_turned_at: dict[str, float] = field(default_factory=dict)
    """ARN of a key -> the time when it was last disabled, enabled, scheduled for deletion, or recovered."""
    _history: list[tuple[float, PolicySet]] = field(default_factory=list)

    def attach(self) -> InvariantMonitor:
        """Start the monitor, and return it."""
        world, call = self.runner.world, self.runner.world.call
        for place in world.state.region_accounts.values():
            for snapshot in place.snapshots.values():
                self.truths[snapshot.id] = Truth(snapshot.id, place.region, snapshot.volume_id, snapshot.start)

        def watched_call(service: str, action: str, params: Any = None, *, region: str, **options: Any) -> Any:
            look = _BEFORE.get(action)
            if action in _TURNING:
                key = keys.resolve(world.state, world.region_account(region), str(params["KeyId"]))
                self.key_turned_at[key.arn if key else ""] = world.now()
            if look is None and action not in _MAKING:
                return call(service, action, params, region=region, **options)
            place = world.region_account(region)
            if look is not None and options.get("caller") == CALLER:
                look(self, place, params)
            known = len(place.snapshots)
            try:
                return call(service, action, params, region=region, **options)
            finally:
                if action in _MAKING and len(place.snapshots) > known:
                    self._learn(place)

        def note_arrival(place: RegionAccount, detail: Mapping[str, Any]) -> None:
            if detail.get("event") == "copySnapshot" and detail.get("result") == "succeeded":
                copy_id = detail["snapshot_id"].rpartition("/")[2]
                self.arrived.add((self.truths[copy_id].source_id, place.region))

        world.call = watched_call  # type: ignore[method-assign]
        world.observe(note_arrival)
        self.runner.plan_listeners.append(self.plan_made)
        return self

    def policy_changed(self, former: PolicySet) -> None:
        """Record the policies that were in force until now: their decisions may still be carried out."""
        self._history.append((self.runner.world.now(), former))

    def queue_lost(self, region: str) -> None:
        """Record the copies in progress in a DR region whose queue is being lost."""
        self.forgotten.update(self._place(region).copies_in_flight)

    def _learn(self, place: RegionAccount) -> None:
        """Record the newest snapshots of a region."""
        for snapshot in reversed(place.snapshots.values()):
            if snapshot.id in self.truths:
                return
            source = self.truths.get(snapshot.source_id)
            self.truths[snapshot.id] = source or Truth(snapshot.id, place.region, snapshot.volume_id, snapshot.start)

    def _broken(self, invariant: str, place: RegionAccount, snapshot_id: str, description: str) -> None:
        self.violations.append(f"{invariant}: {snapshot_id} in {place.region}: {description}")

    def _managed(self, snapshot: SnapshotRecord) -> bool:
        return value_of(snapshot.tags, MANAGED) == self.runner.layout.system

    def _policies_of(self, snapshot: SnapshotRecord) -> list[Policy]:
        """Return the current and the recent versions of a snapshot's policy."""
        oldest = self.runner.world.now() - POLICY_TOLERANCE_SECONDS
        sets = [self.policies(), *(policies for until, policies in self._history if until >= oldest)]
        name = value_of(snapshot.tags, POLICY) or ""
        return [policy for policies in sets if (policy := policies.named(name))]

    # Deletions

    def _before_delete(self, place: RegionAccount, params: Mapping[str, Any]) -> None:
        snapshot = place.snapshots.get(str(params["SnapshotId"]))
        if snapshot is None:
            return
        self.writes += 1
        if not self._managed(snapshot):
            self._broken("INV-01", place, snapshot.id, "deleted, and it is not ours")
        if self._is_known_to_be_held(place, snapshot):
            self._broken("INV-06", place, snapshot.id, "given to DeleteSnapshot while an AMI, a lock or AWS Backup holds it")
        if self.truths[snapshot.id].is_held(snapshot.id, self.runner.composition.hold_stores.values()):
            self._broken("INV-26", place, snapshot.id, "given to DeleteSnapshot while a person holds it")
        if snapshot.state == PENDING or (snapshot.state == ERROR and not snapshot.source_id):
            self._broken("INV-03", place, snapshot.id, f"deleted while it is {snapshot.state}")
        if snapshot.state != COMPLETED:
            return
        if self._is_unusable(snapshot):
            self._broken("INV-13", place, snapshot.id, "deleted by a plan, and it cannot be restored: a person decides about it")
        self._look_at_newer(place, snapshot)
        if not snapshot.source_id:
            self._look_at_copies(snapshot, place)

    def _is_unusable(self, snapshot: SnapshotRecord) -> bool:
        """Whether a completed snapshot cannot be restored, and could not for the longest time from a decision to its effect."""
        if snapshot.source_id and value_of(snapshot.tags, CHECK) == WRONG:
            return True
        return self._is_steady(snapshot) and not self._key_enabled(snapshot)

    def _is_steady(self, snapshot: SnapshotRecord) -> bool:
        """Whether the key of a snapshot was neither enabled nor disabled recently."""
        return self.key_turned_at.get(snapshot.key_arn, float("-inf")) < self.runner.world.now() - KEY_TOLERANCE_SECONDS

    def _key_enabled(self, snapshot: SnapshotRecord) -> bool:
        key = keys.find(self.runner.world.state, snapshot.key_arn)
        return not snapshot.encrypted or (key is not None and key.state == "Enabled")

    def _is_known_to_be_held(self, place: RegionAccount, snapshot: SnapshotRecord) -> bool:
        now = self.runner.world.now()
        if BACKUP_TAG in snapshot.tags[::2]:
            return snapshot.start < now - HELD_TOLERANCE_SECONDS
        if self._held_since(place, snapshot) >= now - HELD_TOLERANCE_SECONDS:
            return False
        held = (one for one in map(place.snapshots.get, {*place.image_uses, *place.locks}) if one and self._managed(one))
        return any(self._held_since(place, one) < now - FIRST_HELD_SECONDS for one in held)

    def _held_since(self, place: RegionAccount, snapshot: SnapshotRecord) -> float:
        images = [place.images[image].created for image in place.image_uses.get(snapshot.id, ())]
        lock = place.locks.get(snapshot.id)
        return min([*images, *([lock.created] if lock and not lock.expired else [])], default=float("inf"))

    def _look_at_newer(self, place: RegionAccount, snapshot: SnapshotRecord) -> None:
        own = self.truths[snapshot.id]
        peers = [peer for peer in self._lineage(place, snapshot) if peer.state == COMPLETED and self._managed(peer)]
        newer = {truth.source_id for peer in peers if (truth := self.truths[peer.id]).start > own.start}
        restorable = {self.truths[peer.id].source_id for peer in peers if peer is not snapshot and not self._is_unusable(peer)}
        if own.source_id in restorable:
            return  # a second copy, made while the key could not be used
        if not newer:
            invariant = "INV-05" if snapshot.source_id else "INV-02"
            self._broken(invariant, place, snapshot.id, "deleted, and it is the newest completed one of its lineage")
        policies = self._policies_of(snapshot)
        rules = [rule for policy in policies if (rule := policy.copy_rule(place.region))] if snapshot.source_id else policies
        least = min((rule.retention.keep_last for rule in rules), default=1)
        if len(newer) < least:
            self._broken(
                "INV-03", place, snapshot.id, f"deleted, and only {len(newer)} good ones are newer; {least} are to be kept"
            )
        elif len(newer & restorable) < max(least, 1):
            count = len(newer & restorable)
            self._broken("INV-13", place, snapshot.id, f"deleted, and only {count} newer can be restored; {least} are to be kept")

    def _lineage(self, place: RegionAccount, snapshot: SnapshotRecord) -> Iterable[SnapshotRecord]:
        if snapshot.source_id:
            return [copy for copy in place.copies_by_log.get(snapshot.log, {}) if copy.id in place.snapshots]
        return [source for source in place.by_volume.get(snapshot.volume_id) if not source.source_id]

    def _look_at_copies(self, snapshot: SnapshotRecord, place: RegionAccount) -> None:
        """Check INV-04 for the regions in both the current and the recent policies."""
        destinations = [{rule.region for rule in policy.copies} for policy in self._policies_of(snapshot)]
        for region in set.intersection(*destinations) if destinations else ():
            planned = self.planned_at.get(snapshot.id, self.runner.composition.clock.now())
            if any(utc(copy.start) < planned for copy in self._running(snapshot, region)):
                self._broken("INV-04", place, snapshot.id, f"deleted while its copy to {region} runs")
            if any(entry.enqueued_at < planned for entry in self._waiting(snapshot, region)):
                self._broken("INV-04", place, snapshot.id, f"deleted while its copy to {region} waits")
            start = self.truths[snapshot.id].start
            earliest = start - max(_between_copies(policy, region) for policy in self._policies_of(snapshot))
            good = [
                copy
                for copy in self._copies(region, snapshot)
                if copy.state == COMPLETED and self._managed(copy) and self.truths[copy.id].start >= earliest
            ]
            if not good:
                self._broken("INV-04", place, snapshot.id, f"deleted, and neither it nor a newer one has a copy in {region}")
            elif all(map(self._is_unusable, good)):
                self._broken("INV-13", place, snapshot.id, f"deleted for copies in {region} that cannot be restored")

    def _running(self, snapshot: SnapshotRecord, region: str) -> Iterator[SnapshotRecord]:
        for copy in self._place(region).copies_in_flight.values():
            if copy.source_id == snapshot.id and copy.id not in self.forgotten and self._managed(copy):
                yield copy

    def _waiting(self, snapshot: SnapshotRecord, region: str) -> Iterator[QueueEntry]:
        queue = self.runner.composition.queues.get(region)
        for entry in queue.open_entries(snapshot.volume_id) if queue else ():
            if entry.request.origin.snapshot_id == snapshot.id:
                yield entry

    def _copies(self, region: str, source: SnapshotRecord) -> Iterator[SnapshotRecord]:
        place = self._place(region)
        return (copy for copy in place.copies_by_log.get(source.log, {}) if copy.id in place.snapshots)

    def _place(self, region: str) -> RegionAccount:
        return self.runner.world.region_account(region)

    # Copies and tags

    def _before_copy(self, place: RegionAccount, params: Mapping[str, Any]) -> None:
        self.writes += 1
        source = self._place(str(params["SourceRegion"])).snapshots.get(str(params["SourceSnapshotId"]))
        if len(place.copies_in_flight) >= self.runner.layout.copy_quota:
            self._broken(
                "INV-10",
                place,
                str(params["SourceSnapshotId"]),
                f"a copy beyond the quota of {self.runner.layout.copy_quota}",
            )
        if source is None:
            return
        if not self._managed(source):
            self._broken("INV-01", place, source.id, "copied, and it is not ours")
        live = [
            copy.id
            for copy in self._copies(place.region, source)
            if copy.source_id == source.id and copy.state in (PENDING, COMPLETED) and self._managed(copy)
            if copy.state == PENDING or (self._is_steady(copy) and self._key_enabled(copy))
        ]
        if live:
            self._broken("INV-09", place, source.id, f"copied once more; {live[0]} is there")

    def _before_create(self, place: RegionAccount, params: Mapping[str, Any]) -> None:
        """Check INV-28 for the volumes of a snapshot or a set that the system makes."""
        self.writes += 1
        chosen: Mapping[str, Any] = params.get("InstanceSpecification", {})
        instance = place.instances.get(str(chosen.get("InstanceId", "")))
        left_out = {*chosen.get("ExcludeDataVolumeIds", ())}
        for volume in place.volumes.values():
            root = instance is not None and volume.device == instance.root_device
            in_set = instance is not None and volume.instance_id == instance.id and volume.id not in left_out
            if volume.id != params.get("VolumeId") and (not in_set or (root and chosen["ExcludeBootVolume"])):
                continue
            if not self.governed(volume.id, as_dict(volume.tags)):
                self._broken("INV-28", place, volume.id, "a snapshot is made, and no policy includes it")
            if any(item.state == PENDING and value_of(item.tags, MADE) for item in place.by_volume.get(volume.id)):
                self._broken("INV-28", place, volume.id, "a snapshot is made while one that is ours too is pending")

    def _before_tags(self, place: RegionAccount, params: Mapping[str, Any]) -> None:
        for resource in params["Resources"]:
            snapshot = place.snapshots.get(str(resource))
            if snapshot is None:
                continue
            self.writes += 1
            if not self._managed(snapshot) and not self._included(place, snapshot):
                self._broken("INV-01", place, snapshot.id, "tagged, and no policy includes it")
            if snapshot.state != COMPLETED:
                self._broken("INV-03", place, snapshot.id, f"tagged while it is {snapshot.state}")

    def _included(self, place: RegionAccount, snapshot: SnapshotRecord) -> bool:
        """Whether a policy includes the snapshot. The last snapshot of a deleted volume has the policy of earlier ones."""
        if snapshot.source_id:
            return snapshot.description.startswith(OUR_DESCRIPTION)
        volume = place.volumes.get(snapshot.volume_id)
        if self.governed(snapshot.volume_id, as_dict(volume.tags if volume else snapshot.tags)):
            return True
        earlier = (other for other in place.snapshots.values() if other.volume_id == snapshot.volume_id)
        return volume is None and any(self._managed(other) for other in earlier)

    # Plans and runs

    def plan_made(self, plan: DeletionPlan) -> None:
        """Check the number of deletions of a plan that is about to be carried out (INV-08)."""
        deletions = plan.deletions
        for verdict in deletions:
            self.planned_at[verdict.snapshot.id] = plan.made_at
        if all(verdict.action is Action.DELETE for verdict in plan.verdicts):
            return  # a plan of a sweep: many volumes, and only deletions
        limits = self.policies().limits
        for volume_id in {verdict.snapshot.origin.volume_id for verdict in deletions}:
            counted = [
                verdict.action
                for verdict in plan.verdicts
                if verdict.snapshot.origin.volume_id == volume_id and verdict.snapshot.completed
            ]
            deleted = counted.count(Action.DELETE)
            if deleted > limits.max_deletions:
                self.violations.append(f"INV-08: {plan.id} deletes {deleted} of {volume_id}; {limits.max_deletions} are allowed")
            if len(counted) > limits.small_lineage and deleted * 100 > limits.max_share_percent * len(counted):
                self.violations.append(f"INV-08: {plan.id} deletes {deleted} of {len(counted)} of {volume_id}")

    def run_ended(self, run: Execution) -> None:
        """Check that a successful run names only completed copies (INV-12)."""
        if run.machine != PROTECT:
            return
        if run.status != SUCCEEDED:
            self.failed_runs.update(_snapshots_in(run.event))
            return
        for copy in run.state.get("copies", {}).get("results", []):
            if (copy["snapshot_id"], copy["region"]) not in self.arrived:
                self.violations.append(f"INV-12: {run.id} says that {copy['snapshot_id']} is in {copy['region']}; it is not")

    def missing_at_the_end(self) -> list[str]:
        """Return a violation for each completed managed snapshot with neither its copies nor a notice (INV-12).

        The alarm has reported a snapshot whose run failed, and a snapshot older than its copy rule is never copied. Neither
        needs a copy once a newer copy of its volume exists.
        """
        notified = {
            word for notice in self.runner.composition.notices.added for word in f"{notice.subject} {notice.detail}".split()
        }
        missing = []
        for region in self.runner.layout.primaries:
            for snapshot in self._place(region).snapshots.values():
                if snapshot.state != COMPLETED or snapshot.source_id or not self._managed(snapshot) or snapshot.id in notified:
                    continue
                policy = self.policies().named(value_of(snapshot.tags, POLICY) or "")
                missing += [
                    f"INV-12: {snapshot.id} in {region} has no copy in {rule.region}, and no notice"
                    for rule in (policy.copies if policy else ())
                    if policy and not self._served(snapshot, policy, rule.region)
                ]
        return missing

    def _served(self, snapshot: SnapshotRecord, policy: Policy, region: str) -> bool:
        if (snapshot.id, region) in self.arrived:
            return True
        own = self.truths[snapshot.id]
        copied = [
            truth.start
            for truth in self.truths.values()
            if truth.volume_id == own.volume_id and (truth.source_id, region) in self.arrived
        ]
        between = _between_copies(policy, region)
        if between and any(abs(start - own.start) < between for start in copied):
            return True
        replaced = any(start > own.start for start in copied)
        rule_came_later = any(until > own.start for until, _ in self._history)
        return replaced and (rule_came_later or snapshot.id in self.failed_runs)


def _between_copies(policy: Policy, region: str) -> float:
    """Return the longest time between two snapshots of which a policy copies only one, in seconds; 0 if it copies both."""
    rule = policy.copy_rule(region)
    if rule is None or copies_all(rule):
        return 0.0
    # The day on which the clock is put back has one more hour.
    return between_copies(rule).total_seconds() + CLOCK_CHANGE_SECONDS


def _snapshots_in(event: Mapping[str, Any]) -> Iterator[str]:
    detail = event.get("detail", {})
    for item in (detail, *detail.get("snapshots", ())):
        if "snapshot_id" in item:
            yield item["snapshot_id"].rpartition("/")[2]


_TURNING = frozenset({"DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion"})
_MAKING = frozenset({"CreateSnapshot", "CreateSnapshots", "CopySnapshot", "CreateImage"})
_BEFORE: dict[str, Callable[[InvariantMonitor, RegionAccount, Mapping[str, Any]], None]] = {
    "DeleteSnapshot": InvariantMonitor._before_delete,  # noqa: SLF001 - the table of its own methods
    "CopySnapshot": InvariantMonitor._before_copy,  # noqa: SLF001
    "CreateSnapshot": InvariantMonitor._before_create,  # noqa: SLF001
    "CreateSnapshots": InvariantMonitor._before_create,  # noqa: SLF001
    "CreateTags": InvariantMonitor._before_tags,  # noqa: SLF001
}
