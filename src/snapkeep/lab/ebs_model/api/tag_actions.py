"""CreateTags, DeleteTags, DescribeTags. Source: [EC2 API reference], limits in ``tags``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, snapshot_not_found, volume_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import matcher, parsed
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store.records import ImageRecord, InstanceRecord, SnapshotRecord, VolumeRecord
from snapkeep.lab.ebs_model.store.region_account import dict_of_tags
from snapkeep.lab.ebs_model.store.tags import checked, flat, limited

TaggableResource = SnapshotRecord | VolumeRecord | ImageRecord | InstanceRecord
Record = dict[str, Any]
"""A resource, such as a VPC, a subnet or a security group, that has its tags in the form of answers."""
MOST_RESOURCES = 1000
RECORDS_AFTER = 1 << 72
KINDS = {"snap": "snapshot", "vol": "volume", "ami": "image", "i": "instance"}
RECORD_KINDS = {
    "vpc": "vpc",
    "subnet": "subnet",
    "sg": "security-group",
    "eni": "network-interface",
    "vpce": "vpc-endpoint",
    "key": "key-pair",
    "replacevol": "replace-root-volume-task",
}
NOT_FOUND = {
    "ami": "InvalidAMIID.NotFound",
    "i": "InvalidInstanceID.NotFound",
    "vpc": "InvalidVpcID.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "eni": "InvalidNetworkInterfaceID.NotFound",
    "vpce": "InvalidVpcEndpointId.NotFound",
    "key": "InvalidKeyPair.NotFound",
}


def _find(call: Call, resource_id: str) -> TaggableResource | Record:
    account = call.account
    resource = account.tagged(resource_id)
    if resource is not None:
        return resource
    prefix = resource_id.split("-", 1)[0]
    if prefix not in KINDS and prefix not in RECORD_KINDS:
        raise ApiError("InvalidID", f"The ID '{resource_id}' is not valid")
    if prefix == "snap":
        raise snapshot_not_found(resource_id)
    if prefix == "vol":
        raise volume_not_found(resource_id)
    raise ApiError(NOT_FOUND.get(prefix, "InvalidID"), f"The ID '{resource_id}' does not exist")


def _set(call: Call, resource: TaggableResource | Record, tags: dict[str, str]) -> None:
    if isinstance(resource, SnapshotRecord):
        call.account.set_tags(resource, flat(tags))
    elif isinstance(resource, dict):
        resource["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    else:
        resource.tags = flat(tags)


def _resources(call: Call) -> list[TaggableResource | Record]:
    ids = list(dict.fromkeys(str(resource_id) for resource_id in call.params["Resources"]))
    if len(ids) > MOST_RESOURCES:
        raise ApiError("InvalidParameterValue", f"Resources can hold at most {MOST_RESOURCES} ids")
    return [_find(call, resource_id) for resource_id in ids]


def create_tags(call: Call) -> Response:
    """CreateTags: all resources or none; a key that exists gets the new value; at most 50 for each."""
    limit = call.account.quotas.tags_per_resource
    tags = checked(call.params["Tags"], limit)
    changes = [(resource, limited({**dict_of_tags(resource), **tags}, limit)) for resource in _resources(call)]
    for resource, merged in changes:
        _set(call, resource, merged)
    return {}


def delete_tags(call: Call) -> Response:
    """DeleteTags: by key, or by key and value; all user tags when none are named; `aws:` ones stay.

    Raise InvalidParameterValue when an `aws:` one is named.
    """
    resources = _resources(call)
    named = call.params.get("Tags")
    for entry in named or ():
        if str(entry.get("Key", "")).lower().startswith("aws:"):
            raise ApiError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    for resource in resources:
        kept = {
            key: value
            for key, value in dict_of_tags(resource).items()
            if key.startswith("aws:") or (named and not any(_names(entry, key, value) for entry in named))
        }
        _set(call, resource, kept)
    return {}


def _names(entry: Any, key: str, value: str) -> bool:
    return bool(entry.get("Key") == key and entry.get("Value") in (None, value))


def _all(call: Call) -> Iterator[tuple[int, str, str, str, str]]:
    account = call.account
    groups: tuple[tuple[str, Any], ...] = (
        ("snapshot", account.ordered(-1)),
        ("volume", account.volumes.values()),
        ("image", account.images.values()),
        ("instance", account.instances.values()),
    )
    for kind, resources in groups:
        for resource in resources:
            for index in range(0, len(resource.tags), 2):
                # 64 leaves room for the 50 tags of each resource within one order number
                yield resource.seq * 64 + index // 2, resource.id, kind, resource.tags[index], resource.tags[index + 1]
    # Records have no order number of their own: they are last, by the number in their id, so that the order is stable.
    for record_id, record in account.records().items():
        prefix, number = record_id.rsplit("-", 1)
        for index, (key, value) in enumerate(dict_of_tags(record).items()):
            yield (RECORDS_AFTER + int(number, 16)) * 64 + index, record_id, RECORD_KINDS[prefix], key, value


def describe_tags(call: Call) -> Response:
    """DescribeTags: filters key, value, resource-id, resource-type, tag:<key>. Raise InvalidParameterValue on any other."""
    columns = {"resource-id": 1, "resource-type": 2, "key": 3, "value": 4}
    tests = []
    for name, values in parsed(call.params.get("Filters")):
        if name.startswith("tag:"):
            tests.append((3, matcher([name[4:]])))
            tests.append((4, matcher(values)))
        elif name in columns:
            tests.append((columns[name], matcher(values)))
        else:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid")
    rows = [row for row in _all(call) if all(matches(str(row[column])) for column, matches in tests)]
    chosen, token = page(rows, lambda row: row[0], call.params)
    tags = [{"ResourceId": row[1], "ResourceType": row[2], "Key": row[3], "Value": row[4]} for row in chosen]
    return {"Tags": tags, **token}
