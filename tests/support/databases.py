"""A database instance with three volumes in a laboratory, which tests of recovery protect and recover."""

from __future__ import annotations

from typing import Any

from support.flows import INCLUDED, PRIMARY, Laboratory

DEVICES = ("/dev/xvda", "/dev/sdf", "/dev/sdg")


def run_database(lab: Laboratory, *, region: str = PRIMARY, kind: str = "m5.large", **more: Any) -> tuple[str, dict[str, str]]:
    """Launch an instance with a root and two data volumes, all under a policy; return its id, and the volume of each device."""
    ec2 = lab.ec2(region)
    image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]
    tags = [{"Key": key, "Value": value} for key, value in {**INCLUDED, "Name": "db"}.items()]
    launched = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType=kind,
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Throughput": 250}},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4, "VolumeType": "io2", "Iops": 400, "Encrypted": True}},
        ],
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("volume", "instance")],
        **more,
    )
    instance_id = launched["Instances"][0]["InstanceId"]
    lab.runner.advance(60)
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    mappings = reservation["Instances"][0]["BlockDeviceMappings"]
    return instance_id, {mapping["DeviceName"]: mapping["Ebs"]["VolumeId"] for mapping in mappings}


def protect_set(lab: Laboratory, instance_id: str) -> list[str]:
    """Make a multi-volume set and wait for its copies; return the ids of the snapshots."""
    made = lab.ec2().create_snapshots(InstanceSpecification={"InstanceId": instance_id})["Snapshots"]
    lab.settle()
    return [snapshot["SnapshotId"] for snapshot in made]
