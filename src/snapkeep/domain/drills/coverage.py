"""The volumes that drills covered at a moment, as the ledgers show. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.protection import VolumeProtection

COVERED_WITHIN = timedelta(days=90)
"""The time for which a drill counts if no drill of the policy sets it; of several times, the shortest counts."""


class DrillCoverage:
    """The passed drills by volume, and the time for which they count."""

    def __init__(self, ledgers: Mapping[str, DrillLedger], policies: PolicySet) -> None:
        self._passed: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for region, ledger in ledgers.items():
            for ended in ledger.ended:
                for volume_id in ended.subjects if ended.passed else ():
                    self._passed[region, volume_id].append(ended.asked_at)
        self._within: dict[tuple[str, str], timedelta] = {}
        for rule in policies.drills:
            for place in ((rule.region, policy) for policy in rule.policies if rule.covered_within):
                self._within[place] = min(rule.covered_within, self._within.get(place, rule.covered_within))
        self._regions = frozenset(ledgers)

    def missing(self, volumes: Iterable[VolumeProtection], at: datetime) -> list[VolumeProtection]:
        """Return the volumes with copies for which no drill had passed in time at a moment, as far as the ledgers were read."""
        return [volume for volume in volumes if self._is_known(volume) and not self._is_covered(volume, at)]

    def _is_known(self, volume: VolumeProtection) -> bool:
        return bool(volume.copies) and all(copy.region in self._regions for copy in volume.copies)

    def _is_covered(self, volume: VolumeProtection, at: datetime) -> bool:
        return any(
            at - self._within.get((copy.region, volume.policy), COVERED_WITHIN) <= asked <= at
            for copy in volume.copies
            for asked in self._passed.get((copy.region, volume.volume.id), ())
        )
