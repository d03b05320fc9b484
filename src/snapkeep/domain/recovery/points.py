"""Keys at risk: KMS keys that cannot be used, so that snapshots and copies are no recovery points.

A recovery point is a completed snapshot or copy that can be restored now (`Snapshot.counts_for`): it is not archived, its key
can be used, and no check found it different from its source. `Unusable` has all reasons against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snapkeep.domain.model import KeyFault, Lineage, Snapshot, Unusable
from snapkeep.domain.plural import counted
from snapkeep.domain.records import dataclass

_VOLUMES_NAMED = 5
_STEPS = {
    Unusable.KEY_PENDING_DELETION: "aws kms cancel-key-deletion --key-id {key} --region {region} "
    "&& aws kms enable-key --key-id {key} --region {region}",
    Unusable.KEY_DISABLED: "aws kms enable-key --key-id {key} --region {region}",
    Unusable.KEY_PENDING_IMPORT: "import its key material again: aws kms import-key-material --key-id {key} --region {region}",
    Unusable.KEY_UNAVAILABLE: "look at its key store: aws kms describe-key --key-id {key} --region {region}",
    Unusable.KEY_MISSING: "nothing restores them; when newer recovery points exist, delete them yourself",
    Unusable.KEY_NOT_KNOWN: "allow kms:DescribeKey to Snapkeep's roles in the key's policy",
}


@dataclass(frozen=True, slots=True)
class KeyAtRisk:
    """A KMS key that cannot be used, or whose state is not known, and the snapshots and copies under it."""

    region: str
    fault: KeyFault
    snapshots: int
    copies: int
    lineages: tuple[Lineage, ...]
    policies: tuple[str, ...]
    """The policies of these snapshots and copies."""

    @property
    def step(self) -> str:
        """The command or the action that makes the key usable again."""
        return _STEPS[self.fault.reason].format(key=self.fault.key_arn, region=self.region)

    @property
    def text(self) -> str:
        """Its state, its snapshots and copies, and the remedy, in one line."""
        more = len(self.lineages) - _VOLUMES_NAMED
        named = [lineage.volume_id for lineage in self.lineages[:_VOLUMES_NAMED]]
        volumes = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        kinds = [counted(self.snapshots, "snapshot")] if self.snapshots else []
        kinds += [counted(self.copies, "copy", "copies")] if self.copies else []
        known = "are not known to be restorable" if self.fault.reason is Unusable.KEY_NOT_KNOWN else "cannot be restored"
        policies = f" (policy {', '.join(self.policies)})" if self.policies else ""
        return f"{self.fault.text}. {' and '.join(kinds)} of {volumes}{policies} {known}: {self.step}"


def keys_at_risk(region: str, snapshots: Iterable[Snapshot], system: str) -> list[KeyAtRisk]:
    """Return the keys at risk of the system's snapshots and copies in a region, the key with the most of them first."""
    behind_faults: dict[KeyFault, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.key_fault is not None and snapshot.managed_by(system):
            behind_faults[snapshot.key_fault].append(snapshot)
    keys = [_key_at_risk(region, fault, behind) for fault, behind in behind_faults.items()]
    return sorted(keys, key=lambda key: (-key.snapshots - key.copies, key.fault.key_arn))


def _key_at_risk(region: str, fault: KeyFault, behind: list[Snapshot]) -> KeyAtRisk:
    copies = sum(snapshot.is_copy for snapshot in behind)
    lineages = tuple(sorted({snapshot.origin.lineage for snapshot in behind}))
    policies = tuple(sorted({snapshot.policy for snapshot in behind} - {""}))
    return KeyAtRisk(region, fault, len(behind) - copies, copies, lineages, policies)
