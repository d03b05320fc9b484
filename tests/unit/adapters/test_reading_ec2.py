"""The requests of the EC2 reader, and how it reads the answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import FILTER_VALUES, Ec2Reader, snapshot_from
from snapkeep.adapters.ec2_shares import Ec2Shares
from snapkeep.adapters.ec2_writers import Ec2Copier, Ec2Deleter, Ec2Tagger
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import AwsThrottled, AwsUnavailable, KeyNotUsable, TagsDoNotFit
from snapkeep.domain.model import LockState, Origin, SnapshotLock, VolumeRole
from snapkeep.domain.tag_names import MANAGED
from snapkeep.domain.tags import description_of_copy, is_arbitrary, tags_for_copy
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.usecases.ports import DeletionOutcome
from support.flows import Laboratory

REGION = "us-east-1"
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
ORIGIN = Origin("eu-west-1", "vol-0a", "snap-0a", NOW)


class Client:
    """Answers each call with the next of the pages that were given, or raises it, and remembers what was asked."""

    def __init__(self, *pages: dict[str, Any] | Exception) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, _: str) -> Any:
        def call(**query: Any) -> dict[str, Any]:
            self.asked.append(query)
            page = self.pages.pop(0) if self.pages else {}
            if isinstance(page, Exception):
                raise page
            return page

        return call


def refused(code: str, message: str = "", status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


def reader(client: Any) -> Ec2Reader:
    return Ec2Reader(client=client, region=REGION)


def described(**given: Any) -> dict[str, Any]:
    return {"SnapshotId": "snap-1", "State": "completed", "StartTime": NOW, "VolumeId": "vol-0b", "VolumeSize": 8, **given}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def image(image_id: str, *snapshot_ids: str) -> dict[str, Any]:
    return {
        "ImageId": image_id,
        "BlockDeviceMappings": [{}, *({"Ebs": {"SnapshotId": snapshot_id}} for snapshot_id in snapshot_ids)],
    }


def test_a_listing_has_every_page_and_only_own_snapshots() -> None:
    client = Client({"Snapshots": [described()], "NextToken": "more"}, {"Snapshots": [described(SnapshotId="snap-2")]})
    assert [snapshot.id for snapshot in reader(client).all_snapshots()] == ["snap-1", "snap-2"]
    assert client.asked == [
        {"OwnerIds": ["self"], "MaxResults": 1000},
        {"OwnerIds": ["self"], "MaxResults": 1000, "NextToken": "more"},
    ]


def test_more_ids_than_one_filter_takes_are_read_in_several_calls() -> None:
    client = Client()
    request = [f"snap-{number:04}" for number in range(2 * FILTER_VALUES + 1)]
    reader(client).snapshots(request)
    asked = [query["Filters"][0]["Values"] for query in client.asked]
    assert [len(ids) for ids in asked] == [FILTER_VALUES, FILTER_VALUES, 1]
    assert [snapshot_id for ids in asked for snapshot_id in ids] == request


@pytest.mark.parametrize(("count", "by_filter"), [(1, True), (FILTER_VALUES, True), (FILTER_VALUES + 1, False)])
def test_images_are_read_by_filter_if_one_filter_takes_the_ids(count: int, by_filter: bool) -> None:
    client = Client({"Images": [image("ami-2", "snap-0000", "snap-other"), image("ami-1", "snap-0000")]})
    held = reader(client).images_using([f"snap-{number:04}" for number in range(count)])
    assert held == {"snap-0000": ("ami-1", "ami-2")}
    (query,) = client.asked
    assert ("Filters" in query) is by_filter
    assert (query["Owners"], query["IncludeDisabled"], query["IncludeDeprecated"]) == (["self"], True, True)


def test_a_disabled_image_holds_its_snapshot() -> None:
    lab = Laboratory()
    ec2, used = lab.ec2(), lab.protect(lab.make_volume())
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": used}}]
    made = ec2.register_image(Name="uses it", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)["ImageId"]
    ec2.disable_image(ImageId=made)
    assert reader(ec2).images_using([used]) == {used: (made,)}


def test_expired_locks_hold_nothing_and_all_pages_are_read() -> None:
    first = {"SnapshotId": "snap-1", "LockState": "governance", "LockExpiresOn": NOW, "LockDuration": 3}
    second = {"SnapshotId": "snap-2", "LockState": "compliance-cooloff", "LockDuration": 2}
    pages = (
        {"Snapshots": [first], "NextToken": "more"},
        {"Snapshots": [second, {"SnapshotId": "snap-3", "LockState": "expired"}]},
    )
    assert reader(Client(*pages)).locks(["snap-1", "snap-2", "snap-3"]) == {
        "snap-1": SnapshotLock(LockState.GOVERNANCE, NOW, 3),
        "snap-2": SnapshotLock(LockState.COOL_OFF, None, 2),
    }


def test_a_deleted_snapshot_hides_no_lock_of_another() -> None:
    lab = Laboratory()
    locked, other = (lab.start_snapshot(lab.make_volume()) for _ in range(2))
    lab.ec2().lock_snapshot(SnapshotId=locked, LockMode="governance", LockDuration=2)
    lab.ec2().delete_snapshot(SnapshotId=other)
    assert list(reader(lab.ec2()).locks([locked, other])) == [locked]


def test_without_snapshots_neither_images_nor_locks_are_listed() -> None:
    client = Client({"Images": [image("ami-1", "snap-1")]}, {"Snapshots": [{"SnapshotId": "snap-1", "LockState": "governance"}]})
    assert (reader(client).images_using([]), reader(client).locks([])) == ({}, {})
    assert client.asked == []


@pytest.mark.parametrize("state", ["pending", "completed", "error", "recovering", "recoverable"])
def test_a_snapshot_is_completed_only_by_its_state_in_ec2(state: str) -> None:
    assert snapshot_from(described(State=state), REGION).completed is (state == "completed")
    incomplete = described()
    del incomplete["State"]
    with pytest.raises(KeyError, match="State"):
        snapshot_from(incomplete, REGION)


def test_a_snapshot_is_encrypted_with_its_key_or_not_at_all() -> None:
    encrypted = snapshot_from(described(Encrypted=True, KmsKeyId="a key"), REGION)
    assert (encrypted.encrypted, encrypted.kms_key_id) == (True, "a key")
    for plain in (described(Encrypted=False), described()):
        assert (snapshot_from(plain, REGION).encrypted, snapshot_from(plain, REGION).kms_key_id) == (False, "")


def test_only_pending_copies_are_in_flight() -> None:
    listed = {"Snapshots": [described(), described(SnapshotId="snap-2", TransferType="standard")]}
    assert [copy.id for copy in reader(Client(listed)).copies_in_flight()] == ["snap-2"]
    origin = Origin("us-west-2", "vol-0a", "snap-9", NOW)
    ours = {"Tags": tag_list(tags_for_copy("snapkeep", "gold", origin)), "Description": description_of_copy(origin)}
    client = Client({"Snapshots": [described(), described(SnapshotId="snap-2", TransferType="standard", **ours)]})
    assert [copy.id for copy in reader(client).copies_of_volumes(["vol-0a"])] == ["snap-2"]
    assert client.asked[0]["Filters"] == [{"Name": "tag:OriginalVolumeId", "Values": ["vol-0a"]}]


def test_a_deleted_snapshot_has_no_owner_and_throttling_is_an_error() -> None:
    assert reader(Client(refused("InvalidSnapshot.NotFound"))).owner_of("snap-1") == ""
    with pytest.raises(AwsThrottled):
        reader(Client(refused("RequestLimitExceeded", status=503))).snapshots(["snap-1"])


@pytest.mark.parametrize(
    "sign",
    [
        {"TransferType": "time-based"},
        {"VolumeId": "vol-ffffffff"},
        {"Description": description_of_copy(ORIGIN)},
    ],
    ids=["transfer type", "volume id", "description"],
)
def test_a_copy_is_known_by_any_of_its_signs(sign: dict[str, str]) -> None:
    tags = tag_list(tags_for_copy("snapkeep", "gold", ORIGIN))
    assert snapshot_from(described(Tags=tags, **sign), REGION).is_copy
    no_copy = snapshot_from(described(Tags=tags), REGION)
    assert (no_copy.is_copy, no_copy.origin.volume_id) == (False, "vol-0b")


def test_a_managed_copys_description_and_tags_name_one_source() -> None:
    """Tags alone made a copy ours: copied or overwritten, they made it the copy of any snapshot."""
    ours = tags_for_copy("snapkeep", "gold", ORIGIN)
    other = tags_for_copy("snapkeep", "gold", Origin("eu-west-1", "vol-0other", "snap-0other", NOW))
    for tags, description, managed in (
        (ours, description_of_copy(ORIGIN), True),
        (other, description_of_copy(ORIGIN), False),
        (ours, "[Copied snap-0a from eu-west-1] a copy of somebody else", False),
    ):
        item = described(Tags=tag_list(tags), Description=description, TransferType="standard")
        copy = snapshot_from(item, REGION)
        assert copy.managed_by("snapkeep") is managed
        assert (copy.origin == ORIGIN) is description.startswith("[Snapkeep: ")


@pytest.mark.parametrize(
    ("volume_id", "arbitrary"),
    [("vol-ffff", True), ("vol-ffffffff", True), ("vol-0fff", False), ("vol-", False), ("snap-ffff", False)],
)
def test_an_arbitrary_volume_id_is_nothing_but_f(volume_id: str, arbitrary: bool) -> None:
    assert is_arbitrary(volume_id) is arbitrary


@pytest.mark.parametrize(
    ("device", "root_device", "role"),
    [
        ("/dev/sda", "/dev/sda", VolumeRole.ROOT),
        ("xvda", "xvda", VolumeRole.ROOT),
        ("/dev/xvda", "/dev/sda1", VolumeRole.DATA),
        ("/dev/sdf", "/dev/sda1", VolumeRole.DATA),
    ],
)
def test_the_root_volume_is_its_instances_root_device(device: str, root_device: str, role: VolumeRole) -> None:
    """The root volume was known by two device names: one at /dev/sda counted as data."""
    attached = {"VolumeId": "vol-0a", "Attachments": [{"Device": device, "InstanceId": "i-1"}]}
    instance = {"InstanceId": "i-1", "RootDeviceName": root_device, "Tags": [{"Key": "App", "Value": "shop"}]}
    instances = {"Reservations": [{"Instances": [instance]}]}
    client = Client({"Volumes": [attached | {"AvailabilityZone": "us-east-1a"}]}, instances)
    (volume,) = reader(client).all_volumes()
    assert (volume.role, volume.zone, volume.instance_tags) == (role, "us-east-1a", ({"App": "shop"},))
    assert client.asked[1]["Filters"] == [{"Name": "instance-id", "Values": ["i-1"]}]


def test_a_volume_that_no_instance_has_is_unattached() -> None:
    client = Client({"Volumes": [{"VolumeId": "vol-0a", "Attachments": [{"AssociatedResource": "arn:aws:ec2:x"}]}]})
    assert [volume.role for volume in reader(client).all_volumes()] == [VolumeRole.UNATTACHED]
    assert len(client.asked) == 1


def test_holds_are_listed_once_a_minute() -> None:
    class Clock:
        moment = NOW.timestamp()

        def now(self) -> datetime:
            return utc(self.moment)

    clock = Clock()
    lock = {"Snapshots": [{"SnapshotId": "snap-2", "LockState": "governance"}]}
    client = Client({"Images": [image("ami-1", "snap-1")]}, lock, {}, {})
    guards = RecentGuards(reader=reader(client), clock=clock)
    assert guards.images_using(["snap-1", "snap-2"]) == {"snap-1": ("ami-1",)}
    clock.moment += 60
    assert guards.locks(["snap-1", "snap-2"]) == {"snap-2": SnapshotLock(LockState.GOVERNANCE)}
    assert len(client.asked) == 2
    clock.moment += 1
    assert guards.locks(["snap-2"]) == {}
    assert len(client.asked) == 4


def test_public_snapshots_are_only_own_ones_on_every_page() -> None:
    client = Client({"Snapshots": [described()], "NextToken": "more"}, {"Snapshots": [described(SnapshotId="snap-2")]})
    assert Ec2Exposure(client=client).public_snapshots() == ["snap-1", "snap-2"]
    assert client.asked[1] == {
        "OwnerIds": ["self"],
        "RestorableByUserIds": ["all"],
        "MaxResults": 1000,
        "NextToken": "more",
    }


@pytest.mark.parametrize(("state", "blocked"), [("block-all-sharing", True), ("block-new-sharing", True), ("unblocked", False)])
def test_sharing_is_blocked_in_every_state_but_one(state: str, blocked: bool) -> None:
    assert Ec2Exposure(client=Client({"State": state})).sharing_blocked() is blocked


def test_a_deleted_snapshot_is_shared_with_no_account() -> None:
    shared = {"CreateVolumePermissions": [{"UserId": "222222222222"}, {"Group": "all"}]}
    exposure = Ec2Exposure(client=Client(shared, refused("InvalidSnapshot.NotFound"), {}))
    assert exposure.shared_with(["snap-1", "snap-2", "snap-3"]) == {"snap-1": ("222222222222",)}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (refused("InvalidSnapshot.NotFound"), DeletionOutcome.ALREADY_GONE),
        (refused("InvalidSnapshot.InUse", "in use by ami-1"), DeletionOutcome.IN_USE),
        (refused("OperationNotPermitted", "The snapshot is locked"), DeletionOutcome.LOCKED),
        (refused("UnauthorizedOperation", "You are not authorized"), DeletionOutcome.NOT_ALLOWED),
        (refused("UnauthorizedOperation", "Blocked by a policy"), DeletionOutcome.NOT_ALLOWED),
    ],
)
def test_the_outcome_of_a_refused_deletion_is_its_cause(error: ClientError, outcome: DeletionOutcome) -> None:
    assert Ec2Deleter(client=Client(error)).delete("snap-1").outcome is outcome


@pytest.mark.parametrize(
    ("code", "raised"), [("RequestLimitExceeded", AwsThrottled), ("InternalError", AwsUnavailable)], ids=["throttled", "away"]
)
def test_a_deletion_that_may_succeed_later_is_no_result(code: str, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        Ec2Deleter(client=Client(refused(code))).delete("snap-1")


def test_a_copy_call_has_its_rules_settings_and_its_origin() -> None:
    tags = {MANAGED: "snapkeep"}
    request = CopyRequest(ORIGIN, "gold", REGION, "alias/dr", NOW, 8, encrypted=True, tags=tags, completion_minutes=60)
    client = Client({"SnapshotId": "snap-2"})
    assert Ec2Copier(client=client).start_copy(request) == "snap-2"
    assert client.asked == [
        {
            "SourceRegion": "eu-west-1",
            "SourceSnapshotId": "snap-0a",
            "Description": description_of_copy(ORIGIN),
            "TagSpecifications": [{"ResourceType": "snapshot", "Tags": tag_list(tags)}],
            "Encrypted": True,
            "KmsKeyId": "alias/dr",
            "CompletionDurationMinutes": 60,
        }
    ]


def test_refused_keys_and_excess_tags_have_their_own_errors() -> None:
    request = CopyRequest(ORIGIN, "gold", REGION, "alias/dr", NOW, 8, encrypted=True)
    with pytest.raises(KeyNotUsable, match="key alias/dr: KMSKeyNotAccessibleFault"):
        Ec2Copier(client=Client(refused("KMSKeyNotAccessibleFault"))).start_copy(request)
    with pytest.raises(TagsDoNotFit):
        Ec2Tagger(client=Client(refused("TagLimitExceeded"))).tag(["snap-1"], {"Name": "web"})


@pytest.mark.parametrize(
    ("place", "copyable"),
    [
        ({}, True),
        ({"AvailabilityZone": "us-west-1a"}, True),
        ({"AvailabilityZone": "us-east-1-wl1-bos-wlz-1"}, True),
        ({"AvailabilityZone": "us-west-2-lax-1a"}, False),
        ({"AvailabilityZone": "ap-southeast-2-per-1a"}, False),
        ({"OutpostArn": "arn:aws:outposts:us-west-2:123456789012:outpost/op-1"}, False),
    ],
)
def test_snapshots_in_local_zones_and_on_outposts_are_not_copyable(place: dict[str, str], copyable: bool) -> None:
    assert (snapshot_from(described(**place), REGION).not_copyable == "") is copyable


def test_only_shares_of_the_allowed_owners_are_read() -> None:
    """The vault's safety rests on it."""
    owner, stranger = "111111111111", "333333333333"
    client = Client({"Snapshots": [described(OwnerId=owner), described(SnapshotId="snap-2", OwnerId=stranger)]})
    shares = Ec2Shares(client=client, region=REGION, owners={owner}).shared()  # type: ignore[arg-type]
    assert [(one.snapshot.id, one.owner) for one in shares] == [("snap-1", owner)]
    (query,) = client.asked
    assert (query["OwnerIds"], query["RestorableByUserIds"]) == ([owner], ["self"])
