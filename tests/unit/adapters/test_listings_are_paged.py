"""Every listing asks for pages: one that does not is throttled sooner and may time out ("Pagination", EC2 developer guide)."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.ec2_reader import FILTER_VALUES, Ec2Reader


class Recorder:
    """An EC2 client in whose region there is nothing, and that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**query: Any) -> dict[str, Any]:
            self.asked.append((operation, dict(query)))
            attached = {"VolumeId": "vol-1", "Attachments": [{"InstanceId": "i-1", "Device": "/dev/sda1"}]}
            return {"Volumes": [attached]} if operation == "describe_volumes" else {}

        return call


def test_every_listing_names_the_size_of_its_pages() -> None:
    client = Recorder()
    reader = Ec2Reader(client=client, region="us-east-1")  # type: ignore[arg-type]
    many = [f"snap-{number}" for number in range(FILTER_VALUES + 1)]
    reader.volumes(["vol-1"])
    list(reader.all_volumes())
    reader.snapshots(["snap-1"])
    list(reader.all_snapshots())
    reader.copies_in_flight()
    reader.images_using(["snap-1"])
    reader.images_using(many)
    reader.all_images()
    reader.all_locks()
    assert {operation for operation, _ in client.asked} == {
        *("describe_volumes", "describe_instances", "describe_snapshots", "describe_images", "describe_locked_snapshots")
    }
    assert [operation for operation, query in client.asked if "MaxResults" not in query] == []
