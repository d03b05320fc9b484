"""The report of a sweep: OK, PARTIAL or FAILED, failures first, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from snapkeep.domain.json_codec import OPTIONAL, to_object
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.plural import counted, noun_for
from snapkeep.domain.policy.source import PolicySource
from snapkeep.domain.protection import PolicyAges, age_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import Finding, FindingKind


class SweepOutcome(StrEnum):
    """The outcome of a sweep."""

    OK = "OK"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"


class Handling(LabelledEnum):
    """The result of a finding, in the order of reports."""

    FAILED = "failed", "repair failed"
    NEEDS_ATTENTION = "needs_attention", "needs attention"
    LEFT = "left", "left for the next sweep"
    REPAIRED = "repaired", "repaired"
    NOTED = "noted", "noted"

    @property
    def failure(self) -> bool:
        """Whether a person has to act: the finding needs attention, or its repair failed."""
        return self in (Handling.FAILED, Handling.NEEDS_ATTENTION)


class Figure(LabelledEnum):
    """A total of a report."""

    VOLUMES = "volumes", "volumes"
    VOLUMES_PROTECTED = "volumes_protected", "volumes protected"
    VOLUMES_FIRST_COPY_PENDING = "volumes_first_copy_pending", "volumes whose first copy is pending"
    VOLUMES_NOT_KNOWN = "volumes_not_known", "volumes not known"
    VOLUMES_NOT_AS_ASKED = "volumes_not_as_policy_asks", "volumes not as their policy asks"
    VOLUMES_NOT_RECOVERABLE = "volumes_not_recoverable", "volumes that cannot be recovered"
    VOLUMES_NOT_PROVED = "volumes_not_proved", "volumes without a proved copy"
    VOLUMES_WITHOUT_POLICY = "volumes_without_policy", "volumes without a policy"
    VOLUMES_WITH_COPY = "volumes_with_copy", "volumes with a recovery point"
    SNAPSHOTS = "snapshots", "snapshots"
    SNAPSHOTS_MANAGED = "snapshots_managed", "snapshots managed"
    SNAPSHOTS_HELD = "snapshots_held", "snapshots that people hold"
    SNAPSHOTS_NOT_COVERED = "snapshots_not_covered", "snapshots not covered (imports, and copies made here)"
    DELETED_VOLUMES = "deleted_volumes", "deleted volumes with snapshots"
    DELETED_VOLUMES_SNAPSHOTS = "deleted_volumes_snapshots", "snapshots of deleted volumes"
    DELETED_VOLUMES_GIB = "deleted_volumes_gib", "GiB of deleted volumes' snapshots at most"
    DELETED_VOLUMES_DOLLARS = "deleted_volumes_dollars", "dollars a month for deleted volumes' snapshots at most"
    SNAPSHOTS_DELETED = "snapshots_deleted", "snapshots deleted"
    DELETIONS_FAILED = "deletions_failed", "snapshots that could not be deleted"
    COPIES_MANAGED = "copies_managed", "copies managed"
    COPIES_COMPLETED = "copies_completed", "copies completed"
    COPIES_SHARED = "copies_shared", "copies that vaults have not copied yet"
    COPIES_IN_VAULT = "copies_in_vault", "copies that vaults have copied"
    COPIES_WAITING = "copies_waiting", "copies waiting"
    COPIES_RUNNING = "copies_running", "copies running"
    COPIES_FAILED = "copies_failed", "copies failed for good"
    OLDEST_WAIT_MINUTES = "oldest_wait_minutes", "minutes that the oldest copy has waited"
    OLDEST_UNPROVED_HOURS = "oldest_unproved_hours", "hours since the arrival of the oldest copy to compare again"
    RUNS_IN_PROGRESS = "runs_in_progress", "runs in progress"
    RUNS_NOT_READ = "runs_not_read", "runs to read in a later sweep"


_ORDER = {handling: number for number, handling in enumerate(Handling)}
_HEADINGS = {
    Handling.FAILED: "Could not be repaired:",
    Handling.NEEDS_ATTENTION: "Needs attention:",
    Handling.LEFT: "Left for the next sweep:",
    Handling.REPAIRED: "Repaired:",
    Handling.NOTED: "Good to know:",
}
_IDENTIFIER = re.compile(r"\b(?:snap|vol|ami|plan)-[0-9a-z]+\b")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ][\d:.]+(?: UTC|Z)?")
EXAMPLES = 5
OTHERS_KEPT = 200
TEXT_LIMIT_BYTES = 200_000
"""An SNS message holds 256 KiB (SNS API reference: Publish); the rest is for the envelope."""
LINE_LIMIT = 4_000
"""The characters of one line of a message: an endless cause must not displace the others."""


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One finding, and its result."""

    kind: FindingKind
    subject: str
    volume_id: str
    text: str
    handling: Handling
    cause: str = ""
    """The cause of a failed repair."""
    times: int = 1
    """The number of findings; more than one for the rest of many similar findings that need no attention, without subjects."""


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one kind with one cause, for one line with a count and examples."""

    kind: FindingKind
    handling: Handling
    text: str
    count: int
    examples: tuple[ReportItem, ...]

    @property
    def advice(self) -> str:
        """Advice to a person; empty if a repair was made, or is left for the next sweep."""
        return self.kind.advice if self.handling.failure or self.handling is Handling.NOTED else ""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The findings of one sweep, and their results. `counts` are totals of the region."""

    id: str
    system: str
    stack: str
    region: str
    started_at: datetime
    ended_at: datetime
    items: tuple[ReportItem, ...] = ()
    counts: Mapping[Figure, int] = field(default_factory=dict)
    policies: tuple[PolicyAges, ...] = ()
    broken: str = ""
    """The cause of a sweep that failed as a whole; empty otherwise."""
    names: Mapping[str, str] = field(default_factory=dict, metadata=OPTIONAL)
    """The tag Name by volume id."""
    policy: PolicySource | None = field(default=None, metadata=OPTIONAL)
    """The source of the policies that the sweep applied; None if it failed before."""
    version: str = field(default="", metadata=OPTIONAL)
    """The version of Snapkeep that made the sweep."""

    @property
    def outcome(self) -> SweepOutcome:
        """OK: no fault remains. FAILED: the sweep failed as a whole, or repairs failed and none succeeded."""
        failed = sum(item.handling is Handling.FAILED for item in self.items)
        repaired = sum(item.handling is Handling.REPAIRED for item in self.items)
        if self.broken or (failed and not repaired):
            return SweepOutcome.FAILED
        if failed or any(item.handling.failure or item.handling is Handling.LEFT for item in self.items):
            return SweepOutcome.PARTIAL
        return SweepOutcome.OK

    def with_names_used(self) -> SweepReport:
        """Return the report with only the names of volumes in its findings."""
        used = {item.volume_id for item in self.items}
        return replace(self, names={volume_id: name for volume_id, name in self.names.items() if volume_id in used})

    @property
    def failures(self) -> tuple[ReportItem, ...]:
        """The findings that need attention, or whose repair failed."""
        return tuple(item for item in self.items if item.handling.failure)

    def count(self, handling: Handling) -> int:
        """Return the number of findings with a handling."""
        return sum(item.times for item in self.items if item.handling is handling)


def report_to_json(report: SweepReport) -> dict[str, Any]:
    """Return a report, with its outcome, as JSON values, failures first."""
    items = tuple(sorted(report.items, key=lambda item: not item.handling.failure))
    return {"outcome": str(report.outcome), **to_object(replace(report, items=items))}


def item_of(finding: Finding, handling: Handling, cause: str = "") -> ReportItem:
    """Return a finding with its handling, as the report holds it."""
    return ReportItem(finding.kind, finding.subject, finding.volume_id, finding.text, handling, cause)


def cut(report: SweepReport, others: int = OTHERS_KEPT) -> SweepReport:
    """Return a report with all failures, up to `others` findings of each other group, and the number of the rest."""
    kept: list[ReportItem] = []
    seen: dict[Likeness, int] = {}
    rest: dict[Likeness, ReportItem] = {}
    for item in report.items:
        place = _likeness(item)
        seen[place] = seen.get(place, 0) + item.times
        # Failures are never cut; the others stay in the numbers.
        if item.handling.failure or seen[place] <= others or item.times > 1:
            kept.append(item)
        elif place in rest:
            rest[place] = replace(rest[place], times=rest[place].times + 1)
        else:
            rest[place] = replace(item, subject="", volume_id="")
    return replace(report, items=(*kept, *rest.values()))


def groups_of(items: Iterable[ReportItem], examples: int = EXAMPLES) -> list[FindingGroup]:
    """Return findings grouped by kind and cause with some examples, failures first, then the largest groups."""
    alike: dict[Likeness, list[ReportItem]] = {}
    for item in items:
        alike.setdefault(_likeness(item), []).append(item)
    groups = [
        FindingGroup(
            kind, handling, members[0].cause or members[0].text, sum(item.times for item in members), tuple(members[:examples])
        )
        for (kind, handling, _), members in alike.items()
    ]
    return sorted(groups, key=lambda group: (_ORDER[group.handling], -group.count, group.kind))


Likeness = tuple[FindingKind, Handling, str]


def _likeness(item: ReportItem) -> Likeness:
    """Return a key that is the same for findings that differ only in ids and times, so that similar causes form one group."""
    return item.kind, item.handling, _MOMENT.sub("", _IDENTIFIER.sub("", item.cause or item.text))


def subject_of(report: SweepReport) -> str:
    """Return the subject of a report's message."""
    return f"{report.outcome} {report.system} {report.region}: {summary_of(report)}"


def summary_of(report: SweepReport) -> str:
    """Return the numbers of findings by their handling, in words."""
    failures = len(report.failures)
    parts = [f"{failures:,} need{'s' if failures == 1 else ''} attention"] if failures else []
    for handling, word in ((Handling.REPAIRED, "repaired"), (Handling.LEFT, "left for next time")):
        if report.count(handling):
            parts.append(f"{report.count(handling):,} {word}")
    return "could not be done" if report.broken else ", ".join(parts) or "all is well"


def text_of(report: SweepReport, page: str = "") -> str:
    """Return a report as text, with the location of its page. Failures come first, so that a cut at the end loses none."""
    seconds = round((report.ended_at - report.started_at).total_seconds())
    heading = (
        f"{report.outcome}: sweep of {report.region} ({report.stack}) at {report.started_at:%Y-%m-%d %H:%M} UTC, {seconds} s."
    )
    return _fitting([heading, "", *lines_of(report)], ["", f"The whole report: {page}"] if page else [])


def lines_of(report: SweepReport) -> list[str]:
    """Return the lines of a report's text below its heading."""
    broken = ["The sweep could not do its work:", f"  {report.broken}", ""] if report.broken else []
    return [*broken, *_section_lines(groups_of(report.items)), *_figures(report)]


def _section_lines(groups: Sequence[FindingGroup]) -> list[str]:
    lines: list[str] = []
    for handling, heading in _HEADINGS.items():
        members = [group for group in groups if group.handling is handling]
        if not members:
            continue
        lines.append(heading)
        for group in members:
            lines += _group_lines(group)
        lines.append("")
    return lines


def _group_lines(group: FindingGroup) -> list[str]:
    times = f"{group.count:,} × " if group.count > 1 else ""  # noqa: RUF001 - the multiplication sign is intended
    lines = [f"  {times}{group.kind.label}: {group.text}"]
    shown = [
        f"{item.subject} of {item.volume_id}" if item.volume_id not in ("", item.subject) else item.subject
        for item in group.examples
    ]
    more = f", and {group.count - len(shown):,} more" if group.count > len(shown) else ""
    if any(shown):
        lines.append(f"      {', '.join(shown)}{more}")
    if group.advice:
        lines.append(f"      {group.advice}")
    return lines


def _figures(report: SweepReport) -> list[str]:
    lines = ["Figures:"]
    lines += [f"  {count:>9,}  {noun_for(count, figure.label)}" for figure, count in report.counts.items()]
    for ages in report.policies:
        standing = "nothing to restore from yet"
        if ages.worst is not None and ages.median is not None:
            standing = f"worst RPO age {age_text(ages.worst)}, median {age_text(ages.median)}"
        lines.append(
            f"  policy {ages.policy}: {counted(ages.volumes, 'volume')}, {standing}, "
            f"RPO {age_text(ages.rpo)}, {ages.late:,} missed"
        )
    return lines


def _fitting(lines: Sequence[str], last: Sequence[str]) -> str:
    """Return the lines as a message, cut to its limit; the last lines always stay."""
    size, kept = 0, []
    for number, whole in enumerate(lines):
        # SNS refuses a message that is too long, and the report would be lost.
        line = whole if len(whole) <= LINE_LIMIT else whole[: LINE_LIMIT - 1] + "…"
        size += len(line.encode()) + 1
        if size > TEXT_LIMIT_BYTES:
            kept.append(f"… and {counted(len(lines) - number, 'more line')}; the whole report is in the bucket.")
            break
        kept.append(line)
    return "\n".join([*kept, *last])
