"""Copies that are compared, drilled and recovered, under faults, kills and repeated events: INV-13 to INV-20, and INV-27.

The monitor knows the truth from the model: which copies have other blocks than their sources, and every call to EC2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.drills.ledger import DrillEvidence
from snapkeep.domain.drills.run import CheckOutcome, DrillCheck, DrillVerdict
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.policy.drill_rules import DrillRule, DrillSchedule
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector, VerifyRule
from snapkeep.domain.recovery.choice import Target
from snapkeep.domain.recovery.recovery_plan import StepKind
from snapkeep.domain.system import StackKind
from snapkeep.domain.tag_names import CHECK, DRILL, HOLD, PROOF, RECOVERY, WRONG
from snapkeep.functions import drill
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.ebs_model.store.tags import value_of
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import KernelClock, StepKill
from snapkeep.lab.simulator.model_clients import CALLER
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.recovery.all_actions import all_actions
from snapkeep.usecases.recovery.prepare import PrepareRecovery, RecoveryRequest, begin
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.flows import DAY, DR, HOUR, PRIMARY, Laboratory

pytestmark = pytest.mark.slow

SEEDS, STEPS, BLOCKS = 8, 14, 12
KEPT, KEPT_COPIES = 4, 2
MOST_RECOVERED = 3
CHECKS_OF_A_VOLUME = set(DrillCheck) - {DrillCheck.LAUNCHED, DrillCheck.STATUS_CHECKS, DrillCheck.COMMAND}
READING = ("Describe", "Get", "List")


class ProofChaos:
    """A system with two volumes, what can happen to it, and what must hold."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.kill_in = 0
        rule = CopyRule(DR, retention=Retention(keep_last=KEPT_COPIES), verify=VerifyRule())
        policy = Policy("default", Selector(tags={"Backup": ("*",)}), Retention(keep_last=KEPT), (rule,))
        drills = (DrillRule("daily", ("default",), DR, DrillSchedule("0/5 * * * ? *"), rto=timedelta(hours=2)),)
        policies = PolicySet((policy,), Limits(max_deletions=50, max_share_percent=100), drills=drills)
        self.lab = Laboratory(policies=policies, layout=SystemLayout(verify=True), hook=self._hook, seed=seed)
        self.sweeper = Sweeper(self.lab.runner)
        self.seen: dict[tuple[str, str], Mapping[str, str]] = {}
        self.lab.runner.audit.append(self._deleted)
        self.lab.runner.plan_listeners.append(lambda plan: self._look())
        self.broken: list[str] = []
        self.active: list[str] = []
        self.recovered: list[str] = []
        self.drilled = 0
        self._watch_calls()
        self.volumes = [self.lab.make_volume() for _ in range(2)]
        for volume_id in self.volumes:
            self.lab.world.write(volume_id, 0, BLOCKS, region=PRIMARY)

    def _hook(self, name: str) -> None:
        if self.kill_in:
            self.kill_in -= 1
            if not self.kill_in:
                raise StepKill(f"at {name}")

    def _watch_calls(self) -> None:
        """Note what the system does while it compares (INV-14), and to what a recovery made for use (INV-20)."""
        world, runner = self.lab.world, self.lab.runner
        call = world.call

        def watched_call(service: str, action: str, params: Any = None, *, region: str, **options: Any) -> Any:
            if options.get("caller") == CALLER and service in ("ec2", "ebs") and not action.startswith(READING):
                if self.active[-1:] == ["Verify"]:
                    self.broken.append(f"INV-14: {action} {params} while a copy is compared")
                named = [] if action == "CopySnapshot" else self._named_in(region, params)
                if self.active[-1:] == ["RemoveAfterDrill"]:
                    others = [thing.id for thing in named if not value_of(thing.tags, DRILL)]
                    self.broken += [f"INV-16: {action} of {name} by a drill that did not make it" for name in others]
                used = [thing.id for thing in named if value_of(thing.tags, RECOVERY)]
                self.broken += [f"INV-20: {action} of {name}, which a recovery made for use" for name in used]
            return call(service, action, params, region=region, **options)

        world.call = watched_call  # type: ignore[method-assign]
        runner.functions.update({name: self._named(name, function) for name, function in runner.functions.items()})
        runner.dispatch = self._named("Dispatch", runner.dispatch)  # type: ignore[method-assign]

    def _named(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is on the list of those that work: while one waits, others work."""

        def called(*arguments: Any) -> Any:
            self.active.append(name)
            try:
                return function(*arguments)
            finally:
                self.active.pop()

        return called

    def _named_in(self, region: str, params: Mapping[str, Any]) -> list[Any]:
        """Return the volumes and snapshots that a call names as its single subject."""
        place = self.lab.world.region_account(region)
        things = (place.volumes.get(value) or place.snapshots.get(value) for value in params.values() if isinstance(value, str))
        return [thing for thing in things if thing]

    def recover(self, volume_id: str) -> None:
        """Recover a volume for use in the DR region, where it has a point."""
        clock, client = KernelClock(self.lab.runner.kernel), self.lab.world.client("ec2", DR, caller="operator")
        ec2, documents = Ec2Instances(client=client, region=DR), self.lab.runner.composition.documents[DR]
        reader = Ec2Reader(client=client, region=DR)
        prepare = PrepareRecovery(snapshots=reader, reader=ec2, documents=documents, volumes_in=lambda *_: set())
        try:
            plan = prepare.plan(RecoveryRequest(Target((volume_id,)), clock.now(), zone=f"{DR}a"))
            run = begin(plan, "arn:operator", clock.now())
        except SnapkeepError:  # there is no point yet
            return
        journal = Journal(documents=documents)
        journal.begin(run)
        done = Recover(journal=journal, actions=all_actions(ec2, clock), clock=clock).run(run)
        self.recovered += [step.result for step in done.steps if step.kind is StepKind.CREATE_VOLUME]

    def begin_drills(self) -> None:
        try:
            drill.build_begin(self.lab.runner.composition.stack(DR, StackKind.DR)).run()
        except (SnapkeepError, StepKill):
            return

    def check_recovered(self) -> None:
        """INV-20."""
        volumes = self.lab.world.region_account(DR).volumes
        lost = [name for name in self.recovered if name not in volumes]
        assert not lost, f"INV-20: {lost} were made by recoveries for use, and are deleted"

    def _look(self) -> None:
        for region in (PRIMARY, DR):
            for snapshot in self.lab.snapshots(region):
                self.seen[region, snapshot.id] = dict(self.lab.tags(snapshot.id, region))

    def _deleted(self, order: Any, result: Any) -> None:
        if not result.done:
            return
        region = DR if (DR, order.snapshot_id) in self.seen else PRIMARY
        tags = self.seen[region, order.snapshot_id]
        assert HOLD not in tags, f"INV-18: {order.snapshot_id} was deleted while a recovery held it"
        if region == PRIMARY:
            return
        assert tags.get(CHECK) != WRONG, f"INV-13: {order.snapshot_id} is evidence, and was deleted"
        self._look()
        newer = [
            other
            for name in self.lab.ids(DR)
            if (other := self.seen[DR, name])["snapkeep:source-volume"] == tags["snapkeep:source-volume"]
            and other["snapkeep:source-start"] > tags["snapkeep:source-start"]
            and other.get(CHECK) != WRONG
        ]
        assert len(newer) >= KEPT_COPIES, f"INV-13: {order.snapshot_id} was deleted for copies that do not count"
        if tags.get(PROOF, "").startswith("PROVED"):
            proved = any(other.get(PROOF, "").startswith("PROVED") for other in newer)
            assert proved, f"INV-27: {order.snapshot_id} was the newest proved copy"

    def step(self) -> None:
        copies, dice = self.lab.ids(DR), self.dice
        match dice.randrange(10):
            case 0 | 1 | 2:
                self.lab.start_snapshot(dice.choice(self.volumes))
            case 3:
                kind = dice.choice(("copy_wrong_blocks", "copy_missing_blocks", "copy_extra_blocks"))
                self.lab.world.add_fault(FaultRule(kind, times=1, blocks=dice.randint(1, 3)))
                self.lab.start_snapshot(dice.choice(self.volumes))
            case 4 if copies:
                tags = [{"Key": HOLD, "Value": "recovery-1"}]
                call = self.lab.ec2(DR).create_tags if dice.random() < 0.6 else self.lab.ec2(DR).delete_tags
                call(Resources=[dice.choice(copies)], Tags=tags)
            case 5 if self.lab.events:
                self.lab.world.deliver(dict(dice.choice(self.lab.events)))
            case 6:
                self.kill_in = dice.randint(1, 40)
            case 7:
                self.begin_drills()
            case 8 if copies and len(self.recovered) < MOST_RECOVERED:
                self.recover(dice.choice(self.volumes))
            case _:
                self.sweeper.start()
        self.lab.runner.advance(dice.choice((30.0, 200.0, 2 * HOUR)))
        assert self.lab.runner.unexpected == []
        assert self.broken == []
        self.check_recovered()

    def come_to_rest(self) -> None:
        self.kill_in = 0
        self.lab.runner.advance(30 * HOUR)  # every drill is past its end
        for _ in range(2):
            assert self.lab.runner.run_until_idle(2 * DAY)
            self.sweeper.start()
        assert self.lab.runner.run_until_idle(2 * DAY)
        assert self.lab.runner.unexpected == []
        assert self.broken == []
        self.check_recovered()

    def check_drills(self) -> None:
        """INV-17 and INV-19."""
        place, documents = self.lab.world.region_account(DR), self.lab.runner.composition.documents[DR].documents
        left = [thing.id for thing in (*place.volumes.values(), *place.snapshots.values()) if value_of(thing.tags, DRILL)]
        assert left == [], f"INV-17: {left} outlived their drills"
        texts = [
            document.text for key, document in documents.items() if key.startswith("drills/drill-") and key.endswith(".json")
        ]
        evidences = [from_text(DrillEvidence, text) for text in texts]
        for evidence in evidences:
            whole = dict.fromkeys(map(str, CHECKS_OF_A_VOLUME), str(CheckOutcome.PASSED))
            assert (evidence.verdict is DrillVerdict.PASSED) == (evidence.checks == whole), f"INV-19: {evidence}"
        self.drilled = len(evidences)

    def check_proofs(self) -> None:
        """INV-13 and INV-15, against the truth."""
        proofs = self.lab.runner.composition.proofs.kept
        for copy in self.lab.snapshots(DR):
            tags = self.lab.tags(copy.id, DR)
            if copy.altered:
                assert tags.get(CHECK) == WRONG, f"INV-13: the blocks of {copy.id} differ, and it counts"
            if tags.get(PROOF, "").startswith("PROVED"):
                own = [proof for proof in proofs if proof.tag == tags[PROOF] and proof.progress.pair.copy_id == copy.id]
                assert own, f"INV-15: {copy.id} has a proof that is kept nowhere"
                assert all(proof.progress.complete and proof.progress.compared == BLOCKS for proof in own), "INV-15"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_proofs_promise_holds_under_faults(seed: int) -> None:
    chaos = ProofChaos(seed)
    for _ in range(STEPS):
        chaos.step()
    chaos.come_to_rest()
    chaos.check_proofs()
    chaos.check_drills()
    assert chaos.lab.runner.composition.proofs.kept


def test_the_faults_of_all_seeds_together_reach_what_they_are_for() -> None:
    """A chaos in which nothing differs, nothing is held and nothing is deleted would prove nothing."""
    marked = held = deleted = recovered = drilled = 0
    for seed in range(3):
        chaos = ProofChaos(seed)
        for _ in range(STEPS):
            chaos.step()
        chaos.come_to_rest()
        tags = [chaos.lab.tags(name, DR) for name in chaos.lab.ids(DR)]
        marked += sum(one.get(CHECK) == WRONG for one in tags)
        held += sum(HOLD in one for one in tags)
        deleted += chaos.lab.runner.totals.deletions
        recovered += len(chaos.recovered)
        chaos.check_drills()
        drilled += chaos.drilled
    assert min(marked, held, deleted, recovered, drilled) > 0
