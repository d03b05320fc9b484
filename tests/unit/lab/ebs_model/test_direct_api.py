"""The EBS direct APIs: pages, tokens and their ages, reasons, and quotas."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ebs_worlds import DR, PRIMARY, Bench

from snapkeep.lab.ebs_model import FaultRule, Faults, Quotas


def error_of(action: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        action(**params)
    response: Any = caught.value.response
    return response["Error"]["Code"], response.get("Reason", "")


@pytest.fixture
def snapshot_id(bench: Bench) -> str:
    volume_id = bench.volume(1)
    bench.write(volume_id, 0, 300)
    return bench.snapshot(volume_id)


def test_a_page_token_ends_after_60_minutes(bench: Bench, snapshot_id: str) -> None:
    token = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100)["NextToken"]
    bench.advance(3599)
    page = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100, NextToken=token)
    assert page["Blocks"][0]["BlockIndex"] == 100
    bench.advance(1)
    refusal = error_of(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id, NextToken=token)
    assert refusal == ("ValidationException", "INVALID_PAGE_TOKEN")


@pytest.mark.parametrize("token", ["nonsense", base64.b64encode(b"[]").decode(), base64.b64encode(b"5").decode()])
def test_a_page_token_of_nothing_is_refused(bench: Bench, snapshot_id: str, token: str) -> None:
    refusal = error_of(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id, NextToken=token)
    assert refusal == ("ValidationException", "INVALID_PAGE_TOKEN")


def test_a_page_token_of_another_snapshot_is_refused(bench: Bench, snapshot_id: str) -> None:
    token = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100)["NextToken"]
    other = bench.snapshot(bench.volume())
    assert error_of(bench.blocks.list_snapshot_blocks, SnapshotId=other, NextToken=token)[1] == "INVALID_PAGE_TOKEN"


def test_reading_continues_from_a_starting_block_index(bench: Bench, snapshot_id: str) -> None:
    page = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, StartingBlockIndex=297)
    assert [entry["BlockIndex"] for entry in page["Blocks"]] == [297, 298, 299]


def test_a_next_token_wins_over_the_starting_block_index(bench: Bench, snapshot_id: str) -> None:
    token = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100)["NextToken"]
    page = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, StartingBlockIndex=297, NextToken=token)
    assert page["Blocks"][0]["BlockIndex"] == 100


def test_a_block_token_ends_after_7_days(bench: Bench, snapshot_id: str) -> None:
    block = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][5]
    bench.advance(7 * 86_400 - 1)
    bench.blocks.get_snapshot_block(SnapshotId=snapshot_id, **block)
    bench.advance(1)
    refusal = error_of(bench.blocks.get_snapshot_block, SnapshotId=snapshot_id, **block)
    assert refusal == ("ValidationException", "INVALID_BLOCK_TOKEN")


def test_a_block_token_is_of_one_block_of_one_snapshot(bench: Bench, snapshot_id: str) -> None:
    token = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][5]["BlockToken"]
    for index, name in ((6, token), (5, "nonsense"), (5, token[:-1])):
        refusal = error_of(bench.blocks.get_snapshot_block, SnapshotId=snapshot_id, BlockIndex=index, BlockToken=name)
        assert refusal == ("ValidationException", "INVALID_BLOCK_TOKEN")


@pytest.mark.parametrize("action", ["list_snapshot_blocks", "list_changed_blocks"])
def test_a_page_can_be_empty_and_not_the_last(bench: Bench, snapshot_id: str, action: str) -> None:
    bench.world.add_fault(FaultRule("empty_page", times=1))
    name = "SnapshotId" if action == "list_snapshot_blocks" else "SecondSnapshotId"
    request = getattr(bench.blocks, action)
    empty = request(**{name: snapshot_id})
    key = "Blocks" if action == "list_snapshot_blocks" else "ChangedBlocks"
    assert empty[key] == []
    assert len(request(**{name: snapshot_id}, NextToken=empty["NextToken"])[key]) == 300


def test_every_refusal_of_the_direct_api_has_its_reason(bench: Bench, snapshot_id: str) -> None:
    other = bench.snapshot(bench.volume())
    pending = bench.start(bench.volume())
    listing, changes = bench.blocks.list_snapshot_blocks, bench.blocks.list_changed_blocks
    assert error_of(listing, SnapshotId="snap-00000000") == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
    assert error_of(listing, SnapshotId=pending) == ("ValidationException", "INVALID_SNAPSHOT_ID")
    assert error_of(listing, SnapshotId=snapshot_id, MaxResults=99) == ("ValidationException", "INVALID_PARAMETER_VALUE")
    refusal = error_of(changes, FirstSnapshotId=other, SecondSnapshotId=snapshot_id)
    assert refusal == ("ValidationException", "UNRELATED_SNAPSHOTS")


def test_an_archived_snapshot_cannot_be_read(bench: Bench, snapshot_id: str) -> None:
    bench.primary.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    bench.settle()
    assert error_of(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id)[1] == "INVALID_SNAPSHOT_ID"


def test_an_encrypted_snapshot_needs_its_key(bench: Bench) -> None:
    snapshot_id = bench.snapshot(bench.volume(Encrypted=True))
    key_arn = bench.described(bench.primary, snapshot_id)["KmsKeyId"]
    bench.world.deny_key(key_arn)
    refusal = error_of(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id)
    assert refusal == ("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED")


def test_a_public_snapshot_of_another_account_cannot_be_read(bench: Bench, snapshot_id: str) -> None:
    bench.primary.modify_snapshot_attribute(SnapshotId=snapshot_id, OperationType="add", GroupNames=["all"])
    stranger = bench.world.client("ebs", PRIMARY, "999999999999")
    assert error_of(stranger.list_snapshot_blocks, SnapshotId=snapshot_id) == ("AccessDeniedException", "UNAUTHORIZED_ACCOUNT")
    bench.primary.modify_snapshot_attribute(SnapshotId=snapshot_id, OperationType="add", UserIds=["999999999999"])
    assert stranger.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]


def test_a_block_has_its_checksum(bench: Bench, snapshot_id: str) -> None:
    block = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][0]
    answer = bench.blocks.get_snapshot_block(SnapshotId=snapshot_id, **block)
    data = answer["BlockData"].read()
    assert answer["Checksum"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert (answer["ChecksumAlgorithm"], answer["DataLength"]) == ("SHA256", 524_288)


def drain(bench: Bench, action: Any, **params: Any) -> int:
    for number in range(20_000):
        try:
            action(**params)
        except ClientError:
            return number
    return 20_000


def test_listing_is_throttled_at_50_a_second(bench: Bench, snapshot_id: str) -> None:
    assert drain(bench, bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id, MaxResults=100) == 50
    refusal = error_of(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id)
    assert refusal == ("RequestThrottledException", "ACCOUNT_THROTTLED")
    bench.advance(1)
    bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)


def test_reading_one_snapshot_is_throttled_at_1000_a_second_in_every_region(bench: Bench, snapshot_id: str) -> None:
    block = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][0]
    assert drain(bench, bench.blocks.get_snapshot_block, SnapshotId=snapshot_id, **block) == 1000
    refusal = error_of(bench.blocks.get_snapshot_block, SnapshotId=snapshot_id, **block)
    assert refusal == ("RequestThrottledException", "RESOURCE_LEVEL_THROTTLE")


@pytest.mark.parametrize(("region", "most"), [(PRIMARY, 5000), ("eu-west-3", 1000)])
def test_reading_is_throttled_per_account_by_region(bench: Bench, region: str, most: int) -> None:
    reader = bench.world.client("ebs", region)
    reasons = [
        error_of(reader.get_snapshot_block, SnapshotId=f"snap-{number % 10:08x}", BlockIndex=0, BlockToken="x")[1]
        for number in range(most + 1)
    ]
    assert reasons.index("ACCOUNT_THROTTLED") == most


def test_the_quotas_of_the_direct_api_can_be_set() -> None:
    bench = Bench(quotas=Quotas(buckets={"GetSnapshotBlock of one snapshot": (2, 1)}), faults=Faults())
    volume_id = bench.volume(1)
    bench.write(volume_id, 0, 1)
    snapshot_id = bench.snapshot(volume_id)
    block = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"][0]
    assert drain(bench, bench.blocks.get_snapshot_block, SnapshotId=snapshot_id, **block) == 2


def test_a_copy_lists_the_blocks_of_its_source(bench: Bench, snapshot_id: str) -> None:
    copy = bench.settled_copy(snapshot_id)
    listings = [
        client.list_snapshot_blocks(SnapshotId=name)["Blocks"]
        for client, name in ((bench.blocks, snapshot_id), (bench.dr_blocks, copy))
    ]
    assert [[entry["BlockIndex"] for entry in blocks] for blocks in listings] == [list(range(300))] * 2
    assert bench.described(bench.dr, copy)["SnapshotId"].startswith("snap-")
    assert bench.world.region_account(DR).snapshots[copy].altered is None
