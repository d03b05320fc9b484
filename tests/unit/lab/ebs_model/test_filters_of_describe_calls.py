"""Every filter that botocore documents for a describe call is known here."""

from __future__ import annotations

import re

import botocore.session
import pytest
from ebs_worlds import Bench

from snapkeep.lab.ebs_model.api import (
    describe_images,
    describe_instances,
    describe_snapshots,
    volume_modifications,
    volume_status,
)
from snapkeep.lab.ebs_model.api import volumes as model_volumes

BY_TAG = {"tag", "tag-key", "tag:&lt;key&gt;"}
KNOWN = {
    "DescribeImages": describe_images.FIELDS,
    "DescribeInstances": describe_instances.FIELDS,
    "DescribeInstanceStatus": describe_instances.STATUS_FIELDS,
    "DescribeSnapshots": {**describe_snapshots.FIELDS, "progress": None},
    "DescribeVolumes": model_volumes.FIELDS,
    "DescribeVolumeStatus": volume_status.FIELDS,
    "DescribeVolumesModifications": volume_modifications.FIELDS,
}


def documented(action: str) -> set[str]:
    model = botocore.session.get_session().get_service_model("ec2")
    text = model.operation_model(action).input_shape.members["Filters"].documentation
    return set(re.findall(r"<li> ?<p> ?<code>(.*?)</code>", text)) - BY_TAG


@pytest.mark.parametrize("action", KNOWN)
def test_every_documented_filter_is_known(action: str) -> None:
    assert documented(action) - set(KNOWN[action]) == set()


def test_a_filter_reads_the_answer(bench: Bench) -> None:
    image = bench.primary.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"]
    assert [entry["Architecture"] for entry in image] == ["arm64"]
    made = bench.primary.run_instances(
        ImageId=image[0]["ImageId"],
        InstanceType="t4g.micro",
        MinCount=1,
        MaxCount=1,
        MetadataOptions={"HttpTokens": "required"},
    )["Instances"][0]
    for name, value in (
        ("metadata-options.http-tokens", "required"),
        ("network-interface.subnet-id", made["SubnetId"]),
        ("network-interface.group-name", "default"),
        ("instance.group-name", "default"),
        ("block-device-mapping.delete-on-termination", "true"),
        ("instance-state-name", "running"),
        ("reservation-id", made["InstanceId"].replace("i-", "r-")),
        ("tenancy", "default"),
        ("launch-index", "0"),
    ):
        reservations = bench.primary.describe_instances(Filters=[{"Name": name, "Values": [value]}])["Reservations"]
        assert bool(reservations) == (name != "reservation-id"), name
