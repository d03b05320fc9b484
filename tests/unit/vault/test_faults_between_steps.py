"""A vault with a step killed between any two calls, events lost and calls refused; and bugs that the story finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_writers import Ec2Copier
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy import vaults as vault_policy
from snapkeep.domain.policy.model import GoneRetention, Policy
from snapkeep.functions.composition import Composition
from snapkeep.lab.ebs_model import Faults
from snapkeep.usecases.copies.dispatch import Dispatch
from snapkeep.usecases.copies.pull import PullShares
from support.vault_story import STRIDE, VaultStory

ROUGH = Faults(event_lost=0.3, event_doubled=0.3, copy_fails=0.2, api_error=0.05, api_timeout=0.05)


@pytest.mark.parametrize("first_kill", range(1, STRIDE + 1))
def test_a_step_killed_at_any_call_loses_and_repeats_nothing(first_kill: int) -> None:
    story = VaultStory(first_kill=first_kill)
    assert story.tell() == []
    assert story.lab.runner.totals.kills > 0


def test_all_events_may_be_lost() -> None:
    assert VaultStory(faults=Faults(event_lost=1.0)).tell() == []


@pytest.mark.parametrize("first_kill", range(1, 5))
def test_refused_calls_and_failed_copies_with_interruptions(first_kill: int) -> None:
    assert VaultStory(first_kill=first_kill, faults=ROUGH).tell() == []


def gone_counts(patch: pytest.MonkeyPatch) -> None:
    """The vault looks at production's volumes, and keeps fewer copies of deleted ones."""
    policy_of = vault_policy._policy_of

    def with_gone(vault: Any) -> Policy:
        return replace(policy_of(vault), gone=GoneRetention(keep_last=1))

    patch.setattr(vault_policy, "_policy_of", with_gone)
    patch.setattr(Composition, "source_of", lambda parts, region: parts.reader_of(region))


def word_comes_early(patch: pytest.MonkeyPatch) -> None:
    """Word is sent of every copy that has an entry."""
    patch.setattr(Snapshot, "counts_for", lambda *_: True)
    find = PullShares.run

    def run(pull: PullShares, snapshot_ids: Any = (), *, retry_failed: bool = False) -> Any:
        result = find(pull, snapshot_ids, retry_failed=retry_failed)
        shares = pull.shares_of("us-east-2").shared(snapshot_ids)
        pull.buses.send_complete([(share, "snap-0") for share in shares])
        return result

    patch.setattr(PullShares, "run", run)


def word_is_never_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("snapkeep.lab.simulator.memory_ports.MemoryBuses.send_complete", lambda *_: None)


def interrupted_starts_are_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    """The dispatcher starts a copy again without a look whether there is one (INV-09)."""
    patch.setattr(Ec2Reader, "copies_of_snapshots", lambda *_: [])


def the_description_names_the_shared_copy(patch: pytest.MonkeyPatch) -> None:
    """A copy's description has the DR copy as its source, so that each is a lineage of its own."""
    start = Ec2Copier.start_copy

    def start_copy(copier: Ec2Copier, request: CopyRequest) -> str:
        _, snapshot_id = request.copied
        origin = replace(request.origin, snapshot_id=snapshot_id, volume_id="vol-ffffffff")
        return start(copier, replace(request, origin=origin))

    patch.setattr(Ec2Copier, "start_copy", start_copy)


def failed_copies_are_left(patch: pytest.MonkeyPatch) -> None:
    """A copy that failed for good is never requested again."""
    run = PullShares.run
    patch.setattr(PullShares, "run", lambda pull, ids=(), *, retry_failed=False: run(pull, ids, retry_failed=False))


def the_queue_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Each look at a share requests the copy again."""

    def joined(entry: QueueEntry, *_: Any) -> QueueEntry:
        return replace(entry, state=EntryState.WAITING, copy_id="")

    patch.setattr("snapkeep.usecases.copies.pull.find_entry", lambda *_: None)
    patch.setattr(QueueEntry, "joined", joined)


def pending_copies_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """Copies are locked once they have arrived: until then there is a moment in which they can be deleted."""
    patch.setattr(Dispatch, "_request_locks", lambda *_: None)


BUGS = {
    pending_copies_are_not_looked_at: {},
    gone_counts: {},
    word_comes_early: {},
    word_is_never_sent: {},
    interrupted_starts_are_not_looked_for: {"first_kill": 1},
    the_description_names_the_shared_copy: {},
    failed_copies_are_left: {"faults": Faults(copy_fails=0.8)},
    the_queue_is_not_asked: {},
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_story_finds_a_planted_bug(bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    settings: dict[str, Any] = BUGS[bug]
    firsts = range(1, STRIDE + 1) if "first_kill" in settings else (0,)
    assert any(VaultStory(**{**settings, "first_kill": first}).tell() for first in firsts)
