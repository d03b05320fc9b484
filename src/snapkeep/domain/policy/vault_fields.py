"""The keys of a vault in a policy document."""

from __future__ import annotations

from snapkeep.domain.policy.lock_fields import LOCK
from snapkeep.domain.policy.model import AWS_MANAGED, REGION_PATTERN, Vault
from snapkeep.domain.policy.retention_fields import RETENTION
from snapkeep.domain.policy.shapes import KEY_PATTERN, NAME_PATTERN, Field, Shape, ValueType

ACCOUNT_PATTERN = r"^[0-9]{12}$"

VAULT = Shape(
    Vault,
    "An account that pulls copies of the DR copies and keeps them; production can neither change nor delete them.",
    (
        Field(
            "name",
            ValueType.TEXT,
            "The vault's name, as policies name it.",
            pattern=NAME_PATTERN,
            example="bunker",
            missing="give the vault a name, such as bunker",
        ),
        Field(
            "account",
            ValueType.TEXT,
            "The vault's account number, in quotes.",
            pattern=ACCOUNT_PATTERN,
            example="210987654321",
            missing='write the vault\'s account number, such as "210987654321"',
        ),
        Field(
            "region",
            ValueType.TEXT,
            "The region in which the vault keeps its copies.",
            pattern=REGION_PATTERN,
            example="us-east-2",
            missing="name the region in which the vault keeps its copies",
        ),
        Field(
            "from",
            ValueType.TEXT,
            "The DR region whose copies the vault pulls.",
            attribute="from_region",
            pattern=REGION_PATTERN,
            example="us-east-2",
            missing="name the DR region whose copies the vault pulls",
        ),
        Field(
            "kms_key",
            ValueType.TEXT,
            f"Key id, ARN or alias of a KMS key of the vault's account, or `{AWS_MANAGED}`: `alias/aws/ebs` there.",
            pattern=rf"^{AWS_MANAGED}$|{KEY_PATTERN}",
            example="alias/vault",
        ),
        Field("lock", ValueType.OBJECT, "How the vault locks its copies.", shape=LOCK),
        Field(
            "retention",
            ValueType.OBJECT,
            "Which copies the vault keeps; production's deletions change nothing there.",
            shape=RETENTION,
            missing="write which copies the vault keeps, such as {keep_daily: 14}; {} keeps every copy",
        ),
    ),
)
