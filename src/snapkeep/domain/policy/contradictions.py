"""Contradictions between values of a policy document that are each valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from snapkeep.domain.durations import format_duration
from snapkeep.domain.model import VolumeRole
from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.drill_rules import DrillLevel
from snapkeep.domain.policy.frequency import longest_period
from snapkeep.domain.policy.lock_fields import lock_contradictions
from snapkeep.domain.policy.model import DEFAULT_RPO, LockMode
from snapkeep.domain.policy.periods import DAY, HOUR, PERIODS, finest_word
from snapkeep.domain.policy.problem import PolicyProblem
from snapkeep.domain.policy.vault_contradictions import vault_contradictions
from snapkeep.domain.wildcards import matches_any

_ARN_REGION = 3
DIVIDES_DAYS = "write hours that divide a day, such as 4h or 6h, or whole days"

Parsed = Mapping[str, Any]


def contradictions(document: Parsed, region: str) -> list[PolicyProblem]:
    """Return the contradictions between the values of a document. `region` is the primary region; empty if it is not known."""
    policies: list[Parsed] = document.get("policies", [])
    names = (policy.get("name", "") for policy in policies)
    problems = list(_duplicates(names, "policies[{}].name", "another name: it is taken"))
    for number, policy in enumerate(policies):
        path = f"policies[{number}]"
        problems.extend(_in_selector(policy.get("select", {}), f"{path}.select", region))
        problems.extend(_in_snapshots(policy, path))
        problems.extend(lock_contradictions(policy.get("lock", {}), f"{path}.lock"))
        rules: list[Parsed] = policy.get("copies", [])
        right = "one copy rule for a region: it has one already"
        problems.extend(_duplicates((rule.get("region", "") for rule in rules), path + ".copies[{}].region", right))
        for rule_number, rule in enumerate(rules):
            problems.extend(_in_copy_rule(rule, policy.get("rpo", DEFAULT_RPO), f"{path}.copies[{rule_number}]", region))
    groups = (group.get("name", "") for group in document.get("groups", ()))
    groups_twice = _duplicates(groups, "groups[{}].name", "another name: it is taken")
    return [*problems, *groups_twice, *_in_drills(document), *vault_contradictions(document, region)]


def _in_drills(document: Parsed) -> Iterator[PolicyProblem]:
    drills: list[Parsed] = document.get("drills", [])
    yield from _duplicates((drill.get("name", "") for drill in drills), "drills[{}].name", "another name: it is taken")
    copied_to = {
        policy.get("name", ""): [rule.get("region", "") for rule in policy.get("copies", ())]
        for policy in document.get("policies", ())
    }
    for number, drill in enumerate(drills):
        path, region = f"drills[{number}]", drill.get("in", "")
        for name_number, name in enumerate(drill.get("policies", ())):
            if name not in copied_to:
                right = "write the name of a policy: " + ", ".join(filter(None, copied_to))
                yield PolicyProblem(f"{path}.policies[{name_number}]", repr(name), right)
            elif region and region not in copied_to[name]:
                right = f"write a region that {name} copies to: " + (", ".join(copied_to[name]) or "there is none")
                yield PolicyProblem(f"{path}.in", repr(region), right)
        pick: Parsed = drill.get("pick", {})
        yield from _of_a_group(drill, path, [group.get("name", "") for group in document.get("groups", ())])
        yield from _of_instances(drill, path)
        chosen = [word for word in ("latest", "random", "oldest_within") if pick.get(word)]
        if len(chosen) > 1:
            yield PolicyProblem(f"{path}.pick.{chosen[1]}", repr(pick[chosen[1]]), f"leave it out: {chosen[0]} says which point")


def _of_a_group(drill: Parsed, path: str, groups: list[str]) -> Iterator[PolicyProblem]:
    group, pick = drill.get("group", ""), drill.get("pick", {})
    if not group:
        return
    if group not in groups:
        yield PolicyProblem(f"{path}.group", repr(group), "write the name of a group: " + (", ".join(groups) or "there is none"))
    if drill.get("level", DrillLevel.VOLUME) != DrillLevel.INSTANCE:
        yield PolicyProblem(f"{path}.level", repr(str(drill.get("level", ""))), "write instance: a group has instances")
    for word in ("rotate", "random", "oldest_within"):
        if pick.get(word):
            right = "leave it out: a group is drilled as a whole, at the newest moment of all its instances"
            yield PolicyProblem(f"{path}.pick.{word}", repr(pick[word]), right)


def _of_instances(drill: Parsed, path: str) -> Iterator[PolicyProblem]:
    if drill.get("level", DrillLevel.VOLUME) == DrillLevel.INSTANCE:
        if drill.get("budget") and not drill.get("instance_price"):
            right = "write instance_price too, such as 0.10 USD/hour: a budget counts the instances"
            yield PolicyProblem(f"{path}.budget", repr(drill["budget"]), right)
        return
    for word in ("command", "map", "instance_price"):
        if drill.get(word):
            yield PolicyProblem(f"{path}.{word}", repr(drill[word]), "leave it out, or write level: instance")


def _duplicates(values: Iterable[str], path: str, right: str) -> Iterator[PolicyProblem]:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value and value in seen:
            yield PolicyProblem(path.format(number), repr(value), f"write {right}")
        seen.add(value)


def _in_selector(select: Parsed, path: str, region: str) -> Iterator[PolicyProblem]:
    smallest, largest = select.get("min_size_gib", 0), select.get("max_size_gib", 0)
    if largest and smallest > largest:
        yield PolicyProblem(f"{path}.min_size_gib", str(smallest), f"write at most max_size_gib, which is {largest}")
    excluded = set(select.get("exclude_volume_ids", ()))
    chosen = select.get("volume_ids", ())
    if chosen and excluded.issuperset(chosen):
        yield PolicyProblem(f"{path}.exclude_volume_ids", ", ".join(sorted(excluded)), "leave out those in volume_ids")
    attached = next((key for key in ("instance_ids", "instance_tags") if select.get(key)), "")
    if attached and set(select.get("roles", ())) == {VolumeRole.UNATTACHED}:
        yield PolicyProblem(f"{path}.roles", VolumeRole.UNATTACHED, f"leave out {attached}: an attached volume is root or data")
    for number, zone in enumerate(select.get("availability_zones", ())):
        if region and not zone.startswith(region):
            yield PolicyProblem(
                f"{path}.availability_zones[{number}]", repr(zone), f"write a zone of {region}, such as {region}a"
            )
    for key, patterns in select.get("exclude_tags", {}).items():
        required = select.get("tags", {}).get(key, ())
        if required and all(any(_takes(pattern, value) for pattern in patterns) for value in required):
            yield PolicyProblem(
                f"{path}.exclude_tags.{key}", ", ".join(patterns), "leave out the values that tags requires: no volume remains"
            )


def _takes(pattern: str, value: str) -> bool:
    """Whether a pattern matches a value, or certainly every value that another pattern matches."""
    return pattern in ("*", value) or (not set("*?") & set(value) and matches_any(value, [pattern]))


def _in_copy_rule(rule: Parsed, rpo: timedelta, path: str, region: str) -> Iterator[PolicyProblem]:
    between = time_between_copies(rule)
    destination, within = rule.get("region", ""), rule.get("copy_within", rpo - between)
    yield from _in_frequency(rule, rpo, between, path)
    if destination and destination == region:
        yield PolicyProblem(f"{path}.region", repr(destination), "name another region: this is the primary region itself")
    if between < rpo < between + within:
        less = f"{format_duration(rpo - between)}: the policy's rpo less the {format_duration(between)} between two copies"
        right = f"write at most {less}" if between else f"write at most the policy's rpo, which is {format_duration(rpo)}"
        right += ": later copies miss it"
        yield PolicyProblem(f"{path}.copy_within", format_duration(within), right)
    if "completion" in rule and "completion_duration" in rule:
        right = "leave it out beside completion_duration, which is the same for every copy"
        yield PolicyProblem(f"{path}.completion", rule["completion"], right)
    if "copy_budget" in rule and not {"completion", "completion_duration"} & rule.keys():
        right = "leave it out without completion or completion_duration: ordinary copies cost their transfer alone"
        yield PolicyProblem(f"{path}.copy_budget", repr(rule["copy_budget"]), right)
    completion = timedelta(minutes=rule.get("completion_duration", 0))
    if completion > within > timedelta(0):
        right = f"write at most copy_within, which is {format_duration(within)}"
        yield PolicyProblem(f"{path}.completion_duration", format_duration(completion), right)
    part, _, parts = rule.get("verify", {}).get("subset", "").partition("/")
    if parts and int(part) > int(parts):
        yield PolicyProblem(f"{path}.verify.subset", repr(f"{part}/{parts}"), f"write a part from 1/{parts} to {parts}/{parts}")
    yield from _in_lock_of_copies(rule, path)
    key = rule.get("kms_key", "")
    if destination and key.startswith("arn:") and key.split(":")[_ARN_REGION] != destination:
        yield PolicyProblem(f"{path}.kms_key", repr(key), f"name a key in {destination}: a copy is encrypted where it goes")


def _in_lock_of_copies(rule: Parsed, path: str) -> Iterator[PolicyProblem]:
    lock: Parsed = rule.get("lock", {})
    yield from lock_contradictions(lock, f"{path}.lock")
    if lock.get("mode") == LockMode.COMPLIANCE and rule.get("verify", {}).get("structure") == "never":
        right = "write governance, or compare the copies (verify): nobody could remove the lock of a wrong copy"
        yield PolicyProblem(f"{path}.lock.mode", "'compliance'", right)


def time_between_copies(rule: Parsed) -> timedelta:
    """Return the longest time between the snapshots that a parsed copy rule copies; zero if it copies each of them."""
    return longest_period(rule.get("every", timedelta(0)), rule.get("only", ""), rule.get("retention", {}))


def _in_frequency(rule: Parsed, rpo: timedelta, between: timedelta, path: str) -> Iterator[PolicyProblem]:
    every, retention = rule.get("every", timedelta(0)), rule.get("retention", {})
    if not _divides_days(every):
        yield PolicyProblem(f"{path}.every", format_duration(every), DIVIDES_DAYS)
        return
    if "only" in rule:
        every_copy_is_kept = [word for word in ("keep_last", "keep_within") if word in retention]
        if every:
            yield PolicyProblem(f"{path}.only", rule["only"], "leave it out beside every, which says which snapshots are copied")
        elif every_copy_is_kept or not finest_word(retention):
            finest, *_, coarsest = PERIODS
            right = f"write retention with keep_{finest} to keep_{coarsest} alone, or every: other words keep each new copy"
            yield PolicyProblem(f"{path}.only", rule["only"], right)
    if between and between >= rpo:
        shown = format_duration(between)
        key, value = ("every", shown) if every else ("only", f"{rule['only']}, one copy each {shown}")
        right = f"write a shorter time between copies, or a longer rpo, which is {format_duration(rpo)}"
        yield PolicyProblem(f"{path}.{key}", value, right)


def _divides_days(every: timedelta) -> bool:
    """Whether a length is whole days, or hours that divide a day."""
    return not (every % DAY and DAY % every)


def _in_snapshots(policy: Parsed, path: str) -> Iterator[PolicyProblem]:
    rule: Parsed | None = policy.get("snapshots")
    if rule is None:
        for word in ("consistent", "before", "after"):
            if word in policy:
                value = policy[word] if word == "consistent" else policy[word].get("ssm_document", "")
                yield PolicyProblem(f"{path}.{word}", value, "leave it out without snapshots, which it is about")
        return
    path, rpo, every = f"{path}.snapshots", policy.get("rpo", DEFAULT_RPO), rule.get("every", timedelta(0))
    words = [word for word in ("when", "every", "cron") if word in rule]
    if len(words) != 1:
        yield PolicyProblem(path, " and ".join(words) or "empty", "write one of when: rpo, every or cron")
    if "when" in rule and "timezone" in rule:
        yield PolicyProblem(f"{path}.timezone", rule["timezone"], "leave it out with when: rpo, which knows no time of day")
    if "when" in rule and rpo < HOUR:
        yield PolicyProblem(f"{path}.when", rule["when"], f"write an rpo of at least 1h; it is {format_duration(rpo)}")
    if not _divides_days(every):
        yield PolicyProblem(f"{path}.every", format_duration(every), DIVIDES_DAYS)
    elif every >= rpo:
        right = f"write a shorter time, or a longer rpo, which is {format_duration(rpo)}"
        yield PolicyProblem(f"{path}.every", format_duration(every), right)
    if "cron" in rule and parse_cron(rule["cron"]).longest >= rpo:
        right = f"write moments that are closer to each other, or a longer rpo, which is {format_duration(rpo)}"
        yield PolicyProblem(f"{path}.cron", repr(rule["cron"]), right)
