"""ModifyVolume and DescribeVolumesModifications. Source: botocore: ModifyVolume, VolumeModification.

A modification takes effect at once; it is `optimizing` for the time in `Speeds`, then `completed`.
"""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.api.volume_types import IOPS, check_size, performance_of
from snapkeep.lab.ebs_model.api.volumes import set_performance
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError, volume_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.requests.response_filters import readers
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.records import VolumeRecord

FIELDS = readers(
    "modification-state original-iops original-size original-volume-type start-time target-iops target-size "
    "target-volume-type volume-id",
    {"originalMultiAttachEnabled": "OriginalMultiAttachEnabled", "targetMultiAttachEnabled": "TargetMultiAttachEnabled"},
)


def modify_volume(call: Call) -> Response:
    """ModifyVolume: larger, another type, other performance.

    Raise InvalidParameterValue for a smaller one or a value outside the type's range, IncorrectState when it is not
    available or in use, IncorrectModificationState while another one runs, VolumeModificationRateExceeded beyond four
    in 24 hours.
    """
    volume, params = call.volume(), call.params
    if volume.state not in ("available", "in-use"):
        raise ApiError("IncorrectState", f"The volume '{volume.id}' is in state '{volume.state}'.")
    _check_pace(call, volume)
    size_gib = int(params.get("Size") or volume.size_gib)
    kind = str(params.get("VolumeType") or volume.type)
    if size_gib < volume.size_gib:
        raise ApiError("InvalidParameterValue", "New size cannot be smaller than existing size")
    check_size(kind, size_gib, 0)
    names = ("Iops", "Throughput", "MultiAttachEnabled")
    # The values of the same type are retained; gp2's IOPS derive from its size.
    kept = {name: value for name, value in _values(volume).items() if name in names and value and kind == volume.type}
    if kind not in IOPS:
        kept.pop("Iops", None)
    changes = {name: params[name] for name in names if params.get(name) is not None}
    performance = performance_of(kind, size_gib, {**kept, **changes})
    original = _values(volume)
    volume.size_gib, volume.type = size_gib, kind
    set_performance(volume, performance)
    ends = call.now + call.world.speeds.modification_seconds
    volume.modifications.append({"start": call.now, "ends": ends, "original": original, "target": _values(volume)})
    events.emit_volume(call.world, call.account, volume, "modifyVolume", "optimizing")
    answer = {**_rendered(volume, volume.modifications[-1], call.now), "ModificationState": "modifying", "Progress": 0}
    answer.pop("EndTime", None)  # a modification without a duration is in progress in its own answer
    return {"VolumeModification": answer}


def _check_pace(call: Call, volume: VolumeRecord) -> None:
    if volume.modifications and volume.modifications[-1]["ends"] > call.now:
        raise ApiError("IncorrectModificationState", f"The volume {volume.id} is being modified.")
    recent = [entry for entry in volume.modifications if entry["start"] > call.now - SECONDS_PER_DAY]
    if len(recent) >= call.account.quotas.volume_modifications_per_day:
        following = utc(recent[0]["start"] + SECONDS_PER_DAY)
        message = f"The volume {volume.id} has reached its maximum modification rate. It can be modified again at {following}."
        raise ApiError("VolumeModificationRateExceeded", message)


def _values(volume: VolumeRecord) -> dict[str, Any]:
    return {
        "Size": volume.size_gib,
        "VolumeType": volume.type,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "MultiAttachEnabled": volume.multi_attach,
    }


def _rendered(volume: VolumeRecord, entry: dict[str, Any], now: float) -> Response:
    done = now >= entry["ends"]
    seconds = max(entry["ends"] - entry["start"], 1e-9)
    answer: Response = {
        "VolumeId": volume.id,
        "ModificationState": "completed" if done else "optimizing",
        "Progress": 100 if done else int(100 * (now - entry["start"]) / seconds),
        "StartTime": utc(entry["start"]),
    }
    for side in ("original", "target"):
        values = {name: value for name, value in entry[side].items() if value not in (0, None)}
        answer.update({side.capitalize() + name: value for name, value in values.items()})
        answer[side.capitalize() + "MultiAttachEnabled"] = entry[side]["MultiAttachEnabled"]
    if done:
        answer["EndTime"] = utc(entry["ends"])
    return answer


def describe_modifications(call: Call) -> Response:
    """DescribeVolumesModifications: the last modification of each volume.

    Raise InvalidVolume.NotFound, or InvalidVolumeModification.NotFound for a volume that was never modified.
    """
    ids = [str(volume_id) for volume_id in call.params.get("VolumeIds") or ()]
    for volume_id in ids:
        if volume_id not in call.account.volumes:
            raise volume_not_found(volume_id)
        if not call.account.volumes[volume_id].modifications:
            raise ApiError("InvalidVolumeModification.NotFound", f"Modification for volume '{volume_id}' does not exist.")
    modified = [v for v in call.account.volumes.values() if v.modifications and (not ids or v.id in ids)]
    tests = tests_for(parsed(call.params.get("Filters")), FIELDS, lambda answer: ())  # noqa: ARG005
    pairs = [(volume, _rendered(volume, volume.modifications[-1], call.now)) for volume in modified]
    pairs = [pair for pair in pairs if all(test(pair[1]) for test in tests)]
    chosen, token = page(pairs, lambda pair: pair[0].seq, call.params)
    return {"VolumesModifications": [answer for _, answer in chosen], **token}
