"""Proofs in the S3 bucket of a DR region's reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, pages, translated
from snapkeep.domain.errors import ProofNotFound
from snapkeep.domain.json_codec import from_json, to_text
from snapkeep.domain.recovery.methods import Method, MonthSpending
from snapkeep.domain.recovery.proof import Pair, Proof
from snapkeep.domain.tags import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

_MICRO = 1_000_000
_REDUCED = "reduced"


class S3Proofs:
    """`ProofStore` over an S3 client. The bucket keeps former versions of each object."""

    def __init__(self, *, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, proof: Proof) -> str:
        """Keep a proof under the pair's ids and its end, and under its volume if it decides the base of changes.

        Return where it is. No later attempt overwrites it: one that ends without a result says nothing against it.
        """
        pair = proof.progress.pair
        name = _name(proof)
        self._put(name, proof)
        if proof.progress.policy:
            self._put(_name_of_cost(proof), proof)
        if proof.decides_base:
            self._put(_name_of_base(pair.volume_id, pair.copy_region), proof)
        return f"s3://{self._bucket}/{name}"

    def proof(self, pair: Pair, method: Method) -> Proof:
        """Return the newest attempt of a pair by a kind of method, whatever its verdict. Raise ProofNotFound."""
        prefix = _prefix(pair, method)
        names = self._names(prefix)
        if not names:
            raise ProofNotFound(f"there is no s3://{self._bucket}/{prefix}*")
        return self._get(max(names))

    def spending(self, policy: str, month: datetime) -> MonthSpending:
        """Return the cost of a policy's comparisons with a budget that ended in the calendar month (UTC) of a moment.

        The names of the objects say it, a thousand in each answer: none is read.
        """
        costs = [name.rpartition("/")[2].split("_") for name in self._names(_folder_of_costs(policy, month))]
        return MonthSpending(sum(int(cost[1]) for cost in costs) / _MICRO, any(cost[2] == _REDUCED for cost in costs))

    def last_base(self, volume_id: str, copy_region: str) -> Proof:
        """Return the newest proof of a volume's copies in a region that decides the base of changes. Raise ProofNotFound."""
        return self._get(_name_of_base(volume_id, copy_region))

    def _names(self, prefix: str) -> list[str]:
        listed = pages(
            self._client,
            "list_objects_v2",
            {"Bucket": self._bucket, "Prefix": prefix},
            f"list_objects_v2 of {prefix}",
            more="NextContinuationToken",
            sent_as="ContinuationToken",
        )
        return [item["Key"] for page in listed for item in page.get("Contents", ())]

    def _put(self, name: str, proof: Proof) -> None:
        with translated(f"put_object {name}"):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=to_text(proof).encode(), ContentType="application/json")

    def _get(self, name: str) -> Proof:
        with translated(f"get_object {name}"):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    raise ProofNotFound(f"there is no s3://{self._bucket}/{name}") from error
                raise
        return from_json(Proof, json.loads(body))


def _prefix(pair: Pair, method: Method) -> str:
    return f"proofs/{pair.copy_region}/{pair.volume_id}/{pair.source_id}/{pair.copy_id}/{method.kind}-"


def _name(proof: Proof) -> str:
    # Without colons, which tools for S3 encode. The names of a kind are in the order of time.
    return f"{_prefix(proof.progress.pair, proof.progress.method)}{format_time(proof.ended_at).replace(':', '')}.json"


def _name_of_base(volume_id: str, copy_region: str) -> str:
    return f"proofs/{copy_region}/{volume_id}/base.json"


def _folder_of_costs(policy: str, month: datetime) -> str:
    return f"proofs/costs/{policy}/{month:%Y-%m}/"


def _name_of_cost(proof: Proof) -> str:
    progress = proof.progress
    what = _REDUCED if progress.due else "whole"
    name = f"{progress.pair.copy_id}-{proof.ended_at:%Y%m%dT%H%M%S}_{round(progress.dollars * _MICRO)}_{what}_"
    return f"{_folder_of_costs(progress.policy, proof.ended_at)}{name}"
