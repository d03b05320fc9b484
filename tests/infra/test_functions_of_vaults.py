"""The functions of a vault, over the model with another account: they call exactly what their roles grant."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from snapkeep.domain import tag_names as tagnames
from snapkeep.domain.events import MISSED_DURATION
from support.calls import called
from support.first_engine import first_engine
from support.permissions import PERMISSIONS, own_calls_of
from support.real_system import REGIONS
from support.vault_system import OWNER, VaultSystem
from support.vaulting import VAULT_ACCOUNT

pytestmark = pytest.mark.xdist_group("functions_on_two_engines")
DAY = 86_400.0


@cache
def calls() -> dict[str, frozenset[str]]:
    """The calls of each function: two copies are pulled, locked and reported, and the older one is deleted; two fail for their key."""
    system = VaultSystem()
    with system.started(first_engine):
        theirs, ours, volume_id = system.key(OWNER), system.key(), system.make_volume()
        ec2, kms = (system.world.client(service, REGIONS["dr"], VAULT_ACCOUNT, caller="person") for service in ("ec2", "kms"))

        def untag(event: dict[str, Any]) -> None:
            if event["account"] == VAULT_ACCOUNT and event["detail"]["event"] == "copySnapshot":
                copy_id = event["detail"]["snapshot_id"].rpartition("/")[2]
                ec2.delete_tags(Resources=[copy_id], Tags=[{"Key": tagnames.POLICY}])

        system.world.subscribe(untag)
        system.push(ours, keep_last=1)
        shared = {system.share(volume_id, theirs)}
        system.run_until(lambda: system.reported() == shared)
        assert [one["LockState"] for one in ec2.describe_locked_snapshots()["Snapshots"]] == ["governance"]
        system.advance(2 * DAY)
        shared.add(system.share(volume_id, theirs))
        system.run_until(lambda: system.reported() == shared)
        (first,) = system.copies()
        system.world.deny_key(ours)
        system.share(volume_id, theirs)
        system.run_until(lambda: len(system.published("dr")) == 1)
        kms.disable_key(KeyId=ours)
        system.share(volume_id, theirs)
        system.run_until(lambda: len(system.published("dr")) == 2)
        late = {"event": "copySnapshot", "snapshot_id": f"arn:aws:ec2::{REGIONS['dr']}:snapshot/{first['SnapshotId']}"}
        system.invoke("vault", "Dispatch", {"detail-type": MISSED_DURATION, "region": REGIONS["dr"], "detail": late})
        system.invoke("vault", "Signal", {"Records": [{"messageId": "1", "body": json.dumps(called("DeleteSnapshot"))}]})
        system.push(system.key(), keep_last=1)
        last = system.share(volume_id, theirs)
        system.invoke("vault", "Pull", {})
        system.put("{policies")
        system.advance(3 * DAY)
        system.run_until(lambda: last in system.reported())
        ends = {(run.status, run.error) for _, run in system.runs}
    assert ends == {("SUCCEEDED", ""), ("FAILED", "CopyFailed")}
    return {function: frozenset(made) for (_, function), made in system.calls.items()}


@pytest.mark.parametrize("function", [name for name in PERMISSIONS["vault"] if name != "Sweep"])
def test_a_function_of_a_vault_calls_exactly_what_its_role_grants(function: str) -> None:
    assert calls()[function] == own_calls_of("vault", function)
