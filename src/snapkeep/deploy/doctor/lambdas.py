"""Lambda: the account's limits, and the functions of a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snapkeep.adapters.aws_errors import pages, translated
from snapkeep.deploy.doctor.ports import DeployedFunction

_SYSTEM_VARIABLE = "SNAPKEEP_NAME"


def concurrency(client: Any) -> tuple[int, int]:
    """Return the concurrent executions of the account, and the unreserved ones (botocore: GetAccountSettings)."""
    with translated("get_account_settings"):
        limit = client.get_account_settings()["AccountLimit"]
    return int(limit["ConcurrentExecutions"]), int(limit["UnreservedConcurrentExecutions"])


def functions(client: Any) -> Sequence[DeployedFunction]:
    """Return all functions of a region, each with the system that its environment names."""
    return [
        DeployedFunction(function["FunctionName"], function.get("Environment", {}).get("Variables", {}).get(_SYSTEM_VARIABLE, ""))
        for page in pages(client, "list_functions", {}, "list_functions", more="NextMarker", sent_as="Marker")
        for function in page["Functions"]
    ]
