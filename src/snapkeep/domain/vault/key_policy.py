"""The statements in the policy of a DR copies' key that let a vault's account copy the DR copies.

Source: EBS user guide, "Share the KMS key used to encrypt a shared Amazon EBS snapshot". The vault's own IAM policies decide
which of its roles may use the key.
"""

from __future__ import annotations

from typing import Any

from snapkeep.domain.policy.model import Vault

USE = ("kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*")
"""The operations besides DescribeKey and CreateGrant."""


def key_policy_statements(vault: Vault, partition: str) -> list[dict[str, Any]]:
    """Return the statements for the policy of each key that encrypts copies for the vault."""
    principal = {"AWS": f"arn:{partition}:iam::{vault.account}:root"}
    # A copy into another region uses the source's key through EC2 of either.
    via_ec2 = {"kms:ViaService": sorted({f"ec2.{region}.amazonaws.com" for region in (vault.from_region, vault.region)})}
    name = "".join(letter for letter in vault.name.title() if letter.isalnum())

    def statement(sid: str, actions: list[str], condition: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"Sid": f"Vault{name}{sid}", "Effect": "Allow", "Principal": principal, "Action": actions}
        return made | {"Resource": "*"} | ({"Condition": condition} if condition else {})

    return [
        statement("Describes", ["kms:DescribeKey"], {}),
        statement("CopiesThroughEc2", list(USE), {"StringEquals": via_ec2}),
        statement("GrantsToEc2", ["kms:CreateGrant"], {"Bool": {"kms:GrantIsForAWSResource": "true"}, "StringEquals": via_ec2}),
    ]
