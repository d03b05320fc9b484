"""The accounts that can read snapshots: all, if they are public, unknown ones, and vaults (INV-22)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.domain.sweep.rotation import rotating_sample
from snapkeep.domain.sweep.shares import share_findings, stale_findings, unshared_findings, vault_findings
from snapkeep.domain.tag_names import VAULT
from snapkeep.usecases.sweep.ports import Exposure

SHARING_LOOKS = 50
"""The snapshots without a vault's tag whose permissions one sweep reads, others each time: a call takes one snapshot."""
VAULT_LOOKS = 500
"""Those with a vault's tag: normally all, as vaults copy within hours."""
NO_POLICIES = PolicySet(())


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureCheck:
    """The check of other accounts that can read this region's snapshots."""

    exposure: Exposure
    known_accounts: frozenset[str] = frozenset()
    vault_accounts: frozenset[str] = frozenset()
    """The accounts of vaults that this region's stack shares with."""
    looks: int = SHARING_LOOKS

    def run(self, snapshots: Sequence[Snapshot], system: str, now: datetime, policies: PolicySet = NO_POLICIES) -> list[Finding]:
        """Return the snapshots that others can read, and those that their vaults do not get by the policies.

        If AWS refuses to say who can read, that is the finding.
        """
        managed = {snapshot.id: snapshot for snapshot in snapshots if snapshot.completed and snapshot.managed_by(system)}
        findings = [
            *stale_findings(managed.values(), now),
            *vault_findings(managed.values(), policies, self.vault_accounts),
            *unshared_findings(managed.values(), policies, self.vault_accounts, now, system=system),
        ]
        try:
            return [*findings, *self._open_to_others(managed, now, policies)]
        except SnapkeepError as error:
            return [*findings, Finding(FindingKind.OUT_OF_REACH, "permissions of snapshots", "", str(error))]

    def _open_to_others(self, managed: Mapping[str, Snapshot], now: datetime, policies: PolicySet) -> Iterator[Finding]:
        if not self.exposure.sharing_blocked():
            yield Finding(FindingKind.SHARING_NOT_BLOCKED, "", "", "block public access for snapshots is off")
        # Only Snapkeep's: a public snapshot of the user's own is the user's decision.
        for snapshot_id in self.exposure.public_snapshots():
            if snapshot_id in managed:
                volume_id = managed[snapshot_id].origin.volume_id
                yield Finding(FindingKind.PUBLIC, snapshot_id, volume_id, "everybody can make volumes from it")
        # One call for each, so that sweeps take turns: most at what vaults are to copy.
        of_vaults = sorted(snapshot_id for snapshot_id, snapshot in managed.items() if VAULT in snapshot.tags)
        tagged = rotating_sample(of_vaults, VAULT_LOOKS, now)
        sampled = rotating_sample(sorted(managed.keys() - set(of_vaults)), self.looks, now)
        shared = self.exposure.shared_with([*tagged, *sampled])
        for snapshot_id in (*tagged, *sampled):
            readers = [account for account in shared.get(snapshot_id, ()) if account not in self.known_accounts]
            yield from share_findings(managed[snapshot_id], readers, policies, self.vault_accounts)
