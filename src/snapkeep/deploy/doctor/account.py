"""STS and IAM: the caller, and the permissions of the caller's policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snapkeep.adapters.aws_errors import pages, translated
from snapkeep.deploy.doctor.ports import Caller, PermissionQuestion
from snapkeep.domain.errors import AwsRefused


class AwsAccount:
    """`AccountInventory` over clients of STS and IAM."""

    def __init__(self, *, sts: Any, iam: Any) -> None:
        self._sts = sts
        self._iam = iam
        self._sources: dict[str, str] = {}

    def caller(self) -> Caller:
        """Return the caller. Raise AwsRefused, AwsUnavailable."""
        with translated("get_caller_identity"):
            identity = self._sts.get_caller_identity()
        return Caller(identity["Account"], identity["Arn"], identity["Arn"].split(":")[1])

    def denied(self, caller: Caller, question: PermissionQuestion) -> Sequence[str]:
        """Return the actions of a question that the caller's policies do not allow (botocore: SimulatePrincipalPolicy).

        An action that a policy allows under conditions that the simulation does not know is not among them. Raise AwsRefused,
        AwsUnavailable.
        """
        if caller.arn not in self._sources:
            self._sources[caller.arn] = self._source(caller)
        request = {
            "PolicySourceArn": self._sources[caller.arn],
            "ActionNames": list(question.actions),
            "ResourceArns": [question.resource_arn],
        }
        answers = pages(self._iam, "simulate_principal_policy", request, "simulate_principal_policy", more="Marker")
        return [
            answer["EvalActionName"]
            for page in answers
            for answer in page["EvaluationResults"]
            if answer["EvalDecision"] != "allowed" and not answer.get("MissingContextValues")
        ]

    def _source(self, caller: Caller) -> str:
        """Return the user or role whose policies are simulated; the ARN of a session does not have the role's path."""
        resource = caller.arn.rpartition(":")[2]
        if resource.startswith(("user/", "role/")):
            return caller.arn
        if not resource.startswith("assumed-role/"):
            raise AwsRefused(f"no policies of {caller.arn} can be simulated")
        with translated("get_role"):
            return str(self._iam.get_role(RoleName=resource.split("/")[1])["Role"]["Arn"])
