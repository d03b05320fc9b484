"""Production and a vault in another account, two systems over one world: offer, pull, word, withdraw, and back."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.lab.simulator.memory_ports import StepKill
from support.flows import DAY, DR, HOUR, PRIMARY
from support.two_accounts import VAULT_ACCOUNT, TwoAccounts

ELSEWHERE = "us-west-2"
STRIDE = 31


def no_fault(accounts: TwoAccounts) -> None:
    assert accounts.lab.runner.unexpected == accounts.bunker.unexpected == []


@pytest.mark.parametrize("region", [DR, ELSEWHERE])
def test_each_proved_copy_reaches_the_vault_and_its_share_ends(region: str) -> None:
    accounts = TwoAccounts(region=region)
    sources = [accounts.protect() for _ in range(4)]
    contents = [accounts.checksums(PRIMARY, source) for source in accounts.lab.ids()]
    assert len(accounts.lab.ids()) == len(accounts.lab.ids(DR)) == 2
    kept = accounts.kept()
    assert [copy.state for copy in kept] == ["completed"] * 4
    assert [accounts.checksums(region, copy.id, VAULT_ACCOUNT) for copy in kept[2:]] == contents
    assert {copy.key_arn for copy in kept} == {accounts.vault_key}
    assert {lock["SnapshotId"] for lock in accounts.vault_ec2().describe_locked_snapshots()["Snapshots"]} == {c.id for c in kept}
    assert all(source in copy.description for source, copy in zip(sources, kept, strict=True))
    assert accounts.readers() == {}
    no_fault(accounts)


def test_a_volume_is_recovered_after_production_s_account_is_deleted() -> None:
    accounts = TwoAccounts()
    content = accounts.checksums(PRIMARY, accounts.protect())
    accounts.world.close_account(accounts.production)
    accounts.bunker.advance(10 * DAY)
    (kept,) = accounts.kept()
    vault = accounts.vault_ec2()
    volume = vault.create_volume(AvailabilityZone=f"{DR}a", SnapshotId=kept.id)["VolumeId"]
    accounts.bunker.advance(60)
    again = vault.create_snapshot(VolumeId=volume)["SnapshotId"]
    accounts.bunker.advance(HOUR)
    assert accounts.checksums(DR, again, VAULT_ACCOUNT) == content
    assert accounts.bunker.unexpected == []


def test_a_vault_out_of_reach_for_days_loses_nothing() -> None:
    accounts = TwoAccounts(region=ELSEWHERE)
    accounts.protect()
    accounts.world.take_region_away(ELSEWHERE)
    sources = [accounts.protect(hours=12) for _ in range(6)]
    waiting = accounts.lab.ids(DR)
    assert len(waiting) > 2, "what the vault has not copied is not deleted"
    assert set(accounts.readers()) <= set(waiting)
    assert all(readers == [VAULT_ACCOUNT] for readers in accounts.readers().values())
    assert FindingKind.SHARE_STALE in {finding.kind for report in accounts.sweeper.reports for finding in report.items}
    accounts.world.bring_region_back(ELSEWHERE)
    accounts.lab.runner.advance(2 * DAY)
    assert [copy.state for copy in accounts.kept()] == ["completed"] * 7
    assert all(any(source in copy.description for copy in accounts.kept()) for source in sources)
    assert accounts.readers() == {}
    assert len(accounts.lab.ids(DR)) == 2
    no_fault(accounts)


@pytest.mark.parametrize("first", [1, 16])
def test_steps_killed_in_either_account_lose_and_repeat_nothing(first: int) -> None:
    calls = killed = 0

    def kill(name: str) -> None:
        nonlocal calls, killed
        calls += 1
        if calls % STRIDE == first:
            killed += 1
            raise StepKill(f"at {name}")

    accounts = TwoAccounts(hook=kill)
    strangers: list[Any] = []
    call = accounts.world.call

    def watched(service: str, action: str, params: Any = None, *, region: str, **options: Any) -> Any:
        if action == "ModifySnapshotAttribute" and params.get("UserIds") != [VAULT_ACCOUNT]:
            strangers.append(params)
        return call(service, action, params, region=region, **options)

    accounts.world.call = watched  # type: ignore[method-assign]
    sources = [accounts.protect() for _ in range(3)]
    accounts.lab.runner.advance(2 * DAY)
    assert killed > 5
    kept = [copy for copy in accounts.kept() if copy.state == "completed"]
    assert sorted(copy.description for copy in kept) == sorted({copy.description for copy in kept}), "a copy was made twice"
    assert all(any(source in copy.description for copy in kept) for source in sources)
    locked = {lock["SnapshotId"] for lock in accounts.vault_ec2().describe_locked_snapshots()["Snapshots"]}
    assert {copy.id for copy in kept} <= locked
    assert strangers == []
    assert accounts.readers() == {}
    no_fault(accounts)
