"""Drills of the deployed functions over the model: of a volume, one passes and one fails; of its instance, with a command, both pass."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from snapkeep.lab.ebs_model import ContentFaults
from support.drill_endpoints import make_endpoints
from support.drilling_instances import make_drill_network
from support.policy_stories import push
from support.real_system import REGIONS, RealSystem

DRILLED = {("drill", "SUCCEEDED", ""): 3, ("drill", "FAILED", "DrillFailed"): 1}
"""How the runs of Drill end."""


def volumes_are_drilled(system: RealSystem) -> None:
    """One drill passes; another fails, as its restored volume differs. Its instance is drilled at the same times.

    Before the second time, the policy document cannot be read any more.
    """
    drill = {"name": "daily", "policies": ["gold"], "in": REGIONS["dr"], "schedule": {"cron": "0/10 * * * ? *"}}
    machines = {"name": "machines", "level": "instance", "command": {"document": "snapkeep-drill-check"}}
    drills = [drill, {**drill, **machines}]
    copies = [{"region": REGIONS["dr"], "retention": {"keep_last": 5}}]
    gold = {"name": "gold", "select": {}, "retention": {"keep_last": 5}, "copies": copies}
    push(json.dumps({"version": 1, "policies": [gold], "drills": drills}))
    network = make_drill_network(system.ec2("dr"), "snapkeep")
    make_endpoints(system.ec2("dr"), network, "snapkeep", REGIONS["dr"], system.world.account_id)
    system.world.client("ssm", REGIONS["dr"]).create_document(Name="snapkeep-drill-check", Content="{}")
    volume_id = encrypted_root(system)
    system.world.write(volume_id, 0, 3, region=REGIONS["primary"])
    system.protect(volume_id)
    system.invoke("dr", "Drill", {})
    system.settle()

    def plant(event: dict[str, Any]) -> None:
        if event["detail"].get("event") == "createSnapshot" and event["region"] == REGIONS["dr"]:
            snapshot_id = event["detail"]["snapshot_id"].rpartition("/")[2]
            system.world.plant(snapshot_id, ContentFaults(wrong=(1,)), region=REGIONS["dr"])

    system.world.subscribe(plant)
    push("{policies")
    system.advance(600)  # another drill is due, whatever the duration of the first
    system.invoke("dr", "Drill", {})
    system.settle()


def encrypted_root(system: RealSystem) -> str:
    """Launch an instance with an encrypted root volume; return the volume."""
    root = {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}
    request = {"ImageId": "ami-12345678", "InstanceType": "m5.large", "BlockDeviceMappings": [root]}
    launched = system.ec2("primary").run_instances(MinCount=1, MaxCount=1, **request)
    system.advance(60)
    instance_id = launched["Instances"][0]["InstanceId"]
    (reservation,) = system.ec2("primary").describe_instances(InstanceIds=[instance_id])["Reservations"]
    return str(reservation["Instances"][0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"])


def once_around(states: Iterable[str]) -> tuple[str, ...]:
    """Return the states that an execution enters, each wait of a drill once: its number depends on how the world's time passes."""
    way: list[str] = []
    for state in states:
        way.append(state)
        if way[-3:] == way[-6:-3] == ["WaitForEc2", "Drill", "EvaluateNext"]:
            del way[-3:]
    return tuple(way)
