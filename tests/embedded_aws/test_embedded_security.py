"""Access to the embedded AWS: no web page, no other user of the machine, and no function with a person's credentials."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from snapkeep.lab.embedded_aws.launch import local_servers
from snapkeep.lab.embedded_aws.launch.embedded_aws import end_session
from support.stacks import Builder

SHOW_ENVIRONMENT = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"


def sent(aws: EmbeddedAws, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> HTTPResponse:
    """Send a plain request, as a web page or another program would, and return the answer."""
    connection = HTTPConnection("127.0.0.1", aws.server.port, timeout=30)
    connection.request(method, path, headers=dict(headers or {}))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def status_of(aws: EmbeddedAws, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> int:
    return sent(aws, path, headers, method).status


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
@pytest.mark.parametrize("path", ["/_snapkeep/health", "/_ministack/health", "/"])
def test_requests_of_a_browser_are_refused(embedded: EmbeddedAws, path: str, headers: dict[str, str]) -> None:
    assert status_of(embedded, path, headers) == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example"]
)
def test_a_host_that_is_not_this_machine_is_refused(embedded: EmbeddedAws, host: str) -> None:
    assert status_of(embedded, "/_snapkeep/health", {"Host": host}) == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:4566", "127.0.0.1:1", "[::1]:80", "bucket.localhost:4566"])
def test_the_loop_back_addresses_are_served(embedded: EmbeddedAws, host: str) -> None:
    assert status_of(embedded, "/_snapkeep/health", {"Host": host}) == 200


def test_no_answer_has_cors_headers(embedded: EmbeddedAws, account_id: str) -> None:
    for service, call in (("iam", "list_roles"), ("ec2", "describe_snapshots"), ("s3", "list_buckets"), ("ec2", "describe_vpcs")):
        headers = getattr(embedded.client(service, "us-east-1", account_id), call)()["ResponseMetadata"]["HTTPHeaders"]
        assert not [name for name in headers if name.startswith("access-control-")], service
    health = sent(embedded, "/_ministack/health")
    assert not [name for name in health.headers if name.lower().startswith("access-control-")]


def test_a_preflight_is_refused(embedded: EmbeddedAws) -> None:
    assert status_of(embedded, "/", {"Access-Control-Request-Method": "POST"}, "OPTIONS") == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages"),
        ("GET", "/_ministack/lambda-code/any"),
        ("GET", "/_localstack/info"),
        ("GET", "/latest/meta-data"),
        ("PUT", "/latest/api/token"),
        ("GET", "/v2/credentials/any"),
    ],
)
def test_the_emulator_s_own_pages_are_closed(embedded: EmbeddedAws, method: str, path: str) -> None:
    assert status_of(embedded, path, method=method) == 403
    assert status_of(embedded, path, {"Authorization": "AWS4-HMAC-SHA256 Credential=123456789012/x"}, method) == 403


def test_the_health_pages_are_open(embedded: EmbeddedAws) -> None:
    assert status_of(embedded, "/_ministack/health") == 200
    assert status_of(embedded, "/_snapkeep/health") == 200


@pytest.mark.parametrize(("method", "page"), [("GET", "world"), ("GET", "inbox"), ("POST", "clock"), ("DELETE", "faults")])
def test_administration_needs_the_server_s_secret(embedded: EmbeddedAws, method: str, page: str) -> None:
    assert status_of(embedded, f"/_snapkeep/{page}", method=method) == 403
    assert status_of(embedded, f"/_snapkeep/{page}", {"Authorization": "Bearer guess"}, method) == 403


@pytest.mark.parametrize("service", ["iam", "lambda", "s3", "sqs", "ec2", "cloudformation"])
@pytest.mark.parametrize("key", ["123456789012", "test"])
def test_a_root_key_without_the_secret_is_refused(embedded: EmbeddedAws, service: str, key: str) -> None:
    calls = {"iam": "list_roles", "lambda": "list_functions", "s3": "list_buckets", "sqs": "list_queues"}
    calls |= {"ec2": "describe_volumes", "cloudformation": "list_stacks"}
    client = boto3.session.Session().client(
        service,
        endpoint_url=embedded.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError, match=r"Signature|InvalidClientTokenId|security token|InvalidAccessKeyId|AuthFailure"):
        getattr(client, calls[service])()


def test_a_presigned_query_with_a_false_signature_is_refused(embedded: EmbeddedAws) -> None:
    query = (
        "Action=ListUsers&Version=2010-05-08&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-Expires=604800"
        "&X-Amz-Credential=123456789012%2F20260101%2Fus-east-1%2Fiam%2Faws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
    )
    assert status_of(embedded, f"/?{query}") == 403


def test_a_bucket_is_closed_to_anonymous_requests(embedded: EmbeddedAws, account_id: str) -> None:
    bucket = f"closed-{account_id}"
    s3 = embedded.client("s3", "us-east-1", account_id)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="report", Body=b"secret")
    assert status_of(embedded, f"/{bucket}/report") == 403


def test_a_function_has_no_variable_of_the_person(monkeypatch: pytest.MonkeyPatch, account_id: str) -> None:
    aws = EmbeddedAws()
    with monkeypatch.context() as person:
        for name in ("AWS_PROFILE", "GITHUB_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "DATABASE_URL", "SSH_AUTH_SOCK"):
            person.setenv(name, "a person's")
        aws.start()
    with aws:
        build = Builder(aws, account_id)
        arn = build.function("Environment", SHOW_ENVIRONMENT)
        environment = build.invoke("Environment", {})
        assert "a person's" not in environment.values()
        assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
        assert Path(environment["HOME"]) != Path.home()
        role = f"arn:aws:iam::{account_id}:role/Environment-role"
        digest = hashlib.sha256(f"{arn}:{role}".encode()).hexdigest()
        assert environment["AWS_SECRET_ACCESS_KEY"] != hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
        assert aws.environment()["AWS_SECRET_ACCESS_KEY"] not in environment.values()


def test_two_servers_have_different_secrets_in_files_of_the_owner(tmp_path: Path) -> None:
    servers = [local_servers.up(port=0, world_file=None, state_dir=None, scale=1.0, directory=tmp_path) for _ in range(2)]
    try:
        exported = [local_servers.exports(server)["AWS_SECRET_ACCESS_KEY"] for server in servers]
        assert len(set(exported)) == 2
        assert min(len(secret) for secret in exported) >= 32
        for path in tmp_path.glob("local-*.json"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert json.loads(path.read_text())["secret"] in exported
    finally:
        for server in servers:
            end_session(server.pid, wait=lambda seconds: True)
