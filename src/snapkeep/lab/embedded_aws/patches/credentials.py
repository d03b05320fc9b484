"""Credentials: root requests are verified with the server's secret, and functions get random secrets.

ministack accepts every access key of 12 digits, ``test`` and an empty key as root without a check of the signature. It derives
the credentials of a function's role from the ARNs of both.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace


def apply(secret: str) -> None:
    """Apply the patches."""
    from ministack.core import iam_evaluator, lambda_runtime

    account = iam_evaluator._ACCOUNT_ID_RE
    # Root signs with an account's number and the server's secret, which ministack reads from AWS_SECRET_ACCESS_KEY.
    replace(iam_evaluator, "is_root_access_key", lambda _: lambda access_key_id: bool(account.fullmatch(access_key_id or "")))
    # ministack does not verify the signature of a key that this function accepts as root.
    replace(iam_evaluator, "_is_root_key", lambda _: lambda _access_key_id: False)
    replace(lambda_runtime, "execution_credentials", lambda _: lambda config: execution_credentials(config, secret))


def execution_credentials(config: Mapping[str, Any], secret: str) -> dict[str, str]:
    """Register a session of the function's role and return its credentials, the same ones for each worker of the function."""
    from ministack.services import sts

    function_arn, role_arn = str(config["FunctionArn"]), str(config.get("Role", ""))
    account_id, role_name = function_arn.split(":")[4], role_arn.rpartition("/")[2]
    session_name = str(config.get("FunctionName", "function"))[:64]

    def derived(purpose: str) -> str:
        return hmac.new(secret.encode(), f"{purpose}:{function_arn}:{role_arn}".encode(), hashlib.sha256).hexdigest()

    access_key_id = f"ASIA{derived('key')[:16].upper()}"
    session = {
        "Arn": f"arn:aws:sts::{account_id}:assumed-role/{role_name}/{session_name}",
        "UserId": f"{role_name}:{session_name}",
        "SecretAccessKey": derived("secret"),
        "SessionToken": derived("token"),
    }
    sts.register_session(access_key_id, session)
    return {
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
