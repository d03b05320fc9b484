"""The options of a server, and the environment that ministack reads when it is imported."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from snapkeep.lab.ebs_model.store.world_state import DEFAULT_ACCOUNT

HOST = "127.0.0.1"
REGION = "us-east-1"
# The default account: the model's.
ACCOUNT_ID = DEFAULT_ACCOUNT
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 - the root credentials of an emulator on the loop-back interface

# Worker processes that may run functions at once: each takes about 60 MB and a core while it starts.
MAX_WORKERS = 8
# Credentials and settings of the person who starts the server must not reach functions.
_FOREIGN = (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_DATA_PATH",
)


@dataclass(frozen=True)
class ServerOptions:
    """The options of a server."""

    port: int = 0
    world_file: Path | None = None
    state_dir: Path | None = None
    scale: float = 1.0
    max_workers: int = MAX_WORKERS
    log_level: str = "WARNING"
    work_dir: Path | None = None
    until_stdin_closes: bool = False


def apply_environment(options: ServerOptions, port: int, environment: MutableMapping[str, str]) -> None:
    """Set the variables that ministack and functions read. Must run before ministack is imported."""
    for name in _FOREIGN:
        environment.pop(name, None)
    environment.update(
        {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": HOST,
            "BIND_HOST": HOST,
            "LOG_LEVEL": options.log_level,
            "LAMBDA_EXECUTOR": "local",
            # Threads wait for a worker (see `patches/lambdas`); nothing is throttled to spare the machine.
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
            "LAMBDA_WARM_TTL_SECONDS": "60",
            "SFN_WAIT_SCALE": repr(1.0 / options.scale),
            # No listeners on fixed ports, and no Docker.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        }
    )
    if options.state_dir is not None:
        environment["PERSIST_STATE"] = "1"
        environment["STATE_DIR"] = str(options.state_dir / "ministack")
        environment["S3_PERSIST"] = "1"
        environment["S3_DATA_DIR"] = str(options.state_dir / "s3")
    else:
        environment["PERSIST_STATE"] = "0"
    if options.work_dir is not None:
        environment["TMPDIR"] = str(options.work_dir)
