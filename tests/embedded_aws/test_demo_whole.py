"""`snapkeep demo`, as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys

from support.patience import COMMAND_SECONDS


def test_every_check_of_the_demonstration_holds() -> None:
    command = [sys.executable, "-m", "snapkeep", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[:3000]
    ending = json.loads(done.stdout)
    assert [check for check in ending["checks"] if not check["holds"]] == []
    assert ending["all_hold"] is True
    assert len(ending["checks"]) == 19
    volumes = {volume["name"]: volume for volume in ending["volumes"]}
    assert set(volumes) == {"web", "orders", "orders-log", "orders-index", "mail", "vault", "ledger", "scratch"}
    web = volumes["web"]["snapshots"]
    assert [shot["source"]["fate"] for shot in web] == ["deleted", "deleted", "kept", "kept", "kept"]
    assert [shot["copy"]["fate"] for shot in web] == ["deleted", "deleted", "deleted", "kept", "kept"]
    assert all(shot["source"]["reasons"] and shot["copy"]["reasons"] for shot in web)
    assert {run["status"] for run in ending["runs"]} == {"SUCCEEDED", "FAILED"}
    assert "protect vault 1: FAILED CopyFailed" in done.stderr, "progress is printed while it runs"
