"""The newest proved copy of a lineage stays until a newer one is proved."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest

from snapkeep.cli.views.plan import LineLayout, write_plan
from snapkeep.domain.copies.entry import entry_key
from snapkeep.domain.copies.known_copies import known_copies
from snapkeep.domain.model import Action, Reason, Snapshot, SnapshotLock, Verdict
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector, VerifyRule
from snapkeep.domain.recovery.methods import FULL, STRUCTURE, Method
from snapkeep.domain.recovery.proof import Proof
from snapkeep.domain.retention.holds import proof_holds
from snapkeep.domain.retention.invariants import find_problems
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.usecases.retention.plan_regions import make_plans
from support.flows import DAY, PRIMARY, Laboratory
from support.lineages import REGION, SYSTEM, copy_of, snapshot

DR = "us-east-2"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PROVED = "PROVED sample:300 2026-11-22T03:10:00.000Z"
DIFFERS = "DIFFERS sample:300 2026-11-22T03:10:00.000Z"
SOURCES = [snapshot(f"2026-11-{day}T03:00", day) for day in (20, 21, 22, 23)]
HELD = "held: no newer copy is proved yet; the first run or sweep after that decides again"


def copies(*proofs: str) -> list[Snapshot]:
    """Return a copy of each source, oldest first, with these proofs; empty is none."""
    listed = [copy_of(source, DR, number) for number, source in enumerate(SOURCES[: len(proofs)], start=1)]
    return [with_tags(copy, {PROOF: proof} if proof else {}) for copy, proof in zip(listed, proofs, strict=True)]


def with_tags(copy: Snapshot, tags: dict[str, str]) -> Snapshot:
    return replace(copy, tags={**copy.tags, **tags})


def policies(verify: VerifyRule = VerifyRule()) -> PolicySet:  # noqa: B008 - frozen
    rule = CopyRule(DR, retention=Retention(keep_last=1), verify=verify)
    return PolicySet((Policy("gold", Selector(), Retention(keep_last=4), (rule,)),), Limits(max_share_percent=100))


def deleted(listed: list[Snapshot], verify: VerifyRule = VerifyRule()) -> list[int]:  # noqa: B008 - frozen
    """Return the places of the copies that are deleted."""
    plan = plan_region(RegionFacts(DR, (), listed), policies(verify), NOW, system=SYSTEM)
    assert not plan.volumes[0].refusals, "a hold keeps the copy: no second look has to"
    ids = {verdict.snapshot.id for verdict in plan.deletions}
    return [place for place, copy in enumerate(listed) if copy.id in ids]


@pytest.mark.parametrize(
    ("proofs", "places"),
    [
        (("", "", ""), [0, 1]),
        ((PROVED, ""), []),
        ((PROVED, "", ""), [1]),
        ((PROVED, PROVED, ""), [0]),
        ((PROVED, "", PROVED), [0, 1]),
        ((DIFFERS, ""), [0]),
    ],
)
def test_the_newest_proved_copy_stays_until_a_newer_one_is_proved(proofs: tuple[str, ...], places: list[int]) -> None:
    assert deleted(copies(*proofs)) == places


def test_a_proof_of_a_copy_that_was_found_wrong_since_holds_nothing() -> None:
    first, second, third = copies(PROVED, PROVED, "")
    assert deleted([first, with_tags(second, {CHECK: WRONG}), third]) == []


def test_no_copy_is_held_where_the_rule_compares_nothing() -> None:
    assert deleted(copies(PROVED, ""), VerifyRule(structure="never")) == [0]


def test_a_proved_second_copy_stays_with_an_unproved_copy() -> None:
    first = copies(PROVED)[0]
    twin = replace(copy_of(SOURCES[0], DR, 9), start_time=NOW)
    facts = RegionFacts(DR, (), [first, twin], checked=frozenset({twin.id}))
    held = plan_region(facts, policies(), NOW, system=SYSTEM)
    assert (held.deletions, held.volumes[0].refusals) == ([], ())
    proved = replace(facts, snapshots=[first, with_tags(twin, {PROOF: PROVED})])
    assert [verdict.snapshot.id for verdict in plan_region(proved, policies(), NOW, system=SYSTEM).deletions] == [first.id]


def test_of_two_proved_copies_of_one_snapshot_the_second_is_deleted() -> None:
    first, newer = copies(PROVED, "")
    twin = with_tags(copy_of(SOURCES[0], DR, 9), {PROOF: PROVED})
    facts = RegionFacts(DR, (), [first, twin, newer], checked=frozenset({first.id}))
    plan = plan_region(facts, policies(), NOW, system=SYSTEM)
    assert [verdict.snapshot.id for verdict in plan.deletions] == [twin.id]


def test_the_plan_explains_and_announces_the_deletion_after_a_proof() -> None:
    listed = copies(PROVED, "")
    facts = [RegionFacts(REGION, (), SOURCES[:2], {DR: listed}), RegionFacts(DR, (), listed)]
    plans = make_plans([NoGuards(), NoGuards()], facts, dict.fromkeys((REGION, DR), policies()), NOW, system=SYSTEM)
    out = StringIO()
    write_plan(out, plans[1], LineLayout(columns=160))
    assert HELD in " ".join(out.getvalue().split())
    assert plans[1].deletions == []
    assert [verdict.snapshot.id for verdict in plans[1].deletions_after_copies] == [listed[0].id]


def test_inv_27_the_second_check_refuses_to_delete_the_only_proved_copy() -> None:
    proved, newer = copies(PROVED, "")
    verdicts = [
        Verdict(proved, Action.DELETE, (Reason("keep_last", "beyond last 1"),)),
        Verdict(newer, Action.KEEP, (Reason("newest", "newest"),)),
    ]
    lineage, limits = proved.origin.lineage, Limits(max_share_percent=100)
    assert find_problems(verdicts, lineage, DR, system=SYSTEM, limits=limits) == []
    [problem] = find_problems(verdicts, lineage, DR, system=SYSTEM, limits=limits, compared=True)
    assert problem == f"INV-27: {proved.id} is the newest proved copy of {lineage.volume_id}"


def test_inv_27_the_newest_proved_copy_stays_while_older_ones_expire() -> None:
    oldest, _, newest, _ = listed = copies(PROVED, PROVED, PROVED, "")
    verdicts = [
        Verdict(copy, Action.DELETE if copy in (oldest, newest) else Action.KEEP, (Reason("keep_last", "beyond last 1"),))
        for copy in listed
    ]
    lineage, limits = oldest.origin.lineage, Limits(max_share_percent=100)
    [problem] = find_problems(verdicts, lineage, DR, system=SYSTEM, limits=limits, compared=True)
    assert problem == f"INV-27: {newest.id} is the newest proved copy of {lineage.volume_id}"


def test_no_copy_waits_for_a_proof_where_the_newest_is_proved() -> None:
    assert proof_holds(copies(PROVED, "", PROVED), system=SYSTEM) == {}


@pytest.mark.parametrize("days", [0, 3])
def test_a_proof_that_ec2_shows_late_holds_its_copy(days: int) -> None:
    """A newer copy arrives before EC2 shows the tag that was just written; the queue knows the proof."""
    lab = Laboratory(policies=policies(), layout=SystemLayout(verify=True))
    volume = lab.make_volume()
    first = lab.protect(volume)
    [copy_id] = lab.ids(DR)
    composition = lab.runner.composition
    entry = composition.queues[DR].get(entry_key(PRIMARY, first, DR))
    assert entry.proof == lab.tags(copy_id, DR)[PROOF]
    lab.runner.advance(days * DAY)
    lab.ec2(DR).delete_tags(Resources=[copy_id], Tags=[{"Key": PROOF}])
    composition.on_verification = composition.verifications.append
    lab.protect(volume)
    assert len(lab.ids(DR)) == 2, "the newer copy is not proved"
    known = known_copies([entry], composition.clock.now())
    [shown, _] = known.counted(composition.reader(DR).copies_of_volumes([volume]))
    assert shown.tags[PROOF] == entry.proof


def test_the_queue_keeps_the_strongest_proof_of_a_copy() -> None:
    lab = Laboratory(policies=policies(), layout=SystemLayout(verify=True))
    composition = lab.runner.composition
    composition.on_verification = composition.verifications.append
    first = lab.protect(lab.make_volume())
    [copy_id] = lab.ids(DR)

    def proved_by(method: Method) -> str:
        """Prove the copy, and let EC2 show no tag of it."""
        verify = composition.verify(DR)
        proof = verify.run(verify.begin(copy_id, method))
        assert isinstance(proof, Proof)
        composition.record_proof(DR).run(proof)
        lab.ec2(DR).delete_tags(Resources=[copy_id], Tags=[{"Key": PROOF}])
        return composition.queues[DR].get(entry_key(PRIMARY, first, DR)).proof

    assert proved_by(STRUCTURE).startswith("PROVED structure ")
    full = proved_by(FULL)
    assert full.startswith("PROVED full ")
    lab.runner.advance(60)
    assert proved_by(STRUCTURE) == full
    assert PROOF not in lab.tags(copy_id, DR)


class NoGuards:
    """Guards that hold nothing."""

    def images_using(self, snapshot_ids: object) -> dict[str, list[str]]:
        return {}

    def locks(self, snapshot_ids: object) -> dict[str, SnapshotLock]:
        return {}
