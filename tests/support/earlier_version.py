"""The calls of an execution that began under an earlier version, whose definition it keeps."""

from __future__ import annotations

from typing import Any

from support.real_system import REGIONS, RealSystem

EARLIER: tuple[Any, ...] = (
    {("protect", "SUCCEEDED", ""): 1, ("protect", "FAILED", "NotDeleted"): 1, ("receive", "SUCCEEDED", ""): 3},
    (1, 2),
    {"NotDeleted": 1},
    {"primary": {"Retention": 1, "DigestQuietSeconds": 0}, "dr": {"Retention": 3, "DigestQuietSeconds": 0}},
)
"""How the story below ends, and the stacks' parameters for it."""
IN_USE = {"action": "DeleteSnapshot", "region": "us-east-1", "code": "InvalidSnapshot.InUse", "http_status": 400}
"""The fault that leaves it something to delete."""


def an_execution_of_an_earlier_version_deletes(system: RealSystem) -> None:
    """It calls CountSnapshots, and passes its plan on. A sweep's orders come in the same form."""
    volume_id = system.make_attached_volume()
    for _ in range(2):
        system.protect(volume_id)
    plan = system.invoke("primary", "CountSnapshots", {"volumes": [volume_id], "copies": []})
    assert len(plan["delete"]) == 1
    assert system.invoke("primary", "DeleteOldSnapshots", {"plan": plan})["deleted"] == 1
    older, copy = system.kept("dr")
    twin = system.ec2("dr").copy_snapshot(
        SourceRegion=REGIONS["primary"],
        SourceSnapshotId=system.kept("primary")[0]["SnapshotId"],
        Description=copy["Description"],
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": copy["Tags"]}],
    )
    system.settle()
    (order,) = plan["delete"]
    orders = [order | {"snapshot_id": found, "kind": "second_copy"} for found in (copy["SnapshotId"], twin["SnapshotId"])]
    answer = system.invoke("dr", "DeleteOldSnapshots", {"plan": plan | {"delete": orders}})
    assert (answer["deleted"], [failed["outcome"] for failed in answer["failed"]]) == (1, ["unsafe"])
    assert [kept["SnapshotId"] for kept in system.kept("dr")] == [older["SnapshotId"], copy["SnapshotId"]]
