"""Record a proof on its copy. A copy that differs is marked and kept, counts nowhere, and another one is requested."""

from __future__ import annotations

from contextlib import suppress

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.errors import AwsRefused, SnapkeepError, SnapshotGone, TagsDoNotFit
from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.proof import Proof, is_weaker
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from snapkeep.usecases.copies.enqueue import find_entry, write_or_retry
from snapkeep.usecases.ports import Clock, CopyQueue, LockRequests, Notice, Notices, ProblemKind, SnapshotReader, SnapshotTagger

MOST_WRONG_COPIES = 3
"""The number of differing copies of one snapshot after which no more are made: they would differ too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordProof:
    """Writes the verdict to the copy's tags and its entry, where all readers find it. Running it again changes nothing."""

    system: str
    reader: SnapshotReader
    tagger: SnapshotTagger
    queue: CopyQueue
    clock: Clock
    notices: Notices
    locks: LockRequests | None = None
    """Requests locks; None if nothing is locked."""

    def run(self, proof: Proof) -> bool:
        """Record the verdict; return whether another copy is requested.

        Raise TagsDoNotFit if a copy that differs cannot be marked, or AwsUnavailable if an entry changed in the meantime.
        """
        copy_id = proof.progress.pair.copy_id
        copy = self.reader.snapshots([copy_id]).get(copy_id)
        if copy is None:
            return False
        if proof.progress.first_of_month:
            self.notices.add(self._budget_spent(proof))
        if proof.verdict is ProofVerdict.DIFFERS:
            return self._differs(copy, proof)
        if proof.proved:
            self._proved(copy, proof)
            if self.locks is not None:  # a lock in compliance mode waits for the proof
                with suppress(SnapkeepError):  # the next sweep finds it
                    self.locks.request([copy.id])
        return False

    def _proved(self, copy: Snapshot, proof: Proof) -> None:
        """Store the proof in the queue and on the copy, unless they have a stronger one."""
        entry = self._entry_of(copy)
        if is_weaker(proof, copy.tags.get(PROOF, "")) or (entry and is_weaker(proof, entry.proof)):
            return
        # The queue is first: EC2 may show the tag late, and a copy that arrives in between must not displace this one (INV-27).
        if entry and entry.proof != proof.tag:
            write_or_retry(self.queue, entry.proved(proof.tag))
        with suppress(AwsRefused, SnapshotGone, TagsDoNotFit):  # the proof itself is stored anyway
            self.tagger.tag([copy.id], {PROOF: proof.tag})

    def _budget_spent(self, proof: Proof) -> Notice:
        progress, region = proof.progress, self.reader.region
        cause = (
            f"the budget of policy {progress.policy} for comparisons in {region} is spent: "
            f"until {proof.ended_at:%Y-%m} ends, its copies are compared by structure alone"
        )
        detail = f"volume {progress.pair.volume_id}, {progress.due} was due"
        return Notice(ProblemKind.PROOF_BUDGET_SPENT, cause, progress.pair.copy_id, detail, region, proof.ended_at)

    def _mark(self, copy: Snapshot, proof: Proof) -> None:
        try:
            self.tagger.tag([copy.id], {CHECK: WRONG, PROOF: proof.tag})
        except TagsDoNotFit:  # the mark decides, the proof's tag only informs
            self.tagger.tag([copy.id], {CHECK: WRONG})

    def _differs(self, copy: Snapshot, proof: Proof) -> bool:
        if not copy.found_wrong:
            self._mark(copy, proof)
        entry = self._entry_of(copy)
        if entry is None:  # a sweep finds that a copy is missing
            return False
        copies = self.reader.copies_of_snapshots([copy.origin.snapshot_id])
        wrong = {copy.id, *entry.wrong, *(other.id for other in copies if other.found_wrong)}
        if len(wrong) >= MOST_WRONG_COPIES:
            return False
        write_or_retry(self.queue, entry.restarted(entry.request, self.clock.now(), wrong=copy.id))
        return True

    def _entry_of(self, copy: Snapshot) -> QueueEntry | None:
        """Return the entry that the copy settled; None if the queue does not have it, or no longer."""
        entry = find_entry(self.queue, entry_key(copy.origin.region, copy.origin.snapshot_id, self.reader.region))
        return entry if entry and entry.state is EntryState.DONE and entry.copy_id == copy.id else None
