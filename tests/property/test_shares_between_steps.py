"""INV-22 between any two steps: each call that shares names the vault of the copy's policy, of a copy that is proved and tagged.

The story has a copy that its vault pulls, one that differs from its source, and one whose policy then names another vault, and
none at last. A call of a port fails at each step in turn, before or after it is made, and the same steps are retried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest

from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, Vault
from snapkeep.domain.tag_names import PROOF, VAULT, VAULT_COPY
from snapkeep.domain.vault.copy_event import VaultCopyEvent
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.functions import sharing_of
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.usecases.vault import share as sharing
from snapkeep.usecases.vault.share import ShareWithVault
from support.flows import DAY, DR, PRIMARY, Laboratory

pytestmark = pytest.mark.slow

ACCOUNT, OTHER = "210987654321", "888877776666"
BUNKER = Vault("bunker", ACCOUNT, DR, DR, Retention())
ATTIC = Vault("attic", OTHER, DR, DR, Retention())
VAULTS_COPY = "snap-0fedcba9876543210"


@dataclass
class Story:
    """Shares while one call of a port fails."""

    at: int = 0
    """The call that fails; 0 for none."""
    calls: int = 0
    broken: list[str] = field(default_factory=list)

    def run(self) -> Story:
        self.lab = Laboratory(layout=SystemLayout(verify=True, vault_accounts=(ACCOUNT, OTHER)), hook=self._hook)
        key = self.lab.world.client("kms", DR, caller="person").create_key()["KeyMetadata"]["Arn"]
        rule = CopyRule(DR, kms_key=key, retention=Retention(keep_last=9))
        gold = Policy("default", Selector(tags={"Backup": ("*",)}), Retention(keep_last=9), (rule,), vault="bunker")
        self.lab.policies = PolicySet((gold,), vaults=(BUNKER, ATTIC))
        self._watch()
        volume = self.lab.make_volume(Encrypted=True)
        self.lab.world.write(volume, 0, 20, region=PRIMARY)
        self.lab.protect(volume)
        [pulled] = self.lab.ids(DR)
        self._retried(lambda one: one.withdraw(VaultCopyEvent(pulled, VAULTS_COPY, OTHER)))
        self._retried(lambda one: one.withdraw(VaultCopyEvent(pulled, VAULTS_COPY, ACCOUNT)))
        self._check(self.readers(pulled) == [], "the vault has its copy, and can still read the one that it was shared")
        self._check(self.lab.tags(pulled, DR).get(VAULT_COPY) == f"bunker {VAULTS_COPY}", "the vault's copy is not known")
        self.lab.world.add_fault(FaultRule("copy_wrong_blocks", times=1, blocks=1))
        self.lab.protect(volume)
        self._retried(ShareWithVault.catch_up)
        shared = [copy for copy in self.lab.ids(DR) if self.readers(copy)]
        self._check(len(shared) == 1 and pulled not in shared, f"{len(shared)} copies are shared, and one is good and new")
        self.lab.policies = PolicySet((replace(gold, vault="attic"),), vaults=(BUNKER, ATTIC))
        self._retried(ShareWithVault.catch_up)
        self._check(self.readers(shared[0]) == [OTHER], "a copy is shared with the vault that its policy named before")
        self.lab.policies = PolicySet((replace(gold, vault=""),), vaults=(BUNKER, ATTIC))
        self._retried(ShareWithVault.catch_up)
        left = [copy for copy in self.lab.ids(DR) if self.readers(copy) or VAULT in self.lab.tags(copy, DR)]
        self._check(not left, f"{left} are shared, and no policy names a vault")
        return self

    def readers(self, copy_id: str) -> list[str]:
        return sorted(self.lab.world.region_account(DR).permissions.get(copy_id, {}))

    def _check(self, holds: bool, text: str) -> None:
        if not holds:
            self.broken.append(text)

    def _retried(self, step: Callable[[ShareWithVault], object]) -> None:
        """Run a step like Lambda: retry it once if it fails. The schedule does the rest an hour later."""
        for _ in range(3):
            try:
                step(sharing_of(self.lab.runner.composition, DR))
            except AwsUnavailable:
                continue
            self.lab.settle()
            self.lab.runner.advance(DAY / 24)
            if step is not ShareWithVault.catch_up:
                return

    def _hook(self, name: str) -> None:
        if not name.startswith("sharer."):
            return
        self.calls += 1
        if self.calls == self.at:
            raise AwsUnavailable(f"{name} got no answer")

    def _watch(self) -> None:
        call = self.lab.world.call

        def watched(service: str, action: str, params: Any = None, *, region: str, **options: Any) -> Any:
            if action == "ModifySnapshotAttribute" and params.get("OperationType") == "add":
                tags = self.lab.tags(params["SnapshotId"], region)
                vault = ATTIC if self.lab.policies.policies[0].vault == "attic" else BUNKER
                self._check(params.get("UserIds") == [vault.account], f"INV-22: shared with {params.get('UserIds')}")
                self._check(not params.get("GroupNames"), "INV-22: shared with everybody")
                self._check(tags.get(PROOF, "").startswith("PROVED"), "a copy without a proof is shared")
                self._check(tags.get(VAULT, "").startswith(f"{vault.name} "), "a share is unknown to sweeps")
            return call(service, action, params, region=region, **options)

        self.lab.world.call = watched  # type: ignore[method-assign]


@cache
def steps() -> list[int]:
    """Return the moments of failure: before the first call of a port, after the second, before the third, and so on."""
    story = Story().run()
    assert story.broken == []
    assert story.calls >= 16, "tag and share, unshare, untag and tag; tag and share; unshare and untag"
    return [at for at in range(1, story.calls + 1) if at % 4 in (0, 1)]


def broken_stories() -> Iterator[tuple[int, list[str]]]:
    for at in (0, *steps()):
        story = Story(at).run()
        if story.broken:
            yield at, story.broken


def test_copies_are_shared_with_their_vaults_alone_whatever_fails() -> None:
    assert list(broken_stories()) == []


def any_vault(copy: Snapshot, policies: PolicySet) -> Vault | None:
    policy = policies.named(copy.policy)
    return policies.vaults[-1] if policy is not None and policy.vault else None


def share_untagged(self: ShareWithVault, copy: Snapshot, vault: Vault) -> bool:
    self.sharer.share(copy.id, vault.account)
    return True


def trust_any_word(self: ShareWithVault, word: VaultCopyEvent) -> bool:
    self.sharer.tag([word.snapshot_id], {VAULT_COPY: f"attic {word.copy_id}"})
    return True


def share_what_differs(*_: Any) -> bool:
    return True


PLANTED: dict[str, tuple[Any, str, Any]] = {
    "the last vault gets every copy": (sharing, "vault_for", any_vault),
    "a copy is shared without its tag": (ShareWithVault, "_share", share_untagged),
    "a vault's word leaves the share": (ShareWithVault, "withdraw", trust_any_word),
    "a copy stays shared with a former vault": (sharing, "must_stay_shared", share_what_differs),
    "one vault speaks for another": (
        ShareWithVault,
        "withdraw",
        lambda self, word: self.sharer.unshare(word.snapshot_id, ACCOUNT),
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_the_suite_finds_the_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps()
    monkeypatch.setattr(*PLANTED[bug])
    assert next(broken_stories(), None)
