"""A copy that a policy requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from snapkeep.domain.json_codec import OPTIONAL, inline
from snapkeep.domain.model import Origin, SnapshotInRegion
from snapkeep.domain.other_tools import left_alone_by
from snapkeep.domain.policy.completion import COMPLETION_AUTO
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.tag_names import CHECK, CONSISTENCY, HOLD, HOLDER, OWN_TAGS, PROOF, RECOVERY_TAGS, WRONG
from snapkeep.domain.tags import carried_tags, tags_for_copy

if TYPE_CHECKING:
    from snapkeep.domain.model import Snapshot, Volume
    from snapkeep.domain.policy.model import CopyRule, Policy

EXPECTED_SECONDS_PER_GIB = 1024 / 120
"""AWS documents no speed of a standard copy. This only orders the queue: 120 MiB a second, as if the whole volume moved."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """One copy that a policy requests, of one snapshot, for one copy rule.

    Tables and executions of deployed systems hold its JSON: the names of the fields stay.
    """

    origin: Origin = field(metadata=inline(region="source_region"))
    policy: str
    region: str
    kms_key: str
    deadline: datetime
    size_gib: int
    encrypted: bool
    tags: Mapping[str, str] = field(default_factory=dict)
    completion_minutes: int = 0
    """Time-based copy: its duration in minutes (a multiple of 15); 0 is a standard copy."""
    source_kms_key: str = field(default="", metadata=OPTIONAL)  # entries of earlier versions lack it
    """ARN of the key that the source is encrypted with; empty when it is not."""
    completion: str = field(default="", metadata=OPTIONAL)
    """`auto`: `completion_minutes` is chosen each time a copy starts."""
    budget_usd: float = field(default=0.0, metadata=OPTIONAL)
    """US dollars that the completion durations of its rule may cost in a calendar month; 0 for no limit."""
    shared_id: str = field(default="", metadata=OPTIONAL)
    """In a vault: the snapshot, shared by another account, that is copied instead of the origin. Empty: the origin itself."""
    shared_region: str = field(default="", metadata=OPTIONAL)
    """The region of that snapshot."""
    rpo_ends: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when the data before it exceeds the RPO, if its policy makes snapshots just in time; None otherwise."""

    @property
    def snapshot_in_region(self) -> SnapshotInRegion:
        """The source snapshot and the destination region."""
        return self.origin.snapshot_id, self.region

    @property
    def copied(self) -> tuple[str, str]:
        """The region and the id of the snapshot that CopySnapshot copies: the origin's, or those of a shared copy of it."""
        if self.shared_id:
            return self.shared_region, self.shared_id
        return self.origin.region, self.origin.snapshot_id

    @property
    def latest_start(self) -> datetime:
        """The latest start that meets the deadline and the RPO.

        It orders the queue. An order by deadline alone would leave a large copy to the end, where it would be late and delay
        the rest.
        """
        return min(self.deadline, self.rpo_ends or self.deadline) - self.expected_duration

    @property
    def chooses_completion(self) -> bool:
        """Whether the completion duration is chosen when the copy starts."""
        return self.completion == COMPLETION_AUTO

    @property
    def expected_duration(self) -> timedelta:
        """The time that the copy may take: its completion duration if the policy sets one, else by its size."""
        if self.completion_minutes and not self.chooses_completion:
            return timedelta(minutes=self.completion_minutes)
        return timedelta(seconds=self.size_gib * EXPECTED_SECONDS_PER_GIB)

    @property
    def carried(self) -> list[str]:
        """The keys of the tags that the copy carries from its source: all but Snapkeep's own."""
        return sorted(self.tags.keys() - OWN_TAGS)

    def seconds_to_wait(self, now: datetime) -> int:
        """Return how many seconds an execution waits for the copy: until its deadline, but at least an hour."""
        return max(3600, round((self.deadline - now).total_seconds()))

    def without_carried_tags(self) -> CopyRequest:
        """Return the request with Snapkeep's own tags alone."""
        return replace(self, tags={key: value for key, value in self.tags.items() if key in OWN_TAGS})


def copy_request(
    system: str,
    snapshot: Snapshot,
    policy: Policy,
    rule: CopyRule,
    volume: Volume | None,
    rpo_ends: datetime | None = None,
) -> CopyRequest:
    """Return the copy of a source snapshot that a copy rule requests.

    It has the volume's own tags, those of recovery and those by which its policy holds. It never has all tags of the snapshot,
    because other tools find what they expire by them. Room is left for the findings of checks and for a hold. If the volume is
    deleted, only the snapshot's name counts as a tag of the volume.
    """
    own = tags_for_copy(system, policy.name, snapshot.origin)
    volume_tags = volume.tags if volume else {key: value for key, value in snapshot.tags.items() if key == "Name"}
    later = {CHECK: WRONG, PROOF: "", HOLD: "", HOLDER: ""}
    recovery = {key: snapshot.tags[key] for key in RECOVERY_TAGS if key in snapshot.tags}
    if snapshot.consistency:
        own[CONSISTENCY] = snapshot.consistency
    # A copy whose source is deleted by others is held by its own tag.
    recovery |= {
        key: snapshot.tags[key] for key in policy.hold_tags if left_alone_by(snapshot.tags, {key: policy.hold_tags[key]})
    }
    tags, _ = carried_tags(own, later, volume_tags if rule.carry_tags else {}, policy.carry_tags.excluded, recovery)
    return CopyRequest(
        origin=snapshot.origin,
        policy=policy.name,
        region=rule.region,
        kms_key=rule.kms_key,
        deadline=snapshot.origin.start_time + rule.copy_within,
        size_gib=snapshot.size_gib,
        encrypted=snapshot.encrypted or bool(rule.kms_key),
        tags=tags,
        completion_minutes=rule.completion_minutes,
        source_kms_key=snapshot.kms_key_id,
        completion=rule.completion,
        budget_usd=rule.budget_usd,
        rpo_ends=rpo_ends,
    )
