"""Client tokens: a repeated request gets the same answer.

Source: [EC2 API reference: ensuring idempotency]: CreateVolume, RunInstances, CopyImage, CreateReplaceRootVolumeTask.
"""

from __future__ import annotations

import hashlib
import json

from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call


def earlier_ids(call: Call, action: str) -> list[str]:
    """Return the ids in the answer to an earlier request with this client token; none for a new token.

    Raise IdempotentParameterMismatch if its other parameters were different.
    """
    known = call.account.client_tokens.get(_key(call, action)) if call.params.get("ClientToken") else None
    if known is None:
        return []
    digest, ids = known
    if digest != _digest(call):
        message = "The client token was used before, with other parameters."
        raise ApiError("IdempotentParameterMismatch", message)
    return list(ids)


def remember_ids(call: Call, action: str, ids: list[str]) -> None:
    """Store the answer to a request with a client token."""
    if call.params.get("ClientToken"):
        call.account.client_tokens[_key(call, action)] = [_digest(call), list(ids)]


def _key(call: Call, action: str) -> str:
    return f"{action}/{call.params['ClientToken']}"


def _digest(call: Call) -> str:
    return hashlib.sha256(json.dumps(dict(call.params), sort_keys=True, default=str).encode()).hexdigest()
