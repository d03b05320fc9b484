"""The validators that live in environments of their own (`make tools`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.patience import COMMAND_SECONDS

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
SAM = TOOLS / "sam" / "bin" / "sam"
CHECKOV = TOOLS / "checkov" / "bin" / "checkov"
ASL_VALIDATOR = TOOLS / "node_modules" / ".bin" / "asl-validator"
CFN_LINT = Path(sys.executable).with_name("cfn-lint")


def start(tool: Path, *arguments: str | Path, folder: Path = ROOT) -> subprocess.Popen[str]:
    """Start a validator in a folder; two cores run two of them at once."""
    assert tool.exists(), f"{tool} is not there: run `make tools`"
    own = {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0", "LOG_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    path = os.pathsep.join([str(TOOLS / "node" / "bin"), os.environ["PATH"]])
    return subprocess.Popen(
        [tool, *arguments],
        cwd=folder,
        env={**os.environ, **own, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return the exit status and the output of a started validator."""
    try:
        printed, complained = process.communicate(timeout=COMMAND_SECONDS)
    finally:
        process.kill()
    return process.returncode, printed, complained
