"""The flows under everything that can happen to them: after every step each invariant holds, and at the end all is copied.

`SNAPKEEP_FLOWS_EXAMPLES=2000` runs longer; `SNAPKEEP_FLOWS_SEED=8` takes other dice. Both are printed.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from support.flows_chaos import Chaos

pytestmark = pytest.mark.slow

STEPS = 50
EXAMPLES = int(os.environ.get("SNAPKEEP_FLOWS_EXAMPLES", "120"))
SEED = int(os.environ.get("SNAPKEEP_FLOWS_SEED", "7"))
SHRINK = os.environ.get("SNAPKEEP_FLOWS_SHRINK", "yes") == "yes"

SMALL = st.integers(0, 7)
CALLS = st.integers(1, 40)


class Flows(RuleBasedStateMachine):
    """Hypothesis chooses what happens next."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.chaos = Chaos()

    @rule(number=SMALL)
    def time_passes(self, number: int) -> None:
        self.chaos.advance(number)

    @rule(number=SMALL)
    def a_little_time_passes(self, number: int) -> None:
        self.chaos.advance(number % 5)

    @rule(number=SMALL)
    def somebody_makes_a_snapshot(self, number: int) -> None:
        self.chaos.create_snapshot(number)

    @rule(number=SMALL)
    def a_snapshot_is_made_and_has_its_time(self, number: int) -> None:
        self.chaos.create_snapshot(number)
        self.chaos.runner.advance(120)

    @rule(number=SMALL)
    def the_system_makes_snapshots(self, number: int) -> None:
        self.chaos.make_snapshots(number)

    @rule()
    def somebody_makes_a_multi_volume_set(self) -> None:
        self.chaos.create_set()

    @rule(kind=st.integers(0, 8), share=SMALL)
    def things_begin_to_go_wrong(self, kind: int, share: int) -> None:
        self.chaos.change_weather(kind, share)

    @rule()
    def things_go_well_again(self) -> None:
        self.chaos.calm_down()

    @rule(number=SMALL)
    def calls_are_throttled(self, number: int) -> None:
        self.chaos.throttle(number)

    @rule()
    def calls_are_let_through(self) -> None:
        self.chaos.let_through()

    @rule(calls=CALLS)
    def a_step_is_killed_soon(self, calls: int) -> None:
        self.chaos.kill_at(calls)

    @rule(calls=CALLS)
    def a_call_is_slow_and_others_go_on_meanwhile(self, calls: int) -> None:
        self.chaos.interleave_at(calls)

    @rule(number=SMALL)
    def two_dispatchers_meet(self, number: int) -> None:
        self.chaos.let_dispatchers_meet(number)

    @rule(keep=SMALL, keep_copies=SMALL, regions=SMALL, with_key=st.booleans(), every=SMALL)
    def the_policy_changes(self, keep: int, keep_copies: int, regions: int, with_key: bool, every: int) -> None:
        self.chaos.change_policy(keep, keep_copies, regions, with_key, every)

    @rule(number=SMALL)
    def a_region_goes_away(self, number: int) -> None:
        self.chaos.take_region_away(number)

    @rule()
    def the_regions_come_back(self) -> None:
        self.chaos.bring_regions_back()

    @rule(number=SMALL, usable=st.booleans())
    def a_key_is_turned(self, number: int, usable: bool) -> None:
        self.chaos.turn_key(number, usable=usable)

    @rule(number=SMALL, keep=SMALL)
    def a_key_rests_while_snapshots_go_on(self, number: int, keep: int) -> None:
        self.chaos.let_a_key_rest(number, keep)

    @rule(number=SMALL)
    def an_image_uses_a_snapshot(self, number: int) -> None:
        self.chaos.use_in_image(number)

    @rule(number=SMALL)
    def a_snapshot_is_locked_or_held(self, number: int) -> None:
        self.chaos.lock_or_hold(number)

    @rule(number=SMALL)
    def somebody_copies_by_hand(self, number: int) -> None:
        self.chaos.copy_by_hand(number)

    @rule(number=SMALL)
    def somebody_deletes_a_source(self, number: int) -> None:
        self.chaos.delete_source(number)

    @rule(number=SMALL)
    def copies_fail_for_an_hour(self, number: int) -> None:
        self.chaos.copies_fail_for_an_hour(number)

    @rule(number=SMALL)
    def a_volume_is_deleted(self, number: int) -> None:
        self.chaos.delete_volume(number)

    @rule(number=st.integers(0, 200))
    def an_event_comes_again(self, number: int) -> None:
        self.chaos.replay_event(number)

    @rule(number=SMALL)
    def a_queue_is_lost(self, number: int) -> None:
        self.chaos.lose_queue(number)

    @rule()
    def a_sweep_begins(self) -> None:
        self.chaos.sweep()

    @rule(number=SMALL)
    def a_dispatcher_is_woken(self, number: int) -> None:
        self.chaos.dispatch(number)

    @invariant()
    def nothing_is_broken(self) -> None:
        Flows.steps += 1
        self.chaos.check()

    def teardown(self) -> None:
        self.chaos.come_to_rest()


def test_invariants_hold_and_each_snapshot_is_copied_or_reported() -> None:
    print(f"SNAPKEEP_FLOWS_SEED={SEED} SNAPKEEP_FLOWS_EXAMPLES={EXAMPLES}")  # noqa: T201 - so that a failure can be run again
    Flows.steps = 0
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if SHRINK else [])]
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(SEED)(Flows), settings=chosen)
    assert Flows.steps >= EXAMPLES * STEPS // 2, "hypothesis cut its examples short"
