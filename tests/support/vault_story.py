"""A story of a vault with a step killed between any two calls, and the conditions that hold at every moment and at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.locks import LockLimits
from snapkeep.domain.policy.model import LockMode, LockRule, Retention
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.lab.ebs_model import Faults, Quotas, Speeds
from snapkeep.lab.simulator.memory_ports import StepKill
from snapkeep.usecases.ports import DeletionResult
from support.vaulting import DR, PRIMARY, VAULT_ACCOUNT, VaultLaboratory, vault

HOUR = 3600.0
CHANGING = frozenset(
    {
        "shares.shared",
        "queue.insert",
        "queue.write",
        "queue.release_lease",
        "copier.start_copy",
        "locks.request",
        "locker.lock",
        "tagger.tag",
        "buses.send_complete",
        "deleter.delete",
    }
)
STRIDE = 12
"""One of so many calls kills its step: stories that begin with each of them kill at every call."""
LOCK = LockRule(LockMode.GOVERNANCE, timedelta(days=1))
KEPT = 2
QUOTA = 2


@dataclass
class VaultStory:
    """Three snapshots of one volume and one of another are shared; in the end production deletes everything."""

    first_kill: int = 0
    """The number of the first call, of those below and counted before and after each, at which the step that makes it is killed."""
    faults: Faults | None = None
    plant: Callable[[VaultLaboratory], object] = lambda _: None
    """Plants a bug."""
    calls: int = 0
    problems: list[str] = field(default_factory=list)

    def tell(self) -> list[str]:
        """Run the story; return the conditions that did not hold."""
        lab = self.lab = VaultLaboratory(
            vaults=(vault(retention=Retention(keep_last=KEPT), lock=LOCK),),
            quotas=Quotas(copies_per_destination=QUOTA),
            speeds=Speeds(copy_base_seconds=900.0),  # longer than a killed dispatcher keeps its lease
            hook=self._hook,
            withdraws=False,
        )
        self._counting = False
        lab.runner.composition.layout = replace(lab.runner.layout, copy_quota=QUOTA, lock_limits=LockLimits(30))
        lab.runner.composition.on_word.append(self._on_word)
        lab.runner.audit.append(self._on_deletion)
        lab.world.subscribe(self._on_event)
        self.plant(lab)
        volume_id, other = lab.make_volume(), lab.make_volume(size_gib=500)
        shared = [lab.dr_copy(volume_id) for _ in range(3)] + [lab.dr_copy(other)]
        if self.faults:
            lab.world.set_faults(self.faults)
        self._counting = True
        lab.runner.pull_every(300)
        lab.sweeper.schedule(6)
        for snapshot_id in shared:
            self._until_answered(partial(lab.share, snapshot_id))
            self._advance(600)
        self._advance(30 * HOUR)
        self._counting = False
        lab.world.set_faults(Faults())
        self._advance(13 * HOUR)
        self._production_is_lost()
        self._advance(14 * HOUR)
        self._check_end(volume_id, shared)
        return self.problems

    def _hook(self, call: str) -> None:
        if not self._counting or call not in CHANGING:
            return
        self.calls += 1
        if self.first_kill and self.calls % STRIDE == self.first_kill % STRIDE:
            raise StepKill(f"call {self.calls}")

    def _advance(self, seconds: float) -> None:
        for _ in range(int(seconds // 300)):
            self.lab.runner.advance(300)
            self._check_moment()

    def _check_moment(self) -> None:
        account = self.lab.world.region_account(DR, VAULT_ACCOUNT)
        alive = [copy.source_id for copy in account.snapshots.values() if copy.state in ("pending", "completed")]
        self._require(len(alive) == len(set(alive)), f"INV-09: two copies of one snapshot: {alive}")
        late = self.lab.world.now() - LOCK.duration.total_seconds()
        fresh = {copy.id for copy in account.snapshots.values() if copy.state == "completed" and copy.start > late}
        self._require(fresh <= account.locks.keys(), f"INV-23: {fresh - account.locks.keys()} complete and not locked")
        self._require(len(account.copies_in_flight) <= QUOTA, "INV-10: more copies than the quota allows")

    def _on_event(self, event: Mapping[str, Any]) -> None:
        """Check a copy at the moment that it completes: from then on it could be deleted."""
        detail = event["detail"]
        if event["account"] == VAULT_ACCOUNT and (detail["event"], detail["result"]) == ("copySnapshot", "succeeded"):
            copy_id = detail["snapshot_id"].rpartition("/")[2]
            locked = copy_id in self.lab.world.region_account(DR, VAULT_ACCOUNT).locks
            self._require(locked, f"INV-23: {copy_id} completed without a lock")

    def _on_word(self, shared_id: str, _: str) -> None:
        copies = [copy for copy in self.lab.copies() if copy.source_id == shared_id]
        self._require(any(copy.state == "completed" for copy in copies), f"word of {shared_id}, which has no complete copy")
        if shared_id in self.lab.world.region_account(DR).permissions:
            self._until_answered(partial(self.lab.withdraw, shared_id))

    @staticmethod
    def _until_answered(call: Callable[[], object]) -> None:
        """Repeat a call of production until it is answered: other tests cover faults of production."""
        for _ in range(50):
            with suppress(BotoCoreError, ClientError):
                call()
                return
        raise AssertionError("no answer to 50 calls")

    def _on_deletion(self, order: DeletionOrder, result: DeletionResult) -> None:
        if not result.done:
            return
        # After a deletion, as many copies have to remain as the vault's own retention keeps.
        left = [
            copy
            for copy in self.lab.copies()
            if copy.state == "completed" and order.volume_id in copy.description and copy.id != order.snapshot_id
        ]
        self._require(
            order.kind == "failed_copy" or len(left) >= KEPT, f"INV-24: {order.snapshot_id} is deleted: {order.reasons}"
        )

    def _production_is_lost(self) -> None:
        lab = self.lab
        for region in (DR, PRIMARY):
            for snapshot_id in list(lab.world.region_account(region).snapshots):
                lab.ec2(region).delete_snapshot(SnapshotId=snapshot_id)
        for volume_id in list(lab.world.region_account(PRIMARY).volumes):
            lab.ec2(PRIMARY).delete_volume(VolumeId=volume_id)

    def _check_end(self, volume_id: str, shared: list[str]) -> None:
        lab = self.lab
        completed = [copy for copy in lab.copies() if copy.state == "completed"]
        of_volume = [copy.source_id for copy in completed if volume_id in copy.description]
        self._require(of_volume == shared[1:3], f"the newest {KEPT} are kept: {of_volume}, of {shared[:3]}")
        self._require(shared[3] in lab.sources(), "the other volume's is kept")
        self._require(set(lab.words) == set(shared), f"word of each: {lab.words}")
        self._require(lab.entries(EntryState.DONE) == len(shared), "every entry is done")
        self._require(not lab.runner.unexpected, f"unexpected: {lab.runner.unexpected}")

    def _require(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)
