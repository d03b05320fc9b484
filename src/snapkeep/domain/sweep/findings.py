"""Findings of a sweep in one listing of a region, and their repairs.

Pure: it reads nothing and writes nothing. Every repair repeats a step of the event-driven path: a run of Protect, an entry in
the queue, the receipt of a copy, a plan of retention. A repaired fault is not found again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.events import CopyEndEvent
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import NEVER, Action, Snapshot, Verdict, Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.holders import holders_of
from snapkeep.domain.recovery.methods import Method
from snapkeep.domain.recovery.points import KeyAtRisk
from snapkeep.domain.retention.deleted_volumes import DeletedVolumes
from snapkeep.domain.retention.placed_holds import PlacedHolds
from snapkeep.domain.retention.region_plan import VolumePlan
from snapkeep.domain.tags import parse_time

_IDS_NAMED = 5


def _attention(identifier: str, label: str, advice: str) -> tuple[str, str, bool, str]:
    """Return a kind that needs attention."""
    return identifier, label, True, advice


def _noted(identifier: str, label: str, advice: str) -> tuple[str, str, bool, str]:
    """Return a kind that needs none."""
    return identifier, label, False, advice


class FindingKind(LabelledEnum):
    """The kinds of findings, one per row: identifier, label, whether it needs attention, and advice.

    Reports' JSON and audit lines carry the identifiers. A kind that needs attention makes a report PARTIAL at best, even if
    every repair was made. `docs/operations.md` lists all kinds.
    """

    needs_attention: bool
    advice: str
    """The step that a person takes; empty where there is none."""

    def __init__(self, identifier: str, label: str = "", needs_attention: bool = False, advice: str = "") -> None:
        super().__init__(identifier, label)
        self.needs_attention, self.advice = needs_attention, advice

    UNHANDLED = "snapshot_unhandled", "snapshot that no run handled"
    TAGS_LOST = "tags_lost", "tags lost"
    RECORD_MISSING = "record_missing", "snapshot without a recovery record"
    COPY_MISSING = "copy_missing", "copy missing"
    COPY_FAILED = _attention(
        "copy_failed",
        "copy failed for good",
        "Correct the cause; the copy is retried each day, or at once: snapkeep sweep --retry-failed",
    )
    COPY_LATE = _attention(
        "copy_late",
        "copy past its deadline",
        "More copies wait than the quota admits in time: see snapkeep status, or request a higher quota.",
    )
    COPY_UNSEEN = "copy_end_missed", "end of a copy that no run handled"
    FAILED_COPY = "failed_copy_left", "failed copy left behind"
    COPY_TWICE = "copy_made_twice", "copy made twice"
    ENTRY_ORPHANED = "entry_orphaned", "queue entry without its snapshot"
    RUN_UNANSWERED = "run_unanswered", "run that would get no answer"
    PAST_RETENTION = "snapshot_past_retention", "snapshot past retention"
    PLAN_REFUSED = _attention(
        "plan_refused",
        "plan refused",
        "Nothing of it was deleted. Check it with snapkeep plan; if it is right, raise the limits.",
    )
    ADOPTABLE = _noted(
        "snapshot_adoptable",
        "snapshot to adopt",
        "It is left alone without your consent: snapkeep plan --adopt, then snapkeep sweep --adopt",
    )
    OTHER_SYSTEM = _noted(
        "snapshot_of_other_system",
        "snapshot that another system manages",
        "Only that system deletes it. If it was renamed or destroyed, take its snapshots over: snapkeep rename OLD NEW",
    )
    UNDELIVERED = "event_undelivered", "event that was not delivered"
    UNREADABLE = _attention(
        "event_unreadable",
        "undelivered event that cannot be read",
        "The messages stay in the dead-letter queue of the rules. Look at them there.",
    )
    RPO_MISSED = _attention(
        "rpo_missed",
        "recovery point objective missed",
        "The newest recovery point is older than the policy allows. snapkeep status shows each volume.",
    )
    UNUSUAL_CHANGE = _attention("unusual_change", "far more of a volume changed than usual", "See snapkeep recoverable VOLUME.")
    DELETIONS_UNUSUAL = _attention(
        "deletions_unusual", "far more deletions in a day than usual", "Check snapkeep plan and hold list."
    )
    DELETED_BY_OTHERS = _attention(
        "snapshot_deleted_by_others",
        "managed snapshot deleted by another principal: a person, AWS's sample or another tool beside Snapkeep",
        "A policy keeps it. Stop who deletes it; AWS's sample: docs/operating/from-aws-sample.md. The Recycle Bin may have it.",
    )
    VOLUME_DELETED = _noted(
        "volume_deleted",
        "deleted volume whose snapshots are kept",
        "They cost money as long as they are kept. A policy's gone says which of them expire.",
    )
    PUBLIC = _attention(
        "snapshot_public",
        "snapshot open to everybody",
        "Anybody can read these. Make them private, and turn on block public access for snapshots.",
    )
    SHARED = _attention(
        "snapshot_shared",
        "snapshot shared with an unknown account",
        "An account that is not in KnownAccounts can read these. Stop sharing with it, or add it to KnownAccounts.",
    )
    SHARE_STALE = _attention(
        "share_stale",
        "copy that its vault has not copied for a day",
        "Look at the vault's stack, its quota, and the policy of the copy's key: snapkeep vault key-policy",
    )
    NOT_SHARED = _attention("copy_not_shared", "copy that its vault does not get", "The notices NotShared say why.")
    VAULT_NOT_ALLOWED = _attention(
        "vault_not_allowed",
        "vault that the stack may not share with",
        "snapkeep deploy --dr-parameter VaultAccounts= with the accounts that the finding names, or leave the vault out.",
    )
    SHARING_NOT_BLOCKED = _noted(
        "sharing_not_blocked", "public sharing is not blocked", "Turn on block public access for snapshots in this region."
    )
    OUT_OF_REACH = _attention(
        "region_unreachable",
        "region or service unreachable",
        "Nothing was concluded about it, and nothing that has no copy elsewhere was deleted.",
    )
    COPY_UNPROVED = _noted(
        "copy_unproved",
        "copy whose comparison ended without a proof",
        "It is compared again, about once a day. If it is found again, notices of Verify say why. At once: snapkeep verify ID",
    )
    COPY_FULL = _noted(
        "copy_full",
        "copy that was full, and not the first of its volume",
        "Copies are full while copies under other keys or of other tools exist, and after the newest was deleted or archived.",
    )
    KEY_AT_RISK = _attention(
        "key_at_risk",
        "KMS key at risk",
        "Snapshots under the key count as no recovery points until it can be used again: nothing is deleted because of them.",
    )
    HOLD_PLACED = _noted(
        "hold_placed",
        "hold that a person placed",
        "Nothing that it covers is deleted. See all with snapkeep hold list; end it with snapkeep hold release ID.",
    )
    HELD_LONG = _noted(
        "snapshot_held_long",
        "hold that lasts for long",
        "Nothing it covers is deleted. A recovery's: snapkeep recover list, or remove its tags; a person's: snapkeep hold list.",
    )
    DRILL_LEFT = _attention(
        "drill_left",
        "drill that did not come to its end",
        "It was ended: its evidence says FAILED, and what it made is removed, once nothing is attached to it. See its execution.",
    )
    DRILL_OVERDUE = _attention(
        "drill_overdue",
        "volume that no drill covered in time",
        "See its drills with snapkeep drill list, and drill it with snapkeep drill run; or raise rotate or budget.",
    )
    LOCK_MISSING = _attention(
        "lock_missing",
        "recovery point that is not locked as its policy requires",
        "Without a lock it can be deleted now, else once that ends. Found again: the finding or a notice NotLocked says why.",
    )
    LOCK_ENDS_EARLY = _noted(
        "lock_ends_early",
        "lock in compliance mode that ends before its policy requires",
        "Nobody can remove it before it ends; then the rest is locked. If for was not raised, see snapkeep report signals.",
    )
    VAULT_IDLE = _attention(
        "vault_idle",
        "vault that copies nothing",
        "Push a document whose vaults name this account and region, and set OwnerAccounts. Until then everything is kept.",
    )
    SHARE_REFUSED = _noted("share_refused", "shared snapshot that the vault does not copy", "Its owner can take the share back.")
    POLICY_PROBLEM = _attention(
        "policy_unknown", "tag names no policy", "Correct the volume's tag, or push a policy of that name."
    )
    NOT_COPYABLE = _noted(
        "snapshot_not_copyable",
        "volume whose snapshots EC2 copies to no other region",
        "They are in a Local Zone or on an Outpost. Let a policy without copies govern the volume; until then they are all kept.",
    )
    POLICY_NOT_KNOWN = _attention(
        "policy_not_known",
        "snapshot whose policy is not known",
        "Its volume is deleted. Set the snapshot's tag snapkeep:policy to a policy's name and sweep, or delete the snapshot.",
    )
    DOCUMENT_BROKEN = _attention(
        "policy_document_broken",
        "policy document that cannot be used",
        "The last good one stays in force. Push one that snapkeep policy check passes, or roll back.",
    )


@dataclass(frozen=True, slots=True)
class CopyWait:
    """A run of Protect that waits for a copy, as its history shows."""

    run: str
    token: str
    request: CopyRequest
    since: datetime


@dataclass(frozen=True, slots=True)
class ProtectRepair:
    """Start Protect for a snapshot, as its event would have."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class EnqueueRepair:
    """Request a copy, as Protect would have."""

    snapshot: Snapshot
    policy: Policy
    rule: CopyRule
    volume: Volume | None
    rpo_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReceiveRepair:
    """Receive a copy that has ended, as its event would have."""

    ended: CopyEndEvent


@dataclass(frozen=True, slots=True)
class RetagRepair:
    """Write tags: those that were lost, or those that adopt a snapshot."""

    snapshot_id: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RejoinRepair:
    """Give a waiting run's token to the entry of its copy, as its own call did; or answer the run, if the copy is settled."""

    wait: CopyWait


@dataclass(frozen=True, slots=True)
class EndDrillRepair:
    """End a drill: remove what it made, release its point, and keep its evidence."""

    run_id: str


@dataclass(frozen=True, slots=True)
class VerifyRepair:
    """Compare a copy with its source again, as its arrival did. The name of an execution starts one comparison at most."""

    copy_id: str
    method: Method
    name: str
    month_usd: float = 0.0
    """The budget of the copy's rule for a month; 0 for no limit."""


Repair = ProtectRepair | EnqueueRepair | ReceiveRepair | RetagRepair | RejoinRepair | EndDrillRepair | VerifyRepair


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, and its repair (None if there is none that a sweep may make)."""

    kind: FindingKind
    subject: str
    volume_id: str
    text: str
    urgency: datetime = NEVER
    """The start time of the data that can be restored now: findings with the oldest come first."""
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class SweepDecision:
    """Findings in the order of urgency, and the verdicts that delete."""

    findings: tuple[Finding, ...]
    deletions: tuple[Verdict, ...] = ()


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings most urgent first."""
    return tuple(sorted(findings, key=lambda finding: (finding.urgency, finding.volume_id, finding.subject)))


def decision_of(findings: Iterable[Finding], plans: Iterable[VolumePlan], system: str) -> SweepDecision:
    """Return the findings and those about plans, in order, and the verdicts that delete, from plans that are not refused."""
    all_findings = list(findings)
    deletions: list[Verdict] = []
    for plan in plans:
        all_findings += plan_findings(plan, system)
        deletions += [verdict for verdict in plan.outcome if verdict.action is Action.DELETE]
    return SweepDecision(ordered(all_findings), tuple(deletions))


def plan_findings(plan: VolumePlan, system: str) -> Iterator[Finding]:
    """Return the findings about a volume's plan."""
    volume_id = plan.lineage.volume_id
    if plan.refusals:
        yield Finding(FindingKind.PLAN_REFUSED, volume_id, volume_id, "; ".join(plan.refusals))
    policy = plan.selection.policy
    managed = [verdict.snapshot for verdict in plan.verdicts if verdict.snapshot.managed_by(system)]
    if plan.selection.problem and managed:
        yield Finding(FindingKind.POLICY_PROBLEM, volume_id, volume_id, plan.selection.problem)
    reason = next((snapshot.not_copyable for snapshot in managed if snapshot.not_copyable), "")
    if reason and policy and policy.copies:
        text = f"policy {policy.name} requests copies of its snapshots: {reason}"
        yield Finding(FindingKind.NOT_COPYABLE, volume_id, volume_id, text)


def document_findings(policies: PolicySet) -> list[Finding]:
    """Return a finding if the policy document cannot be used."""
    return [Finding(FindingKind.DOCUMENT_BROKEN, "policy document", "", policies.problem)] if policies.problem else []


def key_findings(keys: Iterable[KeyAtRisk]) -> list[Finding]:
    """Return a finding for each key at risk."""
    return [Finding(FindingKind.KEY_AT_RISK, key.fault.key_arn, "", key.text) for key in keys]


HELD_LONG_AFTER = timedelta(days=3)
"""Volumes are made and attached within minutes; a drill waits until its volume is initialised, which can take days."""


def hold_findings(snapshots: Iterable[Snapshot], now: datetime) -> list[Finding]:
    """Return a finding for each holder that has held snapshots for long: its recovery may have ended, or been abandoned."""
    held: dict[tuple[str, str], list[str]] = defaultdict(list)
    for snapshot in snapshots:
        for holder, since in holders_of(snapshot.tags).items():
            if _is_long(since, now):
                held[since, holder].append(snapshot.id)
    return [
        Finding(FindingKind.HELD_LONG, holder, "", f"holds {_named(ids)} since {since or 'a time that is not known'}")
        for (since, holder), ids in sorted(held.items())
    ]


def placed_hold_findings(placed: PlacedHolds, now: datetime) -> list[Finding]:
    """Return a finding for each hold that people placed, and for each region whose holds could not be read."""
    findings = [Finding(FindingKind.OUT_OF_REACH, f"holds in {region}", "", why) for region, why in placed.unread.items()]
    for hold in placed.holds:
        kind = FindingKind.HELD_LONG if hold.is_due_for_review(now) else FindingKind.HOLD_PLACED
        findings.append(Finding(kind, hold.id, "", f"{hold.scope}: {hold.text}"))
    return findings


def _is_long(since: str, now: datetime) -> bool:
    try:
        return now - parse_time(since) > HELD_LONG_AFTER
    except ValueError:  # a tag that a person wrote, or a holder that ended without its own tag
        return True


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _IDS_NAMED:,} more" if len(ids) > _IDS_NAMED else ""
    return ", ".join(sorted(ids)[:_IDS_NAMED]) + more


def deleted_volume_findings(deleted: DeletedVolumes) -> list[Finding]:
    """Return a finding for each deleted volume whose snapshots are kept."""
    text = "its volume is deleted, and managed snapshots of it are kept"
    return [Finding(FindingKind.VOLUME_DELETED, lineage.volume_id, lineage.volume_id, text) for lineage in deleted.lineages]
