"""Decide the findings about shares of snapshots with vaults and with others (INV-22). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.domain.vault.shares import STALE_AFTER, due_shares, share_of, vault_for


def share_findings(
    snapshot: Snapshot, readers: Iterable[str], policies: PolicySet, vault_accounts: Collection[str], now: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with a snapshot's shares; `readers` are the accounts that can read it, without known ones.

    The account of a vault may read copies that carry the vault's tag, and nothing else.
    """
    volume_id, share = snapshot.origin.volume_id, share_of(snapshot.tags)
    of_vaults = {vault.account for vault in policies.vaults if snapshot.is_copy and vault.from_region == snapshot.region}
    of_vaults |= set(vault_accounts) if snapshot.is_copy else set()
    unknown = [account for account in readers if account not in of_vaults]
    if unknown:
        text = f"account {', '.join(unknown)} can make volumes from it"
        yield Finding(FindingKind.SHARED, snapshot.id, volume_id, text)
    vaults = [account for account in readers if account in of_vaults]
    if share is not None and (share.since is None or now - share.since > STALE_AFTER):
        since = f"{share.since:%Y-%m-%d %H:%M} UTC" if share.since else "a time that is not known"
        yield Finding(FindingKind.SHARE_STALE, snapshot.id, volume_id, f"shared with vault {share.vault} since {since}")
    elif share is None and vaults:
        text = f"shared with account {', '.join(vaults)} of a vault, and no tag says since when"
        yield Finding(FindingKind.SHARE_STALE, snapshot.id, volume_id, text)


def unshared_findings(
    copies: Iterable[Snapshot], policies: PolicySet, vault_accounts: Collection[str], now: datetime, *, system: str
) -> Iterator[Finding]:
    """Yield the copies that arrived more than a day ago, and that their vaults do not get."""
    for copy, vault in due_shares(copies, policies, vault_accounts, now, system=system):
        if now - (copy.completed_at or copy.start_time) > STALE_AFTER:
            yield Finding(FindingKind.NOT_SHARED, copy.id, copy.origin.volume_id, f"it is not shared with vault {vault.name}")


def vault_findings(copies: Iterable[Snapshot], policies: PolicySet, vault_accounts: Collection[str]) -> Iterator[Finding]:
    """Yield the vaults of copies whose accounts the stack may not share with."""
    vaults = {vault.name: vault for copy in copies if (vault := vault_for(copy, policies)) is not None}
    for name, vault in sorted(vaults.items()):
        if vault.account not in vault_accounts:
            text = f"its account {vault.account} is not in VaultAccounts of the stack in {vault.from_region}"
            yield Finding(FindingKind.VAULT_NOT_ALLOWED, name, "", text)
