"""Everything that can happen between production and its vault, in one story: INV-21 to INV-26 hold after every step.

The key is not shared at first, both accounts have small quotas, events are lost, calls fail, a step is killed between any two
calls, the vault is out of reach for days, its key is disabled, a hold is placed, and production's account is deleted in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.lab.ebs_model import Faults, Quotas, Speeds
from snapkeep.lab.simulator.memory_ports import StepKill
from snapkeep.usecases.ports import DeletionResult
from support.flows import DAY, DR, HOUR, PRIMARY
from support.placing import hold
from support.two_accounts import VAULT_ACCOUNT, TwoAccounts

VAULT_REGION = "us-west-2"
KEPT = 2
QUOTA = 1
STRIDE = 97
"""One of so many calls kills its step, until the vault is in reach again: steps that make more calls than that would never end."""
ROUGH = Faults(event_lost=0.3, event_doubled=0.3, copy_fails=0.2, api_error=0.05, api_timeout=0.05)


class WholeWay(TwoAccounts):
    """The story, and what did not hold in it."""

    def __init__(self, first_kill: int = 0) -> None:
        self.broken: list[str] = []
        self.calls, self.kills, self.first_kill = 0, 0, first_kill
        self.deletions = 0
        self.holding = self.watching = self.disabling = False
        self.key_usable = True
        self.is_rough = False
        self.tried: set[tuple[str, str]] = set()
        self.proved: set[str] = set()
        self.copied: set[str] = set()
        super().__init__(
            region=VAULT_REGION,
            vault_keeps=KEPT,
            lock=LockRule(LockMode.GOVERNANCE, timedelta(days=1)),
            hook=self._hook,
            quotas=Quotas(copies_per_destination=QUOTA),
            speeds=Speeds(copy_base_seconds=900.0),  # longer than the lease of an interrupted dispatcher
        )
        self.bunker.composition.on_word.append(self._on_word)
        self.bunker.audit.append(self._on_deletion)
        self.world.subscribe(self._on_event)
        self._watch_calls()
        self.watching = True

    def tell(self) -> list[str]:
        """Go the whole way; return what did not hold."""
        shared_key = self.world.client("kms", DR).get_key_policy(KeyId=self.key)["Policy"]
        self._set_key_policy(self.own_key_policy)
        sources = [self.protect(hours=12)]
        self._require(not self._complete(), "a copy under a key that is not shared")
        self._set_key_policy(shared_key)
        self.is_rough = True
        sources += [self.protect(hours=8) for _ in range(4)]
        self.is_rough = False
        self.lab.runner.advance(DAY)
        self.world.take_region_away(VAULT_REGION)
        sources += [self.protect(hours=24) for _ in range(3)]
        self._require(len(self.readers()) > 1, "what the vault has not copied stays shared")
        self.world.bring_region_back(VAULT_REGION)
        self.lab.runner.advance(DAY)
        self.first_kill = 0
        self.lab.runner.advance(DAY)
        sources.append(self._disable_the_vaults_key())
        sources.append(self._hold())
        self.lab.runner.advance(2 * DAY)
        self._require(len(self.proved) > KEPT and self.proved <= self.copied, f"not copied: {self.proved - self.copied}")
        self._require(self.deletions > KEPT, "the vault's retention deletes")
        self.watching = False
        self._lose_production(self.checksums(PRIMARY, sources[-1]), sources)
        unexpected = self.lab.runner.unexpected + self.bunker.unexpected
        self._require(not unexpected, f"unexpected: {unexpected}")
        return self.broken

    def _disable_the_vaults_key(self) -> str:
        """INV-25: right after a copy is complete, of which no word was sent."""
        self.disabling = True
        source = self.protect(hours=13)
        for usable in (False, True):
            found = {finding.kind for finding in self.vault_sweeper.reports[-1].items}
            self._require(self.key_usable == usable, "the key was disabled, and enabled")
            self._require((FindingKind.KEY_AT_RISK in found) != usable, f"INV-25: the key at risk is a finding: {usable}")
            self.world.client("kms", VAULT_REGION, VAULT_ACCOUNT).enable_key(KeyId=self.vault_key)
            self.key_usable = True
            self.lab.runner.advance(13 * HOUR)
        return source

    def _disable_key(self) -> None:
        self.world.client("kms", VAULT_REGION, VAULT_ACCOUNT).disable_key(KeyId=self.vault_key)
        self.key_usable = False

    def _hold(self) -> str:
        """INV-26: nothing is deleted while everything is on hold; what expires meanwhile is deleted afterwards."""
        placed = hold()
        stores = [runner.composition.hold_stores for runner in (self.lab.runner, self.bunker)]
        for store in (store for of_runner in stores for store in of_runner.values()):
            store.place(placed)
        self.holding, before = True, self.deletions
        source = self.protect(hours=24)
        self._require(len(self._complete()) > KEPT and self.deletions == before, "INV-26: nothing is deleted")
        self.holding = False
        for store in (store for of_runner in stores for store in of_runner.values()):
            store.release(placed.id)
        return source

    def _lose_production(self, content: Mapping[int, str], sources: list[str]) -> None:
        left = self._complete()
        self._require([copy.description.split(" ")[-3:] for copy in left] != [], "the vault has points")
        self._require(len(left) == KEPT and sources[-1] in left[-1].description, f"the newest {KEPT}: {left}")
        self._require(self.readers() == {}, f"shared for ever: {self.readers()}")
        for region in (DR, PRIMARY):
            ec2 = self.world.client("ec2", region, caller="administrator")
            for snapshot_id in self.lab.ids(region):
                ec2.delete_snapshot(SnapshotId=snapshot_id)
        self.world.client("ec2", PRIMARY, caller="administrator").delete_volume(VolumeId=self.volume)
        self.lab.runner.advance(DAY)
        self.world.close_account(self.production)
        self.bunker.advance(2 * DAY)
        self._require(self._complete() == left, "INV-24: the vault deletes because production did")
        vault = self.vault_ec2()
        volume = vault.create_volume(AvailabilityZone=f"{VAULT_REGION}a", SnapshotId=left[-1].id)["VolumeId"]
        self.bunker.advance(60)
        again = vault.create_snapshot(VolumeId=volume)["SnapshotId"]
        self.bunker.advance(HOUR)
        self._require(self.checksums(VAULT_REGION, again, VAULT_ACCOUNT) == content, "the volume is not what it was")

    def protect(self, hours: float = 3) -> str:
        source = super().protect(hours=0)
        if self.is_rough:
            self.world.set_faults(ROUGH)
        self.lab.runner.advance(hours * HOUR)
        if self.is_rough:  # a person repeats what fails: no calls of theirs do here
            self.world.set_faults(Faults())
        return source

    # Watching

    def _hook(self, name: str) -> None:
        if not self.watching:
            return
        self._check_moment()
        self.calls += 1
        if self.first_kill and self.calls % STRIDE == self.first_kill % STRIDE:
            self.kills += 1
            raise StepKill(f"at {name}")

    def _check_moment(self) -> None:
        vault, production = self.world.region_account(VAULT_REGION, VAULT_ACCOUNT), self.world.region_account(DR)
        for copy in [copy for copy in vault.snapshots.values() if not self.is_rough and (copy.id, copy.state) not in self.tried]:
            self.tried.add((copy.id, copy.state))
            self._require(self._refused_to_production(copy.id), f"INV-21: production changes or reads {copy.id}, {copy.state}")
        for copy_id, readers in production.permissions.items():
            self._require(set(readers) <= {VAULT_ACCOUNT}, f"INV-22: {copy_id} is shared with {set(readers)}")
        self.copied.update(copy.source_id for copy in self._complete())
        alive = [copy.source_id for copy in vault.snapshots.values() if copy.state in ("pending", "completed")]
        self._require(len(alive) == len(set(alive)), f"INV-09: two copies of one snapshot: {alive}")
        for place in (vault, production):
            self._require(len(place.copies_in_flight) <= QUOTA, "INV-10: more copies than the quota allows")

    def _refused_to_production(self, copy_id: str) -> bool:
        ec2 = self.world.client("ec2", VAULT_REGION, caller="administrator")
        blocks = self.world.client("ebs", VAULT_REGION, caller="administrator")
        attempts: tuple[tuple[Callable[..., object], dict[str, Any]], ...] = (
            (ec2.delete_snapshot, {"SnapshotId": copy_id}),
            (ec2.unlock_snapshot, {"SnapshotId": copy_id}),
            (ec2.create_tags, {"Resources": [copy_id], "Tags": [{"Key": "snapkeep:managed", "Value": "x"}]}),
            (ec2.create_volume, {"AvailabilityZone": f"{VAULT_REGION}a", "SnapshotId": copy_id}),
            (blocks.list_snapshot_blocks, {"SnapshotId": copy_id}),
        )
        return all(is_refused(partial(call, **parameters)) for call, parameters in attempts)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        detail = event["detail"]
        if event["account"] == VAULT_ACCOUNT and (detail.get("event"), detail["result"]) == ("copySnapshot", "succeeded"):
            copy_id = detail["snapshot_id"].rpartition("/")[2]
            locks = self.world.region_account(VAULT_REGION, VAULT_ACCOUNT).locks
            self._require(copy_id in locks, f"INV-23: {copy_id} completed without a lock")
            if self.disabling:
                self.disabling = False
                self.lab.runner.kernel.after(120, self._disable_key)  # its entry is closed by then

    def _on_word(self, shared_id: str, copy_id: str) -> None:
        copies = {copy.id: copy for copy in self._complete()}
        self._require(copy_id in copies and copies[copy_id].source_id == shared_id, f"word of {shared_id}, not complete")
        self._require(self.key_usable, "INV-25: word of a copy that cannot be restored")

    def _on_deletion(self, order: DeletionOrder, result: DeletionResult) -> None:
        if result.done and order.kind != "failed_copy":
            self.deletions += 1
            left = [copy for copy in self._complete() if copy.id != order.snapshot_id]
            self._require(len(left) >= KEPT, f"INV-24: {order.snapshot_id} is deleted: {order.reasons}")
        self._require(not (result.done and self.holding), f"INV-26: {order.snapshot_id} is deleted on hold")

    def _watch_calls(self) -> None:
        call = self.world.call

        def watched(service: str, action: str, params: Any = None, *, region: str, **options: Any) -> Any:
            if action == "ModifySnapshotAttribute":
                self._require(params.get("UserIds") == [VAULT_ACCOUNT], f"INV-22: {params}")
                self._require(not params.get("GroupNames"), f"INV-22: {params}")
            if action == "CreateTags" and any(tag["Value"].startswith("PROVED") for tag in params["Tags"]):
                self.proved.update(params["Resources"])
            return call(service, action, params, region=region, **options)

        self.world.call = watched  # type: ignore[method-assign]

    def _complete(self) -> list[Any]:
        return [copy for copy in self.kept() if copy.state == "completed"]

    def _set_key_policy(self, policy: str) -> None:
        self.world.client("kms", DR).put_key_policy(KeyId=self.key, Policy=policy)

    def _require(self, holds: bool, text: str) -> None:
        if not holds and text not in self.broken:
            self.broken.append(text)


def is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError:
        return True
    return False


def test_nothing_is_lost_on_the_whole_way() -> None:
    assert WholeWay().tell() == []


@pytest.mark.parametrize("first_kill", range(1, STRIDE, 32))
def test_a_step_killed_between_any_two_calls_loses_nothing(first_kill: int) -> None:
    story = WholeWay(first_kill)
    assert story.tell() == []
    assert story.kills > 20
