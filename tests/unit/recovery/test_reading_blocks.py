"""Listings and reads of blocks: pages, tokens, throttling, limits, and what cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.adapters.threads import Threads
from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, PageTokenExpired
from snapkeep.domain.recovery.blocks import BlockDigest
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method, MethodKind
from snapkeep.domain.recovery.proof import IDLE_PORTIONS, ProofEnd, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.memory_proofs import OneAfterAnother
from snapkeep.usecases.recovery.ports import BlockPage
from snapkeep.usecases.recovery.read_blocks import MOST_ATTEMPTS, Pace, ReadBlocks
from support.patience import COMMAND_SECONDS
from support.proving import DR, PRIMARY, ProvingWorld, Ticking, to_the_end

SAMPLE = Method(MethodKind.SAMPLE, sample=10)


class Pages:
    """`BlockApi` over a list of indexes. `before` may raise, or answer in its place."""

    region = DR

    def __init__(self, indexes: list[int], page: int = 10_000) -> None:
        self.indexes, self.most_in_page = indexes, page
        self.requests: list[tuple[int, int, str]] = []
        self.reads = 0
        self.before: Callable[[int, str], BlockPage | None] = lambda first, token: None

    def page(self, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage:
        self.requests.append((first, most, token))
        answer = self.before(first, token)
        if answer is not None:
            return answer
        listed = [index for index in self.indexes if index >= first]
        shown = listed[: min(most, self.most_in_page)]
        more = f"after {shown[-1]}" if len(listed) > len(shown) else ""
        return BlockPage(shown, [f"token {index}" for index in shown], 1, more)

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        return self.page(snapshot_id, first, most, token)

    def read(self, snapshot_id: str, index: int, token: str) -> BlockDigest:
        assert token == f"token {index}"
        self.reads += 1
        return BlockDigest(index, "sum", "sum")


def reader(api: Pages) -> ReadBlocks:
    return ReadBlocks(api=api, workers=OneAfterAnother(), clock=Ticking())


@pytest.mark.parametrize("page", [1, 7, 100, 10_000])
@pytest.mark.parametrize("indexes", [[], [0], [2047], list(range(500)), list(range(0, 2048, 3)), [*range(40), *range(900, 2048)]])
def test_a_listing_has_every_block_whatever_the_pages(indexes: list[int], page: int) -> None:
    listed = reader(Pages(indexes, page)).listing("snap-1", 0, 2048, 1)
    assert [index for first, end in listed.extents for index in range(first, end)] == indexes
    assert listed.ended


def test_a_dense_listing_needs_one_request_for_each_page() -> None:
    api = Pages(list(range(204_800)))
    listed = reader(api).listing("snap-1", 0, 400_000, 100)
    assert (listed.extents, listed.requests, listed.ended) == (((0, 204_800),), 21, True)


def test_a_page_that_begins_after_the_last_block_may_be_refused() -> None:
    api = Pages(list(range(5)))

    def refuse(first: int, _: str) -> None:
        if first > 4:
            raise AwsRefused("INVALID_PARAMETER_VALUE")

    api.before = refuse
    assert reader(api).listing("snap-1", 0, 400_000, 100).extents == ((0, 5),)


def test_a_page_that_is_needed_must_not_be_refused() -> None:
    api = Pages(list(range(5)))

    def refuse(*_: Any) -> None:
        raise AwsRefused("INVALID_PARAMETER_VALUE")

    api.before = refuse
    with pytest.raises(AwsRefused):
        reader(api).listing("snap-1", 0, 400_000, 100)


def test_only_an_empty_page_is_followed_by_its_token() -> None:
    api = Pages(list(range(500)), page=100)
    api.before = lambda first, token: BlockPage([], [], 1, "next") if first == 200 and not token else None
    assert reader(api).listing("snap-1", 0, 500, 1).extents == ((0, 500),)
    assert [request for request in api.requests if request[2]] == [(200, 10_000, "next")]


def test_a_page_token_that_ended_is_not_used_again() -> None:
    api = Pages(list(range(50)))
    seen = []

    def before(first: int, token: str) -> BlockPage | None:
        seen.append(token)
        if token:
            raise PageTokenExpired("INVALID_PAGE_TOKEN")
        return BlockPage([], [], 1, "old") if len(seen) == 1 else None

    api.before = before
    assert reader(api).listing("snap-1", 0, 50, 1).extents == ((0, 50),)
    assert seen == ["", "old", ""]


def test_empty_pages_without_end_are_no_listing() -> None:
    api = Pages([1])
    api.before = lambda first, token: BlockPage([], [], 1, "next")
    with pytest.raises(AwsUnavailable, match="empty"):
        reader(api).listing("snap-1", 0, 50, 1)


def test_an_answer_to_another_request_is_no_page() -> None:
    api = Pages(list(range(500)), page=100)
    api.before = lambda first, token: BlockPage([0, 1], ["", ""], 1, "") if first else None
    with pytest.raises(AwsUnavailable, match="begins at block 0"):
        reader(api).listing("snap-1", 0, 500, 1)


def test_indexes_out_of_order_are_no_page() -> None:
    api = Pages([3, 2, 9])
    with pytest.raises(ValueError, match="block 2 is listed after block 3"):
        reader(api).listing("snap-1", 0, 500, 1)


def test_blocks_are_read_with_fresh_tokens_and_few_listings() -> None:
    api = Pages(list(range(204_800)))
    digests = reader(api).digests("snap-1", [(5, 8), (100_000, 100_001), (204_799, 204_801)])
    assert [digest.index for digest in digests.digests] == [5, 6, 7, 100_000, 204_799]
    assert (digests.list_requests, digests.reads) == (3, 5)
    assert [(first, most) for first, most, _ in api.requests] == [(5, 100), (100_000, 100), (204_799, 100)]


def test_short_pages_hide_no_token() -> None:
    api = Pages(list(range(3000)), page=7)
    digests = reader(api).digests("snap-1", [(0, 1), (700, 705), (2999, 3000)])
    assert [digest.index for digest in digests.digests] == [0, 700, 701, 702, 703, 704, 2999]


def test_throttling_slows_down_and_is_retried() -> None:
    api = Pages(list(range(50)))
    left = [AwsThrottled("slow"), AwsUnavailable("503"), AwsThrottled("slow")]

    def before(*_: Any) -> None:
        if left:
            raise left.pop()

    api.before = before
    blocks = reader(api)
    assert blocks.listing("snap-1", 0, 50, 1).extents == ((0, 50),)
    assert blocks.listings.per_second < blocks.listings.limit


def test_throttling_without_end_is_raised() -> None:
    api = Pages([1])

    def before(*_: Any) -> None:
        raise AwsThrottled("slow")

    api.before = before
    with pytest.raises(AwsThrottled):
        reader(api).listing("snap-1", 0, 50, 1)
    assert len(api.requests) == MOST_ATTEMPTS


def test_a_pace_is_halved_once_a_second_and_recovers() -> None:
    pace = Pace(100)
    for _ in range(50):
        pace.throttled(10.0)
    assert pace.per_second == 50
    pace.throttled(11.0)
    assert pace.per_second == 25
    for _ in range(2000):
        pace.answered()
    assert pace.per_second == 100


def test_a_pace_never_exceeds_its_limit() -> None:
    pace, now = Pace(50), 0.0
    turns = []
    for _ in range(200):
        now += pace.turn(now)
        turns.append(now)
    assert turns[-1] == pytest.approx(199 / 50)


def test_threads_answer_in_order_and_raise_the_first_error() -> None:
    threads = Threads(4)
    barrier = threading.Barrier(4, timeout=COMMAND_SECONDS)

    def call(number: int) -> int:
        barrier.wait()
        return number

    assert threads.run([lambda number=number: call(number) for number in range(4)]) == [0, 1, 2, 3]  # type: ignore[misc]

    def fail() -> int:
        raise AwsUnavailable("no")

    with pytest.raises(AwsUnavailable):
        threads.run([fail, lambda: 1])


@pytest.mark.parametrize("method", [STRUCTURE, SAMPLE, FULL])
def test_the_documented_quotas_are_kept_and_nothing_is_throttled(method: Method) -> None:
    world = ProvingWorld(size_gib=64, written=2)
    world.write(2000, 40)
    world.write(100_000, 30)
    copy = world.new_copy()
    blocks = {region: world.blocks_of(region) for region in ("us-east-1", DR)}
    proof = world.verify(copy, method, blocks_of=blocks.__getitem__)
    assert proof.proved
    for one in blocks.values():
        assert one.listings.per_second == one.listings.limit  # type: ignore[attr-defined]
        assert one.readings.per_second == one.readings.limit  # type: ignore[attr-defined]


def test_portions_of_more_than_an_hour_need_no_page_token() -> None:
    world = ProvingWorld(size_gib=20, written=25_000)
    copy = world.new_copy()
    use_case = world.use_case(portion=timedelta(0))
    progress = use_case.begin(copy.id, Method(MethodKind.SUBSET, part=1, parts=1000))
    portions = 0
    while isinstance(progress, ProofProgress):
        world.clock.pause(2 * 3600)
        progress = use_case.run(progress)  # type: ignore[assignment]
        portions += 1
    assert progress.proved
    assert portions == progress.progress.portions
    assert progress.progress.compared == 25


def test_empty_pages_of_the_model_change_nothing() -> None:
    world = ProvingWorld()
    copy = world.new_copy()
    world.world.add_fault(FaultRule("empty_page", times=7))
    assert world.verify(copy, FULL).proved


UNREADABLE: list[tuple[str, Callable[[ProvingWorld, str], Any], ProofEnd]] = [
    ("deleted", lambda world, copy: world.dr.delete_snapshot(SnapshotId=copy), ProofEnd.DELETED),
    (
        "archived",
        lambda world, copy: world.dr.modify_snapshot_tier(SnapshotId=copy, StorageTier="archive"),
        ProofEnd.NOT_STANDARD,
    ),
]


@pytest.mark.parametrize(("_name", "change", "end"), UNREADABLE)
def test_a_copy_that_cannot_be_read_is_no_difference(
    _name: str, change: Callable[[ProvingWorld, str], Any], end: ProofEnd
) -> None:
    world = ProvingWorld()
    copy = world.new_copy()
    use_case = world.use_case()
    progress = use_case.begin(copy.id, SAMPLE)
    change(world, copy.id)
    world.world.run_until_idle(30 * 86_400)
    proof = to_the_end(use_case, progress)
    assert (proof.verdict, proof.end, proof.region) == (ProofVerdict.UNREADABLE, end, DR)
    assert not proof.proved


@pytest.mark.parametrize(("region", "deleted"), [(PRIMARY, True), (PRIMARY, False), (DR, True), (DR, False)])
def test_a_refusal_to_read_a_deleted_snapshot_reports_the_deletion(region: str, deleted: bool) -> None:
    """Roles may read what is tagged as managed; a deleted snapshot has no tags, so that IAM refuses before EBS answers."""
    world = ProvingWorld()
    copy = world.new_copy()
    use_case = world.use_case()
    progress = use_case.begin(copy.id, SAMPLE)
    world.world.add_fault(
        FaultRule("api_error", region=region, action="ListSnapshotBlocks", code="AccessDeniedException", http_status=403)
    )
    if deleted:
        snapshot_id = copy.id if region == DR else copy.origin.snapshot_id
        world.world.client("ec2", region).delete_snapshot(SnapshotId=snapshot_id)
    proof = to_the_end(use_case, progress)
    assert (proof.end, proof.region) == (ProofEnd.DELETED if deleted else ProofEnd.DENIED, region)


def test_a_key_that_cannot_be_used_is_no_difference() -> None:
    world = ProvingWorld()
    key = world.world.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
    copy = world.copy(world.snapshot(), Encrypted=True, KmsKeyId=key)
    assert world.verify(copy, SAMPLE).proved
    world.world.client("kms", DR).disable_key(KeyId=key)
    proof = world.verify(copy, SAMPLE)
    assert (proof.verdict, proof.end) == (ProofVerdict.UNREADABLE, ProofEnd.KEY)


def test_a_difference_stays_one_when_the_rest_cannot_be_read() -> None:
    world = ProvingWorld(written=60)
    copy = world.new_copy()
    world.plant(copy, wrong=(1,))
    use_case = world.use_case(portion=timedelta(0), reads_at_first=20)
    progress = use_case.run(use_case.begin(copy.id, FULL))
    assert isinstance(progress, ProofProgress)
    assert progress.differing == 1
    world.primary.delete_snapshot(SnapshotId=progress.pair.source_id)
    assert to_the_end(use_case, progress).verdict is ProofVerdict.DIFFERS


def test_a_budget_ends_a_comparison_before_it_is_exceeded() -> None:
    world = ProvingWorld(written=120)
    proof = world.verify(world.new_copy(), FULL, budget_usd=0.0005, reads_at_first=20)
    assert (proof.verdict, proof.end) == (ProofVerdict.INCOMPLETE, ProofEnd.BUDGET)
    assert 0 < proof.progress.compared < 120
    assert proof.progress.dollars <= 0.0005


def test_a_comparison_without_progress_ends() -> None:
    world = ProvingWorld()
    use_case = world.use_case()
    progress = use_case.begin(world.new_copy().id, STRUCTURE)
    for _ in range(IDLE_PORTIONS):
        progress = progress.next_portion(progress)
    assert progress.limit_reached(world.clock.now()) is ProofEnd.STALLED
    proof = use_case.run(progress)
    assert proof.verdict is ProofVerdict.PROVED  # type: ignore[union-attr]


def test_a_comparison_of_more_than_a_week_ends() -> None:
    world = ProvingWorld(written=40)
    use_case = world.use_case(portion=timedelta(0), reads_at_first=20)
    progress = use_case.begin(world.new_copy().id, FULL)
    world.clock.pause(8 * 86_400)
    proof = use_case.run(progress)
    assert (proof.verdict, proof.end) == (ProofVerdict.INCOMPLETE, ProofEnd.TIME)  # type: ignore[union-attr]


def test_blocks_compared_before_throttling_are_not_compared_again() -> None:
    world = ProvingWorld(written=100)
    copy = world.new_copy()
    use_case = world.use_case(reads_at_first=20)
    progress = use_case.begin(copy.id, FULL)
    world.world.add_fault(
        FaultRule("api_error", action="GetSnapshotBlock", skip=2 * 20, times=0, code="InternalServerException", http_status=500)
    )
    after = use_case.run(progress)
    assert isinstance(after, ProofProgress)
    assert after.next_index == 20
    with pytest.raises(AwsUnavailable):
        use_case.run(after)
