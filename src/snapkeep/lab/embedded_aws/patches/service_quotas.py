"""Service Quotas: lists the quotas of copies, snapshots and storage that the model enforces. Every other call is refused."""

from __future__ import annotations

import json

from snapkeep.deploy.doctor.region import COPIES_AT_ONCE, SNAPSHOTS
from snapkeep.domain.recovery.region_quotas import STORAGE_QUOTAS
from snapkeep.lab.embedded_aws.patches.ec2 import Answer, RouteHandler
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

SERVICE = "servicequotas"
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


def apply(locked_world: LockedWorld) -> None:
    """Add the service."""
    from ministack import app
    from ministack.core import iam_actions, router

    app.SERVICE_HANDLERS[SERVICE] = service_quotas_handler(locked_world)
    router.SERVICE_PATTERNS[SERVICE] = {}
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    iam_actions._BOTOCORE_SERVICE_MAP[SERVICE] = ["service-quotas"]


def service_quotas_handler(locked_world: LockedWorld) -> RouteHandler:
    """Return the handler of the service."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Answer:  # noqa: ARG001 - ministack's signature
        from ministack.core.responses import get_account_id, get_region

        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        parameters = json.loads(body or b"{}")
        if operation != "ListServiceQuotas" or parameters.get("ServiceCode") != "ebs":
            message = f"The embedded AWS has no {operation} of {parameters.get('ServiceCode', 'this service')}"
            return 400, dict(_JSON), json.dumps({"__type": "NoSuchResourceException", "Message": message}).encode()
        with locked_world.lock():
            quotas = locked_world.world.region_account(get_region(), get_account_id()).quotas
        copies = {"QuotaName": COPIES_AT_ONCE, "Value": float(quotas.copies_per_destination), "Adjustable": False}
        snapshots = {"QuotaName": SNAPSHOTS, "Value": float(quotas.snapshots_per_region), "Adjustable": True}
        storage = [
            {
                "QuotaCode": STORAGE_QUOTAS[kind],
                "QuotaName": f"Storage for {kind} volumes, in TiB",
                "Value": tib,
                "Adjustable": True,
            }
            for kind, tib in quotas.storage_tib.items()
        ]
        listed = [{"ServiceCode": "ebs", "GlobalQuota": False, **quota} for quota in (copies, snapshots, *storage)]
        return 200, dict(_JSON), json.dumps({"Quotas": listed}).encode()

    return handle
