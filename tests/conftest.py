"""The same examples on every machine and in every order: no deadline, no dice, and nothing taken from what else is loaded.

Hypothesis mixes constants of all modules that are loaded at the moment into its examples. Which those are depends on the tests
that ran before in the same process, so that an example came or stayed away by the order of the tests.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

settings.register_profile("snapkeep", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("snapkeep")


@pytest.fixture(autouse=True)
def _no_constants_of_loaded_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(providers.is_local_module_file), "Hypothesis looks for constants another way now: see this file's first lines"
    monkeypatch.setattr(providers, "is_local_module_file", lambda path: False)
    monkeypatch.setattr(providers, "_local_constants", providers.Constants())
    providers.CONSTANTS_CACHE.cache.clear()
