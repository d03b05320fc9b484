"""KMS keys, as far as EBS needs them: states, aliases, policies, and denied principals.

States and errors: botocore's kms service model and [KMS developer guide: key states].
"""

from __future__ import annotations

import json
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from snapkeep.lab.ebs_model.api import key_policies
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.paging import decode, encode
from snapkeep.lab.ebs_model.store.arns import partition_of
from snapkeep.lab.ebs_model.store.records import Key

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

EBS_ALIAS = "alias/aws/ebs"
SHORTEST_WAIT_DAYS, LONGEST_WAIT_DAYS = 7, 30


def find(world: WorldState, key_arn: str) -> Key | None:
    """Return the key with an ARN, or None."""
    parts = key_arn.split(":")
    if len(parts) != 6:  # noqa: PLR2004 - an ARN has six fields
        return None
    account = world.region_accounts.get((parts[4], parts[3]))
    if account is None:
        return None
    name = parts[5]
    if name.startswith("alias/"):
        return account.keys.get(account.aliases.get(name, ""))
    return account.keys.get(name.removeprefix("key/"))


def resolve(world: WorldState, account: RegionAccount, reference: str) -> Key | None:
    """Return the key with an id, alias, ARN or alias ARN, or None. Keys are regional: an ARN of another region is None."""
    if reference == EBS_ALIAS:
        return managed_key(world, account)
    if reference.startswith("arn:"):
        key = find(world, reference)
        return key if key is not None and key.arn.split(":")[3] == account.region else None
    if reference.startswith("alias/"):
        return account.keys.get(account.aliases.get(reference, ""))
    return account.keys.get(reference)


def managed_key(world: WorldState, account: RegionAccount) -> Key:
    """Return the AWS managed key for EBS of an account in a region, made on first use [EBS user guide: encryption]."""
    key_id = account.aliases.get(EBS_ALIAS)
    if key_id is None:
        key = make(world, account, "Default key that protects my EBS volumes when no other key is defined", "AWS")
        key_id = account.aliases[EBS_ALIAS] = key.id
    return account.keys[key_id]


def make(world: WorldState, account: RegionAccount, description: str, manager: str) -> Key:
    """Make a key and return it."""
    key_id = world.ids.uuid()
    arn = f"arn:{partition_of(account.region)}:kms:{account.region}:{account.account_id}:key/{key_id}"
    key = Key(key_id, arn, account.account_id, world.now(), description=description, manager=manager)
    account.keys[key_id] = key
    return key


def default_key(world: WorldState, account: RegionAccount) -> Key | None:
    """Return the default key of encryption: the account's choice, or the AWS managed key."""
    return resolve(world, account, account.default_key) if account.default_key else managed_key(world, account)


def for_copy(call: Call, reference: str) -> tuple[Key | None, str]:
    """Return the key that a request names (or the default one), and its ARN in answers. A wrong name is not refused here."""
    key = resolve(call.world, call.account, reference) if reference else default_key(call.world, call.account)
    if key is not None:
        return key, key.arn
    if reference.startswith("arn:"):
        return None, reference
    prefix = f"arn:{partition_of(call.account.region)}:kms:{call.account.region}:{call.account.account_id}:"
    return None, prefix + (reference if reference.startswith("alias/") else f"key/{reference}")


def usable(key: Key, call: Call, actions: Collection[str] = key_policies.NEEDED_FOR_EBS) -> bool:
    """Return whether EBS can use a key for the caller, who is of the key's account or of another one in its policy."""
    denied = any(fnmatchcase(call.caller, pattern) for pattern in key.denied)
    return key.state == "Enabled" and not denied and key_policies.allows_ebs(key, call.account.account_id, call.caller, actions)


def _named(call: Call, action: str = "") -> Key:
    """Return the key that a request names; a key of another account only for an action that its policy allows."""
    reference = str(call.params["KeyId"])
    key = resolve(call.world, call.account, reference)
    if key is None:
        kind = "Alias" if "alias/" in reference else "Key"
        raise ApiError("NotFoundException", f"{kind} '{reference}' does not exist")
    if key.state == "PendingDeletion" and key.deletion_at <= call.now:
        raise ApiError("NotFoundException", f"Key '{key.arn}' does not exist")
    account_id = call.account.account_id
    if key.owner_id != account_id and not (action and key_policies.allows(key, account_id, call.caller, action)):
        raise ApiError("AccessDeniedException", f"Account {account_id} is not authorized to do this with {key.arn}.")
    return key


def create_key(call: Call) -> Response:
    """CreateKey: a customer managed key, enabled."""
    key = make(call.world, call.account, str(call.params.get("Description") or ""), "CUSTOMER")
    return {"KeyMetadata": metadata(key)}


def describe_key(call: Call) -> Response:
    """DescribeKey: by id, alias, or ARN. Raise AccessDeniedException for another account's that is not shared with the caller."""
    return {"KeyMetadata": metadata(_named(call, "DescribeKey"))}


def metadata(key: Key) -> Response:
    """Return the KeyMetadata of a key."""
    answer: Response = {
        "AWSAccountId": key.owner_id,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": utc(key.created),
        "Enabled": key.state == "Enabled",
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }
    if key.state == "PendingDeletion":
        answer["DeletionDate"] = utc(key.deletion_at)
    return answer


def _set_enabled(call: Call, state: str) -> Response:
    key = _named(call)
    if key.manager == "AWS":
        raise ApiError("AccessDeniedException", f"The key {key.arn} is managed by AWS and cannot be changed.")
    if key.state == "PendingDeletion":
        raise ApiError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    key.state = state
    return {}


def disable_key(call: Call) -> Response:
    """DisableKey: copies that use it fail from now on."""
    return _set_enabled(call, "Disabled")


def enable_key(call: Call) -> Response:
    """EnableKey."""
    return _set_enabled(call, "Enabled")


def schedule_key_deletion(call: Call) -> Response:
    """ScheduleKeyDeletion: 7 to 30 days, unusable at once.

    Raise ValidationException outside this range, KMSInvalidStateException if the key is already pending deletion.
    """
    key = _named(call)
    days = int(call.params.get("PendingWindowInDays") or LONGEST_WAIT_DAYS)
    if not SHORTEST_WAIT_DAYS <= days <= LONGEST_WAIT_DAYS:
        raise ApiError("ValidationException", f"PendingWindowInDays is {days}: from 7 to 30.")
    if key.state == "PendingDeletion":
        raise ApiError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    key.state = "PendingDeletion"
    key.deletion_at = call.now + days * SECONDS_PER_DAY
    return {
        "KeyId": key.arn,
        "DeletionDate": utc(key.deletion_at),
        "KeyState": key.state,
        "PendingWindowInDays": days,
    }


def cancel_key_deletion(call: Call) -> Response:
    """CancelKeyDeletion: the key is disabled afterwards. Raise KMSInvalidStateException if it is not pending deletion."""
    key = _named(call)
    if key.state != "PendingDeletion":
        raise ApiError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.state = "Disabled"
    key.deletion_at = 0.0
    return {"KeyId": key.arn}


def create_alias(call: Call) -> Response:
    """CreateAlias. Raise InvalidAliasNameException, AlreadyExistsException, or NotFoundException for its key."""
    name = str(call.params["AliasName"])
    if not name.startswith("alias/") or name.startswith("alias/aws/"):
        raise ApiError("InvalidAliasNameException", f"Alias must start with 'alias/' and not with 'alias/aws/': {name}")
    if name in call.account.aliases:
        raise ApiError("AlreadyExistsException", f"An alias with the name {name} already exists")
    key = resolve(call.world, call.account, str(call.params["TargetKeyId"]))
    if key is None:
        raise ApiError("NotFoundException", f"Key '{call.params['TargetKeyId']}' does not exist")
    call.account.aliases[name] = key.id
    return {}


def list_aliases(call: Call) -> Response:
    """ListAliases, by name, in pages of Limit."""
    prefix = f"arn:{partition_of(call.account.region)}:kms:{call.account.region}:{call.account.account_id}:"
    aliases = [
        {"AliasName": name, "AliasArn": prefix + name, "TargetKeyId": key_id}
        for name, key_id in sorted(call.account.aliases.items())
        if call.params.get("KeyId") in (None, "", key_id, prefix + f"key/{key_id}")
    ]
    start = decode(str(call.params["Marker"])) if call.params.get("Marker") else 0
    end = start + int(call.params.get("Limit") or 50)
    answer: Response = {"Aliases": aliases[start:end], "Truncated": end < len(aliases)}
    if end < len(aliases):
        answer["NextMarker"] = encode(end)
    return answer


def list_keys(call: Call) -> Response:
    """ListKeys, all on one page."""
    return {"Keys": [{"KeyId": key.id, "KeyArn": key.arn} for key in call.account.keys.values()], "Truncated": False}


def put_key_policy(call: Call) -> Response:
    """PutKeyPolicy. Raise MalformedPolicyDocumentException, or InvalidAction for conditions that are not modelled."""
    key = _named(call)
    policy = str(call.params["Policy"])
    key_policies.parsed(policy)
    key.policy = policy
    return {}


def get_key_policy(call: Call) -> Response:
    """GetKeyPolicy: the stored policy, or the default one [KMS developer guide: default key policy]."""
    key = _named(call)
    root = f"arn:{partition_of(call.account.region)}:iam::{key.owner_id}:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return {"Policy": key.policy or json.dumps({"Version": "2012-10-17", "Statement": [statement]}), "PolicyName": "default"}


def deny(world: WorldState, key_arn: str, principals: str = "*") -> None:
    """Make a key inaccessible to the principals that match a pattern. Raise KeyError."""
    key = find(world, key_arn)
    if key is None:
        raise KeyError(key_arn)
    key.denied.append(principals)


def allow(world: WorldState, key_arn: str) -> None:
    """Make a key accessible to all principals again. Raise KeyError."""
    key = find(world, key_arn)
    if key is None:
        raise KeyError(key_arn)
    key.denied.clear()
