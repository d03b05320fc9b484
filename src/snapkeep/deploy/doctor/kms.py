"""KMS: a key, its state and its policy."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.adapters.aws_errors import translated
from snapkeep.deploy.doctor.ports import KeyFacts


def key_facts(client: Any, key: str) -> KeyFacts:
    """Return a key by id, ARN or alias; its policy is None where the caller may not read it. Raise AwsRefused, AwsUnavailable."""
    with translated(f"describe_key {key}"):
        metadata = client.describe_key(KeyId=key)["KeyMetadata"]
    try:
        policy = json.loads(client.get_key_policy(KeyId=metadata["Arn"], PolicyName="default")["Policy"])
    except (ClientError, BotoCoreError):
        policy = None
    return KeyFacts(metadata["Arn"], metadata.get("KeyState", ""), metadata.get("KeyManager") == "AWS", policy)
