"""One embedded AWS for a whole test session. Each test uses an account of its own (`account_id`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from snapkeep.lab.embedded_aws import EmbeddedAws

# Fast enough that no test waits, slow enough to see operations in progress.
FAST_WORLD = {
    "version": 1,
    "speeds": {
        "snapshot_base_seconds": 0.3,
        "copy_base_seconds": 0.5,
        "key_check_seconds": 0.3,
        "failure_seconds": 0.3,
        "volume_create_seconds": 0.05,
    },
}
_accounts = itertools.count(100_000_000_001)


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(world_document=FAST_WORLD) as aws:
        yield aws


@pytest.fixture
def embedded_alone() -> Iterator[EmbeddedAws]:
    """One embedded AWS for a single test, for state that all accounts share, such as the clock."""
    with EmbeddedAws(world_document=FAST_WORLD) as aws:
        yield aws


@pytest.fixture
def account_id() -> str:
    return str(next(_accounts))
