"""The options of a server, and the environment that ministack reads when it is imported."""

from __future__ import annotations

import os
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from snapkeep.lab.ebs_model.store.world_state import DEFAULT_ACCOUNT

HOST = "127.0.0.1"
REGION = "us-east-1"
# The default account: the model's.
ACCOUNT_ID = DEFAULT_ACCOUNT
ACCESS_KEY_ID = "test"

# The number of concurrent worker processes of functions: each takes about 60 MB, and a core while it starts.
MAX_WORKERS = 8
# The variables that the server and functions get from the user's environment: no credentials, tokens, profiles or addresses.
_KEPT_VARIABLES = frozenset({"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
_KEPT_PREFIX = "LC_"


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
    secret: str = field(default_factory=partial(secrets.token_urlsafe, 32), repr=False)
    """The secret access key of every account's root, and of the administration pages."""


def apply_environment(options: ServerOptions, port: int, environment: MutableMapping[str, str]) -> None:
    """Set the variables that ministack and functions read. This must run before ministack is imported."""
    for name in list(environment):
        if name not in _KEPT_VARIABLES and not name.startswith(_KEPT_PREFIX):
            del environment[name]
    environment.update(
        {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": options.secret,
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
            # Threads wait for a worker (see `patches/lambdas`); there is no throttling to protect the machine.
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
            "LAMBDA_WARM_TTL_SECONDS": "60",
            "SFN_WAIT_SCALE": repr(1.0 / options.scale),
            # There are no listeners on fixed ports, and no Docker.
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
        environment["TMPDIR"] = environment["HOME"] = str(options.work_dir)
