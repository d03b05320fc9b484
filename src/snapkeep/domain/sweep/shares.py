"""The findings about shares of snapshots with vaults and with others (INV-22). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from snapkeep.domain.model import NEVER, Snapshot
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.domain.vault.shares import STALE_AFTER, due_shares, share_of, vault_for


def share_findings(
    snapshot: Snapshot, readers: Iterable[str], policies: PolicySet, vault_accounts: Collection[str]
) -> Iterator[Finding]:
    """Yield the faults of a snapshot's shares; `readers` are the accounts that can read it, without known ones.

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
    if share is None and vaults:
        text = f"shared with account {', '.join(vaults)} of a vault, and no tag says since when"
        yield Finding(FindingKind.SHARE_STALE, snapshot.id, volume_id, text)


def stale_findings(copies: Iterable[Snapshot], now: datetime) -> Iterator[Finding]:
    """Yield for each vault the copy that was shared with it first, if more than a day ago, and the number of others."""
    stale: dict[str, list[tuple[datetime, Snapshot]]] = defaultdict(list)
    for copy in copies:
        share = share_of(copy.tags)
        if share is not None and (share.since is None or now - share.since > STALE_AFTER):
            stale[share.vault].append((share.since or NEVER, copy))
    for name, shares in sorted(stale.items()):
        since, copy = min(shares, key=lambda pair: (pair[0], pair[1].id))
        time = "a time that is not known" if since is NEVER else f"{since:%Y-%m-%d %H:%M} UTC"
        text = f"shared with vault {name} since {time}{_and_others(shares)}"
        yield Finding(FindingKind.SHARE_STALE, copy.id, copy.origin.volume_id, text)


def unshared_findings(
    copies: Iterable[Snapshot], policies: PolicySet, vault_accounts: Collection[str], now: datetime, *, system: str
) -> Iterator[Finding]:
    """Yield for each vault the oldest copy that arrived over a day ago and is not shared with it, and the number of others."""
    missing: dict[str, list[Snapshot]] = defaultdict(list)
    for copy, vault in due_shares(copies, policies, vault_accounts, now, system=system):
        if now - (copy.completed_at or copy.start_time) > STALE_AFTER:
            missing[vault.name].append(copy)
    for name, unshared in sorted(missing.items()):
        text = f"it is not shared with vault {name}{_and_others(unshared)}"
        yield Finding(FindingKind.NOT_SHARED, unshared[0].id, unshared[0].origin.volume_id, text)


def _and_others(items: Sequence[object]) -> str:
    return f", and {counted(len(items) - 1, 'more copy', 'more copies')}" if len(items) > 1 else ""


def vault_findings(copies: Iterable[Snapshot], policies: PolicySet, vault_accounts: Collection[str]) -> Iterator[Finding]:
    """Yield the vaults of copies with whose accounts the stack may not share."""
    vaults = {vault.name: vault for copy in copies if (vault := vault_for(copy, policies)) is not None}
    for name, vault in sorted(vaults.items()):
        if vault.account not in vault_accounts:
            needed = ",".join(sorted({*vault_accounts, vault.account}))
            text = f"its account is not in VaultAccounts of the stack in {vault.from_region}, which would be: {needed}"
            yield Finding(FindingKind.VAULT_NOT_ALLOWED, name, "", text)
