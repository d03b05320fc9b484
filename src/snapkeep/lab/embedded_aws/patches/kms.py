"""KMS: ministack has the keys and encrypts with them; the model gets their states, aliases and permissions.

The permissions on a key for an encrypted volume or copy: [EBS user guide: permissions for IAM users]. EC2 checks them
while the copy runs, so a missing permission fails the copy later, as on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from snapkeep.lab.ebs_model.api.key_policies import FOR_ALL, NEEDED_FOR_EBS, NEEDED_TO_READ
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.store.records import Key
from snapkeep.lab.embedded_aws.patches.ec2 import Answer, RouteHandler
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.permissions import key_allows
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

# Calls that use keys.
USING_KEYS = frozenset(
    {"CopySnapshot", "CopyImage", "CreateVolume", "RunInstances", "GetSnapshotBlock", "StartSnapshot", "ModifyEbsDefaultKmsKeyId"}
)


def apply(locked_world: LockedWorld) -> None:
    """Give the model ministack's keys, and make KMS describe the AWS managed key for EBS."""
    from ministack import app
    from ministack.core import iam_actions
    from ministack.services import kms

    replace(iam_actions, "extract_resource_arn", lambda extract: _naming_the_key(locked_world, extract))
    replace(kms, "key_policy_for_arn", _key_policy)
    locked_world.before_call(lambda _service, action, account_id, caller: mirror(locked_world, action, account_id, caller))
    app.SERVICE_HANDLERS["kms"] = kms_handler(locked_world, app.SERVICE_HANDLERS["kms"])


def add_keys_of_world(locked_world: LockedWorld) -> None:
    """Add the customer managed keys and aliases of the world, such as those of a world file, that KMS does not have yet."""
    from ministack.core.responses import request_scope
    from ministack.services import kms

    with locked_world.lock():
        for region_account in locked_world.world.state.region_accounts.values():
            with request_scope(region_account.account_id, region_account.region):
                for key in region_account.keys.values():
                    if key.manager == "CUSTOMER" and key.id not in kms._keys:
                        _add_key(key)
                for name, key_id in region_account.aliases.items():
                    if key_id in kms._keys:
                        kms._aliases.setdefault(kms._alias_arn(name), key_id)


def _add_key(key: Key) -> None:
    from ministack.services import kms

    _, _, body = kms._create_key({"Description": key.description})
    record = kms._keys.pop(json.loads(body)["KeyMetadata"]["KeyId"])
    record.update(KeyId=key.id, Arn=key.arn, KeyState=key.state, Enabled=key.state == "Enabled", CreationDate=int(key.created))
    if key.deletion_at:
        record["DeletionDate"] = int(key.deletion_at)
    kms._keys[key.id] = record


def _naming_the_key(locked_world: LockedWorld, extract: Callable[..., Any]) -> Callable[..., str]:
    """Authorize a call with an alias on the alias's key [KMS developer guide: controlling access to aliases].

    Calls that create, change or delete an alias are authorized on the alias.
    """

    def extract_resource_arn(service: str, method: str, path: str, headers: dict[str, str], *positional: Any) -> str:
        arn = str(extract(service, method, path, headers, *positional))
        if service != "kms" or ":alias/" not in arn or headers.get("x-amz-target", "").endswith("Alias"):
            return arn
        return key_arn_of(locked_world, arn) or arn

    return extract_resource_arn


def key_arn_of(locked_world: LockedWorld, alias_arn: str) -> str:
    """Return the ARN of an alias's key; empty if there is none."""
    from ministack.services import kms

    _, _, _, region, account_id, alias = alias_arn.split(":", 5)
    key_id = kms._aliases.get_scoped(account_id, region, alias_arn)
    if key_id is not None:
        return str(kms._keys.get_scoped(account_id, region, key_id)["Arn"])
    try:
        answer = locked_world.call("kms", "DescribeKey", {"KeyId": alias}, region=region, account_id=account_id, caller="")
    except ApiError:
        return ""
    return str(answer["KeyMetadata"]["Arn"])


def mirror(locked_world: LockedWorld, action: str, account_id: str, caller: str) -> None:
    """Give the model the current keys before a call that uses keys, denied to a caller who may not use them.

    These are the keys of the account, and of accounts that share snapshots.
    """
    from ministack.services import kms

    if action not in USING_KEYS:
        return
    needed = NEEDED_TO_READ if action == "GetSnapshotBlock" else NEEDED_FOR_EBS
    sharing = {owner for shared in locked_world.world.state.shared_snapshots.values() for owner in shared.values()}
    for (owner, region, key_id), record in list(kms._keys._data.items()):
        if owner not in {account_id, *sharing} or region not in locked_world.world.regions:
            continue
        region_account = locked_world.world.region_account(region, owner)
        key = region_account.keys.get(key_id)
        if key is None:
            key = region_account.keys[key_id] = Key(key_id, record["Arn"], owner, float(record["CreationDate"]))
        # ministack evaluates the real policy; `denied` has the result.
        key.state, key.policy = str(record["KeyState"]), FOR_ALL
        _deny_or_allow(key, caller, allowed=may_use(caller, key.arn, record.get("Policy") or "", needed))
    for (owner, region, alias_arn), key_id in list(kms._aliases._data.items()):
        if owner == account_id and region in locked_world.world.regions:
            locked_world.world.region_account(region, account_id).aliases[alias_arn.split(":", 5)[5]] = key_id


def _deny_or_allow(key: Key, caller: str, *, allowed: bool) -> None:
    if allowed and caller in key.denied:
        key.denied.remove(caller)
    elif not allowed and caller not in key.denied:
        key.denied.append(caller)


def may_use(caller: str, key_arn: str, policy: str, actions: Iterable[str]) -> bool:
    """Return whether EC2 may carry out all these actions with the key, which has this policy, on the caller's behalf."""
    via = f"ec2.{key_arn.split(':')[3]}.amazonaws.com"
    return all(key_allows(caller, f"kms:{action}", key_arn, policy, via) for action in actions)


def kms_handler(locked_world: LockedWorld, ministack_kms: RouteHandler) -> RouteHandler:
    """Return the handler of KMS, which describes the AWS managed key for EBS too, and keys of other accounts."""
    from ministack.core.responses import request_scope

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Answer:
        if headers.get("x-amz-target", "").endswith(".DescribeKey"):
            if (owner := _owner_elsewhere(json.loads(body or b"{}"))) is not None:
                with request_scope(*owner):  # IAM has already evaluated the key's policy
                    return await ministack_kms(method, path, headers, body, query)
            answer = _describe_managed(locked_world, json.loads(body or b"{}"))
            if answer is not None:
                return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer, default=_epoch).encode()
        return await ministack_kms(method, path, headers, body, query)

    return handle


def _owner_elsewhere(parameters: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return account and region of the customer managed key of another account that a request names by ARN, or None."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import kms

    parts = str(parameters.get("KeyId", "")).split(":")
    if len(parts) != 6 or parts[4] == get_account_id() or parts[3] != get_region():  # noqa: PLR2004 - an ARN has six fields
        return None
    known = kms._keys.get_scoped(parts[4], parts[3], parts[5].removeprefix("key/")) is not None
    return (parts[4], parts[3]) if known else None


def _key_policy(find: Callable[[str], Any]) -> Callable[[str], Any]:
    """Find the policy of another account's key too: ministack finds only keys of its own account."""

    def key_policy_for_arn(arn: str) -> Any:
        from ministack.core.responses import request_scope

        owner = _owner_elsewhere({"KeyId": arn})
        if owner is None:
            return find(arn)
        with request_scope(*owner):
            return find(arn)

    return key_policy_for_arn


def _describe_managed(locked_world: LockedWorld, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import kms

    if kms._resolve_key(str(parameters.get("KeyId", ""))):
        return None
    try:
        answer = locked_world.call("kms", "DescribeKey", parameters, region=get_region(), account_id=get_account_id(), caller="")
    except ApiError:
        return None
    return answer if answer["KeyMetadata"]["KeyManager"] == "AWS" else None


def _epoch(moment: Any) -> float:
    return float(moment.timestamp())
