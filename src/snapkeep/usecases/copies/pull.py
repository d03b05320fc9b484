"""Pull: request the vault's own copy of each snapshot that production shares, and report the completed copies.

It has no state: an event, the schedule and every sweep read all shares again. A lost event, or a lost report to production,
therefore costs only time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import Policy, PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.tags import tags_for_copy
from snapkeep.usecases.copies.enqueue import EnqueueCopy, find_entry
from snapkeep.usecases.ports import Clock, CopyQueue, SnapshotReader

NO_VAULT = "the policy document names no vault of this account and region: nothing is copied, and nothing is deleted"

NO_OWNERS = "OwnerAccounts is empty: nothing that is shared is copied"


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """A snapshot that another account shares with this one. Its description is visible; its tags are not."""

    snapshot: Snapshot
    owner: str
    """The account that owns it."""


class Shares(Protocol):
    """Reads the snapshots that the allowed owners share with this account, in one region."""

    def shared(self, snapshot_ids: Collection[str] = ()) -> list[SharedSnapshot]:
        """Return the shared snapshots with these ids, or all of them without ids. Snapshots of other owners are not included."""


class OwnerBuses(Protocol):
    """Notifies the owners of shared snapshots of completed copies."""

    def send_complete(self, copies: Sequence[tuple[SharedSnapshot, str]]) -> None:
        """Send each shared snapshot with the id of its copy to its owner's bus, in the region of the snapshot."""


@dataclass(frozen=True, slots=True)
class RefusedShare:
    """A shared snapshot that the vault does not copy, and the reason."""

    snapshot_id: str
    why: str


@dataclass(frozen=True, slots=True)
class PullResult:
    """The keys of the entries that were requested, the shared snapshots whose copies are complete, and those not copied."""

    requested: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()
    refused: tuple[RefusedShare, ...] = ()
    problem: str = ""
    """The reason why nothing is copied; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullShares:
    """Puts copies of shared snapshots into a vault's queue."""

    system: str
    reader: SnapshotReader
    """Reads the vault's own region, with the copies that can be restored."""
    owners: Collection[str]
    """The accounts whose shared snapshots are copied."""
    shares_of: Callable[[str], Shares]
    queue: CopyQueue
    enqueue: EnqueueCopy
    buses: OwnerBuses
    policies: Callable[[], PolicySet]
    clock: Clock

    def run(self, snapshot_ids: Collection[str] = (), *, retry_failed: bool = False) -> PullResult:
        """Request copies of the shared snapshots with these ids, or of all without ids.

        Report the completed ones. With `retry_failed`, copies that failed for good are requested again: their cause may be
        corrected in the other account. Raise AwsThrottled, AwsUnavailable or AwsRefused if the shares or the queue cannot be
        read.
        """
        policies = self.policies()
        if not policies.vaults:
            return PullResult(problem=NO_VAULT)
        if not self.owners:
            return PullResult(problem=NO_OWNERS)
        (vault,), (policy,) = policies.vaults, policies.policies
        refused: list[RefusedShare] = []
        taken: list[tuple[SharedSnapshot, CopyRequest, QueueEntry | None]] = []
        for share in self.shares_of(vault.from_region).shared(snapshot_ids):
            if why := self._why_refused(share.snapshot):
                refused.append(RefusedShare(share.snapshot.id, why))
            else:
                request = self._request(share.snapshot, policy)
                key = entry_key(request.origin.region, request.origin.snapshot_id, request.region)
                taken.append((share, request, find_entry(self.queue, key)))
        copy_ids = {entry.copy_id for _, _, entry in taken if entry is not None and not entry.is_open and entry.copy_id}
        copies = self.reader.snapshots(copy_ids) if copy_ids else {}
        requested: list[str] = []
        complete: list[tuple[SharedSnapshot, str]] = []
        for share, request, entry in taken:
            copy = copies.get(entry.copy_id) if entry is not None else None
            # A completed copy of a failed entry was found wrong: a person decides about it.
            again = retry_failed and entry is not None and entry.state is EntryState.FAILED and not (copy and copy.completed)
            if entry is None or again:
                requested.append(self.enqueue.run(request, "").key)
            # A copy that was deleted since had completed: it is not made twice.
            elif entry.state is EntryState.DONE and (copy is None or copy.counts_for(self.system)):
                complete.append((share, entry.copy_id))
        if complete:
            self.buses.send_complete(complete)
        return PullResult(tuple(requested), tuple(share.snapshot.id for share, _ in complete), tuple(refused))

    def _why_refused(self, snapshot: Snapshot) -> str:
        """Return the reason why a shared snapshot is not copied, in words; empty if it is copied."""
        if snapshot.origin.snapshot_id == snapshot.id:
            return "its description names no source: it is not a copy that Snapkeep made"
        if snapshot.origin.region == self.reader.region:
            return f"its source is in {self.reader.region} too: a vault keeps its copies in another region than the sources"
        if not snapshot.completed:
            return f"it is {snapshot.state}"
        return ""

    def _request(self, snapshot: Snapshot, policy: Policy) -> CopyRequest:
        (rule,), origin = policy.copies, snapshot.origin
        return CopyRequest(
            origin=origin,
            policy=policy.name,
            region=rule.region,
            kms_key=rule.kms_key,
            deadline=self.clock.now() + rule.copy_within,
            size_gib=snapshot.size_gib,
            encrypted=snapshot.encrypted or bool(rule.kms_key),
            tags=tags_for_copy(self.system, policy.name, origin),
            source_kms_key=snapshot.kms_key_id,
            shared_id=snapshot.id,
            shared_region=snapshot.region,
        )
