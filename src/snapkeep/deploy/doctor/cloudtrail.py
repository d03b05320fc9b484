"""CloudTrail: the trails that record a region's management events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.deploy.doctor.ports import RecordingTrail
from snapkeep.domain.errors import AwsRefused

KMS = "kms.amazonaws.com"


def recording_trails(client_of: Callable[..., Any]) -> Sequence[RecordingTrail]:
    """Return the trails that record a region's writing management events now.

    `client_of` returns the client of a service in this region, or in another `region`: a trail of several regions is listed in
    each of them, and GetEventSelectors knows it in its home region alone. The trail of an organization is described to its
    management account alone: AwsRefused is raised if the events of such a trail decide.
    """
    with translated("describe_trails"):
        trails = client_of("cloudtrail").describe_trails(includeShadowTrails=True)["trailList"]
    recording: list[RecordingTrail] = []
    refused: AwsRefused | None = None
    for trail in trails:
        try:
            recording += _recording(client_of("cloudtrail", region=trail["HomeRegion"]), trail)
        except AwsRefused as error:
            refused = error
    if refused and not any(trail.with_kms for trail in recording):
        raise refused
    return recording


def _recording(client: Any, trail: Mapping[str, Any]) -> Iterator[RecordingTrail]:
    """Yield a trail if it records writing management events now (botocore: GetTrailStatus, GetEventSelectors)."""
    with translated("get_trail_status"):
        logging = client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
    if not logging:
        return
    with translated("get_event_selectors"):
        selectors = client.get_event_selectors(TrailName=trail["TrailARN"])
    if left_out := list(_sources_left_out(selectors)):
        yield RecordingTrail(trail["Name"], with_kms=any(KMS not in sources for sources in left_out))


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
