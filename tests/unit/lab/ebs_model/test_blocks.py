from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from ebs_worlds import PRIMARY, Bench, refused

BLOCK = 524_288


def listed(client: Any, snapshot_id: str, **more: Any) -> list[int]:
    return [block["BlockIndex"] for block in client.list_snapshot_blocks(SnapshotId=snapshot_id, **more)["Blocks"]]


def read(client: Any, snapshot_id: str, index: int) -> bytes:
    (block,) = client.list_snapshot_blocks(SnapshotId=snapshot_id, StartingBlockIndex=index, MaxResults=100)["Blocks"][:1]
    assert block["BlockIndex"] == index
    answer = client.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=block["BlockToken"])
    data = answer["BlockData"].read()
    assert answer["Checksum"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert (answer["DataLength"], answer["ChecksumAlgorithm"]) == (len(data), "SHA256")
    return data


def test_only_blocks_ever_written_are_listed(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 3, 2)
    bench.write(volume_id, 10, 1)
    answer = bench.blocks.list_snapshot_blocks(SnapshotId=bench.snapshot(volume_id))
    assert [block["BlockIndex"] for block in answer["Blocks"]] == [3, 4, 10]
    assert (answer["BlockSize"], answer["VolumeSize"]) == (BLOCK, 100)


def test_a_block_of_512_kib_changes_its_checksum_with_a_write(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 2)
    first = bench.snapshot(volume_id)
    bench.write(volume_id, 1, 1)
    second = bench.snapshot(volume_id)
    assert len(read(bench.blocks, first, 0)) == BLOCK
    assert read(bench.blocks, first, 0) == read(bench.blocks, second, 0)
    assert read(bench.blocks, first, 1) != read(bench.blocks, second, 1)


def test_a_copy_equals_its_source_byte_for_byte(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 3)
    snapshot_id = bench.snapshot(volume_id)
    copy_id = bench.settled_copy(snapshot_id)
    assert listed(bench.blocks, snapshot_id) == listed(bench.dr_blocks, copy_id)
    assert all(read(bench.blocks, snapshot_id, i) == read(bench.dr_blocks, copy_id, i) for i in range(3))


def test_a_volume_from_a_snapshot_has_its_content(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 4)
    snapshot_id = bench.snapshot(volume_id)
    restored = bench.primary.create_volume(AvailabilityZone=PRIMARY + "a", SnapshotId=snapshot_id)["VolumeId"]
    bench.write(restored, 3, 2)
    again = bench.snapshot(restored)
    assert listed(bench.blocks, again) == [0, 1, 2, 3, 4]
    assert read(bench.blocks, again, 0) == read(bench.blocks, snapshot_id, 0)
    assert read(bench.blocks, again, 3) != read(bench.blocks, snapshot_id, 3)


def test_changed_blocks_are_those_written_between_two_snapshots(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 4)
    first = bench.snapshot(volume_id)
    bench.write(volume_id, 2, 4)
    second = bench.snapshot(volume_id)
    changed = bench.blocks.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)["ChangedBlocks"]
    assert [entry["BlockIndex"] for entry in changed] == [2, 3, 4, 5]
    assert ["FirstBlockToken" in entry for entry in changed] == [True, True, False, False]


def test_snapshots_of_two_volumes_have_no_changed_blocks(bench: Bench) -> None:
    first, second = bench.snapshot(bench.volume()), bench.snapshot(bench.volume())
    call = bench.blocks.list_changed_blocks
    assert refused(call, FirstSnapshotId=first, SecondSnapshotId=second) == ("ValidationException", 400)


def test_block_lists_have_pages_of_100_to_10000(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 250)
    snapshot_id = bench.snapshot(volume_id)
    sizes, more = [], {}
    while True:
        answer = bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id, MaxResults=100, **more)
        sizes.append(len(answer["Blocks"]))
        if "NextToken" not in answer:
            break
        more = {"NextToken": answer["NextToken"]}
    assert sizes == [100, 100, 50]
    assert refused(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id, MaxResults=99)[0] == "ValidationException"


def test_blocks_need_the_listing_s_token_and_a_known_snapshot(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 1)
    params = {"SnapshotId": bench.snapshot(volume_id), "BlockIndex": 0, "BlockToken": "wrong"}
    assert refused(bench.blocks.get_snapshot_block, **params)[0] == "ValidationException"
    unknown = bench.blocks.list_snapshot_blocks
    assert refused(unknown, SnapshotId="snap-0123456789abcdef0") == ("ResourceNotFoundException", 404)


def test_sizes_are_full_incremental_and_freed_by_deletion(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100)
    first = bench.snapshot(volume_id)
    bench.write(volume_id, 90, 20)
    second = bench.snapshot(volume_id)
    assert bench.described(bench.primary, first)["FullSnapshotSizeInBytes"] == 100 * BLOCK
    assert bench.described(bench.primary, second)["FullSnapshotSizeInBytes"] == 110 * BLOCK
    assert bench.world.stored_bytes(PRIMARY) == 120 * BLOCK
    bench.primary.delete_snapshot(SnapshotId=first)
    assert bench.world.stored_bytes(PRIMARY) == 110 * BLOCK
    assert listed(bench.blocks, second) == list(range(110))


def test_a_volume_of_16_tib_needs_memory_only_for_its_writes(bench: Bench) -> None:
    volume_id = bench.volume(16_384)
    bench.write(volume_id, 0, 16_384 * 2048)
    snapshot_id = bench.snapshot(volume_id)
    assert bench.described(bench.primary, snapshot_id)["FullSnapshotSizeInBytes"] == 16 * 1024**4
    assert len(bench.world.region_account(PRIMARY).volumes[volume_id].log.entries) == 1


def test_writing_beyond_the_end_of_a_volume_is_an_error(bench: Bench) -> None:
    with pytest.raises(ValueError, match="not all on a volume"):
        bench.write(bench.volume(1), 2040, 9)


def test_the_direct_api_throttles_with_its_own_error() -> None:
    bench = Bench()
    snapshot_id = bench.snapshot(bench.volume())
    codes = set()
    for _ in range(51):
        try:
            bench.blocks.list_snapshot_blocks(SnapshotId=snapshot_id)
        except Exception as error:  # noqa: BLE001 - the code is looked at below
            codes.add(error.response["Error"]["Code"])  # type: ignore[attr-defined]
    assert codes == {"RequestThrottledException"}
