"""Systems Manager over the model and moto."""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.client import METHODS


class SsmClient:
    """Run Command is the model's, because instances are; parameters are moto's."""

    def __init__(self, modelled: Any, other: Any) -> None:
        self._modelled, self._other = modelled, other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._modelled if name in METHODS["ssm"] else self._other, name)
