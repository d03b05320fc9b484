"""Faults by script or by seed.

A rule has a ``kind``, patterns of its targets (empty matches all), a time (seconds since the world began), and the number of
its hits. Rates are rules with a probability.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, NoAnswer

KINDS = (
    "event_lost",
    "event_doubled",
    "event_delayed",
    "event_reordered",
    "snapshot_fails",
    "copy_fails",
    "slow_snapshot",
    "slow_copy",
    "api_error",
    "api_timeout",
    "empty_page",
    "copy_wrong_blocks",
    "copy_missing_blocks",
    "copy_extra_blocks",
    "copy_swapped_blocks",
    "copy_wrong_size",
    "copy_leaves_zeros_out",
    "status_check_fails",
    "command_fails",
    "command_slow",
    "command_listed_late",
    "region_unreachable",
)
SNAPSHOT_FAILURE = "Internal error"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A rule of the script.

    The first ``skip`` matches are not hit, then ``times`` are hit (0 for all). ``effect`` of an API fault: ``before`` the
    change (nothing was done) or ``after`` it (it was done, but the answer is an error). ``delay_seconds`` is for events;
    ``factor`` for slow ones; ``code``, ``message``, ``http_status`` for API errors; ``message`` is also the cause of a failed
    snapshot or copy. ``blocks`` is the number of wrong, missing, extra or swapped blocks of a copy, or the GiB by which its
    size is wrong. ``status_check_fails`` matches an instance's image by ``source_id``, ``command_fails``, ``command_slow`` and
    ``command_listed_late`` a document of Systems Manager. The ``message`` of a failing command is its output. A slow one takes
    ``delay_seconds`` longer, and a late one is not listed for ``delay_seconds``.
    """

    kind: str
    region: str = ""
    action: str = ""
    event: str = ""
    volume_id: str = ""
    source_id: str = ""
    from_seconds: float = 0.0
    until_seconds: float = float("inf")
    skip: int = 0
    times: int = 0
    probability: float = 1.0
    delay_seconds: float = 60.0
    factor: float = 10.0
    blocks: int = 1
    code: str = "InternalError"
    message: str = ""
    http_status: int = 500
    effect: str = "before"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}: one of {', '.join(KINDS)}")
        if self.effect not in {"before", "after"}:
            raise ValueError(f"effect is {self.effect!r}: 'before' or 'after'")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability is {self.probability}: from 0 to 1")
        if self.blocks < 1:
            raise ValueError(f"blocks is {self.blocks}: at least 1")


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates (0 to 1, drawn from the seed) and scripted rules. None by default."""

    event_lost: float = 0.0
    event_doubled: float = 0.0
    event_delayed: float = 0.0
    event_reordered: float = 0.0
    snapshot_fails: float = 0.0
    copy_fails: float = 0.0
    slow_snapshot: float = 0.0
    slow_copy: float = 0.0
    api_error: float = 0.0
    api_timeout: float = 0.0
    empty_page: float = 0.0
    copy_wrong_blocks: float = 0.0
    copy_missing_blocks: float = 0.0
    copy_extra_blocks: float = 0.0
    copy_swapped_blocks: float = 0.0
    copy_wrong_size: float = 0.0
    copy_leaves_zeros_out: float = 0.0
    status_check_fails: float = 0.0
    command_fails: float = 0.0
    command_slow: float = 0.0
    command_listed_late: float = 0.0
    script: tuple[FaultRule, ...] = ()

    def rules(self) -> list[FaultRule]:
        """Return rates and script as rules. API rates fall half before and half after the effect."""
        rules = list(self.script)
        for kind in KINDS[:-1]:
            rate: float = getattr(self, kind)
            if rate and kind.startswith("api_"):
                rules.append(FaultRule(kind, probability=rate / 2, effect="before"))
                rules.append(FaultRule(kind, probability=rate / 2, effect="after"))
            elif rate:
                rules.append(FaultRule(kind, probability=rate))
        return rules


class _ArmedRule:
    """A rule, and the number of its matches."""

    __slots__ = ("matches", "rule")

    def __init__(self, rule: FaultRule, matches: int = 0) -> None:
        self.rule = rule
        self.matches = matches


class FaultEngine:
    """Decides the faults that hit, in the order of the rules."""

    def __init__(self, seed: int, started: float) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a model's dice
        self.started = started
        self.armed: list[_ArmedRule] = []
        self.kinds: frozenset[str] = frozenset()
        """The kinds of the rules in force; usually there are none."""

    def set(self, faults: Faults) -> None:
        """Replace the faults in force."""
        self.armed = [_ArmedRule(rule) for rule in faults.rules()]
        self.kinds = frozenset(armed.rule.kind for armed in self.armed)

    def add(self, rule: FaultRule, matches: int = 0) -> None:
        """Add a rule to those in force; ``matches`` is the number of its earlier matches."""
        self.armed.append(_ArmedRule(rule, matches))
        self.kinds |= {rule.kind}

    def remove(self, kind: str, region: str = "") -> None:
        """Remove the rules of a kind, in one region or in all."""
        self.armed = [a for a in self.armed if a.rule.kind != kind or (region and a.rule.region != region)]
        self.kinds = frozenset(armed.rule.kind for armed in self.armed)

    def hit(self, kind: str, now: float, **facts: str) -> FaultRule | None:
        """Return the first rule of a kind that hits these facts, or None."""
        if kind not in self.kinds:
            return None
        elapsed = now - self.started
        for armed in self.armed:
            rule = armed.rule
            if rule.kind != kind or not rule.from_seconds <= elapsed < rule.until_seconds:
                continue
            if not all(fnmatchcase(value, getattr(rule, name) or "*") for name, value in facts.items()):
                continue
            if rule.probability < 1 and self.random.random() >= rule.probability:
                continue
            armed.matches += 1
            if armed.matches > rule.skip and (not rule.times or armed.matches <= rule.skip + rule.times):
                return rule
        return None

    def deliveries(self, event: Mapping[str, Any], now: float) -> list[float]:
        """Return the delay of each delivery of an event in seconds.

        EventBridge: "might not be delivered", "the same rule can run more than once" [EventBridge user guide].
        """
        if not self.kinds:
            return [0.0]
        facts = {"region": str(event["region"]), "event": str(event["detail"].get("event", ""))}
        if self.hit("event_lost", now, **facts):
            return []
        first = 0.0
        for kind in ("event_delayed", "event_reordered"):
            rule = self.hit(kind, now, **facts)
            if rule:
                first += rule.delay_seconds if kind == "event_delayed" else self.random.uniform(0, rule.delay_seconds)
        times = [first]
        rule = self.hit("event_doubled", now, **facts)
        if rule:
            times.append(first + self.random.uniform(0, rule.delay_seconds))
        return times

    def before(self, action: str, region: str, now: float) -> None:
        """Raise the fault that hits a request before it takes effect."""
        if self.hit("region_unreachable", now, region=region):
            raise NoAnswer("unreachable", region)
        self._api("before", action, region, now)

    def after(self, action: str, region: str, now: float) -> None:
        """Raise the fault that hits the answer of a request that took effect."""
        self._api("after", action, region, now)

    def _api(self, effect: str, action: str, region: str, now: float) -> None:
        rule = self._hit_effect("api_error", effect, action, region, now)
        if rule:
            raise ApiError(rule.code, rule.message or "An internal error has occurred", rule.http_status)
        if self._hit_effect("api_timeout", effect, action, region, now):
            raise NoAnswer("timeout", region)

    def _hit_effect(self, kind: str, effect: str, action: str, region: str, now: float) -> FaultRule | None:
        return self.hit(kind, now, action=action, region=region, effect=effect)
