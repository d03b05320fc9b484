"""The DR template in partitions other than aws: names of services that differ there are not spelled out."""

from __future__ import annotations

from support.templates import resources


def test_the_log_services_principal_has_the_partitions_suffix() -> None:
    """In China its principal ends in amazonaws.com.cn; a key policy with a principal that does not exist is refused."""
    statements = resources("dr", "AWS::KMS::Key")["Key"]["KeyPolicy"]["Statement"]
    (logs,) = (one for one in statements if one["Sid"] == "Logs")
    assert logs["Principal"] == {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}
