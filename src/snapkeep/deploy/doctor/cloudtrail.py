"""CloudTrail: the trails that record a region's management events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.deploy.doctor.ports import RecordingTrail

KMS = "kms.amazonaws.com"


def recording_trails(client: Any) -> Sequence[RecordingTrail]:
    """Return the trails that record the region's writing management events now.

    A trail of several regions is listed in each of them (botocore: DescribeTrails, GetTrailStatus, GetEventSelectors).
    """
    with translated("describe_trails"):
        trails = client.describe_trails(includeShadowTrails=True)["trailList"]
    recording = []
    for trail in trails:
        with translated("get_trail_status"):
            logging = client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
        if logging:
            with translated("get_event_selectors"):
                selectors = client.get_event_selectors(TrailName=trail["TrailARN"])
            left_out = list(_sources_left_out(selectors))
            if left_out:
                recording.append(RecordingTrail(trail["Name"], with_kms=any(KMS not in sources for sources in left_out)))
    return recording


def _sources_left_out(selectors: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """Return, for each selector of writing management events, the event sources that it leaves out.

    Source: CloudTrail API reference, EventSelector and AdvancedFieldSelector (`eventCategory`, `readOnly`, `eventSource`).
    """
    for selector in selectors.get("EventSelectors", ()):
        if selector.get("IncludeManagementEvents", True) and selector.get("ReadWriteType", "All") != "ReadOnly":
            yield selector.get("ExcludeManagementEventSources", ())
    for selector in selectors.get("AdvancedEventSelectors", ()):
        fields = {part["Field"]: part for part in selector["FieldSelectors"]}
        management = "Management" in fields.get("eventCategory", {}).get("Equals", ())
        if management and "true" not in fields.get("readOnly", {}).get("Equals", ()):
            yield fields.get("eventSource", {}).get("NotEquals", ())
