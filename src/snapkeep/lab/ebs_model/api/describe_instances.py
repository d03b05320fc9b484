"""DescribeInstances, DescribeInstanceStatus. Source: [EC2 API reference], botocore's service model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from snapkeep.lab.ebs_model.api.instance_states import state_of
from snapkeep.lab.ebs_model.api.volumes import zone_id
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.requests.call import VISIBLE_AFTER_END_SECONDS, Call, Response
from snapkeep.lab.ebs_model.requests.filters import flat_tags_of, parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.requests.response_filters import readers
from snapkeep.lab.ebs_model.store.records import InstanceRecord
from snapkeep.lab.ebs_model.store.tags import as_list

FIELDS = readers(
    "architecture block-device-mapping.attach-time block-device-mapping.delete-on-termination block-device-mapping.device-name "
    "block-device-mapping.status block-device-mapping.volume-id boot-mode capacity-reservation-id "
    "capacity-reservation-specification.capacity-reservation-preference client-token current-instance-boot-mode ebs-optimized "
    "ena-support enclave-options.enabled hibernation-options.configured hypervisor iam-instance-profile.arn "
    "iam-instance-profile.id image-id instance-id instance-lifecycle instance-type ipv6-address kernel-id key-name launch-time "
    "maintenance-options.auto-recovery metadata-options.http-endpoint metadata-options.http-protocol-ipv4 "
    "metadata-options.http-protocol-ipv6 metadata-options.http-put-response-hop-limit metadata-options.http-tokens "
    "metadata-options.instance-metadata-tags metadata-options.state network-performance-options.bandwidth-weighting "
    "operator.managed operator.principal outpost-arn owner-id platform platform-details private-dns-name "
    "private-dns-name-options.enable-resource-name-dns-a-record private-dns-name-options.hostname-type private-ip-address "
    "ramdisk-id requester-id reservation-id root-device-name root-device-type source-dest-check spot-instance-request-id "
    "subnet-id tpm-support usage-operation usage-operation-update-time virtualization-type vpc-id",
    {
        "affinity": "Placement.Affinity",
        "availability-zone": "Placement.AvailabilityZone",
        "availability-zone-id": "Placement.AvailabilityZoneId",
        "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": (
            "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId"
        ),
        "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn": (
            "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationResourceGroupArn"
        ),
        "dns-name": "PublicDnsName",
        "host-id": "Placement.HostId",
        "instance-state-code": "State.Code",
        "instance-state-name": "State.Name",
        "instance.group-id": "SecurityGroups.GroupId",
        "instance.group-name": "SecurityGroups.GroupName",
        "ip-address": "PublicIpAddress",
        "launch-index": "AmiLaunchIndex",
        "monitoring-state": "Monitoring.State",
        "placement-group-name": "Placement.GroupName",
        "placement-partition-number": "Placement.PartitionNumber",
        "private-dns-name-options.enable-resource-name-dns-aaaa-record": (
            "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord"
        ),
        "private-dns-name-options.enable-resource-name-dns-a-record": "PrivateDnsNameOptions.EnableResourceNameDnsARecord",
        "product-code": "ProductCodes.ProductCodeId",
        "product-code.type": "ProductCodes.ProductCodeType",
        "reason": "StateTransitionReason",
        "state-reason-code": "StateReason.Code",
        "state-reason-message": "StateReason.Message",
        "tenancy": "Placement.Tenancy",
        **{
            f"network-interface.{name}": f"NetworkInterfaces.{path}"
            for name, path in {
                "addresses.association.allocation-id": "PrivateIpAddresses.Association.AllocationId",
                "addresses.association.association-id": "PrivateIpAddresses.Association.AssociationId",
                "addresses.association.carrier-ip": "PrivateIpAddresses.Association.CarrierIp",
                "addresses.association.customer-owned-ip": "PrivateIpAddresses.Association.CustomerOwnedIp",
                "addresses.association.ip-owner-id": "PrivateIpAddresses.Association.IpOwnerId",
                "addresses.association.public-dns-name": "PrivateIpAddresses.Association.PublicDnsName",
                "addresses.association.public-ip": "PrivateIpAddresses.Association.PublicIp",
                "addresses.primary": "PrivateIpAddresses.Primary",
                "addresses.private-dns-name": "PrivateIpAddresses.PrivateDnsName",
                "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
                "association.allocation-id": "Association.AllocationId",
                "association.association-id": "Association.AssociationId",
                "association.carrier-ip": "Association.CarrierIp",
                "association.customer-owned-ip": "Association.CustomerOwnedIp",
                "association.ip-owner-id": "Association.IpOwnerId",
                "association.public-dns-name": "Association.PublicDnsName",
                "association.public-ip": "Association.PublicIp",
            }.items()
        },
    },
) | readers(
    "attachment.attach-time attachment.attachment-id attachment.delete-on-termination attachment.device-index "
    "attachment.instance-id attachment.instance-owner-id attachment.network-card-index attachment.status "
    "availability-zone deny-all-igw-traffic description group-id group-name ipv4-prefixes.ipv4-prefix ipv6-address "
    "ipv6-addresses.ipv6-address ipv6-addresses.is-primary-ipv6 ipv6-native ipv6-prefixes.ipv6-prefix mac-address "
    "network-interface-id operator.managed operator.principal outpost-arn owner-id private-dns-name private-ip-address "
    "public-dns-name requester-id requester-managed source-dest-check status subnet-id tag-key tag-value vpc-id",
    {"group-id": "Groups.GroupId", "group-name": "Groups.GroupName"},
    prefix="network-interface.",
)
CHECKS = ("InstanceStatus", "SystemStatus", "AttachedEbsStatus")
STATUS_FIELDS = readers(
    "availability-zone availability-zone-id event.code event.description event.instance-event-id event.not-after "
    "event.not-before event.not-before-deadline instance-status.status operator.managed operator.principal "
    "system-status.status attached-ebs-status.status application-status.status",
    {
        "instance-state-code": "InstanceState.Code",
        "instance-state-name": "InstanceState.Name",
        "instance-status.reachability": "InstanceStatus.Details.Status",
        "system-status.reachability": "SystemStatus.Details.Status",
    },
)


def rendered(call: Call, instance: InstanceRecord) -> Response:
    """Return an instance in the form of DescribeInstances."""
    attached = [call.account.volumes[volume_id] for volume_id in instance.volume_ids]
    interfaces = [call.account.interfaces[name] for name in instance.interface_ids if name in call.account.interfaces]
    details = dict(instance.details)
    placement = {"Tenancy": "default", **details.pop("Placement", {})}
    answer: Response = {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.type,
        "LaunchTime": utc(instance.launched),
        "AmiLaunchIndex": instance.launch_index,
        "Placement": {**placement, "AvailabilityZone": instance.zone, "AvailabilityZoneId": zone_id(instance.zone)},
        "State": state_of(instance.state),
        "RootDeviceName": instance.root_device,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [
            {
                "DeviceName": volume.device,
                "Ebs": {
                    "AttachTime": utc(volume.attached_at),
                    "DeleteOnTermination": volume.delete_on_termination,
                    "Status": volume.attachment_state,
                    "VolumeId": volume.id,
                },
            }
            for volume in attached
        ],
        "NetworkInterfaces": [{name: i[name] for name in i if name not in ("AvailabilityZone", "Tags")} for i in interfaces],
        "SecurityGroups": [group for interface in interfaces for group in interface["Groups"]],
        **details,
    }
    if interfaces:
        first = interfaces[0]
        answer.update({name: first[name] for name in ("SubnetId", "VpcId", "PrivateIpAddress", "SourceDestCheck")})
    if instance.client_token:
        answer["ClientToken"] = instance.client_token
    if instance.tags:
        answer["Tags"] = as_list(instance.tags)
    return answer


def _visible(call: Call) -> list[InstanceRecord]:
    ids = [str(instance_id) for instance_id in call.params.get("InstanceIds") or ()]
    if ids:
        return [call.instance(instance_id) for instance_id in dict.fromkeys(ids)]
    oldest = call.now - VISIBLE_AFTER_END_SECONDS
    return [instance for instance in call.account.instances.values() if not instance.ended or instance.ended >= oldest]


def describe_instances(call: Call) -> Response:
    """DescribeInstances: by id, filters, pages of instances; those of one RunInstances are one reservation.

    Raise InvalidInstanceID.Malformed or InvalidInstanceID.NotFound.
    """
    filters = parsed(call.params.get("Filters"))
    tests = tests_for(filters, FIELDS, flat_tags_of)

    def filterable(pair: tuple[InstanceRecord, Response]) -> Response:
        return {**pair[1], "ReservationId": pair[0].reservation_id, "OwnerId": pair[0].owner_id}

    pairs = [(instance, rendered(call, instance)) for instance in _visible(call)]
    if tests:
        pairs = [pair for pair in pairs if _passes(tests, filterable(pair))]
    chosen, token = page(pairs, lambda pair: pair[0].seq, call.params)
    reservations: dict[str, Response] = {}
    for instance, answer in chosen:
        reservation_id = instance.reservation_id or "r" + instance.id[1:]
        empty: Response = {"ReservationId": reservation_id, "OwnerId": instance.owner_id, "Groups": [], "Instances": []}
        reservations.setdefault(reservation_id, empty)["Instances"].append(answer)
    return {"Reservations": list(reservations.values()), **token}


def _passes(tests: Iterable[Callable[[Response], bool]], answer: Response) -> bool:
    return all(test(answer) for test in tests)


def describe_instance_status(call: Call) -> Response:
    """DescribeInstanceStatus: running ones, or all with IncludeAllInstances; checks take some time after the start."""
    instances = _visible(call)
    if not call.params.get("IncludeAllInstances"):
        instances = [instance for instance in instances if instance.state == "running"]
    tests = tests_for(parsed(call.params.get("Filters")), STATUS_FIELDS, lambda answer: ())  # noqa: ARG005
    pairs = [(instance, _status(call, instance)) for instance in instances]
    pairs = [pair for pair in pairs if _passes(tests, pair[1])]
    chosen, token = page(pairs, lambda pair: pair[0].seq, call.params)
    return {"InstanceStatuses": [answer for _, answer in chosen], **token}


def _status(call: Call, instance: InstanceRecord) -> Response:
    status, check = _check(call, instance)
    answer: dict[str, Any] = {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": zone_id(instance.zone),
        "InstanceState": state_of(instance.state),
        "Events": [],
    }
    for name in CHECKS:
        # Only the instance's own check fails: the underlying system and its volumes have no fault.
        failing = instance.check_fails and name != "InstanceStatus" and status == "impaired"
        shown, detail = ("ok", "passed") if failing else (status, check)
        answer[name] = {"Status": shown}
        if detail:
            answer[name]["Details"] = [{"Name": "reachability", "Status": detail}]
    return answer


def _check(call: Call, instance: InstanceRecord) -> tuple[str, str]:
    if instance.state != "running":
        return "not-applicable", ""
    if call.now < instance.started + call.world.speeds.status_check_seconds:
        return "initializing", "initializing"
    return ("impaired", "failed") if instance.check_fails else ("ok", "passed")
