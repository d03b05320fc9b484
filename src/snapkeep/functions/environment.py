"""The functions' environment as one typed thing. `docs/contracts.md` lists the variables; the templates set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.policy.model import Limits, PolicySet, from_dr_parameters, from_parameters

PRIMARY, DR = "primary", "dr"


@dataclass(frozen=True, slots=True)
class Environment:
    """What a stack tells its functions. What a function does not use may be missing; asking for it raises."""

    variables: Mapping[str, str]

    @property
    def system(self) -> str:
        """The system's name: the value of the tag `snapkeep:managed`."""
        return self.text("SNAPKEEP_NAME")

    @property
    def region(self) -> str:
        """The region that the function runs in."""
        return self.text("AWS_REGION")

    @property
    def stack(self) -> str:
        """`primary` or `dr`. Raise InvalidConfiguration on anything else."""
        stack = self.text("SNAPKEEP_STACK")
        if stack not in (PRIMARY, DR):
            raise InvalidConfiguration(f"SNAPKEEP_STACK is '{stack}'; primary or dr would be right")
        return stack

    @property
    def queue_table(self) -> str:
        """The name of the queue's table, in whichever DR region."""
        return self.text("SNAPKEEP_QUEUE_TABLE")

    @property
    def policy_parameter(self) -> str:
        """The name of the SSM parameter that holds the policy document, in whichever region."""
        return self.text("SNAPKEEP_POLICY_PARAMETER")

    @property
    def limits(self) -> Limits:
        """What one plan may delete (INV-08)."""
        return Limits(
            max_deletions=self.number("SNAPKEEP_MAX_DELETIONS", 1, 1000),
            max_share_percent=self.number("SNAPKEEP_MAX_DELETION_SHARE_PERCENT", 1, 100),
        )

    @property
    def copy_quota(self) -> int:
        """How many copies may be in flight into this region (EBS quota: 20, raised by AWS Support)."""
        return self.number("SNAPKEEP_COPY_QUOTA", 1, 10_000)

    @property
    def copy_attempts(self) -> int:
        """How often a copy is tried before it is reported as failed."""
        return self.number("SNAPKEEP_COPY_ATTEMPTS", 1, 20)

    @property
    def copy_retry_delay(self) -> timedelta:
        """How long the first retry waits."""
        return timedelta(seconds=self.number("SNAPKEEP_COPY_RETRY_DELAY_SECONDS", 0, 86_400))

    def parameters_as_policy(self) -> PolicySet:
        """Return the policy that the stack's parameters make."""
        retention = self.number("SNAPKEEP_RETENTION", 1, 100_000)
        if self.stack == DR:
            return from_dr_parameters(self.region, retention, self.limits)
        return from_parameters(
            self.text("SNAPKEEP_TAG_KEY_VALUE"),
            self.text("SNAPKEEP_DR_REGION"),
            retention,
            1,
            self.variables.get("SNAPKEEP_COPY_KMS_KEY", ""),
            self.number("SNAPKEEP_COPY_WITHIN_HOURS", 1, 8760),
            self.limits,
            region=self.region,
        )

    def text(self, name: str) -> str:
        """Given a variable's name, return its value. Raise InvalidConfiguration if it is missing or empty."""
        value = self.variables.get(name, "")
        if not value:
            raise InvalidConfiguration(f"the environment variable {name} is not set; the stack's template sets it")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """Given a variable's name and its bounds, return its value. Raise InvalidConfiguration if it is not within them."""
        text = self.text(name)
        if not text.isdecimal() or not least <= int(text) <= most:
            raise InvalidConfiguration(f"{name} is '{text}'; a whole number from {least} to {most} would be right")
        return int(text)
