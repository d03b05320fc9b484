"""KMS: a key, its state and its policy."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.adapters.aws_errors import code_of, translated
from snapkeep.deploy.doctor.ports import KeyFacts

_NO_KEY = "NotFoundException"
"""botocore: DescribeKey."""


def key_facts(client: Any, key: str) -> KeyFacts:
    """Return a key by id, ARN or alias; its policy is None where the caller may not read it. Raise AwsRefused, AwsUnavailable.

    The state of a key that does not exist is empty.
    """
    with translated(f"describe_key {key}"):
        try:
            metadata = client.describe_key(KeyId=key)["KeyMetadata"]
        except ClientError as error:
            if code_of(error) != _NO_KEY:
                raise
            return KeyFacts(key, "", managed_by_aws=False, policy=None)
    try:
        policy = json.loads(client.get_key_policy(KeyId=metadata["Arn"], PolicyName="default")["Policy"])
    except (ClientError, BotoCoreError):
        policy = None
    return KeyFacts(metadata["Arn"], metadata.get("KeyState", ""), metadata.get("KeyManager") == "AWS", policy)
