"""botocore's service models, which describe the wire protocols, read once at first use."""

from __future__ import annotations

from functools import lru_cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel


@lru_cache(maxsize=8)
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service. Raise botocore's UnknownServiceError if there is none."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service_name=service)


@lru_cache(maxsize=512)
def operation_model(service: str, action: str) -> OperationModel:
    """Return the model of an action in PascalCase. Raise OperationNotFoundError if there is none."""
    return service_model(service).operation_model(action)
