"""A copy with a planted wrong block in the deployed system: found, marked, not counted, and made again. IAM is enforced."""

from __future__ import annotations

import json

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, install
from support.stacks import wait_for

PAST = "2026-01-01T00:00:00.000Z"
FULL = {"kind": "full", "sample": 0, "part": 0, "parts": 0}


def test_a_copy_with_a_wrong_block_is_found_not_counted_and_made_again(embedded_alone: EmbeddedAws) -> None:
    installation = install(embedded_alone)
    volume_id = installation.volume(Name="database")
    extent = {"region": PRIMARY, "account": installation.account_id, "volume_id": volume_id, "first_block": 0, "count": 8}
    installation.aws.admin("POST", "blocks", extent)
    rule = {"kind": "copy_wrong_blocks", "region": DR, "times": 1, "blocks": 1, "volume_id": volume_id}
    installation.aws.admin("POST", "faults", rule)
    snapshot_id = installation.snapshot(volume_id)

    def proofs() -> dict[str, str]:
        tags = {
            copy["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in copy["Tags"]} for copy in installation.copies_of(snapshot_id)
        }
        return {copy_id: copy_tags["snapkeep:proof"] for copy_id, copy_tags in tags.items() if "snapkeep:proof" in copy_tags}

    [(wrong, verdict)] = wait_for(lambda: list(proofs().items()), 90)
    assert verdict.startswith("DIFFERS sample:300 ")
    assert installation.tags_of(wrong, DR)["snapkeep:check"] == "wrong"

    machine = {"stateMachineArn": installation.outputs["dr"]["VerifyStateMachineArn"], "statusFilter": "FAILED"}
    wait_for(lambda: installation.client("stepfunctions", DR).list_executions(**machine)["executions"])
    # Another copy waits two minutes, until EC2 shows the mark of this one: here they pass at once.
    table, key = installation.client("dynamodb", DR), {"pk": {"S": f"{PRIMARY}#{snapshot_id}#{DR}"}}
    item = table.get_item(TableName="snapkeep-queue", Key=key)["Item"]
    assert item["state"]["S"] == "DELAYED"
    entry = json.loads(item["entry"]["S"]) | {"not_before": PAST}
    table.put_item(TableName="snapkeep-queue", Item={**item, "entry": {"S": json.dumps(entry)}, "due": {"S": PAST}})
    embedded_alone.admin("POST", "schedules/fire", {"account": installation.account_id, "rule": "DispatchSchedule"})
    wait_for(lambda: len(proofs()) == 2, 90)
    [(good, verdict)] = [item for item in proofs().items() if item[0] != wrong]
    assert verdict.startswith("PROVED sample:300 ")
    assert "snapkeep:check" not in installation.tags_of(good, DR)

    execution = installation.run("dr", "VerifyStateMachineArn", {"copy": good, "method": FULL})
    assert execution["status"] == "SUCCEEDED"
    proof = json.loads(execution["output"])["verified"]["proof"]
    assert (proof["verdict"], proof["compared"], proof["reads"], proof["differing"]) == ("PROVED", 8, 16, 0)
    assert len(proof["root"]) == 64
    kept = installation.report(
        "dr", f"s3://{installation.outputs['dr']['ReportsBucketName']}/proofs/{DR}/{volume_id}/{snapshot_id}/{good}/full.json"
    )
    assert kept == proof

    execution = installation.run("dr", "VerifyStateMachineArn", {"copy": wrong, "method": FULL})
    assert (execution["status"], execution["error"]) == ("FAILED", "CopyDiffers")
    assert [copy["SnapshotId"] for copy in installation.copies_of(snapshot_id)].count(wrong) == 1
