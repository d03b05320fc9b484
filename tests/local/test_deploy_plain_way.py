"""The plain way, with nothing but the AWS CLI: package, deploy, delete, on the same templates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snapkeep.deploy.package import build_package
from snapkeep.deploy.templates import INFRA
from snapkeep.local.embedded import EmbeddedAws

AWS = Path(sys.executable).with_name("aws")
STACKS = (("dr", "us-east-2", "receive"), ("primary", "us-east-1", "protect"))


@pytest.mark.parametrize(("kind", "region", "machine"), STACKS)
def test_the_aws_cli_packages_and_deploys_the_templates_as_they_are(
    embedded: EmbeddedAws, account_id: str, tmp_path: Path, kind: str, region: str, machine: str
) -> None:
    build_package(run_here=True)

    def aws(*arguments: str) -> str:
        own = {**embedded.environment(region, account_id), "HOME": str(tmp_path), "AWS_PAGER": ""}
        done = subprocess.run([AWS, *arguments], env={**os.environ, **own}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"aws {arguments[0]} {arguments[1]}: {done.stderr}{done.stdout}"
        return done.stdout

    packaged, stack, bucket = str(tmp_path / "packaged.yaml"), f"snapkeep-plain-{kind}", f"plain-{account_id}-{region}"
    aws("s3", "mb", f"s3://{bucket}")
    template = ("--template-file", str(INFRA / f"{kind}.yaml"))
    aws("cloudformation", "package", *template, "--s3-bucket", bucket, "--output-template-file", packaged)
    aws(
        *("cloudformation", "deploy", "--template-file", packaged, "--stack-name", stack, "--s3-bucket", bucket),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "--parameter-overrides", "FunctionNameSuffix=-plain"),
    )
    query = "Stacks[0].Outputs[?OutputKey=='StateMachineArn'].OutputValue"
    arn = aws("cloudformation", "describe-stacks", "--stack-name", stack, "--query", query, "--output", "text").strip()
    assert arn == f"arn:aws:states:{region}:{account_id}:stateMachine:snapkeep-plain-{machine}"
    aws("cloudformation", "delete-stack", "--stack-name", stack)
    # `aws cloudformation wait stack-delete-complete` looks every thirty seconds: the same, more often.
    waiter = embedded.client("cloudformation", region, account_id).get_waiter("stack_delete_complete")
    waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    aws("s3", "rb", f"s3://{bucket}", "--force")
