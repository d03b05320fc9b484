"""Service Quotas: how many snapshots EBS copies into a region at once."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.aws_errors import pages
from snapkeep.domain.errors import AwsRefused

COPIES_AT_ONCE = "Concurrent snapshot copies per destination Region"
"""The quota's name (EBS user guide: quotas). Its code is not on that page."""


def copies_at_once(client: Any) -> int:
    """Return the quota that is applied to the client's region. Raise AwsRefused where AWS does not list it."""
    for page in pages(client, "list_service_quotas", {"ServiceCode": "ebs"}, "list_service_quotas"):
        for quota in page["Quotas"]:
            if quota["QuotaName"] == COPIES_AT_ONCE:
                return int(quota["Value"])
    raise AwsRefused(f"Service Quotas lists no quota '{COPIES_AT_ONCE}'")
