"""Protect, first part: tag a snapshot that has ended, and return the copies that its policy requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import partial

from snapkeep.domain.copies.request import CopyRequest, copy_request
from snapkeep.domain.errors import (
    RETRYABLE,
    AwsRefused,
    AwsUnavailable,
    InvalidConfiguration,
    InvalidEvent,
    RecordNotWritten,
    SnapkeepError,
    SnapshotFailed,
    SnapshotGone,
    TagsDoNotFit,
)
from snapkeep.domain.events import SnapshotEndEvent
from snapkeep.domain.model import Snapshot, SnapshotState, Volume
from snapkeep.domain.policy.model import Policy, PolicySet
from snapkeep.domain.policy.selection import Selection, select_for_snapshot
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.tag_names import DEVICE, INSTANCE, OWN_TAGS, RECORD, RECOVERY_TAGS, SET
from snapkeep.domain.tags import TAG_LIMIT, carried_tags, is_history, other_manager, tags_for_snapshot, was_managed
from snapkeep.usecases.copies.choose import ChooseCopies
from snapkeep.usecases.ports import CopyQueue, LockRequests, Problem, SnapshotReader, SnapshotTagger
from snapkeep.usecases.recovery.write_records import RecordWriter, WriteRecords


class TagOutcome(StrEnum):
    """Outcome for the snapshots of one event."""

    MANAGED = "MANAGED"
    VOLUME_NOT_TAGGED = "VOLUME_NOT_TAGGED"
    """No policy governs the volume, and nothing was changed. The original system has the same name."""
    NOTHING_LEFT = "NOTHING_LEFT"
    """Every snapshot of the event failed or is deleted."""


@dataclass(frozen=True, slots=True)
class TagResult:
    """Result of tagging: the volumes to plan retention for, the copies to make, problems, and reasons."""

    outcome: TagOutcome
    volume_ids: tuple[str, ...] = ()
    copies: tuple[CopyRequest, ...] = ()
    problems: tuple[Problem, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSnapshots:
    """Tags the snapshots of one event. Running it again changes nothing (INV-11)."""

    system: str
    reader: SnapshotReader
    tagger: SnapshotTagger
    records: WriteRecords
    reader_of: Callable[[str], SnapshotReader]
    queue_of: Callable[[str], CopyQueue]
    policies: Callable[[], PolicySet]
    deployed_at: Callable[[], datetime]
    locks: LockRequests | None = None
    """Requests locks; None if nothing is locked."""

    def run(self, ended: Sequence[SnapshotEndEvent]) -> TagResult:
        """Tag the snapshots that a policy includes, and return the copies to make.

        A failed or deleted snapshot becomes a problem and does not stop the others of its set. Raise AwsUnavailable while EC2,
        which is eventually consistent, does not show the event's state yet.
        """
        report = _Report()
        # Events only name snapshots: EC2 has their state.
        present = self._present([item for item in ended if item.succeeded is not False], report)
        for item in ended:
            if item.succeeded is False:
                report.problem(SnapshotFailed.__name__, item.snapshot_id, item.cause or "EC2 gave no cause")
        records = self.records.observe({snapshot.origin.volume_id for snapshot in present})
        volumes = records.observation.volumes
        policies = self.policies()
        choice = ChooseCopies(
            system=self.system,
            reader=self.reader,
            reader_of=self.reader_of,
            queue_of=self.queue_of,
            volume_ids=sorted({snapshot.origin.volume_id for snapshot in present}),
        )
        for snapshot in present:
            # An import has an arbitrary volume id that many share: it would become a snapshot of another volume.
            if snapshot.is_copy:
                report.reasons.append(f"{snapshot.id}: it is an import or a copy, of no volume here; it is left alone")
                report.left_alone += 1
                continue
            volume = volumes.get(snapshot.origin.volume_id)
            # The lineage is read only if the volume is deleted, so that its earlier snapshots have to name the policy.
            lineage = partial(self.reader.snapshots_of_volumes, [snapshot.origin.volume_id])
            chosen = select_for_snapshot(snapshot, volume, policies, system=self.system, lineage=lineage)
            report.reasons.append(f"{snapshot.id}: {chosen.why}")
            history = is_history(snapshot, self.system, self.deployed_at())
            fault = "" if history else self._why_not_ours(snapshot, volume, chosen)
            if fault:
                report.problem(InvalidConfiguration.__name__, snapshot.id, f"it is not protected: {fault}")
            if history and chosen.policy:
                report.reasons.append(f"{snapshot.id}: from before the system was deployed; snapkeep sweep --adopt adopts it")
            # History needs consent: a policy must not delete snapshots from before its deployment.
            if fault or history or chosen.policy is None:
                report.left_alone += 1
                continue
            recovery = self._recovery_tags(snapshot, volume, chosen.policy, records, report)
            # A multi-volume set is named after the least of its ids, so that every repetition of the event has the same name.
            if len(ended) > 1:
                recovery = {SET: min(item.snapshot_id for item in ended)} | recovery
            self._protect(snapshot, volume, chosen.policy, recovery, choice, report)
        self._request_locks(report, policies.source.version)
        return report.result()

    def _request_locks(self, report: _Report, version: int) -> None:
        """Request the locks that policies require on the tagged snapshots. A failed request delays no copy."""
        if self.locks is None or not report.to_lock:
            return
        try:
            self.locks.request(report.to_lock, version)
        except SnapkeepError as error:
            for snapshot_id in report.to_lock:
                report.problem(type(error).__name__, snapshot_id, f"it is not locked; the next sweep locks it: {error}")

    def _why_not_ours(self, snapshot: Snapshot, volume: Volume | None, chosen: Selection) -> str:
        """Return the fault that prevents the snapshot's protection, in words; empty if there is none."""
        if chosen.policy is None:
            return chosen.problem if volume is None else ""
        other = other_manager(snapshot, self.system)
        return f"system '{other}' manages it; policies of two systems must not take the same volume" if other else ""

    def _present(self, succeeded: Sequence[SnapshotEndEvent], report: _Report) -> list[Snapshot]:
        by_id = self.reader.snapshots({item.snapshot_id for item in succeeded}) if succeeded else {}
        present: list[Snapshot] = []
        for item in succeeded:
            snapshot = by_id.get(item.snapshot_id)
            if snapshot is None:
                report.problem(SnapshotGone.__name__, item.snapshot_id, "it was deleted before it could be protected")
            elif snapshot.state is SnapshotState.PENDING and item.succeeded is None:
                report.problem(
                    InvalidEvent.__name__, item.snapshot_id, f"{item.cause}; EC2 says it is pending: a sweep protects it"
                )
            elif snapshot.state is SnapshotState.PENDING:
                # The state machine retries: EC2 is eventually consistent, and the event may be ahead of its listing.
                raise AwsUnavailable(f"the event says that {item.snapshot_id} completed; EC2 does not show it yet")
            elif not snapshot.completed:
                cause = f"the event says it succeeded, EC2 says it is {snapshot.state}: {snapshot.state_message or 'no message'}"
                report.problem(SnapshotFailed.__name__, item.snapshot_id, cause)
            else:
                present.append(snapshot)
        return present

    def _recovery_tags(
        self, snapshot: Snapshot, volume: Volume | None, policy: Policy, records: RecordWriter, report: _Report
    ) -> dict[str, str]:
        """Return the tags of the snapshot for a recovery, and write its recovery record to the DR regions.

        Tags that an earlier run wrote stay: they were observed closer to the snapshot. On an unhandled snapshot, such tags are
        the volume's, which has them from the snapshot of which it was made.
        """
        known = {key: snapshot.tags[key] for key in RECOVERY_TAGS if was_managed(snapshot) and key in snapshot.tags}
        record = records.observation.record_of(volume)
        settings = record.volume(snapshot.origin.volume_id) if record else None
        if RECORD in known or record is None or settings is None:
            return known
        written = records.write(record, policy.copy_regions, user_data=policy.record.user_data)
        for region, cause in written.problems.items():
            text = f"the recovery record of {record.owner} is not in {region}; the copy is made all the same: {cause}"
            if isinstance(cause, RETRYABLE):
                report.reasons.append(f"{snapshot.id}: {text}; a sweep writes it")
            else:
                report.problem(RecordNotWritten.__name__, snapshot.id, text)
        instance_id = record.instance.instance_id if record.instance else ""
        observed = {INSTANCE: instance_id, DEVICE: settings.device, RECORD: written.short_hash}
        return {key: value for key, value in observed.items() if value} | known

    def _protect(
        self,
        snapshot: Snapshot,
        volume: Volume | None,
        policy: Policy,
        recovery: dict[str, str],
        choice: ChooseCopies,
        report: _Report,
    ) -> None:
        own = tags_for_snapshot(self.system, policy.name, snapshot.origin)
        tags, left_out = carried_tags(own, snapshot.tags, volume.tags if volume else {}, policy.carry_tags.excluded, recovery)
        try:
            refused = self._write(snapshot, tags)
        except (SnapshotGone, AwsRefused) as error:
            report.problem(type(error).__name__, snapshot.id, str(error))
            return
        except TagsDoNotFit as error:  # its copy has room for Snapkeep's tags
            cause = f"its own tags leave no room for ours, so retention leaves it alone; remove some of them, then sweep: {error}"
            report.problem(TagsDoNotFit.__name__, snapshot.id, cause)
        else:
            if refused:
                report.reasons.append(f"{snapshot.id}: tags that AWS refused, or that did not fit: {', '.join(refused)}")
        if left_out:
            report.reasons.append(f"{snapshot.id}: tags that did not fit within {TAG_LIMIT}: {', '.join(left_out)}")
        if policy.lock is not None:
            report.to_lock.append(snapshot.id)
        report.volume_ids.append(snapshot.origin.volume_id)
        if snapshot.not_copyable and policy.copies:
            report.reasons.append(f"{snapshot.id}: EC2 copies it to no other region: {snapshot.not_copyable}")
            return
        # The copy gets the recovery tags even if the snapshot itself had no room for them.
        source = replace(snapshot, tags={**snapshot.tags, **recovery})
        for rule in policy.copies:
            if choice.copies(snapshot, policy, rule):
                rpo_ends = choice.rpo_end(snapshot, policy, rule)
                report.copies.append(copy_request(self.system, source, policy, rule, volume, rpo_ends))
            else:
                report.reasons.append(f"{snapshot.id}: not copied to {rule.region}: another one of its period is")

    def _write(self, snapshot: Snapshot, tags: dict[str, str]) -> list[str]:
        """Write the missing tags; only Snapkeep's if AWS refuses them with the others.

        Return the keys that are left out. A service control policy may deny one tag key; EC2 then refuses the whole call.
        """
        # A repeated event finds nothing to write: each call would count towards the request rate (INV-11).
        missing = {key: value for key, value in tags.items() if snapshot.tags.get(key) != value}
        if not missing:
            return []
        own = {key: value for key, value in missing.items() if key in OWN_TAGS}
        try:
            self.tagger.tag([snapshot.id], missing)
        except (TagsDoNotFit, AwsRefused):
            if own == missing:
                raise
            if own:
                self.tagger.tag([snapshot.id], own)
            return sorted(missing.keys() - own.keys())
        return []


@dataclass(slots=True)
class _Report:
    """Collects the result for the snapshots of one event."""

    volume_ids: list[str] = field(default_factory=list)
    copies: list[CopyRequest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    left_alone: int = 0
    to_lock: list[str] = field(default_factory=list)

    def problem(self, kind: str, subject: str, cause: str) -> None:
        self.problems.append(Problem(kind, subject, cause))

    def result(self) -> TagResult:
        if self.volume_ids:
            outcome = TagOutcome.MANAGED
        elif self.left_alone:
            outcome = TagOutcome.VOLUME_NOT_TAGGED
        else:
            outcome = TagOutcome.NOTHING_LEFT
        return TagResult(
            outcome, tuple(dict.fromkeys(self.volume_ids)), tuple(self.copies), tuple(self.problems), tuple(self.reasons)
        )
