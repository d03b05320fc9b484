"""Share proved DR copies with their vaults, and take the shares back once the vaults have copied them (INV-22).

Every step can be repeated, and starts from what EC2 shows: a lost call or event costs time, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from snapkeep.domain.errors import SnapkeepError, SnapshotGone
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet, Vault
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.rotation import rotating_sample
from snapkeep.domain.tag_names import MANAGED, PROOF, VAULT
from snapkeep.domain.vault.copy_event import VaultCopyEvent
from snapkeep.domain.vault.shares import (
    due_shares,
    is_in,
    may_be_shared,
    must_stay_shared,
    share_of,
    share_tag,
    vault_copy_tag,
    vault_for,
)
from snapkeep.usecases.ports import Clock, Notice, Notices, ProblemKind, SnapshotReader
from snapkeep.usecases.vault.ports import Permissions, SnapshotSharer

MOST_SHARES = 300
"""The shares of one round, and those that it looks at: EC2 admits about five changing calls a second (EC2 developer guide)."""


@dataclass(frozen=True, slots=True)
class ShareRound:
    """The copies that one round shared, withdrew or could not share."""

    shared: tuple[str, ...] = ()
    """Ids of the copies that are shared with a vault since."""
    withdrawn: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareWithVault:
    """Shares the copies of one DR region. Running a step again changes nothing."""

    system: str
    copies: SnapshotReader
    permissions: Permissions
    sharer: SnapshotSharer
    policies: Callable[[], PolicySet]
    accounts: frozenset[str]
    """The accounts that the stack may share with; a vault of any other gets nothing."""
    clock: Clock
    notices: Notices

    def share(self, copy_id: str) -> str:
        """Share a copy with its vault. Return the vault's name; empty if there is nothing to share.

        Raise TagsDoNotFit where the copy has no room for a tag, or AwsRefused, as of a copy under an AWS managed key.
        """
        copy = self.copies.snapshots([copy_id]).get(copy_id)
        vault = vault_for(copy, self.policies()) if copy else None
        if copy is None or vault is None or vault.account not in self.accounts:
            return ""
        if not may_be_shared(copy, self.system) or is_in(vault, copy) or share_of(copy.tags):
            return ""
        return vault.name if self._share(copy, vault) else ""

    def withdraw(self, event: VaultCopyEvent) -> bool:
        """Withdraw the share of a copy that a vault has copied. Return whether the event was about a managed copy."""
        copy = self.copies.snapshots([event.snapshot_id]).get(event.snapshot_id)
        if copy is None or copy.tags.get(MANAGED) != self.system or event.account not in self.accounts:
            return False
        share = share_of(copy.tags)
        vaults = {vault.name: vault for vault in self.policies().vaults if vault.account == event.account}
        # An account may have two vaults: the tag names the right one; without the tag, the policy does.
        of_policy = vault_for(copy, self.policies())
        vault = vaults.get(share.vault if share else of_policy.name if of_policy else "")
        if share and vault is None and vaults:
            return False  # a vault cannot confirm the copy of another
        self.sharer.unshare(copy.id, event.account)
        self._untag(copy)
        # Last: as long as it is missing, the copy is shared again, and the vault says again that it has it.
        if vault is not None:
            self.sharer.tag([copy.id], vault_copy_tag(vault, event.copy_id))
        return True

    def catch_up(self) -> ShareRound:
        """Share copies that no run shared, repeat missing shares, and withdraw those that no policy requires any longer.

        A copy that cannot be shared stops no other; a notice says why.
        """
        policies, now = self.policies(), self.clock.now()
        listed = [copy for copy in self.copies.tagged_snapshots([PROOF, VAULT]) if copy.tags.get(MANAGED) == self.system]
        steps = [*self._repairs(listed, policies), *due_shares(listed, policies, self.accounts, now, system=self.system)]
        shared, withdrawn, failed = [], [], []
        # The steps beyond these are due again in the next round.
        for copy, vault in steps[:MOST_SHARES]:
            try:
                if vault is None:
                    if self._take_back(copy):
                        withdrawn.append(copy.id)
                elif self._share(copy, vault):
                    shared.append(copy.id)
            except SnapkeepError as error:
                failed.append(copy.id)
                cause = f"{type(error).__name__}: {error}"
                detail = f"vault {vault.name} does not get this copy" if vault else "its share cannot be taken back"
                self.notices.add(Notice(ProblemKind.NOT_SHARED, cause, copy.id, detail, self.copies.region, now))
        return ShareRound(tuple(shared), tuple(withdrawn), tuple(failed))

    def _repairs(self, listed: Sequence[Snapshot], policies: PolicySet) -> Iterator[tuple[Snapshot, Vault | None]]:
        """Yield tagged copies whose share is not there, with their vaults, and those that are to be shared no more, with None."""
        shared: list[tuple[Snapshot, Vault]] = []
        for copy in listed:
            vault = vault_for(copy, policies)
            if vault is not None and must_stay_shared(copy, policies) and vault.account in self.accounts:
                shared.append((copy, vault))
            elif share_of(copy.tags):
                yield copy, None
        # A call for each: while a vault copies nothing for days, rounds take turns.
        looked_at = rotating_sample(sorted(shared, key=lambda pair: pair[0].id), MOST_SHARES, self.clock.now())
        readers = self.permissions.shared_with([copy.id for copy, _ in looked_at])
        for copy, vault in looked_at:
            if vault.account not in readers.get(copy.id, ()):
                yield copy, vault

    def _share(self, copy: Snapshot, vault: Vault) -> bool:
        """Share a copy; return False if it is deleted."""
        try:
            # The tag is first: a share without it would be unknown to sweeps, and would hold nothing.
            if share_of(copy.tags) is None:
                self.sharer.tag([copy.id], share_tag(vault, self.clock.now()))
            self.sharer.share(copy.id, vault.account)
        except SnapshotGone:
            return False
        return True

    def _take_back(self, copy: Snapshot) -> bool:
        """Take back the shares that may be; return whether none is left.

        A share with an account that left the stack's parameter keeps its tag, so that sweeps see it.
        """
        readers = frozenset(self.permissions.shared_with([copy.id]).get(copy.id, ()))
        for account in self.accounts & readers:
            self.sharer.unshare(copy.id, account)
        if readers - self.accounts:
            return False
        self._untag(copy)
        return True

    def _untag(self, copy: Snapshot) -> None:
        if VAULT in copy.tags:
            self.sharer.untag(copy.id, {VAULT: copy.tags[VAULT]})
