"""The templates in partitions other than aws: names of services that differ there, and those that do not."""

from __future__ import annotations

from support.templates import ROLE, STACKS, resources, statements, template


def test_the_log_services_principal_has_the_partitions_suffix() -> None:
    """In China its principal ends in amazonaws.com.cn; a key policy with a principal that does not exist is refused."""
    statements = resources("dr", "AWS::KMS::Key")["Key"]["KeyPolicy"]["Statement"]
    (logs,) = (statement for statement in statements if statement["Sid"] == "Logs")
    assert logs["Principal"] == {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}


def test_the_role_of_drilled_instances_trusts_ec2_of_the_partition() -> None:
    """ec2.amazonaws.com.cn in China (IAM user guide for China: roles for EC2)."""
    trust = template("drill")["Resources"]["AgentRole"]["Properties"]["AssumeRolePolicyDocument"]
    assert [statement["Principal"] for statement in trust["Statement"]] == [{"Service": {"Fn::Sub": "ec2.${AWS::URLSuffix}"}}]


def test_services_that_use_keys_have_one_name_in_every_partition() -> None:
    """ "Use the .amazonaws.com suffix of the AWS KMS ViaService name in all AWS partitions" (KMS developer guide, condition keys)."""
    allowed = [statement for stack in STACKS for role in resources(stack, ROLE) for statement in statements(stack, role)]
    services = {like["kms:ViaService"] for item in allowed if "kms:ViaService" in (like := item.condition.get("StringLike", {}))}
    assert services == {"ec2.*.amazonaws.com", "dynamodb.*.amazonaws.com", "s3.*.amazonaws.com"}
