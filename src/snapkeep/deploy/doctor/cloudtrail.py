"""CloudTrail: the trails that record a region's events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snapkeep.adapters.aws_errors import translated


def recording_trails(client: Any) -> Sequence[str]:
    """Return the names of the trails that record the region's events now (botocore: DescribeTrails, GetTrailStatus).

    A trail of several regions is listed in each of them.
    """
    with translated("describe_trails"):
        trails = client.describe_trails(includeShadowTrails=True)["trailList"]
    with translated("get_trail_status"):
        return [trail["Name"] for trail in trails if client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]]
