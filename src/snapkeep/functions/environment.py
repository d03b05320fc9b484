"""The functions' environment, typed: each variable is read here and nowhere else.

`docs/contracts.md` lists the variables; the templates set them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.records import dataclass
from snapkeep.domain.system import StackKind, SystemNames

if TYPE_CHECKING:
    from snapkeep.domain.locks import LockLimits
    from snapkeep.domain.policy.model import PolicySet

Value = TypeVar("Value")


class Variable(Generic[Value]):
    """One variable; `read` raises ValueError, with what would be right, for a text that is not valid.

    An attribute of this kind raises InvalidConfiguration, naming the variable, where it is missing or its value is not valid.
    """

    def __init__(self, name: str, read: Callable[[str], Value]) -> None:
        self._name = name
        self._read = read

    def __get__(self, environment: Environment, _: object = None) -> Value:
        """Return the value."""
        text = environment.variables.get(self._name, "")
        if not text:
            raise InvalidConfiguration(f"the environment variable {self._name} is not set; the stack's template sets it")
        try:
            return self._read(text)
        except ValueError as error:
            raise InvalidConfiguration(f"{self._name} is '{text}'; {error} would be right") from error


def _choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(choices))
        return text

    return read


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(least: int, most: int) -> Callable[[str], timedelta]:
    number = _number(least, most)
    return lambda text: timedelta(seconds=number(text))


def _yes(text: str) -> bool:
    return _choice("yes", "no")(text) == "yes"


@dataclass(frozen=True, slots=True)
class Environment(SystemNames):
    """The variables that a stack sets for its functions. A variable that a function does not use may be missing."""

    variables: Mapping[str, str]

    system = Variable("SNAPKEEP_NAME", str)
    """The system's name: the value of the tag `snapkeep:managed`."""
    region = Variable("AWS_REGION", str)
    """The region that the function runs in."""
    stack = Variable("SNAPKEEP_STACK", _choice(*StackKind))
    stack_name = Variable("SNAPKEEP_STACK_NAME", str)
    """The name of the CloudFormation stack that the function belongs to."""
    account = Variable("SNAPKEEP_ACCOUNT", str)
    """The account that the function runs in."""
    partition = Variable("SNAPKEEP_PARTITION", str)
    """The partition of that account: `aws`, `aws-cn`."""
    queue_table = Variable("SNAPKEEP_QUEUE_TABLE", str)
    """The name of the queue's table, in whichever DR region."""
    policy_parameter = Variable("SNAPKEEP_POLICY_PARAMETER", str)
    """The name of the SSM parameter that holds the policy document, in whichever region."""
    notices_queue_url = Variable("SNAPKEEP_NOTICES_QUEUE_URL", str)
    dead_letters_url = Variable("SNAPKEEP_DEAD_LETTERS_URL", str)
    """The SQS queue of events that the rules could not deliver."""
    topic_arn = Variable("SNAPKEEP_TOPIC_ARN", str)
    """The SNS topic of digests, reports and alarms."""
    reports_bucket = Variable("SNAPKEEP_REPORTS_BUCKET", str)
    """The S3 bucket of sweeps' reports."""
    state_machine_arn = Variable("SNAPKEEP_STATE_MACHINE_ARN", str)
    """The state machine that events start: Protect in the primary stack, Receive in a DR stack."""
    verify_state_machine_arn = Variable("SNAPKEEP_VERIFY_STATE_MACHINE_ARN", str)
    """The state machine Verify of a DR stack."""
    drill_state_machine_arn = Variable("SNAPKEEP_DRILL_STATE_MACHINE_ARN", str)
    """The state machine Drill of a DR stack."""
    digest_quiet = Variable("SNAPKEEP_DIGEST_QUIET_SECONDS", _seconds(0, 900))
    """The time without a notice of a cause after which its digest is published."""
    adopt_history = Variable("SNAPKEEP_ADOPT_HISTORY", _yes)
    """Whether every sweep has consent to adopt snapshots from before the deployment."""
    metrics_per_volume = Variable("SNAPKEEP_METRICS_PER_VOLUME", _yes)
    """Whether each volume's RPO age becomes a metric (primary stack)."""
    sweep_repairs = Variable("SNAPKEEP_SWEEP_REPAIRS", _number(1, 10_000))
    """The most repairs that one sweep makes."""
    sweep_deletions = Variable("SNAPKEEP_SWEEP_DELETIONS", _number(1, 10_000))
    """The most snapshots that one sweep deletes."""
    hold_on_signals = Variable("SNAPKEEP_HOLD_ON_SIGNALS", _yes)
    """Whether grave signals put the system on hold."""
    deletions_times_usual = Variable("SNAPKEEP_DELETIONS_TIMES_USUAL", _number(2, 1000))
    """How many times the usual deletions of a day stop those of runs and sweeps."""
    max_lock_days = Variable("SNAPKEEP_MAX_LOCK_DAYS", _number(0, 3650))
    """The most days for which policies may lock snapshots of this region; 0: no locks."""
    _compliance_locks = Variable("SNAPKEEP_ALLOW_COMPLIANCE_LOCKS", _yes)
    copy_quota = Variable("SNAPKEEP_COPY_QUOTA", _number(1, 10_000))
    """The most copies that may be in flight into this region (EBS quota: 20, raised by AWS Support)."""
    snapshot_quota = Variable("SNAPKEEP_SNAPSHOT_QUOTA", _number(1, 10_000_000))
    """The most snapshots that this region may have (EBS quota: 100,000, raised on request)."""
    copy_attempts = Variable("SNAPKEEP_COPY_ATTEMPTS", _number(1, 20))
    """The attempts after which a copy fails for good."""
    copy_retry_delay = Variable("SNAPKEEP_COPY_RETRY_DELAY_SECONDS", _seconds(0, 86_400))
    """The delay of the first retry."""
    _max_deletions = Variable("SNAPKEEP_MAX_DELETIONS", _number(1, 1000))
    _max_share_percent = Variable("SNAPKEEP_MAX_DELETION_SHARE_PERCENT", _number(1, 100))
    _retention = Variable("SNAPKEEP_RETENTION", _number(1, 100_000))
    _tag_key_value = Variable("SNAPKEEP_TAG_KEY_VALUE", str)
    _dr_region = Variable("SNAPKEEP_DR_REGION", str)
    _copy_within_hours = Variable("SNAPKEEP_COPY_WITHIN_HOURS", _number(1, 8760))

    @property
    def known_accounts(self) -> frozenset[str]:
        """The accounts that snapshots may be shared with; none where the variable is empty."""
        return frozenset(filter(None, self.variables.get("SNAPKEEP_KNOWN_ACCOUNTS", "").split(",")))

    @property
    def owner_accounts(self) -> frozenset[str]:
        """The accounts whose shared snapshots a vault copies."""
        return frozenset(filter(None, self.variables.get("SNAPKEEP_OWNER_ACCOUNTS", "").split(",")))

    @property
    def vault_accounts(self) -> frozenset[str]:
        """The accounts of vaults, with which copies may be shared; none where the variable is empty."""
        return frozenset(filter(None, self.variables.get("SNAPKEEP_VAULT_ACCOUNTS", "").split(",")))

    @property
    def lock_limits(self) -> LockLimits:
        """The locks that the stack allows."""
        from snapkeep.domain.locks import LockLimits  # noqa: PLC0415 - of LockSnapshots and sweeps alone

        return LockLimits(self.max_lock_days, self._compliance_locks)

    @property
    def former_system(self) -> str:
        """The name of a renamed system, whose snapshots every sweep adopts; empty where there is none."""
        return self.variables.get("SNAPKEEP_FORMER_SYSTEM", "")

    @property
    def parameters_as_policy(self) -> PolicySet:
        """The policy that the stack's parameters make, with what one plan may delete (INV-08)."""
        # Half of the functions need no policy, and its types take a tenth of a cold start.
        from snapkeep.domain.policy.model import Limits, PolicySet  # noqa: PLC0415
        from snapkeep.domain.policy.parameters import from_dr_parameters, from_parameters  # noqa: PLC0415

        limits = Limits(max_deletions=self._max_deletions, max_share_percent=self._max_share_percent)
        if self.stack == StackKind.VAULT:  # its document alone says what is kept; without one, everything is
            return PolicySet((), limits)
        if self.stack == StackKind.DR:
            return from_dr_parameters(self.region, self._retention, limits)
        return from_parameters(
            self._tag_key_value,
            self._dr_region,
            self._retention,
            1,
            self.variables.get("SNAPKEEP_COPY_KMS_KEY", ""),
            self._copy_within_hours,
            limits,
            region=self.region,
        )
