"""Clients with boto3's interface: snake_case methods, the same errors, paginators."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Protocol

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from snapkeep.lab.ebs_model.api.actions import SERVICES
from snapkeep.lab.ebs_model.errors import ApiError, NoAnswer
from snapkeep.lab.ebs_model.requests.call import Params, Response

# The field of a page's items, for every action of the model with a paginator in botocore, and for no other.
RESULT_KEYS = {
    "DescribeSnapshots": "Snapshots",
    "DescribeVolumes": "Volumes",
    "DescribeInstances": "Reservations",
    "DescribeImages": "Images",
    "DescribeTags": "Tags",
    "DescribeVolumeStatus": "VolumeStatuses",
    "DescribeVolumesModifications": "VolumesModifications",
    "DescribeInstanceStatus": "InstanceStatuses",
    "DescribeInstanceTypes": "InstanceTypes",
    "DescribeInstanceTypeOfferings": "InstanceTypeOfferings",
    "DescribeInstanceCreditSpecifications": "InstanceCreditSpecifications",
    "DescribeReplaceRootVolumeTasks": "ReplaceRootVolumeTasks",
    "DescribeVpcs": "Vpcs",
    "DescribeRouteTables": "RouteTables",
    "DescribeVpcEndpoints": "VpcEndpoints",
    "DescribeSubnets": "Subnets",
    "DescribeSecurityGroups": "SecurityGroups",
    "DescribeNetworkInterfaces": "NetworkInterfaces",
    "DescribeSnapshotTierStatus": "SnapshotTierStatuses",
    "ListSnapshotsInRecycleBin": "Snapshots",
    "ListAliases": "Aliases",
}


def snake(action: str) -> str:
    """Return the method's name of an action: `describe_snapshots` for `DescribeSnapshots`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", action).lower()


METHODS = {service: {snake(action): action for action in actions} for service, actions in SERVICES.items()}


class RequestHandler(Protocol):
    """The part of a world that its clients use."""

    def call(
        self,
        service: str,
        action: str,
        params: Params | None = None,
        *,
        region: str,
        account_id: str | None = None,
        caller: str | None = None,
    ) -> Response:
        """Return the answer. Raise ApiError or NoAnswer."""

    def wait_for_answer(self, action: str, answer: Response) -> None:
        """Wait for the duration of the request."""


class Client:
    """One service in one region for one account."""

    def __init__(self, world: RequestHandler, service: str, region: str, account_id: str, caller: str) -> None:
        self._world = world
        self._service = service
        self._region = region
        self._account_id = account_id
        self._caller = caller
        self.exceptions = SimpleNamespace(ClientError=ClientError)
        endpoint = f"https://{service}.{region}.amazonaws.com"
        self.meta = SimpleNamespace(region_name=region, endpoint_url=endpoint, partition="aws")

    def __getattr__(self, name: str) -> Callable[..., Response]:
        action = METHODS[self._service].get(name)
        if action is None:
            raise AttributeError(f"the model has no {self._service}.{name}")

        def method(**params: Any) -> Response:
            return self.send(action, params)

        method.__name__ = name
        self.__dict__[name] = method
        return method

    def send(self, action: str, params: dict[str, Any]) -> Response:
        """Send a request and return its answer; an error takes time too. Raise botocore's errors."""
        answer: Response = {}
        if action == "RunInstances" and params.get("UserData"):  # boto3 encodes it always
            data = params["UserData"]
            params["UserData"] = b64encode(data if isinstance(data, bytes) else data.encode()).decode()
        try:
            answer = self._world.call(
                self._service, action, params, region=self._region, account_id=self._account_id, caller=self._caller
            )
        except ApiError as error:
            raise as_client_error(error, action) from error
        except NoAnswer as error:
            if error.kind == "timeout":
                raise ReadTimeoutError(endpoint_url=self.meta.endpoint_url, error=error) from error
            raise EndpointConnectionError(endpoint_url=self.meta.endpoint_url, error=error) from error
        finally:
            self._world.wait_for_answer(action, answer)
        if "BlockData" in answer:
            answer["BlockData"] = BytesIO(answer["BlockData"])
        answer["ResponseMetadata"] = {"RequestId": "model", "HTTPStatusCode": 200, "RetryAttempts": 0}
        return answer

    def can_paginate(self, operation_name: str) -> bool:
        """Return whether a method has a paginator."""
        return METHODS[self._service].get(operation_name) in RESULT_KEYS

    def get_paginator(self, operation_name: str) -> Paginator:
        """Return a method's paginator. Raise ValueError when it has none."""
        action = METHODS[self._service].get(operation_name, "")
        if action not in RESULT_KEYS:
            raise ValueError(f"Operation cannot be paginated: {operation_name}")
        return Paginator(self, action)


def as_client_error(error: ApiError, action: str) -> ClientError:
    """Return botocore's error for an error of the model."""
    response: Any = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {
            "RequestId": "model",
            "HTTPStatusCode": error.http_status,
            "HostId": "",
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        },
    }
    if error.reason:
        response.update(Reason=error.reason, message=error.message)
    return ClientError(response, action)


class Paginator:
    """The paginator of one action."""

    def __init__(self, client: Client, action: str) -> None:
        self._client = client
        self._action = action

    def paginate(self, PaginationConfig: dict[str, Any] | None = None, **params: Any) -> PageIterator:  # noqa: N803
        """Return the pages of a request, with boto3's PaginationConfig (MaxItems, PageSize)."""
        return PageIterator(self._client, self._action, params, PaginationConfig or {})


class PageIterator:
    """Pages, one request each."""

    def __init__(self, client: Client, action: str, params: dict[str, Any], config: dict[str, Any]) -> None:
        self._client = client
        self._action = action
        self._params = params
        self._config = config

    def __iter__(self) -> Iterator[Response]:
        kms = self._action == "ListAliases"
        token_in, token_out, size = ("Marker", "NextMarker", "Limit") if kms else ("NextToken", "NextToken", "MaxResults")
        key = RESULT_KEYS[self._action]
        params, items_left = dict(self._params), self._config.get("MaxItems")
        if self._config.get("PageSize"):
            params[size] = self._config["PageSize"]
        while True:
            answer = self._client.send(self._action, params)
            if items_left is not None:
                answer[key] = answer[key][:items_left]
                items_left -= len(answer[key])
            yield answer
            token = answer.get(token_out)
            if not token or items_left == 0:
                return
            params[token_in] = token


def make_client(world: RequestHandler, service: str, region: str, account_id: str, caller: str) -> Client:
    """Return a client. Raise ValueError for a service that is not modelled."""
    if service not in SERVICES:
        raise ValueError(f"the model has no service {service!r}: one of {', '.join(SERVICES)}")
    return Client(world, service, region, account_id, caller)
