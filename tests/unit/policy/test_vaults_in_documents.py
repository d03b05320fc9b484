"""Vaults in a policy document: what they say, what is refused, how they are shown, and the key policy that they need."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from snapkeep.cli.commands.vault import app
from snapkeep.cli.views.policy import summary_lines
from snapkeep.cli.views.policy_fields import field_changes
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.gaps import policy_gaps
from snapkeep.domain.policy.model import LockMode, LockRule, Retention, Vault
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.vault.key_policy import key_policy_statements

ACCOUNT = "210987654321"
WHOLE: dict[str, Any] = {
    "name": "bunker",
    "account": ACCOUNT,
    "region": "eu-west-1",
    "from": "us-east-2",
    "kms_key": "alias/vault",
    "lock": {"mode": "compliance", "for": "35d", "cool_off": "3d"},
    "retention": {"keep_daily": 14},
}
LEAST = {key: WHOLE[key] for key in ("name", "account", "region", "from")} | {"retention": {}}
RULE: dict[str, Any] = {"region": "us-east-2", "kms_key": "alias/dr", "retention": {"keep_last": 3}}


def document(vault: dict[str, Any], *rules: dict[str, Any], named: str = "bunker") -> dict[str, Any]:
    policy = {"name": "gold", "select": {}, "retention": {}, "copies": list(rules or (RULE,)), "vault": named}
    return {"version": 1, "policies": [policy], "vaults": [vault]}


def problems_of(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(data, partitions={"us-east-2": "aws", "eu-west-1": "aws", "eu-west-3": "aws"})
    return {problem.path: problem.right for problem in refused.value.problems}


def test_a_vault_is_read_and_written_again() -> None:
    policies = parse_document(document(WHOLE))
    lock = LockRule(LockMode.COMPLIANCE, timedelta(days=35), timedelta(days=3))
    [vault] = policies.vaults
    assert vault == Vault("bunker", ACCOUNT, "eu-west-1", "us-east-2", Retention(keep_daily=14), "alias/vault", lock)
    assert to_document(policies)["vaults"] == [WHOLE]
    assert parse_document(to_document(policies)) == policies
    [gold] = policies.policies
    assert policies.vault_of(gold, "us-east-2") == vault
    assert policies.vault_of(gold, "eu-west-1") is None


def test_the_least_vault_has_the_key_that_aws_manages_and_no_lock() -> None:
    policies = parse_document(document(LEAST))
    [vault] = policies.vaults
    assert (vault.kms_key, vault.lock, vault.retention) == ("aws-managed", None, Retention())
    assert to_document(policies)["vaults"] == [LEAST]


@pytest.mark.parametrize(
    ("changes", "path", "right"),
    [
        ({"account": 210987654321}, "account", 'write text, such as "210987654321"'),
        ({"account": "21098765432"}, "account", "something like 210987654321"),
        ({"region": "eu-west-11"}, "region", "write a region that exists"),
        ({"from": "eu-west-3"}, "", "write a copy rule for eu-west-3"),
        ({"kms_key": f"arn:aws:kms:us-east-2:{ACCOUNT}:key/0123"}, "kms_key", "name a key in eu-west-1"),
        ({"kms_key": "arn:aws:kms:eu-west-1:123456789012:key/0123"}, "kms_key", f"a key of the vault's account, {ACCOUNT}"),
        ({"lock": {"mode": "governance", "for": "14d", "cool_off": "24h"}}, "lock.cool_off", "leave it out"),
        ({"lock": {"mode": "compliance", "for": "14d"}}, "lock.cool_off", "write at least 1d with compliance mode"),
        ({"lock": {"mode": "compliance", "for": "14d", "cool_off": "23h"}}, "lock.cool_off", "write at least 1d"),
        ({"lock": {"mode": "compliance", "for": "14d", "cool_off": "4d"}}, "lock.cool_off", "from 1h to 3d"),
        ({"lock": {"mode": "governance", "for": "36h"}}, "lock.for", "write whole days"),
        ({"lock": {"mode": "governance", "for": "12h"}}, "lock.for", "write a duration from 1d"),
        ({"lock": {"mode": "strict", "for": "14d"}}, "lock.mode", "write one of governance, compliance"),
        ({"lock": {"mode": "governance"}}, "lock.for", "write how long"),
        ({"colour": "red"}, "colour", "no such key"),
    ],
)
def test_a_wrong_vault_is_refused_with_the_field(changes: dict[str, Any], path: str, right: str) -> None:
    problems = problems_of(document(WHOLE | changes))
    assert right in problems[f"vaults[0].{path}" if path else "policies[0].vault"]


@pytest.mark.parametrize(
    ("rule", "path", "right"),
    [
        ({"kms_key": None}, "copies[0].kms_key", "vault bunker cannot copy a snapshot under an AWS managed key"),
        ({"kms_key": "alias/aws/ebs"}, "copies[0].kms_key", "a customer managed key of us-east-2"),
        ({"kms_key": f"arn:aws:kms:us-east-2:{ACCOUNT}:alias/aws/ebs"}, "copies[0].kms_key", "a customer managed key"),
        ({"verify": {"structure": "never"}}, "copies[0].verify.structure", "only a copy that was compared is shared"),
        ({"region": "eu-west-1"}, "vault", "write a copy rule for us-east-2"),
    ],
)
def test_a_copy_rule_that_a_vault_cannot_use_is_refused(rule: dict[str, Any], path: str, right: str) -> None:
    changed = {key: value for key, value in (RULE | rule).items() if value is not None}
    assert right in problems_of(document(WHOLE, changed))[f"policies[0].{path}"]


def test_a_vault_in_the_region_of_the_sources_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match=r"vaults\[0\]\.region.*copies nothing in the primary region"):
        parse_document(document(WHOLE), region="eu-west-1")


def test_only_the_rule_that_the_vault_pulls_from_needs_a_key() -> None:
    other = {"region": "eu-west-1", "retention": {}}
    assert len(parse_document(document(WHOLE, other, RULE)).policies[0].copies) == 2


def test_an_unknown_vault_and_a_taken_name_are_refused() -> None:
    twice = document(WHOLE, named="bunkr")
    twice["vaults"].append(deepcopy(LEAST))
    problems = problems_of(twice)
    assert problems["policies[0].vault"] == "write the name of a vault: bunker"
    assert problems["vaults[1].name"] == "write another name: it is taken"


def test_a_vault_that_no_policy_names_is_a_warning() -> None:
    data = document(WHOLE)
    del data["policies"][0]["vault"]
    gaps = [gap for gap in policy_gaps(parse_document(data), datetime.now(UTC)) if gap.path.startswith("vaults")]
    assert gaps == [("vaults[0].name", "no policy names vault bunker: nothing is shared with it")]


def test_a_summary_shows_the_retention_and_the_lock_of_the_vault() -> None:
    lines = list(summary_lines(parse_document(document(WHOLE)), ()))
    assert "    copies are shared with vault bunker" in lines
    assert (
        f"vault bunker: account {ACCOUNT}, eu-west-1, from us-east-2, under alias/vault; "
        "locked in compliance mode for 35d, which can be removed for 3d; keep daily 14"
    ) in lines


def test_a_moved_vault_is_a_changed_field() -> None:
    before, after = (parse_document(document(LEAST | {"region": region})) for region in ("eu-west-1", "us-east-2"))
    assert [change[:3] for change in field_changes(before, after)] == [("vaults.bunker.region", "eu-west-1", "us-east-2")]


def test_only_ec2_may_use_the_key_for_the_vault() -> None:
    [vault] = parse_document(document(WHOLE)).vaults
    statements = key_policy_statements(vault, "aws")
    allowed = {action for statement in statements for action in statement["Action"]}
    # EBS user guide: "Share the KMS key used to encrypt a shared Amazon EBS snapshot".
    assert allowed == {
        "kms:DescribeKey",
        "kms:CreateGrant",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncrypt*",
        "kms:Decrypt",
    }
    assert {json.dumps(statement["Principal"]) for statement in statements} == {f'{{"AWS": "arn:aws:iam::{ACCOUNT}:root"}}'}
    for statement in statements:
        through_ec2 = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService")
        described = statement["Action"] == ["kms:DescribeKey"]
        assert described or through_ec2 == ["ec2.eu-west-1.amazonaws.com", "ec2.us-east-2.amazonaws.com"]
    assert statements[2]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_the_command_prints_the_statements_of_each_vaults_keys(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(document(WHOLE)), encoding="utf-8")
    printed = CliRunner().invoke(app, ["key-policy", str(file)])
    [vault] = json.loads(printed.output)["vaults"]
    assert (vault["vault"], vault["region"], vault["keys"]) == ("bunker", "us-east-2", ["alias/dr"])
    assert len(vault["statements"]) == 3
    assert CliRunner().invoke(app, ["key-policy", str(file), "other"]).exit_code
