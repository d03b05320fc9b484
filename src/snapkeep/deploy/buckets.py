"""The bucket that a region's artifacts are uploaded to: one for each system and region, encrypted, private."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.deploy.templates import S3Location
from snapkeep.domain.errors import InvalidConfiguration

NAME_LIMIT = 63
"""Characters of a bucket's name (S3: bucket naming rules)."""
_ABSENT = ("404", "NoSuchBucket", "NotFound", "NoSuchKey")
_ALL_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_CREATIONS, _SECONDS_BETWEEN_CREATIONS = 25, 5.0
_DELETE_AT_ONCE = 1000
"""Keys that one DeleteObjects takes (S3 service model)."""


class BucketNotOurs(InvalidConfiguration):
    """The bucket's name is taken by another account."""


def bucket_name(system: str, account_id: str, region: str) -> str:
    """Return the name of a system's bucket in an account and a region. Raise InvalidConfiguration if it is too long."""
    name = f"{system}-{account_id}-{region}".lower().replace("_", "-")
    if len(name) > NAME_LIMIT:
        raise InvalidConfiguration(
            f"FunctionNameSuffix is too long: bucket {name} would have {len(name)} of {NAME_LIMIT} characters"
        )
    return name


class ArtifactBucket:
    """One region's bucket."""

    def __init__(
        self,
        s3: Any,
        name: str,
        account_id: str,
        region: str,
        partition: str = "aws",
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._s3 = s3
        self.name = name
        self._owner = {"ExpectedBucketOwner": account_id}
        self._region = region
        self._partition = partition
        self._pause = pause

    def exists(self) -> bool:
        """Return whether the bucket exists. Raise BucketNotOurs if another account has it."""
        try:
            return self._finds(self._s3.head_bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("403", "AccessDenied", "Forbidden"):
                raise BucketNotOurs(
                    f"bucket {self.name} cannot be used: another account has it, or the credentials lack s3:ListBucket"
                ) from error
            raise

    def ensure(self, tags: Mapping[str, str]) -> bool:
        """Create the bucket if it does not exist, and always make it private and encrypted. Return whether it was created."""
        made = not self.exists()
        if made:
            self._create()
        self._s3.put_public_access_block(
            Bucket=self.name,
            PublicAccessBlockConfiguration=dict.fromkeys(_ALL_BLOCKS, True),
            **self._owner,
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        self._s3.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]}, **self._owner)
        if str(self._s3.meta.endpoint_url).startswith("https:"):  # the embedded AWS speaks plain HTTP, to this machine alone
            self._s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(self._tls_only()), **self._owner)
        if tags:
            self._s3.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": tag_list(tags)}, **self._owner)
        return made

    def _create(self) -> None:
        """Create the bucket. While S3 still deletes one of the name it answers OperationAborted (S3 API: error responses)."""
        place = {} if self._region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        for remaining in reversed(range(_CREATIONS)):
            try:
                self._s3.create_bucket(Bucket=self.name, **place)
            except ClientError as error:
                if error.response["Error"]["Code"] != "OperationAborted" or not remaining:
                    raise
                self._pause(_SECONDS_BETWEEN_CREATIONS)
            else:
                return

    def upload(self, path: Path, folder: str) -> S3Location:
        """Upload a file under a name made of its contents, unless it exists already; return its location."""
        return self.upload_bytes(path.read_bytes(), folder, "".join(path.suffixes))

    def upload_bytes(self, content: bytes, folder: str, suffix: str) -> S3Location:
        """Upload contents under a name made of them, unless they exist already; return their location."""
        key = f"{folder}/{hashlib.sha256(content).hexdigest()}{suffix}"
        # The name is the content's hash: an object of that name is the same one.
        if not self._finds(self._s3.head_object, Key=key):
            self._s3.put_object(Bucket=self.name, Key=key, Body=content, **self._owner)
        return S3Location(self.name, key)

    def url(self, location: S3Location) -> str:
        """Return the URL of an object, path style, as CloudFormation takes it in `TemplateURL`."""
        return f"{str(self._s3.meta.endpoint_url).rstrip('/')}/{location.bucket}/{location.key}"

    def remove(self) -> int:
        """Delete every object and version, then the bucket. Return the number of deleted objects; 0 also when there is no bucket.

        Raise InvalidConfiguration when S3 keeps one of them.
        """
        if not self.exists():
            return 0
        removed = 0
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name, **self._owner):
            versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            keys = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
            for start in range(0, len(keys), _DELETE_AT_ONCE):
                batch = keys[start : start + _DELETE_AT_ONCE]
                answer = self._s3.delete_objects(Bucket=self.name, Delete={"Objects": batch, "Quiet": True}, **self._owner)
                # DeleteObjects answers 200 although single objects stay (S3 API reference).
                if answer.get("Errors"):
                    first = answer["Errors"][0]
                    raise InvalidConfiguration(f"bucket {self.name}: {first['Key']} stays: {first.get('Message', '')}")
            removed += len(keys)
        self._s3.delete_bucket(Bucket=self.name, **self._owner)
        return removed

    def _finds(self, look: Callable[..., Any], **request: str) -> bool:
        """Make a HEAD request; return whether its object exists."""
        try:
            look(Bucket=self.name, **request, **self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return False
            raise
        return True

    def _tls_only(self) -> dict[str, Any]:
        arn = f"arn:{self._partition}:s3:::{self.name}"
        statement = {
            "Sid": "OnlyEncryptedConnections",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}
