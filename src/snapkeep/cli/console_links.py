"""Links to AWS's console. Every value is quoted for its place in the URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

_HOSTS = (("cn-", "console.amazonaws.cn"), ("us-gov-", "console.amazonaws-us-gov.com"))
"""Prefix of a partition's regions -> host of its console (AWS docs: China and GovCloud user guides, "Console URLs")."""
_HOST = "console.aws.amazon.com"
_WITHOUT_CONSOLE = ("us-iso", "eu-iso", "eusc-")
"""Prefixes of the regions of partitions whose console has another form."""


@dataclass(frozen=True, slots=True)
class ConsoleLinks:
    """Makes links to the console. Each method returns an empty string where there is none."""

    enabled: bool = True
    """Whether it is AWS: another endpoint has no console."""

    def snapshot(self, region: str, snapshot_id: str) -> str:
        """Return the URL of a snapshot's page."""
        return self._page("ec2", region, f"SnapshotDetails:snapshotId={quote(snapshot_id, safe='')}")

    def volume(self, region: str, volume_id: str) -> str:
        """Return the URL of a volume's page."""
        return self._page("ec2", region, f"VolumeDetails:volumeId={quote(volume_id, safe='')}")

    def execution(self, region: str, arn: str) -> str:
        """Return the URL of a Step Functions execution's page."""
        return self._page("states", region, f"/v2/executions/details/{quote(arn, safe=':')}")

    def _page(self, service: str, region: str, fragment: str) -> str:
        if not self.enabled or not region.replace("-", "").isalnum() or region.startswith(_WITHOUT_CONSOLE):
            return ""
        host = next((host for prefix, host in _HOSTS if region.startswith(prefix)), _HOST)
        return f"https://{region}.{host}/{service}/home?region={region}#{fragment}"


NO_LINKS = ConsoleLinks(enabled=False)
