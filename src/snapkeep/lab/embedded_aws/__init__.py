"""The embedded AWS: one local process that serves many regions over AWS's own protocols, with the model of EBS inside."""

from snapkeep.lab.embedded_aws.launch.embedded_aws import EmbeddedAws, EmbeddedAwsError, Server
from snapkeep.lab.embedded_aws.server.options import ACCOUNT_ID

__all__ = ["ACCOUNT_ID", "EmbeddedAws", "EmbeddedAwsError", "Server"]
