"""Quotas, throttling, paging, filters, faults of the API, dry runs."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from ebs_worlds import DR, PRIMARY, Bench, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX, ApiError, FaultRule, Faults, Quotas
from snapkeep.lab.ebs_model.api.actions import EC2
from snapkeep.lab.ebs_model.client import METHODS, RESULT_KEYS

# Actions that boto3 can page and the model answers whole.
ONE_PAGE = {"ListKeys", "DescribeAvailabilityZones", "DescribeRegions"}
QUICK = Quotas(seconds_between_snapshots=0, throttling=False)


# Quotas


def test_a_volume_has_at_most_five_snapshots_at_once_and_st1_one() -> None:
    bench = Bench(quotas=QUICK)
    general, throughput = bench.volume(), bench.volume(125, VolumeType="st1")
    for _ in range(5):
        bench.start(general)
    bench.start(throughput)
    for volume_id in (general, throughput):
        assert refused(bench.start, volume_id=volume_id) == ("ConcurrentSnapshotLimitExceeded", 400)


def test_snapshots_of_a_volume_at_once_need_15_seconds_between_them(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.start(volume_id)
    bench.advance(14)
    assert refused(bench.start, volume_id=volume_id)[0] == "SnapshotCreationPerVolumeRateExceeded"
    bench.advance(1)
    bench.start(volume_id)


def test_an_account_has_at_most_100_pending_snapshots() -> None:
    bench = Bench(quotas=QUICK)
    for _ in range(100):
        bench.start(bench.volume(1))
    assert refused(bench.start, volume_id=bench.volume(1)) == ("PendingSnapshotLimitExceeded", 400)
    bench.settle()
    bench.start(bench.volume(1))


def test_a_region_holds_no_more_snapshots_than_its_quota() -> None:
    bench = Bench(quotas=Quotas(snapshots_per_region=2))
    kept = [bench.snapshot(bench.volume()) for _ in range(2)]
    assert refused(bench.start, volume_id=bench.volume())[0] == "SnapshotLimitExceeded"
    copies = [bench.copy(snapshot_id) for snapshot_id in kept]
    assert len(copies) == 2
    assert refused(bench.copy, snapshot_id=kept[0])[0] == "SnapshotLimitExceeded"


# Throttling


def calls_until_throttled(action: Any, most: int = 200, **params: Any) -> int:
    for count in range(most):
        try:
            action(**params)
        except ClientError as error:
            answer = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
            if answer == ("RequestLimitExceeded", 503):
                return count
    raise AssertionError(f"not throttled in {most} calls")


@pytest.mark.parametrize(
    ("action", "params", "size", "refill"),
    [
        ("delete_snapshot", {"SnapshotId": "snap-0123456789abcdef0"}, 100, 5),
        ("create_tags", {"Resources": ["snap-0123456789abcdef0"], "Tags": []}, 100, 10),
        ("describe_snapshots", {"MaxResults": 5}, 100, 20),
        ("describe_snapshots", {}, 50, 10),
        ("copy_snapshot", {"SourceRegion": PRIMARY, "SourceSnapshotId": "snap-0123456789abcdef0"}, 50, 5),
        ("lock_snapshot", {"SnapshotId": "snap-0123456789abcdef0", "LockMode": "governance"}, 50, 5),
    ],
)
def test_each_class_of_requests_has_its_bucket_and_refill(bench: Bench, action: Any, params: Any, size: int, refill: int) -> None:
    assert calls_until_throttled(getattr(bench.primary, action), **params) == size
    bench.advance(1)
    assert calls_until_throttled(getattr(bench.primary, action), **params) == refill


def test_buckets_are_separate_for_regions_and_accounts(bench: Bench) -> None:
    calls_until_throttled(bench.primary.describe_snapshots)
    bench.dr.describe_snapshots()
    bench.world.client("ec2", PRIMARY, "210987654321").describe_snapshots()


# Paging and filters


def test_pages_are_stable_while_snapshots_are_made_and_deleted() -> None:
    bench = Bench(quotas=QUICK)
    made = [bench.snapshot(bench.volume(1)) for _ in range(15)]
    first = bench.primary.describe_snapshots(MaxResults=5)
    bench.primary.delete_snapshot(SnapshotId=made[4])
    bench.primary.delete_snapshot(SnapshotId=made[5])
    late = bench.snapshot(bench.volume(1))
    second = bench.primary.describe_snapshots(MaxResults=1000, NextToken=first["NextToken"])
    assert [s["SnapshotId"] for s in first["Snapshots"] + second["Snapshots"]] == [*made[:5], *made[6:], late]


@pytest.mark.parametrize("name", ["volume-id", "tag:volume", "status", "tag-key"])
def test_pages_of_an_index_and_of_the_whole_place_agree(name: str) -> None:
    bench = Bench(quotas=QUICK)
    volumes = [bench.volume(1) for _ in range(3)]
    for number in range(30):
        tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "volume", "Value": volumes[number % 3]}]}]
        bench.start(volumes[number % 3], TagSpecifications=tags)
        bench.settle()
    value = {"status": "completed", "tag-key": "volume"}.get(name, volumes[1])
    filters = [{"Name": name, "Values": [value]}]
    whole = bench.primary.describe_snapshots(Filters=filters)["Snapshots"]
    pages = bench.primary.get_paginator("describe_snapshots").paginate(Filters=filters, PaginationConfig={"PageSize": 5})
    assert [s for page in pages for s in page["Snapshots"]] == whole
    assert len(whole) == (30 if name in ("status", "tag-key") else 10)


def test_a_wrong_token_is_refused(bench: Bench) -> None:
    assert refused(bench.primary.describe_snapshots, MaxResults=5, NextToken="nonsense")[0] == "InvalidNextToken"


def test_a_backslash_makes_a_wildcard_literal(bench: Bench) -> None:
    for value in ("a*b", "axb"):
        tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "k", "Value": value}]}]
        bench.snapshot(bench.volume(), TagSpecifications=tags)
    snapshots = bench.primary.describe_snapshots(Filters=[{"Name": "tag:k", "Values": ["a\\*b"]}])["Snapshots"]
    assert [s["Tags"][0]["Value"] for s in snapshots] == ["a*b"]


def test_progress_grows_and_can_be_filtered(bench: Bench) -> None:
    snapshot_id = bench.start(bench.volume())
    bench.advance(15)
    assert bench.described(bench.primary, snapshot_id)["Progress"] == "50%"
    snapshots = bench.primary.describe_snapshots(Filters=[{"Name": "progress", "Values": ["50%"]}])["Snapshots"]
    assert len(snapshots) == 1


def test_malformed_ids_have_codes_of_their_own(bench: Bench) -> None:
    assert refused(bench.primary.describe_snapshots, SnapshotIds=["nonsense"])[0] == "InvalidParameterValue"
    assert refused(bench.primary.delete_snapshot, SnapshotId="snap-xyz")[0] == "InvalidSnapshotID.Malformed"
    assert refused(bench.primary.create_snapshot)[0] == "MissingParameter"


def test_ids_and_max_results_cannot_be_combined(bench: Bench) -> None:
    snapshot_id = bench.snapshot(bench.volume())
    code, _ = refused(bench.primary.describe_snapshots, SnapshotIds=[snapshot_id], MaxResults=5)
    assert code == "InvalidParameterCombination"


@pytest.mark.parametrize("action", sorted(EC2))
def test_a_dry_run_of_every_action_is_the_documented_error(bench: Bench, action: Any) -> None:
    params = dict.fromkeys(EC2[action].required, "x")
    before = bench.world.save()["region_accounts"]
    with pytest.raises(ApiError) as caught:
        bench.world.call("ec2", action, {**params, "DryRun": True}, region=PRIMARY)
    assert (caught.value.code, caught.value.http_status) == ("DryRunOperation", 412)
    assert len(bench.world.save()["region_accounts"]) - len(before) in (0, 1)


def test_a_dry_run_without_permission_is_unauthorized(bench: Bench) -> None:
    bench.world.add_fault(
        FaultRule("api_error", action="RunInstances", code="UnauthorizedOperation", http_status=403, message="not authorized")
    )
    params = {"ImageId": PUBLIC_LINUX, "MinCount": 1, "MaxCount": 1, "DryRun": True}
    assert refused(bench.primary.run_instances, **params) == ("UnauthorizedOperation", 403)


def test_an_action_that_is_not_modelled_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(ApiError, match=r"InvalidAction: .* the action ec2:CreateFleet: it is not modelled"):
        bench.world.call("ec2", "CreateFleet", {}, region=PRIMARY)


# Faults


def test_an_api_error_is_before_or_after_the_effect() -> None:
    script = (
        FaultRule("api_error", action="CreateSnapshot", times=1, effect="before"),
        FaultRule("api_error", action="CreateSnapshot", times=1, effect="after", code="Unavailable", http_status=503),
    )
    bench = Bench(faults=Faults(script=script))
    volume_id = bench.volume()
    assert refused(bench.start, volume_id=volume_id) == ("InternalError", 500)
    assert bench.primary.describe_snapshots()["Snapshots"] == []
    assert refused(bench.start, volume_id=volume_id) == ("Unavailable", 503)
    assert len(bench.primary.describe_snapshots()["Snapshots"]) == 1


@pytest.mark.parametrize(("effect", "made"), [("before", 0), ("after", 1)])
def test_a_time_out_can_be_before_or_after_the_effect(effect: str, made: int) -> None:
    bench = Bench(faults=Faults(script=(FaultRule("api_timeout", action="CreateSnapshot", times=1, effect=effect),)))
    volume_id = bench.volume()
    with pytest.raises(ReadTimeoutError):
        bench.start(volume_id)
    assert len(bench.primary.describe_snapshots()["Snapshots"]) == made


def test_an_unreachable_region_continues_its_work(bench: Bench) -> None:
    copy_id = bench.copy(bench.snapshot(bench.volume()))
    bench.world.take_region_away(DR)
    with pytest.raises(EndpointConnectionError):
        bench.dr.describe_snapshots()
    bench.primary.describe_snapshots()
    bench.settle()
    bench.world.bring_region_back(DR)
    assert bench.described(bench.dr, copy_id)["State"] == "completed"


def test_a_region_can_be_unreachable_for_a_while_by_script() -> None:
    rule = FaultRule("region_unreachable", region=DR, from_seconds=100, until_seconds=200)
    bench = Bench(faults=Faults(script=(rule,)))
    bench.dr.describe_snapshots()
    bench.advance(150)
    with pytest.raises(EndpointConnectionError):
        bench.dr.describe_snapshots()
    bench.advance(50)
    bench.dr.describe_snapshots()


def test_slow_copies_take_longer_by_their_factor() -> None:
    bench = Bench(faults=Faults(script=(FaultRule("slow_copy", factor=10, times=1),)))
    snapshot_id = bench.snapshot(bench.volume())
    slow, normal = bench.copy(snapshot_id), bench.copy(snapshot_id)
    bench.advance(60)
    states = [bench.described(bench.dr, copy_id)["State"] for copy_id in (slow, normal)]
    assert states == ["pending", "completed"]


def test_faults_by_seed_are_the_same_for_the_same_seed() -> None:
    def states(seed: int) -> list[str]:
        bench = Bench(faults=Faults(snapshot_fails=0.5), seed=seed, quotas=QUICK)
        made = [bench.snapshot(bench.volume(1)) for _ in range(20)]
        return [bench.described(bench.primary, snapshot_id)["State"] for snapshot_id in made]

    assert states(1) == states(1)
    assert set(states(1)) == {"completed", "error"}
    assert states(1) != states(2)


def test_the_clocks_of_regions_can_differ(bench: Bench) -> None:
    bench.world.set_clock_skew(DR, -30)
    snapshot_id = bench.snapshot(bench.volume())
    copy_id = bench.copy(snapshot_id)
    assert bench.described(bench.dr, copy_id)["StartTime"].timestamp() == bench.world.now() - 30
    bench.advance(60)
    assert bench.described(bench.dr, copy_id)["State"] == "completed"


@pytest.mark.parametrize(
    "wrong", [{"kind": "flood"}, {"kind": "api_error", "effect": "during"}, {"kind": "api_error", "probability": 2}]
)
def test_a_wrong_fault_rule_is_refused_with_the_valid_values(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"one of|'before' or 'after'|from 0 to 1"):
        FaultRule(**wrong)


# Needs of IAM


def test_tags_of_resources_and_of_requests_can_be_read_for_conditions(bench: Bench) -> None:
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "1"}]}]
    snapshot_id = bench.start(bench.volume(), TagSpecifications=tags)
    assert bench.world.resource_tags(PRIMARY, "123456789012", snapshot_id) == {"a": "1"}
    assert bench.world.resource_tags(PRIMARY, "123456789012", "snap-0123456789abcdef0") == {}
    assert bench.world.request_tags("CreateSnapshot", {"TagSpecifications": tags}) == {"a": "1"}
    assert bench.world.request_tags("CreateTags", {"Tags": tags[0]["Tags"]}) == {"a": "1"}


@pytest.mark.parametrize("service", ["ec2", "ebs", "kms"])
def test_the_model_has_a_paginator_exactly_where_boto3_has_one(bench: Bench, service: str) -> None:
    paginators = botocore.session.get_session().get_paginator_model(service)
    ours = bench.world.client(service, PRIMARY)
    for method, action in METHODS[service].items():
        try:
            keys = paginators.get_paginator(action)["result_key"]
        except ValueError:
            keys = ""
        if action in ONE_PAGE:
            continue
        assert ours.can_paginate(method) is bool(keys), action
        assert RESULT_KEYS.get(action, "") == keys
