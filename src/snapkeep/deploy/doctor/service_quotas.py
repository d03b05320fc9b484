"""Service Quotas: how many snapshots EBS copies into a region at once, and keeps there."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.aws_errors import pages
from snapkeep.domain.errors import AwsRefused

COPIES_AT_ONCE = "Concurrent snapshot copies per destination Region"
SNAPSHOTS = "Snapshots per Region"
"""The quotas' names (EBS user guide: quotas). The code of the first is not on that page."""


def ebs_quota(client: Any, name: str) -> int:
    """Return a quota of EBS that is applied to the client's region. Raise AwsRefused where AWS does not list it."""
    for page in pages(client, "list_service_quotas", {"ServiceCode": "ebs"}, "list_service_quotas"):
        for quota in page["Quotas"]:
            if quota["QuotaName"] == name:
                return int(quota["Value"])
    raise AwsRefused(f"Service Quotas lists no quota '{name}'")
