"""The source of policies: an identifier for machines, and a label for people."""

from __future__ import annotations

from dataclasses import field

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.records import dataclass


class SourceKind(LabelledEnum):
    """The source of policies."""

    PARAMETERS = "stack_parameters", "stack parameters"
    DEFAULTS = "template_defaults", "the templates' defaults: no stack is deployed"
    DOCUMENT = "document", "document"
    FILE = "file", "file"


@dataclass(frozen=True, slots=True)
class PolicySource:
    """The source of policies, with the version of a stored document or the name of a file."""

    kind: SourceKind
    version: int = field(default=0, metadata=OPTIONAL)
    file: str = field(default="", metadata=OPTIONAL)
    keeps_everything: bool = field(default=False, metadata=OPTIONAL)
    """Whether the retention rules were left out because no stored document is usable."""

    @property
    def label(self) -> str:
        """The source in words, such as `document, version 7`."""
        version = f", version {self.version}" if self.version else ""
        keeping = ", keeping everything: no document is usable" if self.keeps_everything else ""
        return f"{self.file or self.kind.label}{version}{keeping}"


PARAMETERS = PolicySource(SourceKind.PARAMETERS)
DEFAULTS = PolicySource(SourceKind.DEFAULTS)
