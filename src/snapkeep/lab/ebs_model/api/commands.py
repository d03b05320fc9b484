"""Systems Manager's Run Command: documents, the agents of instances, and commands.

Sources: [Systems Manager user guide: setting up EC2 instances; VPC endpoints; message API operations], botocore (ssm
2014-11-06). An agent is connected once its instance runs with an instance profile (the profile's permissions are not modelled)
and can reach Systems Manager: through the internet, or through VPC endpoints for `ssm` and `ssmmessages`. Agents before
3.3.40.0, which need `ec2messages` too, are not modelled. A command succeeds after some seconds. The fault `command_fails` makes
it fail, `command_slow` makes it take longer, and `command_listed_late` lists it later. AWS's own documents are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from snapkeep.lab.ebs_model.api.networks import dns_attributes
from snapkeep.lab.ebs_model.api.routes import leads_to_the_internet
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store.records import InstanceRecord

AGENT_SECONDS = 20.0
"""The time from the start of an instance until its agent is connected. An assumption."""
COMMAND_SECONDS = 8.0
"""An assumption."""
AGENT_SERVICES = ("ssm", "ssmmessages")
MOST_OUTPUT = 2500
MOST_ON_A_PAGE = 50
RESERVED_PREFIXES = ("aws", "amazon", "amzn")
"""Prefixes of the names of AWS's documents (botocore: CreateDocument)."""
HTTPS = 443


def create_document(call: Call) -> Response:
    """CreateDocument: its content is ignored. Raise DocumentAlreadyExists."""
    name = str(call.params["Name"])
    if name.lower().startswith(RESERVED_PREFIXES):
        raise ApiError("ValidationException", f"{name}: the prefix is reserved for documents of AWS")
    if name in call.account.run_command["documents"]:
        raise ApiError("DocumentAlreadyExists", "Document with same name already exists")
    call.account.run_command["documents"].append(name)
    return {"DocumentDescription": {"Name": name, "Status": "Active", "DocumentType": "Command"}}


def describe_instance_information(call: Call) -> Response:
    """DescribeInstanceInformation: the instances whose agents are connected, all on one page."""
    wanted = [str(value) for entry in call.params.get("Filters") or () for value in entry["Values"]]
    listed = [instance for instance in call.account.instances.values() if not wanted or instance.id in wanted]
    online = [instance for instance in listed if _is_online(call, instance)]
    return {"InstanceInformationList": [{"InstanceId": instance.id, "PingStatus": "Online"} for instance in online]}


def send_command(call: Call) -> Response:
    """SendCommand to instances by id. Raise InvalidDocument, InvalidInstanceId if an agent is not connected."""
    document, ids = (
        str(call.params["DocumentName"]).rpartition("document/")[2],
        [str(name) for name in call.params.get("InstanceIds") or ()],
    )
    if document not in call.account.run_command["documents"]:
        raise ApiError("InvalidDocument", f"document hash and hash type don't exist: {document}")
    instances = [call.account.instances.get(name) for name in ids]
    unreached = [name for name, known in zip(ids, instances, strict=True) if known is None or not _is_online(call, known)]
    if unreached or not ids:
        where = f"Instances [[{', '.join(unreached)}]] not in a valid state for account {call.account.account_id}"
        raise ApiError("InvalidInstanceId", where)
    command_id = call.world.ids.uuid()
    rule, slow, late = (
        call.world.faults.hit(kind, call.world.now(), region=call.account.region, source_id=document)
        for kind in ("command_fails", "command_slow", "command_listed_late")
    )
    for name in ids:
        invocation = {
            "CommandId": command_id,
            "InstanceId": name,
            "Comment": str(call.params.get("Comment") or ""),
            "DocumentName": document,
            "Sent": call.now,
            "Listed": call.now + (late.delay_seconds if late else 0.0),
            "Seconds": COMMAND_SECONDS + (slow.delay_seconds if slow else 0.0),
            "ExitCode": 1 if rule else 0,
            "Output": (rule.message if rule else f"{document} on {name}\n")[:MOST_OUTPUT],
        }
        call.account.run_command["commands"].append(invocation)
    return {"Command": {"CommandId": command_id, "DocumentName": document, "InstanceIds": ids, "Status": "Pending"}}


def list_command_invocations(call: Call) -> Response:
    """ListCommandInvocations of an instance or a command since a time, the newest first, on pages of 50 at most."""
    wanted = {name: str(call.params[name]) for name in ("CommandId", "InstanceId") if call.params.get(name)}
    after = [
        datetime.fromisoformat(condition["value"])
        for condition in call.params.get("Filters") or ()
        if condition["key"] == "InvokedAfter"
    ]
    since = max((moment.timestamp() for moment in after), default=0.0)
    found = [
        command
        for command in reversed(call.account.run_command["commands"])
        if command["Sent"] >= since
        and command.get("Listed", 0.0) <= call.now
        and all(command[name] == value for name, value in wanted.items())
    ]
    first = int(call.params.get("NextToken") or 0)
    end = first + int(call.params.get("MaxResults") or MOST_ON_A_PAGE)
    listed = [_shown(call, command, details=bool(call.params.get("Details"))) for command in found[first:end]]
    return {"CommandInvocations": listed, **({"NextToken": str(end)} if end < len(found) else {})}


def _shown(call: Call, invocation: Mapping[str, Any], *, details: bool) -> dict[str, Any]:
    ended = call.now >= invocation["Sent"] + invocation["Seconds"]
    failed = invocation["ExitCode"] != 0
    status = ("Failed" if failed else "Success") if ended else "InProgress"
    step = {"Name": "aws:runShellScript", "Status": status, "StatusDetails": status, "ResponseCode": -1, "Output": ""}
    if ended:
        step.update(ResponseCode=invocation["ExitCode"], Output=invocation["Output"])
    return {
        **{name: invocation[name] for name in ("CommandId", "InstanceId", "Comment", "DocumentName")},
        "RequestedDateTime": datetime.fromtimestamp(invocation["Sent"], UTC),
        "Status": status,
        "StatusDetails": status,
        "CommandPlugins": [step] if details else [],
    }


def _is_online(call: Call, instance: InstanceRecord) -> bool:
    started = instance.state == "running" and call.now >= instance.started + AGENT_SECONDS
    if not started or not instance.details.get("IamInstanceProfile") or not instance.interface_ids:
        return False
    interface = call.account.interfaces[instance.interface_ids[0]]
    groups = {entry["GroupId"] for entry in interface["Groups"]}
    egress = list(_rules(call, groups, "IpPermissionsEgress"))
    anywhere = any(_opens(rule, "0.0.0.0/0") for rule in egress)
    vpc_id = interface["VpcId"]
    if anywhere and leads_to_the_internet(call, vpc_id):
        return True
    if not all(dns_attributes(call, vpc_id).values()):
        return False
    return all(_reaches(call, vpc_id, service, groups, egress) for service in AGENT_SERVICES)


def _reaches(call: Call, vpc_id: str, service: str, groups: set[str], egress: list[dict[str, Any]]) -> bool:
    """Whether the instance reaches an endpoint with private DNS: its groups admit the egress, the endpoint's the ingress."""
    name = f"com.amazonaws.{call.account.region}.{service}"
    for endpoint in call.account.endpoints.values():
        if (endpoint["VpcId"], endpoint["ServiceName"]) != (vpc_id, name) or not endpoint["PrivateDnsEnabled"]:
            continue
        its = {entry["GroupId"] for entry in endpoint["Groups"]}
        out = any(_opens(rule, "0.0.0.0/0", *its) for rule in egress)
        into = any(_opens(rule, "0.0.0.0/0", *groups) for rule in _rules(call, its, "IpPermissions"))
        if out and into:
            return True
    return False


def _rules(call: Call, group_ids: set[str], side: str) -> Iterator[dict[str, Any]]:
    for group_id in sorted(group_ids):
        yield from call.account.security_groups[group_id][side]


def _opens(rule: Mapping[str, Any], *peers: str) -> bool:
    """Whether a rule admits HTTPS with one of these ranges or groups."""
    ports = rule["IpProtocol"] == "-1" or (
        rule["IpProtocol"] == "tcp" and rule.get("FromPort", 0) <= HTTPS <= rule.get("ToPort", 65535)
    )
    named = {item["CidrIp"] for item in rule["IpRanges"]} | {item.get("GroupId") for item in rule["UserIdGroupPairs"]}
    return ports and not named.isdisjoint(peers)
