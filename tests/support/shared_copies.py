"""Copies of the deployed functions that a vault pulls, over the model: each is shared until the vault has copied it."""

from __future__ import annotations

import json
from typing import Any

from support.policy_stories import push
from support.real_system import REGIONS, RealSystem

VAULT_ACCOUNT = "210987654321"
WITH_VAULT = {"primary": {"DigestQuietSeconds": 0}, "dr": {"DigestQuietSeconds": 0, "VaultAccounts": VAULT_ACCOUNT}}


def document(key: str, *, vault: bool = True) -> str:
    """Return a policy document for every volume, with a vault for its copies or without."""
    copies = [{"region": REGIONS["dr"], "kms_key": key, "retention": {"keep_last": 5}}]
    gold: dict[str, Any] = {"name": "gold", "select": {}, "retention": {"keep_last": 5}, "copies": copies}
    bunker = {"name": "bunker", "account": VAULT_ACCOUNT, "region": REGIONS["dr"], "from": REGIONS["dr"], "retention": {}}
    whole = {"version": 1, "policies": [gold | ({"vault": "bunker"} if vault else {})]}
    return json.dumps(whole | ({"vaults": [bunker]} if vault else {}))


def shares_of(system: RealSystem) -> dict[str, list[str]]:
    """Return the accounts that can read each copy of the DR region."""
    ec2 = system.ec2("dr")
    asked = {"Attribute": "createVolumePermission"}
    return {
        copy["SnapshotId"]: [
            permission["UserId"]
            for permission in ec2.describe_snapshot_attribute(SnapshotId=copy["SnapshotId"], **asked)["CreateVolumePermissions"]
        ]
        for copy in system.kept("dr")
    }


def copies_are_shared(system: RealSystem) -> None:
    """One copy is shared until the vault has copied it; another one is shared until no policy names the vault."""
    kms = system.world.client("kms", REGIONS["dr"], caller="person")
    key = kms.create_key(Description="of the copies")["KeyMetadata"]["Arn"]
    push(document(key))
    volume_id = system.make_volume(encrypted=True)
    system.protect(volume_id)
    ((copy_id, readers),) = shares_of(system).items()
    assert readers == [VAULT_ACCOUNT]
    detail = {"snapshot": copy_id, "copy": "snap-0123456789abcdef0", "result": "succeeded"}
    word = {"source": "snapkeep.vault", "detail-type": "Vault copy ended", "account": VAULT_ACCOUNT, "detail": detail}
    system.invoke("dr", "ShareWithVault", word)
    assert shares_of(system) == {copy_id: []}
    system.protect(volume_id)
    assert sorted(shares_of(system).values()) == [[], [VAULT_ACCOUNT]]
    push(document(key, vault=False))
    system.advance(120)
    system.invoke("dr", "ShareWithVault", {"detail-type": "Scheduled Event", "source": "aws.events"})
    assert list(shares_of(system).values()) == [[], []]
    push("{policies")
    system.advance(120)
    system.invoke("dr", "ShareWithVault", {"detail-type": "Scheduled Event", "source": "aws.events"})
    system.settle()
