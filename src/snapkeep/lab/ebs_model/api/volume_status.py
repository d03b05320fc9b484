"""DescribeVolumeStatus: status checks, and the progress of initialisations. Source: botocore: DescribeVolumeStatus."""

from __future__ import annotations

from snapkeep.lab.ebs_model.api.volumes import zone_id
from snapkeep.lab.ebs_model.errors import ApiError, volume_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.requests.response_filters import readers
from snapkeep.lab.ebs_model.store.records import VolumeRecord

FIELDS = readers(
    "action.code action.description action.event-id availability-zone event.description event.event-id event.event-type "
    "event.not-after event.not-before volume-status.status",
    {
        "volume-status.details-name": "VolumeStatus.Details.Name",
        "volume-status.details-status": "VolumeStatus.Details.Status",
    },
)


def describe_volume_status(call: Call) -> Response:
    """DescribeVolumeStatus: by id, filters, pages of 5 to 1,000.

    Raise InvalidVolume.NotFound, or InvalidParameterCombination on ids with a page size.
    """
    store = call.account.volumes
    ids = [str(volume_id) for volume_id in call.params.get("VolumeIds") or ()]
    for volume_id in ids:
        if volume_id not in store:
            raise volume_not_found(volume_id)
    if ids and call.params.get("MaxResults"):
        raise ApiError("InvalidParameterCombination", "The parameter volumeIds cannot be used with the parameter maxResults")
    tests = tests_for(parsed(call.params.get("Filters")), FIELDS, lambda answer: ())  # noqa: ARG005
    pairs = [(store[volume_id], _rendered(store[volume_id], call.now)) for volume_id in ids or store]
    pairs = [pair for pair in pairs if all(test(pair[1]) for test in tests)]
    chosen, token = page(pairs, lambda pair: pair[0].seq, call.params)
    return {"VolumeStatuses": [answer for _, answer in chosen], **token}


def _rendered(volume: VolumeRecord, now: float) -> Response:
    ready = volume.state != "creating"
    answer: Response = {
        "VolumeId": volume.id,
        "AvailabilityZone": volume.zone,
        "AvailabilityZoneId": zone_id(volume.zone),
        "Actions": [],
        "Events": [],
        "VolumeStatus": {
            "Status": "ok" if ready else "insufficient-data",
            "Details": [
                {"Name": "io-enabled", "Status": "passed" if ready else "insufficient-data"},
                {"Name": "io-performance", "Status": "not-applicable"},
            ],
        },
    }
    if volume.initialized_at:
        progress = _progress(volume, now)
        state = "completed" if progress == 100 else "initializing"  # noqa: PLR2004 - per cent
        answer["VolumeStatus"]["Details"].append({"Name": "initialization-state", "Status": state})
        details: Response = {"InitializationType": "default", "Progress": progress}
        if volume.initialization_rate:
            seconds_left = max(0, round(volume.initialized_at - now))
            details.update(InitializationType="provisioned-rate", EstimatedTimeToCompleteInSeconds=seconds_left)
        answer["InitializationStatusDetails"] = details
    return answer


def _progress(volume: VolumeRecord, now: float) -> int:
    if now >= volume.initialized_at:
        return 100
    return int(100 * (now - volume.created) / (volume.initialized_at - volume.created))
