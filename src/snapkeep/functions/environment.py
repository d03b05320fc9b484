"""The functions' environment, typed: each variable is read here and nowhere else.

`docs/contracts.md` lists the variables; the templates set them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.policy.model import Limits, PolicySet, from_dr_parameters, from_parameters

PRIMARY, DR = "primary", "dr"


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that a stack sets for its functions.

    A variable that a function does not use may be missing. Every property raises InvalidConfiguration, naming the variable,
    where it is missing or its value is not valid.
    """

    variables: Mapping[str, str]

    @property
    def system(self) -> str:
        """The system's name: the value of the tag `snapkeep:managed`."""
        return self._text("SNAPKEEP_NAME")

    @property
    def region(self) -> str:
        """The region that the function runs in."""
        return self._text("AWS_REGION")

    @property
    def stack(self) -> str:
        """`primary` or `dr`."""
        return self._choice("SNAPKEEP_STACK", PRIMARY, DR)

    @property
    def queue_table(self) -> str:
        """The name of the queue's table, in whichever DR region."""
        return self._text("SNAPKEEP_QUEUE_TABLE")

    @property
    def policy_parameter(self) -> str:
        """The name of the SSM parameter that holds the policy document, in whichever region."""
        return self._text("SNAPKEEP_POLICY_PARAMETER")

    @property
    def notices_queue_url(self) -> str:
        """The SQS queue of notices."""
        return self._text("SNAPKEEP_NOTICES_QUEUE_URL")

    @property
    def dead_letters_url(self) -> str:
        """The SQS queue of events that the rules could not deliver."""
        return self._text("SNAPKEEP_DEAD_LETTERS_URL")

    @property
    def topic_arn(self) -> str:
        """The SNS topic of digests, reports and alarms."""
        return self._text("SNAPKEEP_TOPIC_ARN")

    @property
    def reports_bucket(self) -> str:
        """The S3 bucket of sweeps' reports."""
        return self._text("SNAPKEEP_REPORTS_BUCKET")

    @property
    def state_machine_arn(self) -> str:
        """The state machine that events start: Protect in the primary stack, Receive in a DR stack."""
        return self._text("SNAPKEEP_STATE_MACHINE_ARN")

    @property
    def digest_quiet(self) -> timedelta:
        """How long no notice of a cause comes before its digest is published."""
        return timedelta(seconds=self._number("SNAPKEEP_DIGEST_QUIET_SECONDS", 0, 900))

    @property
    def adopt_history(self) -> bool:
        """Whether every sweep has consent to adopt snapshots from before the deployment."""
        return self._choice("SNAPKEEP_ADOPT_HISTORY", "yes", "no") == "yes"

    @property
    def metrics_per_volume(self) -> bool:
        """Whether each volume's RPO age becomes a metric (primary stack)."""
        return self._choice("SNAPKEEP_METRICS_PER_VOLUME", "yes", "no") == "yes"

    @property
    def known_accounts(self) -> frozenset[str]:
        """The accounts that snapshots may be shared with; none where the variable is empty."""
        return frozenset(filter(None, self.variables.get("SNAPKEEP_KNOWN_ACCOUNTS", "").split(",")))

    @property
    def sweep_repairs(self) -> int:
        """How many repairs one sweep makes."""
        return self._number("SNAPKEEP_SWEEP_REPAIRS", 1, 10_000)

    @property
    def sweep_deletions(self) -> int:
        """How many snapshots one sweep deletes."""
        return self._number("SNAPKEEP_SWEEP_DELETIONS", 1, 10_000)

    @property
    def limits(self) -> Limits:
        """What one plan may delete (INV-08)."""
        return Limits(
            max_deletions=self._number("SNAPKEEP_MAX_DELETIONS", 1, 1000),
            max_share_percent=self._number("SNAPKEEP_MAX_DELETION_SHARE_PERCENT", 1, 100),
        )

    @property
    def copy_quota(self) -> int:
        """How many copies may be in flight into this region (EBS quota: 20, raised by AWS Support)."""
        return self._number("SNAPKEEP_COPY_QUOTA", 1, 10_000)

    @property
    def copy_attempts(self) -> int:
        """How often a copy is tried before it fails for good."""
        return self._number("SNAPKEEP_COPY_ATTEMPTS", 1, 20)

    @property
    def copy_retry_delay(self) -> timedelta:
        """How long the first retry waits."""
        return timedelta(seconds=self._number("SNAPKEEP_COPY_RETRY_DELAY_SECONDS", 0, 86_400))

    @property
    def parameters_as_policy(self) -> PolicySet:
        """The policy that the stack's parameters make."""
        retention = self._number("SNAPKEEP_RETENTION", 1, 100_000)
        if self.stack == DR:
            return from_dr_parameters(self.region, retention, self.limits)
        return from_parameters(
            self._text("SNAPKEEP_TAG_KEY_VALUE"),
            self._text("SNAPKEEP_DR_REGION"),
            retention,
            1,
            self.variables.get("SNAPKEEP_COPY_KMS_KEY", ""),
            self._number("SNAPKEEP_COPY_WITHIN_HOURS", 1, 8760),
            self.limits,
            region=self.region,
        )

    def _text(self, name: str) -> str:
        value = self.variables.get(name, "")
        if not value:
            raise InvalidConfiguration(f"the environment variable {name} is not set; the stack's template sets it")
        return value

    def _choice(self, name: str, *choices: str) -> str:
        value = self._text(name)
        if value not in choices:
            raise InvalidConfiguration(f"{name} is '{value}'; {' or '.join(choices)} would be right")
        return value

    def _number(self, name: str, least: int, most: int) -> int:
        text = self._text(name)
        if not text.isdecimal() or not least <= int(text) <= most:
            raise InvalidConfiguration(f"{name} is '{text}'; a whole number from {least} to {most} would be right")
        return int(text)
