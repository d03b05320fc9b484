"""Shares of DR copies with vaults: the due ones, the obsolete ones, and the time for which a share holds a copy (INV-22). Pure.

The state of a share is in two tags of the copy: `snapkeep:vault` while it is shared, `snapkeep:vault-copy` once the vault has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from snapkeep.domain.model import Lineage, Reason, Snapshot
from snapkeep.domain.policy.model import PolicySet, Vault
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.tag_names import VAULT, VAULT_COPY
from snapkeep.domain.tags import format_time, parse_time

SHARED_FOR = timedelta(days=7)
"""The time for which a share holds its copy, and within which a copy that is not its volume's newest is shared after its
arrival."""
STALE_AFTER = timedelta(days=1)
"""A vault copies within hours: an older share is a finding."""


class Share(NamedTuple):
    """A copy's share with a vault, in its tag."""

    vault: str
    """The vault's name."""
    since: datetime | None
    """None if the tag has no time, because a person wrote it."""


def share_of(tags: Mapping[str, str]) -> Share | None:
    """Return a copy's share with a vault; None if it has none."""
    if VAULT not in tags:
        return None
    name, _, since = tags[VAULT].partition(" ")
    try:
        return Share(name, parse_time(since))
    except ValueError:
        return Share(name, None)


def share_tag(vault: Vault, since: datetime) -> dict[str, str]:
    """Return the tag of a copy that is shared with a vault."""
    return {VAULT: f"{vault.name} {format_time(since)}"}


def vault_copy_tag(vault: Vault, copy_id: str) -> dict[str, str]:
    """Return the tag of a copy that a vault has copied."""
    return {VAULT_COPY: f"{vault.name} {copy_id}"}


def is_in(vault: Vault, copy: Snapshot) -> bool:
    """Whether a vault has confirmed its copy of this DR copy."""
    return copy.tags.get(VAULT_COPY, "").partition(" ")[0] == vault.name


def vault_for(copy: Snapshot, policies: PolicySet) -> Vault | None:
    """Return the vault of the policy that a DR copy carries; None if it has none."""
    policy = policies.named(copy.policy)
    return policies.vault_of(policy, copy.region) if policy is not None and copy.is_copy else None


def may_be_shared(copy: Snapshot, system: str) -> bool:
    """Whether a copy may be shared with a vault: it counts, and it is proved to be equal to its source."""
    return copy.counts_for(system) and is_proved(copy)


def due_shares(
    copies: Iterable[Snapshot], policies: PolicySet, accounts: Collection[str], now: datetime, *, system: str
) -> list[tuple[Snapshot, Vault]]:
    """Return the DR copies to share, with their vaults, the oldest origin first: a vault's copies build on each other.

    They are each volume's newest copy, and copies that arrived within SHARED_FOR. `accounts` are those with which the stack
    shares.
    """
    good = [copy for copy in copies if may_be_shared(copy, system)]
    newest: dict[Lineage, Snapshot] = {}
    for copy in good:
        former = newest.get(copy.origin.lineage)
        if former is None or copy.origin.start_time > former.origin.start_time:
            newest[copy.origin.lineage] = copy
    due = []
    for copy in good:
        vault = vault_for(copy, policies)
        if vault is None or vault.account not in accounts or share_of(copy.tags) or is_in(vault, copy):
            continue
        # An older copy was due when it arrived; much later, its vault has newer ones.
        if copy is newest[copy.origin.lineage] or now - (copy.completed_at or copy.start_time) <= SHARED_FOR:
            due.append((copy, vault))
    return sorted(due, key=lambda pair: (pair[0].origin.start_time, pair[0].id))


def must_stay_shared(copy: Snapshot, policies: PolicySet) -> bool:
    """Whether a copy must stay shared with the vault that its tag names."""
    share, vault = share_of(copy.tags), vault_for(copy, policies)
    return share is not None and vault is not None and share.vault == vault.name


def share_figures(copies: Iterable[Snapshot], system: str) -> dict[str, int]:
    """Return how many managed copies are shared with vaults, and how many vaults have copied, by figure; empty without any."""
    managed = [copy.tags for copy in copies if copy.managed_by(system)]
    shared, copied = sum(VAULT in tags for tags in managed), sum(VAULT_COPY in tags for tags in managed)
    return {"copies_shared": shared, "copies_in_vault": copied} if shared or copied else {}


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """The progress of a vault's copies, by the tags of the DR copies."""

    vault: Vault
    known: bool
    """Whether the region of its copies could be listed; if not, every figure is zero."""
    copied: int = 0
    """The number of copies that the vault has confirmed."""
    newest: datetime | None = None
    """The start of their newest source; None without any."""
    shared: int = 0
    """The number of shared copies that the vault has not copied yet."""
    shared_since: datetime | None = None
    """The time when the first of these was shared; None without any, or if no tag has a time."""
    to_share: int = 0
    """The number of proved copies that are due to be shared with the vault."""
    late: bool = False
    """Whether a shared or due copy has waited for more than a day."""


def vault_statuses(
    listings: Mapping[str, Iterable[Snapshot]], policies: PolicySet, now: datetime, *, system: str
) -> list[VaultStatus]:
    """Return the progress of each vault of the policies, given the copies of the regions that could be listed."""
    return [_standing(vault, listings.get(vault.from_region), policies, now, system) for vault in policies.vaults]


def _standing(vault: Vault, listed: Iterable[Snapshot] | None, policies: PolicySet, now: datetime, system: str) -> VaultStatus:
    if listed is None:
        return VaultStatus(vault, known=False)
    copies = [copy for copy in listed if copy.managed_by(system)]
    copied = [copy.origin.start_time for copy in copies if is_in(vault, copy)]
    shares = [share.since for copy in copies if (share := share_of(copy.tags)) and share.vault == vault.name]
    due = [
        copy
        for copy, copying_vault in due_shares(copies, policies, [vault.account], now, system=system)
        if copying_vault == vault
    ]
    waiting = [*shares, *(copy.completed_at or copy.start_time for copy in due)]
    return VaultStatus(
        vault,
        known=True,
        copied=len(copied),
        newest=max(copied, default=None),
        shared=len(shares),
        shared_since=min((since for since in shares if since), default=None),
        to_share=len(due),
        late=any(since is None or now - since > STALE_AFTER for since in waiting),
    )


def vault_holds(copies: Iterable[Snapshot], now: datetime) -> dict[str, tuple[Reason, ...]]:
    """Return the holds on copies that are shared with a vault, which may be copying them, for SHARED_FOR at most."""
    held: dict[str, tuple[Reason, ...]] = {}
    for copy in copies:
        share = share_of(copy.tags)
        if share and share.since and now - share.since <= SHARED_FOR:
            text = f"held: shared with vault {share.vault} since {share.since:%Y-%m-%d %H:%M} UTC, which has not copied it yet"
            held[copy.id] = (Reason("vault", text),)
    return held
