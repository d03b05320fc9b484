"""Copies whose comparison ended without a proof are compared again: found, started, bounded, and once for each day."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import KeyFault, Snapshot, SnapshotState, Unusable
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, VerifyRule
from snapkeep.domain.recovery.methods import FULL, Method, MethodKind
from snapkeep.domain.sweep.findings import FindingKind, VerifyRepair
from snapkeep.domain.sweep.report import Figure, Handling
from snapkeep.domain.sweep.unproved_copies import COMPARED_WITHIN, unproved_copies, unproved_findings
from snapkeep.domain.system import StackKind
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from snapkeep.functions.clients import Clients
from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.functions.sweep import sweep_adapters
from snapkeep.functions.sweep_metrics import report_lines
from snapkeep.usecases.sweep import dr
from support.lineages import REGION, SYSTEM, copy_of, snapshot
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, kinds
from support.templates import FUNCTION, resources

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SAMPLE = Method(MethodKind.SAMPLE, sample=300)
PROVED = "PROVED sample:300 2026-11-21T04:00:00Z"


def policies(**verify: Any) -> PolicySet:
    rule = CopyRule(DR, retention=Retention(keep_last=9), verify=VerifyRule(**verify))
    return PolicySet((Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=9), (rule,)),))


def copy(day: int, *, volume: str = "vol-0a", arrived: timedelta = timedelta(days=1, hours=3), **changes: Any) -> Snapshot:
    """Return a copy of the snapshot of a day in November, by default one that arrived more than a day ago."""
    tags = changes.pop("tags", {})
    made = copy_of(snapshot(f"2026-11-{day}T03:00", day, volume=volume), DR, day)
    return replace(made, completed_at=NOW - arrived, tags={**made.tags, **tags}, **changes)


def again(*copies: Snapshot, rules: PolicySet | None = None, gone: tuple[int, ...] = (), **more: Any) -> list[str]:
    """Return the copies that are compared again, where the sources of some days do not exist any more."""
    unproved = unproved_copies(copies, rules or policies(), NOW, system=SYSTEM, **more)
    sources = {one.origin.snapshot_id: snapshot(one.origin.start_time, int(one.origin.snapshot_id[5:], 16)) for one in copies}
    for day in gone:
        del sources[f"snap-{day:017x}"]
    return [finding.subject for finding in unproved_findings(unproved, {REGION: sources}, NOW) if finding.repair]


def test_a_copy_without_a_proof_is_compared_again_by_its_rule() -> None:
    unproved = unproved_copies([copy(21)], policies(budget="5 USD/month"), NOW, system=SYSTEM)
    source = snapshot("2026-11-21T03:00", 21)
    [finding] = unproved_findings(unproved, {REGION: {source.id: source}}, NOW)
    repair = VerifyRepair(copy(21).id, SAMPLE, f"{copy(21).id}-again-1", 5.0)
    assert (finding.kind, finding.subject, finding.repair) == (FindingKind.COPY_UNPROVED, copy(21).id, repair)


@pytest.mark.parametrize(
    "listed",
    [
        copy(21, tags={PROOF: PROVED}),
        copy(21, tags={PROOF: "PROVED structure 2026-11-21T04:00:00Z"}),
        copy(21, tags={PROOF: "DIFFERS full 2026-11-21T04:00:00Z"}),
        copy(21, tags={CHECK: WRONG}),
        copy(21, arrived=COMPARED_WITHIN - timedelta(hours=1)),
        copy(21, state=SnapshotState.PENDING),
        copy(21, archived=True),
        copy(21, key_fault=KeyFault("arn:aws:kms:us-east-2:1:key/k", Unusable.KEY_DISABLED)),
        copy(21, tags={"snapkeep:managed": "another"}),
        copy(21, tags={"snapkeep:policy": "of none"}),
    ],
    ids=["proved", "budget spent", "differs", "wrong", "just arrived", "pending", "archived", "key", "of others", "no rule"],
)
def test_such_a_copy_is_not_compared_again(listed: Snapshot) -> None:
    assert again(listed) == []


def test_rules_that_compare_nothing_find_nothing() -> None:
    assert again(copy(21), rules=policies(structure="never")) == []


def test_of_each_volume_the_newest_copy_since_its_last_proof_is_compared() -> None:
    assert again(copy(19), copy(20), copy(21)) == [copy(21).id]
    assert again(copy(19), copy(20, tags={PROOF: PROVED})) == []
    assert again(copy(19), copy(20, tags={PROOF: PROVED}), copy(21)) == [copy(21).id]
    other = copy(18, volume="vol-0b")
    assert set(again(copy(20), copy(21), other)) == {copy(21).id, other.id}


def test_a_copy_without_its_source_or_past_retention_is_passed_over() -> None:
    assert again(copy(20), copy(21), gone=(21,)) == [copy(20).id]
    assert again(copy(21), gone=(21,)) == []
    assert again(copy(20), copy(21), leaving={copy(21).id}) == [copy(20).id]


@pytest.mark.parametrize("changes", [{"archived": True}, {"state": SnapshotState.ERROR}])
def test_a_source_that_cannot_be_read_starts_nothing(changes: dict[str, Any]) -> None:
    unproved = unproved_copies([copy(21)], policies(), NOW, system=SYSTEM)
    source = replace(snapshot("2026-11-21T03:00", 21), **changes)
    assert unproved_findings(unproved, {REGION: {source.id: source}}, NOW) == []


def test_an_unreachable_source_region_leaves_the_finding_without_a_repair() -> None:
    unproved = unproved_copies([copy(21)], policies(), NOW, system=SYSTEM)
    [finding] = unproved_findings(unproved, {}, NOW)
    assert finding.repair is None
    assert finding.text.endswith(f"{REGION} cannot be read now")


def test_a_comparison_of_all_blocks_of_a_large_volume_has_longer() -> None:
    rules = policies(full_every=timedelta(days=1))
    large = copy(21, size_gib=65_536)
    assert again(large, rules=rules) == []
    later = replace(large, completed_at=NOW - timedelta(days=4))
    [one] = unproved_copies([later], rules, NOW, system=SYSTEM)
    assert (one.method, one.attempt(NOW)) == (FULL, 1)


def losing(world: SweepingWorld, started: list[Any]) -> pytest.MonkeyPatch:
    """Let the executions of Verify that begin be lost, and list them, until the patch is undone."""
    patch = pytest.MonkeyPatch()
    patch.setattr(world.composition().verifications_of(DR), "_start", started.append)
    return patch


def unproved_world(volumes: int = 1) -> SweepingWorld:
    """Return a world whose copies arrived more than a day ago, and whose comparisons were all lost."""
    world = SweepingWorld(policies=policies(), verify=True)
    lost: list[Any] = []
    patch = losing(world, lost)
    for _ in range(volumes):
        world.snapshot(world.volume())
    world.later(DAY + 3 * HOUR)
    patch.undo()
    assert len(world.managed(DR)) == len(lost) == volumes
    return world


def proofs(world: SweepingWorld) -> list[str]:
    tags = [{tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in world.managed(DR)]
    return [one.get(PROOF, "").partition(" ")[0] for one in tags]


def test_a_sweep_has_unproved_copies_compared() -> None:
    world = unproved_world()
    assert proofs(world) == [""]
    first = world.sweep(DR)
    assert kinds(first, Handling.REPAIRED) == {FindingKind.COPY_UNPROVED: 1}
    assert proofs(world) == ["PROVED"]
    second = world.sweep(DR)
    assert kinds(second) == {}
    hours = [report.counts[Figure.OLDEST_UNPROVED_HOURS] for report in (first, second)]
    assert 24 <= hours[0] <= 27
    assert hours[1] == 0


def test_a_sweep_of_a_dr_stack_starts_executions_of_its_verify() -> None:
    template = resources("dr", FUNCTION)["Sweep"]["Environment"]["Variables"]
    given = {name: value if isinstance(value, str) else "" for name, value in template.items()}
    of_stack = {name: f"the {value['Ref']}" for name, value in template.items() if name.endswith(("_ARN", "_URL", "_BUCKET"))}
    variables = {**given, **of_stack, "AWS_REGION": DR, "SNAPKEEP_DELETIONS_TIMES_USUAL": "10"}
    parts = {stack: Composition(Environment({**variables, "SNAPKEEP_STACK": stack}), Clients(region=DR)) for stack in StackKind}
    assert parts[StackKind.DR].environment.verify_state_machine_arn == "the Verifying"
    assert sweep_adapters(parts[StackKind.DR]).verifications is parts[StackKind.DR].verifications
    assert sweep_adapters(parts[StackKind.PRIMARY]).verifications is None


def test_the_metric_has_the_age_of_the_oldest_unproved_copy() -> None:
    lines = report_lines(unproved_world().sweep(DR))
    seconds = json.loads(lines[0])["OldestUnproved"]
    assert DAY <= seconds <= DAY + 3 * HOUR


def test_sweeps_of_one_day_start_one_comparison_and_the_next_day_another() -> None:
    world = unproved_world()
    started: list[Any] = []
    losing(world, started)
    for _ in range(3):
        world.sweep(DR)
    assert len(started) == 1
    world.later(DAY)
    world.sweep(DR)
    assert len(started) == 2


def test_one_sweep_starts_a_limited_number_and_later_ones_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dr, "MOST_COMPARISONS", 2)
    world = unproved_world(volumes=5)
    report = world.sweep(DR)
    assert kinds(report, Handling.REPAIRED) == {FindingKind.COPY_UNPROVED: 2}
    assert kinds(report, Handling.LEFT) == {FindingKind.COPY_UNPROVED: 3}
    assert proofs(world).count("PROVED") == 2
    world.sweep(DR)
    world.sweep(DR)
    assert proofs(world) == ["PROVED"] * 5


def test_a_source_that_was_deleted_starts_nothing() -> None:
    world = unproved_world()
    for one in world.managed(PRIMARY):
        world.ec2.delete_snapshot(SnapshotId=one["SnapshotId"])
    assert FindingKind.COPY_UNPROVED not in kinds(world.sweep(DR))
    assert proofs(world) == [""]


def test_a_refused_start_is_a_failed_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    world = unproved_world()

    def refused(*_: Any, **__: Any) -> str:
        raise AwsUnavailable("Step Functions does not answer")

    monkeypatch.setattr(world.composition().verifications_of(DR), "start", refused)
    assert kinds(world.sweep(DR), Handling.FAILED) == {FindingKind.COPY_UNPROVED: 1}
