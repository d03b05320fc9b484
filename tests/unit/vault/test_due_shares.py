"""Which DR copies are shared with a vault, for how long a share holds its copy, and what sweeps find about shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.cli.views.vault import vault_status_text
from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.model import Action, KeyFault, Snapshot, SnapshotState, Unusable
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector, Vault
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.shares import share_findings, stale_findings, unshared_findings, vault_findings
from snapkeep.domain.tag_names import CHECK, MANAGED, OWN_TAGS, PROOF, VAULT, VAULT_COPY, WRONG
from snapkeep.domain.tags import format_time
from snapkeep.domain.vault.copy_event import VaultCopyEvent, parse_vault_copy_event
from snapkeep.domain.vault.shares import (
    SHARED_FOR,
    VaultStatus,
    due_shares,
    must_stay_shared,
    share_figures,
    share_of,
    share_tag,
    vault_copy_tag,
    vault_holds,
    vault_statuses,
)
from support.lineages import SYSTEM, copy_of, snapshot

DR, DAY = "us-east-2", timedelta(days=1)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT, OTHER = "210987654321", "999988887777"
BUNKER = Vault("bunker", ACCOUNT, DR, DR, Retention())
ATTIC = Vault("attic", ACCOUNT, "eu-west-1", "eu-west-1", Retention())
PROVED = {PROOF: "PROVED sample:300 2026-11-22T03:10:00.000Z"}
POLICIES = PolicySet(
    (
        Policy("gold", Selector(), Retention(keep_last=9), (CopyRule(DR, "alias/dr"),), vault="bunker"),
        Policy("plain", Selector(), Retention(keep_last=9), (CopyRule(DR),)),
        Policy("west", Selector(), Retention(keep_last=9), (CopyRule(DR), CopyRule("eu-west-1", "alias/dr")), vault="attic"),
    ),
    vaults=(BUNKER, ATTIC),
)


def copy(days_ago: float, number: int = 1, *, policy: str = "gold", volume: str = "vol-0a", **tags: str) -> Snapshot:
    """Return a proved copy that arrived an hour after its source began."""
    source = snapshot(NOW - days_ago * DAY, number, policy=policy, volume=volume)
    arrived = source.start_time + timedelta(hours=1)
    made = replace(copy_of(source, DR, number), start_time=arrived, completed_at=arrived)
    return replace(made, tags={**made.tags, **PROVED, **tags})


def due(*copies: Snapshot, accounts: tuple[str, ...] = (ACCOUNT,), policies: PolicySet = POLICIES) -> list[str]:
    return [one.id for one, _ in due_shares(copies, policies, accounts, NOW, system=SYSTEM)]


def test_a_proved_copy_is_due_for_the_vault_of_its_policy() -> None:
    [(shared, vault)] = due_shares([copy(1)], POLICIES, [ACCOUNT], NOW, system=SYSTEM)
    assert (shared.id, vault) == (copy(1).id, BUNKER)


@pytest.mark.parametrize(
    "unfit",
    [
        copy(1, policy="plain"),
        copy(1, policy="west"),
        copy(1, policy="unknown"),
        replace(copy(1), tags={**copy(1).tags, PROOF: ""}),
        replace(copy(1), tags={**copy(1).tags, PROOF: "DIFFERS full 2026-11-22T03:10:00.000Z"}),
        replace(copy(1), tags={**copy(1).tags, CHECK: WRONG}),
        replace(copy(1), tags=PROVED),
        replace(copy(1), state=SnapshotState.PENDING),
        replace(copy(1), archived=True),
        replace(copy(1), key_fault=KeyFault("arn:aws:kms:us-east-2:123456789012:key/1", Unusable.KEY_DISABLED)),
        replace(copy(1), is_copy=False),
        replace(copy(1), tags={**copy(1).tags, **share_tag(BUNKER, NOW)}),
        replace(copy(1), tags={**copy(1).tags, **vault_copy_tag(BUNKER, "snap-0123456789abcdef0")}),
    ],
)
def test_nothing_else_is_due(unfit: Snapshot) -> None:
    assert due(unfit) == []


def test_a_vault_whose_account_the_stack_may_not_share_with_gets_nothing() -> None:
    assert due(copy(1), accounts=(OTHER,)) == []
    [finding] = vault_findings([copy(1)], POLICIES, [OTHER])
    assert (finding.kind, finding.subject) == (FindingKind.VAULT_NOT_ALLOWED, "bunker")
    assert finding.text.endswith(f"would be: {','.join(sorted([OTHER, ACCOUNT]))}"), "the accounts that are there stay"
    assert list(vault_findings([copy(1), copy(1, policy="plain")], POLICIES, [ACCOUNT])) == []


def test_a_volumes_newest_copy_and_those_of_a_week_are_due() -> None:
    old, week, day, other = copy(9, 1), copy(6, 2), copy(1, 3), copy(30, 4, volume="vol-0b")
    for listed in ((day, old, week, other), (old, week, other, day)):
        assert due(*listed) == [other.id, week.id, day.id]


def test_an_older_copy_is_due_for_a_week_after_its_completion() -> None:
    newest, second = copy(1, 2), timedelta(seconds=1)
    late = replace(copy(30), completed_at=NOW - SHARED_FOR)
    assert due(late, newest) == [late.id, newest.id]
    assert due(replace(late, completed_at=NOW - SHARED_FOR - second), newest) == [newest.id]
    unknown = replace(copy(30), start_time=NOW - SHARED_FOR, completed_at=None)
    assert due(unknown, newest) == [unknown.id, newest.id]


def test_a_copy_that_another_vault_has_is_due_for_the_new_one() -> None:
    moved = copy(1, **vault_copy_tag(ATTIC, "snap-0123456789abcdef0"))
    assert due(moved) == [moved.id]


def test_a_share_is_due_while_the_policy_names_its_vault() -> None:
    shared = copy(1, **share_tag(BUNKER, NOW))
    assert share_of(shared.tags) == ("bunker", NOW)
    assert share_of({VAULT: "bunker"}) == ("bunker", None)
    assert share_of({}) is None
    assert must_stay_shared(shared, POLICIES)
    assert not must_stay_shared(copy(1, **share_tag(ATTIC, NOW)), POLICIES)
    assert not must_stay_shared(replace(shared, tags={**shared.tags, "snapkeep:policy": "plain"}), POLICIES)


def test_the_tags_of_shares_go_onto_no_other_copy() -> None:
    assert {VAULT, VAULT_COPY} <= OWN_TAGS


def test_a_shared_copy_is_held_for_its_vault_at_most_a_week() -> None:
    fresh = copy(3, 1, **share_tag(BUNKER, NOW - DAY))
    long_ago = copy(2, 2, **share_tag(BUNKER, NOW - SHARED_FOR - timedelta(seconds=1)))
    assert list(vault_holds([copy(3, 5, **share_tag(BUNKER, NOW - SHARED_FOR))], NOW)) == [copy(3, 5).id]
    newest, unknown = copy(1, 3), copy(2.5, 4, **{VAULT: "bunker"})
    listed = [fresh, long_ago, unknown, newest]
    held = vault_holds(listed, NOW)
    assert list(held) == [fresh.id]
    assert held[fresh.id][0].text == "held: shared with vault bunker since 2026-11-22 12:00 UTC, which has not copied it yet"
    policies = replace(
        POLICIES,
        limits=Limits(max_share_percent=100),
        policies=(replace(POLICIES.policies[0], copies=(CopyRule(DR, "alias/dr", retention=Retention(keep_last=1)),)),),
    )
    plan = plan_region(RegionFacts(DR, (), listed), policies, NOW, system=SYSTEM, protected_ids=held)
    assert {verdict.snapshot.id for verdict in plan.verdicts if verdict.action is Action.KEEP} == {fresh.id, newest.id}
    assert not plan.volumes[0].refusals


def found(shared: Snapshot, *readers: str, accounts: tuple[str, ...] = (ACCOUNT,)) -> list[FindingKind]:
    return [finding.kind for finding in share_findings(shared, readers, POLICIES, accounts)]


def test_a_share_with_an_account_that_is_no_vault_is_a_finding() -> None:
    """INV-22."""
    shared = copy(1, **share_tag(BUNKER, NOW))
    assert found(shared, ACCOUNT) == []
    assert found(shared, ACCOUNT, OTHER) == [FindingKind.SHARED]
    assert found(replace(shared, is_copy=False), ACCOUNT) == [FindingKind.SHARED]
    assert found(replace(shared, region="eu-central-1"), ACCOUNT, accounts=()) == [FindingKind.SHARED]


def test_old_shares_are_one_finding_for_their_vault() -> None:
    fresh, older, oldest = (copy(1, number, **share_tag(BUNKER, NOW - days * DAY)) for number, days in enumerate((1, 1.1, 3), 1))
    assert list(stale_findings([fresh, copy(1)], NOW)) == []
    [finding] = stale_findings([fresh, older, oldest], NOW)
    assert (finding.kind, finding.subject) == (FindingKind.SHARE_STALE, oldest.id)
    assert finding.text == "shared with vault bunker since 2026-11-20 12:00 UTC, and 1 more copy"
    [unknown] = stale_findings([copy(1, **{VAULT: "bunker"})], NOW)
    assert unknown.text == "shared with vault bunker since a time that is not known"


def test_a_share_with_a_vault_that_no_tag_shows_is_a_finding() -> None:
    assert found(copy(1), ACCOUNT) == [FindingKind.SHARE_STALE]


def test_a_copy_that_no_vault_fetches_is_a_finding_after_a_day() -> None:
    def unshared(*copies: Snapshot) -> list[str]:
        return [finding.subject for finding in unshared_findings(copies, POLICIES, [ACCOUNT], NOW, system=SYSTEM)]

    assert unshared(copy(1)) == []
    assert unshared(copy(1.2, 2), copy(1.1, 3, volume="vol-0b"), copy(2, 4)) == [copy(2, 4).id]
    assert unshared(copy(1.1, **share_tag(BUNKER, NOW))) == []


WORD = {
    "source": "snapkeep.vault",
    "detail-type": "Vault copy ended",
    "account": ACCOUNT,
    "detail": {"snapshot": "snap-0123456789abcdef0", "copy": "snap-0fedcba9876543210", "result": "succeeded"},
}


def test_a_vaults_event_names_both_copies_and_its_account() -> None:
    assert parse_vault_copy_event(WORD) == VaultCopyEvent("snap-0123456789abcdef0", "snap-0fedcba9876543210", ACCOUNT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "snapkeep"},
        {"detail-type": "EBS Snapshot Notification"},
        {"detail": None},
        {"detail": {"snapshot": "snap-0123456789abcdef0", "result": "succeeded"}},
        {"detail": {**WORD["detail"], "result": "failed"}},  # type: ignore[dict-item]
        {"detail": {**WORD["detail"], "copy": "snap-x; rm"}},  # type: ignore[dict-item]
    ],
)
def test_an_unreadable_event_of_a_vault_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidEvent):
        parse_vault_copy_event(WORD | wrong)


def test_managed_copies_that_are_shared_and_copied_are_counted() -> None:
    shared, copied = copy(1, **share_tag(BUNKER, NOW)), copy(1, **vault_copy_tag(BUNKER, "snap-0123456789abcdef0"))
    foreign = replace(shared, tags={VAULT: "bunker"})
    figures = {"copies_shared": 1, "copies_in_vault": 2}
    assert share_figures([shared, copied, copied, copy(1), foreign], SYSTEM) == figures
    assert share_figures([copy(1), foreign], SYSTEM) == {}


def standing(*copies: Snapshot) -> VaultStatus:
    bunker, attic = vault_statuses({DR: copies}, POLICIES, NOW, system=SYSTEM)
    assert bunker.vault == BUNKER
    assert (attic.vault, attic.known, attic.late) == (ATTIC, False, False)
    return bunker


def test_a_vault_has_confirmed_copies_and_waits_for_the_others() -> None:
    copied = [copy(days, number, **{VAULT_COPY: "bunker snap-1"}) for number, days in ((1, 5), (2, 3))]
    shared, due_now = copy(0.8, 3, **share_tag(BUNKER, NOW - 0.5 * DAY)), copy(0.5, 4)
    others = [copy(1, 5, policy="plain"), copy(1, 6, policy="west", **share_tag(ATTIC, NOW - 9 * DAY))]
    earlier = copy(0.9, 7, **share_tag(BUNKER, NOW - 0.4 * DAY))
    others.append(replace(copied[0], tags={**copied[0].tags, MANAGED: "snapkeep-two"}))
    found = standing(*copied, shared, due_now, *others)
    assert replace(standing(*copied, earlier, shared, due_now, *others), shared=1) == found
    assert found == VaultStatus(BUNKER, True, 2, copied[1].origin.start_time, 1, NOW - 0.5 * DAY, to_share=1, late=False)
    assert vault_status_text(found) == (
        f"2 copies in account {ACCOUNT}, us-east-2, the newest of 2026-11-20 12:00 UTC; "
        "1 shared and not copied yet, the first since 2026-11-23 00:00 UTC; 1 to be shared"
    )


@pytest.mark.parametrize(
    "waiting",
    [
        copy(3, **share_tag(BUNKER, NOW - 1.1 * DAY)),
        copy(3, **{VAULT: "bunker"}),
        replace(copy(3), completed_at=NOW - DAY - timedelta(seconds=1)),
        replace(copy(3), start_time=NOW - DAY - timedelta(seconds=1), completed_at=None),
    ],
)
def test_a_vault_is_late_after_a_day(waiting: Snapshot) -> None:
    found = standing(waiting)
    assert found.late
    assert vault_status_text(found).endswith("(late: see `snapkeep report list`)")


@pytest.mark.parametrize(
    "fetched",
    [
        copy(9, **{VAULT_COPY: "bunker snap-1"}),
        copy(3, **share_tag(BUNKER, NOW - DAY)),
        replace(copy(3), completed_at=NOW - DAY),
        replace(copy(3), start_time=NOW - DAY, completed_at=None),
    ],
)
def test_a_vault_is_not_late_for_a_day(fetched: Snapshot) -> None:
    assert not standing(fetched).late


def test_a_share_whose_time_is_not_known_is_not_the_first() -> None:
    assert standing(copy(3, **{VAULT: "bunker"}), copy(1, 2, **share_tag(BUNKER, NOW - DAY))).shared_since == NOW - DAY


def test_a_copy_waits_for_the_vault_of_its_policy_alone() -> None:
    second = replace(BUNKER, name="second")
    both = vault_statuses({DR: [copy(1)]}, replace(POLICIES, vaults=(BUNKER, second)), NOW, system=SYSTEM)
    assert [(standing.vault, standing.to_share) for standing in both] == [(BUNKER, 1), (second, 0)]


def test_the_copies_of_a_vault_are_not_known_without_a_listing() -> None:
    (_, attic) = vault_statuses({DR: []}, POLICIES, NOW, system=SYSTEM)
    assert vault_status_text(attic) == f"the copies in account {ACCOUNT} are not known: eu-west-1 could not be read"


def test_times_of_shares_are_written_as_all_others() -> None:
    assert share_tag(BUNKER, NOW) == {VAULT: f"bunker {format_time(NOW)}"}
