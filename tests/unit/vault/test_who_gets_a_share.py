"""Each condition of a share and of its end: what ShareWithVault calls, and that it calls nothing where one does not hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.errors import SnapshotGone
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, Vault
from snapkeep.domain.tag_names import CHECK, MANAGED, POLICY, PROOF, VAULT, VAULT_COPY, WRONG
from snapkeep.domain.vault.copy_event import VaultCopyEvent
from snapkeep.domain.vault.shares import share_tag, vault_copy_tag
from snapkeep.usecases.ports import Notice
from snapkeep.usecases.vault.share import ShareRound, ShareWithVault
from support.lineages import SYSTEM, copy_of, snapshot

DR, NOW = "us-east-2", datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT, OTHER, STRANGER = "210987654321", "888877776666", "999988887777"
BUNKER, ATTIC = Vault("bunker", ACCOUNT, DR, DR, Retention()), Vault("attic", OTHER, DR, DR, Retention())
GOLD = Policy("gold", Selector(), Retention(keep_last=9), (CopyRule(DR, "alias/dr"),), vault="bunker")
POLICIES = PolicySet((GOLD, replace(GOLD, name="plain", vault="")), vaults=(BUNKER, ATTIC))
VAULTS_COPY = "snap-0fedcba9876543210"


def copy(**tags: str) -> Snapshot:
    source = snapshot(NOW - timedelta(days=1), 1)
    made = replace(copy_of(source, DR, 1), start_time=source.start_time, completed_at=source.start_time)
    return replace(made, tags={**made.tags, PROOF: "PROVED sample:300 2026-11-22T03:10:00.000Z", **tags})


GOOD = copy()
SHARED = copy(**share_tag(BUNKER, NOW))


@dataclass
class Region:
    """A DR region with one copy, and the calls that change it."""

    copy: Snapshot
    readers: tuple[str, ...] = ()
    region: str = DR
    calls: list[str] = field(default_factory=list)

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        return {self.copy.id: self.copy} if self.copy.id in snapshot_ids else {}

    def tagged_snapshots(self, keys: Collection[str]) -> list[Snapshot]:
        return [self.copy] if self.copy.tags.keys() & set(keys) else []

    def shared_with(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(snapshot_ids, self.readers)

    def tag(self, snapshot_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        self.calls.append(f"tag {' '.join(tags)}")

    def untag(self, snapshot_id: str, tags: Mapping[str, str]) -> None:
        self.calls.append(f"untag {' '.join(tags)}")

    def share(self, snapshot_id: str, account: str) -> None:
        self.calls.append(f"share {account}")

    def unshare(self, snapshot_id: str, account: str) -> None:
        self.calls.append(f"unshare {account}")

    def add(self, notice: Notice) -> None:
        raise AssertionError(notice)

    def now(self) -> datetime:
        return NOW


def sharing(region: Region, *accounts: str, policies: PolicySet = POLICIES) -> ShareWithVault:
    allowed = frozenset(accounts or (ACCOUNT, OTHER))
    ports = {"copies": region, "permissions": region, "sharer": region, "notices": region, "clock": region}
    return ShareWithVault(system=SYSTEM, policies=lambda: policies, accounts=allowed, **ports)  # type: ignore[arg-type]


def test_a_proved_copy_is_tagged_and_shared_with_its_vault() -> None:
    region = Region(GOOD)
    assert sharing(region).share(GOOD.id) == "bunker"
    assert region.calls == [f"tag {VAULT}", f"share {ACCOUNT}"]


@pytest.mark.parametrize(
    "unfit",
    [
        copy(**{PROOF: ""}),
        copy(**{PROOF: "DIFFERS full 2026-11-22T03:10:00.000Z"}),
        copy(**{CHECK: WRONG}),
        copy(**{MANAGED: "another"}),
        copy(**vault_copy_tag(BUNKER, VAULTS_COPY)),
        SHARED,
        replace(GOOD, tags={**GOOD.tags, "snapkeep:policy": "plain"}),
        replace(GOOD, is_copy=False),
        replace(GOOD, id="snap-0000000000000dead"),
    ],
)
def test_no_other_copy_is_shared_by_a_run(unfit: Snapshot) -> None:
    region = Region(unfit)
    assert sharing(region).share(GOOD.id) == ""
    assert region.calls == []


def test_a_vault_of_an_account_that_is_not_allowed_gets_nothing() -> None:
    region = Region(GOOD)
    assert sharing(region, OTHER).share(GOOD.id) == ""
    assert sharing(region, OTHER).catch_up().shared == ()
    assert region.calls == []


def word(account: str = ACCOUNT) -> VaultCopyEvent:
    return VaultCopyEvent(SHARED.id, VAULTS_COPY, account)


def test_the_vault_s_event_ends_its_share_and_is_recorded() -> None:
    region = Region(SHARED, readers=(ACCOUNT,))
    assert sharing(region).withdraw(word())
    assert region.calls == [f"unshare {ACCOUNT}", f"untag {VAULT}", f"tag {VAULT_COPY}"]


@pytest.mark.parametrize(
    ("of", "account"),
    [
        (SHARED, STRANGER),
        (SHARED, OTHER),
        (replace(SHARED, tags={**SHARED.tags, MANAGED: "another"}), ACCOUNT),
        (replace(SHARED, id="snap-0123456789abcdef0"), ACCOUNT),
    ],
    ids=["a stranger's", "another vault's", "of another system's copy", "of a deleted copy"],
)
def test_no_other_event_changes_anything(of: Snapshot, account: str) -> None:
    region = Region(of, readers=(ACCOUNT,))
    assert not sharing(region).withdraw(word(account))
    assert region.calls == []


def test_the_word_of_a_vault_that_no_policy_names_ends_the_share_alone() -> None:
    untagged = Region(copy(**{POLICY: "plain"}), readers=(ACCOUNT,))
    assert sharing(untagged).withdraw(word())
    assert untagged.calls == [f"unshare {ACCOUNT}"]
    removed = Region(SHARED, readers=(ACCOUNT,))
    assert sharing(removed, policies=PolicySet((replace(GOLD, vault=""),))).withdraw(word())
    assert removed.calls == [f"unshare {ACCOUNT}", f"untag {VAULT}"]


def test_a_copy_that_is_deleted_meanwhile_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SnapshotGone

    monkeypatch.setattr(Region, "share", refuse)
    assert sharing(Region(GOOD)).share(GOOD.id) == ""
    assert sharing(Region(GOOD)).catch_up() == ShareRound()


@pytest.mark.parametrize("readers", [(), (STRANGER,)])
def test_a_missing_share_is_made_again(readers: tuple[str, ...]) -> None:
    region = Region(SHARED, readers)
    assert sharing(region).catch_up().shared == (SHARED.id,)
    assert region.calls == [f"share {ACCOUNT}"], "the tag is there, with the time of the first share"


def test_an_existing_share_is_left() -> None:
    region = Region(SHARED, readers=(ACCOUNT,))
    assert sharing(region).catch_up().shared == ()
    assert region.calls == []


@pytest.mark.parametrize(("readers", "untagged"), [((ACCOUNT,), True), ((), True), ((ACCOUNT, STRANGER), False)])
def test_an_obsolete_share_ends_and_an_unknown_accounts_stays_known(readers: tuple[str, ...], untagged: bool) -> None:
    region = Region(SHARED, readers)
    round_ = sharing(region, policies=replace(POLICIES, policies=())).catch_up()
    assert round_.withdrawn == ((SHARED.id,) if untagged else ())
    assert region.calls == [f"unshare {ACCOUNT}"] * (ACCOUNT in readers) + [f"untag {VAULT}"] * untagged


@pytest.mark.parametrize("policies", [POLICIES, replace(POLICIES, policies=())])
def test_copies_of_another_system_are_left_alone(policies: PolicySet) -> None:
    region = Region(replace(SHARED, tags={**SHARED.tags, MANAGED: "another"}), readers=(ACCOUNT,))
    sharing(region, policies=policies).catch_up()
    assert region.calls == []
