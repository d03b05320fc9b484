"""IAM users with the policies of `docs/iam`, and their commands, with IAM enforced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import PRIMARY
from support.patience import COMMAND_SECONDS

POLICIES = Path(__file__).parents[2] / "docs/iam"
REFUSALS = ("not authorized", "AccessDenied", "UnauthorizedOperation")


def make_user(aws: EmbeddedAws, account_id: str, *policies: str, region: str = PRIMARY) -> dict[str, str]:
    """Make an IAM user with policies of the documentation; return the environment of its commands."""
    iam = aws.client("iam", PRIMARY, account_id)
    iam.create_user(UserName=policies[-1])
    for policy in policies:
        iam.put_user_policy(UserName=policies[-1], PolicyName=policy, PolicyDocument=(POLICIES / f"{policy}.json").read_text())
    key = iam.create_access_key(UserName=policies[-1])["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return {**os.environ, **aws.environment(region, account_id), **credentials}


def snapkeep(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    command = [str(Path(sys.executable).with_name("snapkeep")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)


def succeeded(environment: dict[str, str], *arguments: str) -> str:
    """Run a command that has to succeed, and return its output."""
    ran = snapkeep(environment, *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def client_of(environment: dict[str, str], service: str, region: str) -> Any:
    """Return a client with a user's credentials."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def assert_permitted(ran: subprocess.CompletedProcess[str]) -> None:
    """Assert that no call of a command was refused."""
    output = ran.stdout + ran.stderr
    assert not [word for word in REFUSALS if word in output], output
    assert ran.returncode in (0, 1), output
