"""The keys of a vault in a policy document."""

from __future__ import annotations

from snapkeep.domain.policy.lock_fields import LOCK
from snapkeep.domain.policy.model import AWS_MANAGED, Vault
from snapkeep.domain.policy.retention_fields import RETENTION
from snapkeep.domain.policy.shapes import KEY_PATTERN, Shape, name_field, object_field, region_field, text_field

ACCOUNT_PATTERN = r"^[0-9]{12}$"

VAULT = Shape(
    Vault,
    "An account that pulls copies of the DR copies and keeps them; production can neither change nor delete them.",
    (
        name_field("vault", "The vault's name, as policies name it.", "bunker"),
        text_field(
            "account",
            "The vault's account number, in quotes.",
            pattern=ACCOUNT_PATTERN,
            example="210987654321",
            missing='write the vault\'s account number, such as "210987654321"',
        ),
        region_field("region", "The region in which the vault keeps its copies."),
        region_field("from", "The DR region whose copies the vault pulls.", attribute="from_region"),
        text_field(
            "kms_key",
            f"Key id, ARN or alias of a KMS key of the vault's account, or `{AWS_MANAGED}`: `alias/aws/ebs` there.",
            pattern=rf"^{AWS_MANAGED}$|{KEY_PATTERN}",
            example="alias/vault",
        ),
        object_field("lock", "How the vault locks its copies.", shape=LOCK),
        object_field(
            "retention",
            "Which copies the vault keeps; production's deletions change nothing there.",
            shape=RETENTION,
            missing="write which copies the vault keeps, such as {keep_daily: 14}; {} keeps every copy",
        ),
    ),
)
