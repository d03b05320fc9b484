"""Wrong, missing, extra and swapped blocks, a wrong size, and zero blocks left out: planted in copies."""

from __future__ import annotations

import hashlib

import pytest
from ebs_worlds import DR, PRIMARY, Bench

from snapkeep.lab.ebs_model import ContentFaults, FaultRule, World


def indexes(client: object, snapshot_id: str) -> list[int]:
    return [entry["BlockIndex"] for entry in client.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]]  # type: ignore[attr-defined]


def content(client: object, snapshot_id: str) -> dict[int, str]:
    blocks = client.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]  # type: ignore[attr-defined]
    return {
        entry["BlockIndex"]: hashlib.sha256(
            client.get_snapshot_block(SnapshotId=snapshot_id, **entry)["BlockData"].read()  # type: ignore[attr-defined]
        ).hexdigest()
        for entry in blocks
    }


@pytest.fixture
def pair(bench: Bench) -> tuple[str, str]:
    volume_id = bench.volume(1)
    bench.write(volume_id, 0, 10)
    source = bench.snapshot(volume_id)
    return source, bench.settled_copy(source)


def test_planted_blocks_differ_from_the_source_and_others_do_not(bench: Bench, pair: tuple[str, str]) -> None:
    source, copy = pair
    faults = ContentFaults(wrong=(1,), missing=(2,), extra=(50,), swapped=((3, 4),))
    bench.world.plant(copy, faults, region=DR)
    good, bad = content(bench.blocks, source), content(bench.dr_blocks, copy)
    assert sorted(bad) == [0, 1, 3, 4, 5, 6, 7, 8, 9, 50]
    assert {index for index in good if bad.get(index) != good[index]} == {1, 2, 3, 4}
    assert (bad[3], bad[4]) == (good[4], good[3])


def test_a_block_that_is_made_wrong_twice_differs_each_time(bench: Bench, pair: tuple[str, str]) -> None:
    seen = set()
    for _ in range(3):
        seen.add(content(bench.dr_blocks, pair[1])[1])
        bench.world.plant(pair[1], ContentFaults(wrong=(1,)), region=DR)
    assert len(seen) == 3


def test_a_wrong_size_is_shown_by_every_api(bench: Bench, pair: tuple[str, str]) -> None:
    bench.world.plant(pair[1], ContentFaults(size_gib=2), region=DR)
    assert bench.described(bench.dr, pair[1])["VolumeSize"] == 2
    assert bench.dr_blocks.list_snapshot_blocks(SnapshotId=pair[1])["VolumeSize"] == 2


def test_a_copy_without_zero_blocks_is_still_equal(bench: Bench) -> None:
    volume_id = bench.volume(1)
    bench.write(volume_id, 0, 10)
    bench.world.write(volume_id, 4, 2, region=PRIMARY, zeros=True)
    source = bench.snapshot(volume_id)
    bench.world.add_fault(FaultRule("copy_leaves_zeros_out"))
    copy = bench.settled_copy(source)
    assert indexes(bench.blocks, source) == list(range(10))
    assert indexes(bench.dr_blocks, copy) == [0, 1, 2, 3, 6, 7, 8, 9]
    assert content(bench.blocks, source)[4] == hashlib.sha256(bytes(524_288)).hexdigest()


@pytest.mark.parametrize(
    ("kind", "listed", "differing"),
    [
        ("copy_wrong_blocks", 10, 2),
        ("copy_missing_blocks", 8, 2),
        ("copy_extra_blocks", 12, 0),
        ("copy_swapped_blocks", 10, 4),
    ],
)
def test_a_rule_plants_faults_in_the_copies_it_matches(bench: Bench, kind: str, listed: int, differing: int) -> None:
    volume_id = bench.volume(1)
    bench.write(volume_id, 0, 10)
    source = bench.snapshot(volume_id)
    bench.world.add_fault(FaultRule(kind, region=DR, times=1, blocks=2))
    copies = [bench.settled_copy(source) for _ in range(2)]
    good, bad, untouched = (content(bench.blocks, source), *(content(bench.dr_blocks, copy) for copy in copies))
    assert len(bad) == listed
    assert sum(bad.get(index) != good[index] for index in good) == differing
    assert untouched == good


def test_a_rule_gives_a_copy_a_wrong_size(bench: Bench) -> None:
    bench.world.add_fault(FaultRule("copy_wrong_size", blocks=3))
    copy = bench.settled_copy(bench.snapshot(bench.volume(5)))
    assert bench.described(bench.dr, copy)["VolumeSize"] == 8


def test_planted_faults_persist_in_restored_volumes_and_copies_of_the_copy(bench: Bench, pair: tuple[str, str]) -> None:
    bench.world.plant(pair[1], ContentFaults(wrong=(1,), missing=(2,)), region=DR)
    again = bench.dr.copy_snapshot(SourceRegion=DR, SourceSnapshotId=pair[1])["SnapshotId"]
    restored = bench.dr.create_volume(AvailabilityZone=DR + "a", SnapshotId=pair[1])["VolumeId"]
    of_restored = bench.dr.create_snapshot(VolumeId=restored)["SnapshotId"]
    bench.settle()
    bad = content(bench.dr_blocks, pair[1])
    assert content(bench.dr_blocks, again) == bad
    assert content(bench.dr_blocks, of_restored) == bad


def test_planted_faults_are_kept_with_a_saved_world(bench: Bench, pair: tuple[str, str]) -> None:
    bench.world.plant(pair[1], ContentFaults(wrong=(1,), missing=(2,), swapped=((3, 4),)), region=DR)
    bad = content(bench.dr_blocks, pair[1])
    again = World.from_saved(bench.world.save())
    assert content(again.client("ebs", DR), pair[1]) == bad


def test_changed_blocks_show_planted_faults(bench: Bench, pair: tuple[str, str]) -> None:
    other = bench.settled_copy(pair[0])
    bench.world.plant(other, ContentFaults(wrong=(1,), missing=(2,)), region=DR)
    changed = bench.dr_blocks.list_changed_blocks(FirstSnapshotId=pair[1], SecondSnapshotId=other)["ChangedBlocks"]
    assert [(entry["BlockIndex"], "SecondBlockToken" in entry) for entry in changed] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    "faults",
    [ContentFaults(wrong=(99,)), ContentFaults(missing=(99,)), ContentFaults(swapped=((0, 99),)), ContentFaults(extra=(0,))],
)
def test_a_fault_that_fits_no_block_is_refused(bench: Bench, pair: tuple[str, str], faults: ContentFaults) -> None:
    with pytest.raises(ValueError, match="listed"):
        bench.world.plant(pair[1], faults, region=DR)


@pytest.mark.parametrize("fields", [{"wrong": [-1]}, {"swapped": [[1, 2, 3]]}, {"size_gib": -1}, {"missing": [0.5]}])
def test_faults_that_are_none_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"blocks|pairs|size_gib"):
        ContentFaults(**fields)  # type: ignore[arg-type]


def test_a_world_file_plants_faults_in_the_newest_copy() -> None:
    document = {
        "version": 1,
        "volumes": [{"name": "data", "region": PRIMARY, "size_gib": 1, "used_gib": 0.005}],
        "history": [{"volume": "data", "count": 2, "copies": [{"region": DR, "content": {"missing": [3]}}]}],
    }
    world = World.from_document(document)
    older, newest = (snapshot["SnapshotId"] for snapshot in world.client("ec2", DR).describe_snapshots()["Snapshots"])
    assert len(indexes(world.client("ebs", DR), older)) == len(indexes(world.client("ebs", DR), newest)) + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [({"missing": [3], "broken": 1}, r"history\[0\].copies\[0\].content.broken: is not known"), ({"wrong": [-1]}, "from 0 on")],
)
def test_a_world_file_with_unknown_faults_is_refused(content: dict[str, object], message: str) -> None:
    document = {
        "version": 1,
        "volumes": [{"name": "data", "region": PRIMARY, "size_gib": 1}],
        "history": [{"volume": "data", "count": 1, "copies": [{"region": DR, "content": content}]}],
    }
    with pytest.raises(ValueError, match=message):
        World.from_document(document)
