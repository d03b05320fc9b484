"""INV-22: requests of ModifySnapshotAttribute against the policy of the one role that may make them, as IAM evaluates it."""

from __future__ import annotations

from typing import Any

import pytest

from support.role_evaluation import is_allowed

VAULT, SECOND, STRANGER = "210987654321", "310987654321", "999988887777"
MANAGED = {"snapkeep:managed": "snapkeep"}


def allowed(tags: dict[str, str], **request: Any) -> bool:
    """Return whether IAM allows a request, with two accounts in VaultAccounts."""
    accounts = {"VaultAccounts": f"{VAULT},{SECOND}"}
    return is_allowed("ShareWithVaultRole", "ModifySnapshotAttribute", request, tags, accounts)


def adding(*accounts: str, **more: Any) -> dict[str, Any]:
    return {"OperationType": "add", "UserIds": list(accounts), **more}


@pytest.mark.parametrize("request_", [adding(VAULT), adding(SECOND), adding(VAULT, SECOND)])
def test_managed_copies_are_shared_with_vaults(request_: dict[str, Any]) -> None:
    assert allowed(MANAGED, **request_)


@pytest.mark.parametrize("accounts", [[VAULT], [STRANGER]])
def test_shares_of_managed_copies_are_taken_back(accounts: list[str]) -> None:
    assert allowed(MANAGED, OperationType="remove", UserIds=accounts)


@pytest.mark.parametrize(
    ("tags", "request_"),
    [
        (MANAGED, adding(STRANGER)),
        (MANAGED, adding(VAULT, STRANGER)),
        (MANAGED, {"OperationType": "add", "GroupNames": ["all"]}),
        (MANAGED, adding(VAULT, GroupNames=["all"])),
        (MANAGED, {"CreateVolumePermission": {"Add": [{"UserId": STRANGER}], "Remove": [{"UserId": VAULT}]}}),
        (MANAGED, {"CreateVolumePermission": {"Add": [{"Group": "all"}]}}),
        ({}, adding(VAULT)),
        ({"snapkeep:managed": "snapkeep2"}, adding(VAULT)),
        ({}, {"OperationType": "remove", "UserIds": [VAULT]}),
    ],
)
def test_no_other_request_is_allowed(tags: dict[str, str], request_: dict[str, Any]) -> None:
    assert not allowed(tags, **request_)
