"""Key policies: the principals that may use a key, above all for encrypted snapshots and volumes.

Sources: [EBS user guide: share a KMS key] for EBS's actions, [KMS developer guide: default key policy; allowing users in other
accounts to use a KMS key]. The caller's own policies are not modelled: all principals of an account in a policy may use the
key. Operators of conditions that are not below are refused, so that none is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, not_modelled
from snapkeep.lab.ebs_model.store.arns import partition_of
from snapkeep.lab.ebs_model.store.records import Key

NEEDED_FOR_EBS = ("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo")
NEEDED_TO_READ = ("Decrypt",)
"""For blocks of encrypted snapshots [EBS user guide: IAM permissions for EBS direct APIs]."""
CONDITIONS = ("Bool", "StringEquals", "StringLike")
FOR_ALL = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*"}]})
"""A policy that lets every principal of every account use its key."""


def parsed(text: str) -> list[dict[str, Any]]:
    """Return the statements of a policy. Raise MalformedPolicyDocumentException, or InvalidAction for what is not modelled."""
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError("MalformedPolicyDocumentException", "The policy is not a JSON document with a Statement.") from error
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny") or "Principal" not in statement or "Action" not in statement:
            raise ApiError("MalformedPolicyDocumentException", "A statement needs Effect, Principal and Action.")
        for operator in statement.get("Condition") or ():
            if operator not in CONDITIONS:
                raise not_modelled(f"the condition operator {operator} in key policies")
    return list(statements)


def allows_ebs(key: Key, account_id: str, caller: str, actions: Collection[str] = NEEDED_FOR_EBS) -> bool:
    """Return whether a key's policy lets a caller of an account use the key through EC2 for encrypted snapshots and volumes."""
    return all(allows(key, account_id, caller, action) for action in actions)


def allows(key: Key, account_id: str, caller: str, action: str) -> bool:
    """Return whether a key's policy allows an action of KMS to a caller of an account.

    The default policy allows its own account.
    """
    if not key.policy:
        return account_id == key.owner_id
    region = key.arn.split(":")[3]
    principal = caller if caller.startswith("arn:") else f"arn:{partition_of(region)}:iam::{account_id}:root"
    context = {
        "kms:CallerAccount": account_id,
        "kms:GrantIsForAWSResource": "true",
        "kms:ViaService": f"ec2.{region}.amazonaws.com",
        "aws:PrincipalAccount": account_id,
        "aws:PrincipalArn": principal,
    }
    effects = {
        statement["Effect"]
        for statement in parsed(key.policy)
        if _names(statement, account_id, principal)
        and any(fnmatchcase(f"kms:{action}", pattern) for pattern in _texts(statement["Action"]))
        and all(_holds(operator, tests, context) for operator, tests in (statement.get("Condition") or {}).items())
    }
    return effects == {"Allow"}


def _names(statement: Mapping[str, Any], account_id: str, principal: str) -> bool:
    named = statement["Principal"]
    entries = _texts(named.get("AWS", ()) if isinstance(named, Mapping) else named)
    of_account = (account_id, f"arn:{principal.split(':')[1]}:iam::{account_id}:root")
    return any(entry == "*" or entry in of_account or fnmatchcase(principal, entry) for entry in entries)


def _holds(operator: str, tests: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    same = fnmatchcase if operator == "StringLike" else str.__eq__
    return all(key in context and any(same(context[key], text) for text in _texts(texts)) for key, texts in tests.items())


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
