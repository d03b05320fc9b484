"""The budget of a month: the most that comparisons cost. Further ones compare only structure, with one notice."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.adapters.s3_proofs import S3Proofs
from snapkeep.domain.errors import ProofNotFound
from snapkeep.domain.json_codec import from_json
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, VerifyRule
from snapkeep.domain.recovery.methods import FULL, STRUCTURE
from snapkeep.domain.recovery.proof import Pair, Proof, ProofEnd, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, PRIMARY, Laboratory

NOW = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
PAIR = Pair("vol-1", PRIMARY, "snap-1", DR, "snap-2")


def laboratory(**verify: Any) -> Laboratory:
    rule = CopyRule(DR, retention=Retention(keep_last=9), verify=VerifyRule(**verify))
    policy = Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=9), (rule,))
    return Laboratory(policies=PolicySet((policy,)), layout=SystemLayout(verify=True))


def proofs(lab: Laboratory) -> list[Proof]:
    return lab.runner.composition.proofs.kept


@pytest.mark.slow
def test_a_spent_budget_leaves_structure_until_the_next_month() -> None:
    lab = laboratory(sample=1000, budget="0.01 USD/month")
    volume_id = lab.make_volume()
    lab.world.write(volume_id, 0, 1000, region=PRIMARY)
    for _ in range(4):
        lab.protect(volume_id)
    lab.runner.advance(32 * 86_400)
    lab.protect(volume_id)
    methods = [str(proof.progress.method) for proof in proofs(lab)]
    assert methods == ["sample:1000", "structure", "structure", "structure", "sample:1000"]
    assert all(proof.proved for proof in proofs(lab))
    assert sum(proof.progress.dollars for proof in proofs(lab)[:4]) < 0.01
    assert [str(proof.progress.due) for proof in proofs(lab)[1:4]] == ["sample:1000"] * 3
    assert lab.notified == [("ProofBudgetSpent", proofs(lab)[1].progress.pair.copy_id)]


def test_a_full_comparison_beyond_the_budget_begins_again_by_structure() -> None:
    lab = laboratory(full_every=timedelta(days=30), budget="0.01 USD/month")
    volume_id = lab.make_volume()
    lab.world.write(volume_id, 0, 3000, region=PRIMARY)
    lab.protect(volume_id)
    [proof] = proofs(lab)
    assert (str(proof.progress.method), str(proof.progress.due), proof.proved) == ("structure", "full", True)
    assert (proof.progress.source_blocks, proof.progress.root) == (3000, "")
    assert 0.005 < proof.progress.dollars < 0.0101


def test_without_a_budget_nothing_is_counted() -> None:
    lab = laboratory(sample=300)
    lab.protect(lab.make_volume())
    assert [proof.progress.policy for proof in proofs(lab)] == [""]


class Bucket:
    """An S3 client that lists one object in each answer."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803 - boto3's
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return {"Body": io.BytesIO(self.objects[Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > ContinuationToken)
        if not keys:
            return {}
        return {"Contents": [{"Key": keys[0]}], **({"NextContinuationToken": keys[0]} if keys[1:] else {})}


def proof_of(copy_id: str, reads: int, ended_at: datetime, **more: Any) -> Proof:
    progress = ProofProgress(replace(PAIR, copy_id=copy_id), FULL, NOW, 1, 1, reads=reads, policy="gold", **more)
    return Proof(ProofVerdict.PROVED, ended_at, progress)


def test_the_bucket_has_the_spending_of_a_policy_in_a_month() -> None:
    store = S3Proofs(client=Bucket(), bucket="reports")  # type: ignore[arg-type]
    for proof in (
        proof_of("snap-2", 1000, NOW),
        proof_of("snap-2", 2000, NOW - timedelta(days=1)),
        proof_of("snap-3", 10, NOW - timedelta(days=2), due=FULL),
        proof_of("snap-4", 5000, NOW + timedelta(minutes=1)),
        replace(proof_of("snap-5", 7000, NOW), progress=replace(proof_of("snap-5", 7000, NOW).progress, policy="")),
    ):
        store.put(proof)
    november = store.spending("gold", NOW)
    assert november.dollars == pytest.approx(3010 * 0.000003, rel=0.001)
    assert november.reduced
    assert not store.spending("gold", NOW + timedelta(minutes=1)).reduced
    assert store.spending("silver", NOW).dollars == 0
    assert store.proof(replace(PAIR, copy_id="snap-3"), FULL).progress.due == FULL


@pytest.mark.parametrize("verdict", [ProofVerdict.INCOMPLETE, ProofVerdict.UNREADABLE])
def test_a_later_attempt_without_a_result_overwrites_no_proof(verdict: ProofVerdict) -> None:
    bucket = Bucket()
    store = S3Proofs(client=bucket, bucket="reports")  # type: ignore[arg-type]
    proved = proof_of("snap-2", 1000, NOW)
    failed = replace(proved, verdict=verdict, ended_at=NOW + timedelta(milliseconds=1), end=ProofEnd.TIME)
    pair = proved.progress.pair
    for proof in (proved, failed):
        place = store.put(proof)
        assert store.proof(pair, FULL) == proof, "the newest attempt is returned"
        assert place.removeprefix("s3://reports/") in bucket.objects
    kept = [from_json(Proof, json.loads(body)) for name, body in bucket.objects.items() if "/full-" in name]
    assert kept == [proved, failed]


def test_a_pair_that_was_never_compared_by_a_method_has_no_proof() -> None:
    store = S3Proofs(client=Bucket(), bucket="reports")  # type: ignore[arg-type]
    store.put(proof_of("snap-2", 1000, NOW))
    with pytest.raises(ProofNotFound, match=r"proofs/us-east-2/.*/snap-2/structure-"):
        store.proof(replace(PAIR, copy_id="snap-2"), STRUCTURE)
