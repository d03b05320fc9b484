"""Full copies that other policies cause because they encrypt copies with another key.

The next copy of a volume is full while a copy of it under another key exists in the destination (EBS user guide, "Copy a
snapshot"): the first one under a new key, and every later one until the last copy under the former key has expired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from snapkeep.domain.copies.check import has_key, names_one_key
from snapkeep.domain.model import Lineage, Snapshot
from snapkeep.domain.policy.model import CopyRule
from snapkeep.domain.prices import SNAPSHOT_STORAGE, transfer_price
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.region_plan import RegionPlan, VolumePlan


@dataclass(frozen=True, slots=True)
class FullCopies:
    """The full copies into one region of the volumes whose key changes, each volume once."""

    source_region: str
    region: str
    kms_key: str
    """The new key, in the form of the copy rule; empty for the region's default."""
    volume_ids: tuple[str, ...]
    size_gib: int
    """The sum of the volumes' sizes, as an upper bound: the data of a future snapshot is not known."""
    copies: int
    """The number of existing copies under other keys: until the last of them expires, each new copy is a full one."""

    @property
    def transfer_usd(self) -> float:
        """The most that AWS charges for the transfer of one full copy of each volume, in US dollars."""
        return self.size_gib * transfer_price(self.source_region, self.region).dollars

    @property
    def storage_usd(self) -> float:
        """The most that AWS charges for the storage of one full copy of each volume, in US dollars a month."""
        return self.size_gib * SNAPSHOT_STORAGE.dollars


def full_copies(before: Sequence[RegionPlan], after: Sequence[RegionPlan]) -> list[FullCopies]:
    """Return the full copies that other policies cause, by region and key, given the plans of all regions that could be read."""
    copies = {
        (plan.lineage, region.region): [verdict.snapshot for verdict in plan.verdicts if verdict.snapshot.completed]
        for region in after
        for plan in region.volumes
    }
    rekeyed: dict[tuple[str, str, str], dict[Lineage, list[Snapshot]]] = defaultdict(dict)
    for lineage, former, rule in _rules(before, after):
        present = copies.get((lineage, rule.region), [])
        others = [copy for copy in present if not (names_one_key(rule.kms_key) and has_key(copy, rule.kms_key))]
        if others and former.kms_key != rule.kms_key:
            rekeyed[lineage.region, rule.region, rule.kms_key][lineage] = others
    return [
        FullCopies(
            *place,
            tuple(lineage.volume_id for lineage in by_lineage),
            sum(max(copy.size_gib for copy in others) for others in by_lineage.values()),
            sum(map(len, by_lineage.values())),
        )
        for place, by_lineage in sorted(rekeyed.items())
    ]


def _rules(before: Sequence[RegionPlan], after: Sequence[RegionPlan]) -> Iterator[tuple[Lineage, CopyRule, CopyRule]]:
    """Yield each volume of a primary region with its copy rules for one region in both plans."""
    policies = {plan.lineage: plan.selection.policy for region in before for plan in region.volumes if _is_source(plan, region)}
    for plan in (plan for region in after for plan in region.volumes if _is_source(plan, region)):
        former, policy = policies.get(plan.lineage), plan.selection.policy
        for rule in policy.copies if policy and former else ():
            former_rule = former.copy_rule(rule.region) if former else None
            if former_rule:
                yield plan.lineage, former_rule, rule


def _is_source(plan: VolumePlan, region: RegionPlan) -> bool:
    return plan.lineage.region == region.region
