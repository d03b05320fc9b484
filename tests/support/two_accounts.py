"""Production and its vault in another account, each a running system, over one world in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.locks import LockLimits
from snapkeep.domain.policy.model import CopyRule, Limits, LockMode, LockRule, Policy, PolicySet, Retention, Selector, Vault
from snapkeep.domain.vault.copy_event import VaultCopyEvent
from snapkeep.domain.vault.key_policy import key_policy_statements
from snapkeep.lab.ebs_model import Quotas, Speeds
from snapkeep.lab.ebs_model.store.records import SnapshotRecord
from snapkeep.lab.simulator.functions import sharing_of
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import Hook, StepKill
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.sweeps import Sweeper
from support.block_checksums import block_checksums
from support.flows import DR, HOUR, INCLUDED, PRIMARY, Laboratory

VAULT_ACCOUNT = "210987654321"
LOCK = LockRule(LockMode.COMPLIANCE, timedelta(days=30), cool_off=timedelta(hours=24))


class TwoAccounts:
    """A volume is protected in production; its proved copies are shared, and the vault copies them."""

    def __init__(
        self,
        *,
        region: str = DR,
        keep: int = 2,
        vault_keeps: int = 9,
        lock: LockRule = LOCK,
        hook: Hook | None = None,
        quotas: Quotas | None = None,
        speeds: Speeds | None = None,
    ) -> None:
        self.region = region
        quota = quotas.copies_per_destination if quotas else SystemLayout().copy_quota
        layout = SystemLayout(verify=True, vault_accounts=(VAULT_ACCOUNT,), copy_quota=quota)
        regions = tuple(dict.fromkeys((PRIMARY, DR, region)))
        self.lab = Laboratory(regions=regions, layout=layout, hook=hook, quotas=quotas, speeds=speeds)
        world = self.world = self.lab.world
        self.production = world.account_id
        self.key, self.vault_key = self._key(DR, ""), self._key(region, VAULT_ACCOUNT)
        kept = Retention(keep_last=vault_keeps)
        self.vault = Vault("bunker", VAULT_ACCOUNT, region, DR, kept, kms_key=self.vault_key, lock=lock)
        kms = world.client("kms", DR)
        self.own_key_policy = str(kms.get_key_policy(KeyId=self.key)["Policy"])
        policy = json.loads(self.own_key_policy)
        policy["Statement"] += key_policy_statements(self.vault, "aws")
        kms.put_key_policy(KeyId=self.key, Policy=json.dumps(policy))
        rule = CopyRule(DR, kms_key=self.key, retention=Retention(keep_last=keep))
        gold = Policy("gold", Selector(tags={"Backup": ("yes",)}), Retention(keep_last=keep), (rule,), vault="bunker")
        self.lab.policies = PolicySet((gold,), vaults=(self.vault,))
        own = SystemLayout(
            (),
            (region,),
            account_id=VAULT_ACCOUNT,
            owner_accounts=(self.production,),
            copy_quota=quota,
            lock_limits=LockLimits(max_days=30, compliance=True),
        )
        of_vault = PolicySet((), Limits(max_share_percent=100), vaults=(self.vault,))
        self.bunker = Runner(world, lambda: of_vault, own, kernel=self.lab.runner.kernel, hook=hook)
        self.bunker.composition.on_word.append(self._word)
        self.bunker.pull_every(HOUR / 4)
        self._repeat(HOUR, lambda: sharing_of(self.lab.runner.composition, DR).catch_up())
        self.sweeper, self.vault_sweeper = Sweeper(self.lab.runner), Sweeper(self.bunker)
        for sweeper in (self.sweeper, self.vault_sweeper):
            sweeper.schedule(6)
        self.volume = self.lab.make_volume(INCLUDED, size_gib=1, Encrypted=True)
        world.write(self.volume, 0, 20, region=PRIMARY)

    def _key(self, region: str, account: str) -> str:
        return str(self.world.client("kms", region, account or None).create_key()["KeyMetadata"]["Arn"])

    def _repeat(self, seconds: float, run: Callable[[], object]) -> None:
        def again() -> None:
            self._attempt(run)
            self.lab.runner.kernel.after(seconds, again)

        self.lab.runner.kernel.after(seconds, again)

    def _word(self, shared: str, copy: str) -> None:
        """Let EventBridge deliver a word of the vault to production: it writes the sender's account into it."""
        word = VaultCopyEvent(shared, copy, VAULT_ACCOUNT)
        run = partial(self._attempt, lambda: sharing_of(self.lab.runner.composition, DR).withdraw(word))
        self.lab.runner.kernel.after(1.0, run)

    def _attempt(self, run: Callable[[], object]) -> None:
        """Run a function once; when it fails, the next schedule makes up for it."""
        try:
            self.lab.runner.composition.reach(DR)
            run()
        except (SnapkeepError, StepKill):
            return

    def protect(self, hours: float = 3) -> str:
        """Change the volume, make a snapshot of it, and let some hours pass."""
        self.world.write(self.volume, 3, 2, region=PRIMARY)
        snapshot_id = self.lab.start_snapshot(self.volume)
        self.lab.runner.advance(hours * HOUR)
        return snapshot_id

    def vault_ec2(self) -> Any:
        """Return a client of the vault's account, as a person there has it."""
        return self.world.client("ec2", self.region, VAULT_ACCOUNT, caller="person")

    def kept(self) -> list[SnapshotRecord]:
        """Return the vault's copies, oldest first."""
        listed = self.world.region_account(self.region, VAULT_ACCOUNT).snapshots.values()
        return sorted(listed, key=lambda snapshot: snapshot.seq)

    def readers(self) -> dict[str, list[str]]:
        """Return the accounts that can read each shared snapshot of production."""
        shared = self.world.region_account(DR, self.production).permissions
        return {snapshot_id: list(readers) for snapshot_id, readers in shared.items()}

    def checksums(self, region: str, snapshot: str, account: str = "") -> dict[int, str]:
        """Return the checksum of each block of a snapshot."""
        return block_checksums(self.world.client("ebs", region, account or None), snapshot)
