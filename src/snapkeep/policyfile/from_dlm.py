"""A policy of Amazon Data Lifecycle Manager (DLM) as a policy document; every field without a counterpart is named.

Source: DLM API reference, PolicyDetails (botocore's service model `dlm`). Where the two differ, the document keeps more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.fields import VOLUME_TYPES
from snapkeep.domain.policy.periods import DAY, PERIODS

_DAYS_OF = {"DAYS": 1, "WEEKS": 7, "MONTHS": 31, "YEARS": 366}
_DEFAULT_RETAIN_DAYS = 7
"""DLM's own for a default policy without RetainInterval (botocore: RetainInterval)."""
_SMALLEST_WORDS = {1: "keep_hourly", 24: "keep_daily"}
_DAYS_OF_PERIOD = {f"keep_{word}": period.longest / DAY for word, period in PERIODS.items()}
_LAST_DAY_OF_EACH = 28
"""The last day that each month has."""


class NotTranslatable(InvalidConfiguration):
    """The JSON is not a DLM policy for EBS snapshots."""


class UntranslatedField(NamedTuple):
    """A field of the DLM policy without a counterpart."""

    field: str
    """Such as `Schedules[0].ArchiveRule`."""
    text: str


@dataclass(frozen=True, slots=True)
class DlmTranslation:
    """A policy document, and what of the DLM policy is not in it."""

    document: Mapping[str, Any]
    untranslated: Sequence[UntranslatedField]


def translate(data: Any) -> DlmTranslation:
    """Return the translation of a GetLifecyclePolicy answer, of its `Policy`, or of PolicyDetails. Raise NotTranslatable."""
    policy = data.get("Policy", data) if isinstance(data, Mapping) else data
    details = policy.get("PolicyDetails", policy) if isinstance(policy, Mapping) else None
    if not isinstance(details, Mapping) or not {"Schedules", "PolicyLanguage", "PolicyType", "ResourceType"} & set(details):
        raise NotTranslatable("this is neither an answer of GetLifecyclePolicy nor its PolicyDetails")
    kind = details.get("PolicyType", "EBS_SNAPSHOT_MANAGEMENT")
    if kind != "EBS_SNAPSHOT_MANAGEMENT":
        raise NotTranslatable(f"PolicyType {kind} has no counterpart; EBS_SNAPSHOT_MANAGEMENT has")
    translator = _Translator(details)
    if details is not policy and policy.get("State", "ENABLED") != "ENABLED":
        translator.leave("State", f"{policy['State']} in DLM; a pushed document is in force")
    policies = translator.default_policy() if details.get("PolicyLanguage") == "SIMPLIFIED" else translator.custom_policy()
    return DlmTranslation({"version": 1, "policies": policies}, tuple(translator.untranslated))


@dataclass(slots=True)
class _Translator:
    details: Mapping[str, Any]
    untranslated: list[UntranslatedField] = field(default_factory=list)

    def leave(self, name: str, text: str) -> None:
        self.untranslated.append(UntranslatedField(name, text))

    def _leave_present(self, holder: Mapping[str, Any], place: str, texts: Mapping[str, str]) -> None:
        """Name the present fields of a structure that have no counterpart."""
        for name, text in texts.items():
            if holder.get(name):
                self.leave(place + name, text)

    def _leave_unknown(self, holder: Mapping[str, Any], place: str, known: Iterable[str]) -> None:
        for name in sorted(set(holder).difference(known)):
            self.leave(place + name, "not known to this version")

    def _leave_other_kinds(self, names: Iterable[str], text: str) -> None:
        """Name the fields of other kinds of policies."""
        self._leave_unknown(self.details, "", (*_OF_EVERY, *_OF_DEFAULT, *_OF_CUSTOM, *_OF_EVENTS))
        self._leave_present(
            self.details, "", dict.fromkeys(names, text) | dict.fromkeys(_OF_EVENTS, "of event-based policies only")
        )

    def default_policy(self) -> list[dict[str, Any]]:
        """Translate a default policy (PolicyLanguage SIMPLIFIED)."""
        details = self.details
        self._leave_other_kinds(_OF_CUSTOM, "of custom policies only")
        self._leave_present(details, "", {"CreateInterval": _STAYS})
        if details.get("ResourceType") == "INSTANCE":
            self.leave("ResourceType", "INSTANCE makes AMIs of instances; this document selects every volume")
        if details.get("CopyTags") is False:
            self.leave("CopyTags", _TAGS_ALWAYS)
        if details.get("ExtendDeletion") is False:
            self.leave("ExtendDeletion", "the newest snapshot of a deleted volume always stays")
        retention = {"keep_within": f"{details.get('RetainInterval', _DEFAULT_RETAIN_DAYS)}d"}
        exclusions = details.get("Exclusions") or {}
        self._leave_unknown(exclusions, "Exclusions.", ("ExcludeBootVolumes", "ExcludeVolumeTypes", "ExcludeTags"))
        select: dict[str, Any] = {}
        if exclusions.get("ExcludeTags"):
            select["exclude_tags"] = _tags(exclusions["ExcludeTags"])
        if exclusions.get("ExcludeBootVolumes"):
            select["roles"] = ["data", "unattached"]
        if exclusions.get("ExcludeVolumeTypes"):
            select["volume_types"] = [kind for kind in VOLUME_TYPES if kind not in exclusions["ExcludeVolumeTypes"]]
        copies = [
            {"region": target["TargetRegion"], "retention": retention} for target in details.get("CrossRegionCopyTargets") or ()
        ]
        return [_policy("default-policy", select, retention, copies)]

    def custom_policy(self) -> list[dict[str, Any]]:
        """Translate a custom policy: one policy for each tag key, as a volume with any of the tags is a target."""
        details = self.details
        self._leave_other_kinds(_OF_DEFAULT, "of default policies only")
        if any(location != "CLOUD" for location in details.get("ResourceLocations") or ()):
            self.leave("ResourceLocations", "only snapshots in the region are copied and deleted")
        parameters = details.get("Parameters") or {}
        self._leave_unknown(parameters, "Parameters.", ("ExcludeBootVolume", "NoReboot", "ExcludeDataVolumeTags"))
        self._leave_present(parameters, "Parameters.", {"NoReboot": "of AMIs"})
        common: dict[str, Any] = {}
        if parameters.get("ExcludeDataVolumeTags"):
            common["exclude_tags"] = _tags(parameters["ExcludeDataVolumeTags"])
        if parameters.get("ExcludeBootVolume"):
            common["roles"] = ["data", "unattached"]
        schedules = details.get("Schedules") or ()
        retention, copies = self._retention(schedules), self._copies(schedules)
        for number, schedule in enumerate(schedules):
            self._leave_of_schedule(schedule, f"Schedules[{number}].")
        targets = _tags(details.get("TargetTags") or ())
        # A policy of DLM targets volumes, or all volumes of instances, by tags.
        key_of_tags = "instance_tags" if "INSTANCE" in (details.get("ResourceTypes") or ()) else "tags"
        selectors = [{key_of_tags: {key: values}} for key, values in targets.items()] or [{}]
        names = [_name(key) for key in targets] or ["dlm"]
        return [_policy(name, {**selector, **common}, retention, copies) for name, selector in zip(names, selectors, strict=True)]

    def _leave_of_schedule(self, schedule: Mapping[str, Any], place: str) -> None:
        self._leave_unknown(schedule, place, _OF_SCHEDULE)
        self._leave_present(schedule, place, _LEFT_OF_SCHEDULE)
        if schedule.get("CopyTags") is False:
            self.leave(f"{place}CopyTags", _TAGS_ALWAYS)

    def _retention(self, schedules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return one retention that keeps at least what each schedule keeps of its own snapshots."""
        retention: dict[str, Any] = {}
        days = 0
        for number, schedule in enumerate(schedules):
            rule = schedule.get("RetainRule") or {}
            if rule.get("Count"):
                word, count = "keep_last", int(rule["Count"])
                if len(schedules) > 1:
                    word, count = _word_of(schedule.get("CreateRule") or {}, count)
                    if word:
                        count += 1  # Others' snapshots make the period in progress count before its own is made.
                    else:
                        word = "keep_last"
                        self.leave(f"Schedules[{number}].RetainRule", f"its period is not known: it adds {count} to keep_last")
                retention[word] = retention.get(word, 0) + count
            elif rule.get("Interval"):
                word = _word_of(schedule.get("CreateRule") or {}, 1)[0] if len(schedules) > 1 else ""
                if word:  # `keep_within` would keep the other schedules' snapshots as long
                    retention[word] = retention.get(word, 0) + ceil(_days(rule) / _DAYS_OF_PERIOD[word]) + 1
                else:
                    days = max(days, _days(rule))
            else:
                self.leave(f"Schedules[{number}].RetainRule", "there is none: write the retention yourself")
        return retention | ({"keep_within": f"{days}d"} if days else {})

    def _copies(self, schedules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return a copy rule for each target region; of several schedules that copy there, the longest retention holds."""
        rules: dict[str, dict[str, Any]] = {}
        days: dict[str, list[int]] = defaultdict(list)
        for number, schedule in enumerate(schedules):
            listed = schedule.get("CrossRegionCopyRules") or ()
            if not listed and any(other.get("CrossRegionCopyRules") for other in schedules):
                self.leave(f"Schedules[{number}]", "it copies nothing in DLM; here every snapshot of the volume is copied")
            for index, copy in enumerate(listed):
                place = f"Schedules[{number}].CrossRegionCopyRules[{index}]."
                self._leave_unknown(copy, place, _OF_COPY)
                self._leave_present(copy, place, {"DeprecateRule": "of AMIs"})
                region = str(copy.get("TargetRegion") or copy.get("Target") or "")
                if not region or region.startswith("arn:"):
                    self.leave(f"{place}Target", "an Outpost: copies go to regions only")
                    continue
                rule = rules.setdefault(region, {"region": region})
                self._set_key(rule, copy, place)
                if copy.get("CopyTags") is False:
                    rule.setdefault("carry_tags", False)
                elif rule.get("carry_tags") is False:
                    del rule["carry_tags"]
                days[region].append(_days(copy.get("RetainRule") or {}))
        for region, rule in rules.items():
            rule["retention"] = {"keep_within": f"{max(days[region])}d"} if all(days[region]) else {}
        return list(rules.values())

    def _set_key(self, rule: dict[str, Any], copy: Mapping[str, Any], place: str) -> None:
        key = copy.get("CmkArn")
        if key and rule.setdefault("kms_key", key) != key:
            self.leave(f"{place}CmkArn", f"copies into {rule['region']} have one key, that of the first rule")
        if copy.get("Encrypted") and not key:
            text = "without CmkArn a copy is encrypted if its source is, or if the region encrypts by default"
            self.leave(f"{place}Encrypted", text)


_STAYS = "stays in DLM: this document creates no snapshots"
_TAGS_ALWAYS = "a snapshot always receives its volume's tags"
_OF_EVERY = ("PolicyType", "PolicyLanguage")
_OF_EVENTS = ("EventSource", "Actions")
_OF_DEFAULT = (
    "ResourceType",
    "CreateInterval",
    "RetainInterval",
    "CopyTags",
    "CrossRegionCopyTargets",
    "ExtendDeletion",
    "Exclusions",
)
_OF_CUSTOM = ("ResourceTypes", "ResourceLocations", "TargetTags", "Schedules", "Parameters")
_LEFT_OF_SCHEDULE = {
    "CreateRule": _STAYS,
    "TagsToAdd": "stays in DLM: no tag of a snapshot is replaced",
    "VariableTags": "stays in DLM: no tag of a snapshot is replaced",
    "FastRestoreRule": "no counterpart",
    "ShareRules": "no counterpart",
    "ArchiveRule": "no counterpart: snapshots stay in the standard tier",
    "DeprecateRule": "of AMIs",
}
_OF_SCHEDULE = (*_LEFT_OF_SCHEDULE, "Name", "CopyTags", "RetainRule", "CrossRegionCopyRules")
_OF_COPY = ("TargetRegion", "Target", "Encrypted", "CmkArn", "CopyTags", "RetainRule", "DeprecateRule")


def _policy(name: str, select: Mapping[str, Any], retention: Mapping[str, Any], copies: Sequence[Any]) -> dict[str, Any]:
    policy: dict[str, Any] = {"name": name, "select": dict(select), "retention": dict(retention)}
    return policy | ({"copies": list(copies)} if copies else {})


def _name(key: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-") or "dlm"


def _tags(tags: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the values of each key."""
    values: dict[str, list[str]] = {}
    for tag in tags:
        values.setdefault(tag["Key"], []).append(tag.get("Value", ""))
    return values


def _days(rule: Mapping[str, Any]) -> int:
    """Return the days of an age-based rule, at least as long as DLM's months and years; 0 without a rule."""
    return int(rule.get("Interval", 0)) * _DAYS_OF.get(str(rule.get("IntervalUnit", "DAYS")), 0)


def _word_of(create: Mapping[str, Any], count: int) -> tuple[str, int]:
    """Return the retention word that keeps a schedule's own snapshots among those of others, and its count; empty if unknown.

    A schedule of every 6 hours keeps its last 4 by the last 24 hours that have a snapshot, one of three weekdays its last 12 by
    the last 28 days.
    """
    if create.get("Interval"):
        hours = int(create["Interval"])
        return (_SMALLEST_WORDS[hours], count) if hours in _SMALLEST_WORDS else ("keep_hourly", count * hours)
    expression = str(create.get("CronExpression", "")).removeprefix("cron(").removesuffix(")").split()
    try:
        # L is the last day of a month: one day of each.
        cron = parse_cron(" ".join(str(_LAST_DAY_OF_EACH) if part == "L" else part for part in expression))
    except ValueError:
        return "", count
    minutes, times, days, months, weekdays = (len(values) for values in cron.fields[:5])
    word = ""
    match (days, months, weekdays, times, minutes):
        case (31, 12, 7, 1, 1):
            word = "keep_daily"
        case (31, 12, 7, _, 1):
            word, count = "keep_hourly", ceil(count / times) * 24
        case (31, 12, 1, 1, 1):
            word = "keep_weekly"
        case (31, 12, _, 1, 1):
            word, count = "keep_daily", ceil(count / weekdays) * 7
        # Not every month has a later day.
        case (1, 12, 7, 1, 1) if max(cron.fields[2]) <= _LAST_DAY_OF_EACH:
            word = "keep_monthly"
        case (1, 1, 7, 1, 1) if max(cron.fields[2]) <= _LAST_DAY_OF_EACH:
            word = "keep_yearly"
    return word, count
