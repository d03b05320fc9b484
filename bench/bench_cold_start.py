"""Cold start: from interpreter start to a ready handler, out of the built package, against `import boto3; boto3.client("ec2")`.

"Ready" means: imported, the use case made, and the clients that every call needs. Every measurement is a process of its own. A
round starts each function once and the yardstick five times, so that other load on the machine affects all. CPU time is judged:
a start waits for nothing but a core, and a start on a busy machine takes no more of it. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import snapkeep
from snapkeep.deploy.package import build_package

ROUNDS = int(os.environ.get("ROUNDS", "5"))
YARDSTICK_EVERY = 4
MOST = 0.7
INFRA = Path(snapkeep.__file__).parent / "infra"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
FUNCTION_VARIABLES = {
    "SNAPKEEP_NAME": "snapkeep",
    "SNAPKEEP_STACK": "primary",
    "SNAPKEEP_TAG_KEY_VALUE": "none",
    "SNAPKEEP_DR_REGION": "us-east-2",
    "SNAPKEEP_RETENTION": "7",
    "SNAPKEEP_COPY_WITHIN_HOURS": "24",
    "SNAPKEEP_MAX_DELETIONS": "100",
    "SNAPKEEP_MAX_DELETION_SHARE_PERCENT": "75",
    "SNAPKEEP_COPY_QUOTA": "20",
    "SNAPKEEP_COPY_ATTEMPTS": "3",
    "SNAPKEEP_COPY_RETRY_DELAY_SECONDS": "300",
    "SNAPKEEP_DIGEST_QUIET_SECONDS": "45",
    "SNAPKEEP_QUEUE_TABLE": "snapkeep-queue",
    "SNAPKEEP_POLICY_PARAMETER": "/snapkeep/policy",
    "SNAPKEEP_NOTICES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/notices",
    "SNAPKEEP_REPORTS_BUCKET": "snapkeep-reports",
    "SNAPKEEP_SNAPSHOT_QUOTA": "100000",
    "SNAPKEEP_VERIFY_STATE_MACHINE_ARN": "arn:aws:states:us-east-2:123456789012:stateMachine:snapkeep-verify",
    "SNAPKEEP_STACK_NAME": "snapkeep",
    "SNAPKEEP_ACCOUNT": "123456789012",
    "SNAPKEEP_PARTITION": "aws",
    "SNAPKEEP_DEAD_LETTERS_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
    "SNAPKEEP_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:snapkeep-protect",
    "SNAPKEEP_DRILL_STATE_MACHINE_ARN": "arn:aws:states:us-east-2:123456789012:stateMachine:snapkeep-drill",
    "SNAPKEEP_ADOPT_HISTORY": "no",
    "SNAPKEEP_METRICS_PER_VOLUME": "no",
    "SNAPKEEP_SWEEP_REPAIRS": "200",
    "SNAPKEEP_SWEEP_DELETIONS": "1000",
    "SNAPKEEP_DELETIONS_TIMES_USUAL": "10",
    "SNAPKEEP_HOLD_ON_SIGNALS": "yes",
    "SNAPKEEP_MAX_LOCK_DAYS": "90",
    "SNAPKEEP_ALLOW_COMPLIANCE_LOCKS": "no",
    "SNAPKEEP_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:snapkeep-notifications",
}
BOTO3 = 'import boto3; boto3.client("ec2", region_name="us-east-1")'
USED_BY_EVERY_CALL = {"digest": ("sqs",), "notification": ("sqs",)}
"""Clients that a use case makes when it is called, besides those that `build` makes."""
READY = """
import sys; sys.path.insert(0, {folder!r})
import importlib
module = importlib.import_module({module!r})
assert callable(module.handler)
parts = module.composition()
if module.__name__.endswith("sweep"):  # it makes its use case when it is called
    parts.clients.get("ec2")
else:
    module.build(parts)
for service in {services!r}:
    parts.clients.get(service)
"""


def modules() -> list[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in INFRA.glob("*.yaml"))
    return sorted(set(re.findall(r"Handler: (\S+)\.handler", text)))


class Cost(NamedTuple):
    wall_seconds: float
    cpu_seconds: float


def cost(command: list[str], environment: dict[str, str]) -> Cost:
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environment, capture_output=True)  # noqa: S603 - this interpreter
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def middle(costs: list[Cost]) -> Cost:
    """The median of each: functions and the yardstick are started by turns, but not equally often."""
    return Cost(median(cost.wall_seconds for cost in costs), median(cost.cpu_seconds for cost in costs))


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="snapkeep-bench-") as workshop:
        return measure(Path(workshop) / "functions")


def measure(folder: Path) -> int:
    package = build_package(folder, run_here=True)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", **CREDENTIALS}
    yardstick_command = [sys.executable, "-c", BOTO3]
    # The yardstick gets byte-compiled files as well: the installed boto3's, made once before the first round.
    cost(yardstick_command, {**environment, "PYTHONDONTWRITEBYTECODE": ""})
    names = {module.rpartition(".")[2]: module for module in modules()}
    own: dict[str, list[Cost]] = {name: [] for name in names}
    yardsticks: list[Cost] = []
    for number in range(ROUNDS * len(names)):
        name = list(names)[number % len(names)]
        code = READY.format(folder=str(folder), module=names[name], services=USED_BY_EVERY_CALL.get(name, ()))
        own[name].append(cost([sys.executable, "-I", "-S", "-c", code], {**environment, **FUNCTION_VARIABLES}))
        if number % YARDSTICK_EVERY == 0:
            yardsticks.append(cost(yardstick_command, environment))
    yardstick = middle(yardsticks)
    walls = {name: round(middle(costs).wall_seconds / yardstick.wall_seconds, 3) for name, costs in own.items()}
    processors = {name: round(middle(costs).cpu_seconds / yardstick.cpu_seconds, 3) for name, costs in own.items()}
    worst = max(processors.values())
    result = {
        "bench": "cold_start",
        "ratios_of_cpu_time": processors,
        "ratios_of_time": walls,
        "worst": worst,
        "at_most": MOST,
        "yardstick_milliseconds": round(yardstick.cpu_seconds * 1000),
        "rounds": ROUNDS,
        "python": sys.version.split()[0],
        "bytes_zipped": package.bytes_zipped,
        "holds": worst <= MOST,
    }
    print(json.dumps(result))
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
