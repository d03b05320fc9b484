"""The service models that describe the wire: read once, when first asked for."""

from __future__ import annotations

from functools import lru_cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel


@lru_cache(maxsize=8)
def service_model(service: str) -> ServiceModel:
    """Given a service's name, return botocore's model of it. Raise botocore's UnknownServiceError if there is none."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service_name=service)


@lru_cache(maxsize=512)
def operation_model(service: str, action: str) -> OperationModel:
    """Given a service and an action in PascalCase, return its model. Raise OperationNotFoundError if there is none."""
    return service_model(service).operation_model(action)


def is_operation(service: str, action: str) -> bool:
    """Given a service and an action, return whether the service's model has that action."""
    return action in service_model(service).operation_names
