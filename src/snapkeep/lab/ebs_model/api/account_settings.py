"""Settings of an account in a region, and the lists of regions and zones. Source: [EC2 API reference]."""

from __future__ import annotations

from snapkeep.lab.ebs_model.api import keys
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for


def get_encryption_by_default(call: Call) -> Response:
    """GetEbsEncryptionByDefault."""
    enabled = call.account.encrypt_by_default
    return {"EbsEncryptionByDefault": enabled, "SseType": "sse-kms" if enabled else "none"}


def enable_encryption_by_default(call: Call) -> Response:
    """EnableEbsEncryptionByDefault: new volumes and copies in this region are encrypted."""
    call.account.encrypt_by_default = True
    return {"EbsEncryptionByDefault": True}


def disable_encryption_by_default(call: Call) -> Response:
    """DisableEbsEncryptionByDefault."""
    call.account.encrypt_by_default = False
    return {"EbsEncryptionByDefault": False}


def get_default_key(call: Call) -> Response:
    """GetEbsDefaultKmsKeyId: the AWS managed key's alias, or the key chosen."""
    return {"KmsKeyId": call.account.default_key or keys.EBS_ALIAS}


def modify_default_key(call: Call) -> Response:
    """ModifyEbsDefaultKmsKeyId: a customer managed key of this region.

    Raise InvalidKmsKey.InvalidKeyId when it is not there.
    """
    key = keys.resolve(call.world, call.account, str(call.params["KmsKeyId"]))
    if key is None:
        raise ApiError("InvalidKmsKey.InvalidKeyId", f"The key '{call.params['KmsKeyId']}' does not exist in this region.")
    call.account.default_key = key.arn
    return {"KmsKeyId": key.arn}


def reset_default_key(call: Call) -> Response:
    """ResetEbsDefaultKmsKeyId: back to the AWS managed key."""
    call.account.default_key = ""
    return {"KmsKeyId": keys.EBS_ALIAS}


def describe_regions(call: Call) -> Response:
    """DescribeRegions. Raise InvalidParameterValue on a name of none."""
    names = [str(name) for name in call.params.get("RegionNames") or ()]
    unknown = [name for name in names if name not in call.world.regions]
    if unknown:
        raise ApiError("InvalidParameterValue", f"Invalid region names: {', '.join(unknown)}")
    fields = {
        "region-name": lambda region: (region,),
        "endpoint": lambda region: (f"ec2.{region}.amazonaws.com",),
        "opt-in-status": lambda region: ("opt-in-not-required",),  # noqa: ARG005
    }
    tests = tests_for(parsed(call.params.get("Filters")), fields, lambda region: ())  # noqa: ARG005
    return {
        "Regions": [
            {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
            for name in names or call.world.regions
            if all(test(name) for test in tests)
        ]
    }


def describe_availability_zones(call: Call) -> Response:
    """DescribeAvailabilityZones: three in each region."""
    region = call.account.region
    zones = [
        {
            "State": "available",
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
            "RegionName": region,
            "ZoneName": region + letter,
            "ZoneId": f"{region.replace('-', '')}-az{number}",
            "GroupName": region,
            "NetworkBorderGroup": region,
            "ZoneType": "availability-zone",
        }
        for number, letter in enumerate("abc", 1)
    ]
    names = call.params.get("ZoneNames")
    fields = {
        "zone-name": lambda zone: (str(zone["ZoneName"]),),
        "zone-type": lambda zone: (str(zone["ZoneType"]),),
        "region-name": lambda zone: (str(zone["RegionName"]),),
        "state": lambda zone: (str(zone["State"]),),
        "opt-in-status": lambda zone: (str(zone["OptInStatus"]),),
    }
    tests = tests_for(parsed(call.params.get("Filters")), fields, lambda zone: ())  # noqa: ARG005
    chosen = [zone for zone in zones if (not names or zone["ZoneName"] in names) and all(test(zone) for test in tests)]
    return {"AvailabilityZones": chosen}
