"""An Identity Center on this machine: who wants to try a SCIM connector without an AWS account?

The sandbox answers at the SCIM endpoint and at the Identity Store, SSO Admin, Organizations and STS
APIs as AWS documents them, with AWS's limits and error bodies, really checks SigV4 signatures and
bearer tokens, and can be told to misbehave. What AWS leaves open is decided to the stricter side,
or is a switch of `Behaviour`, and is marked [inferred] where it is decided. It shares no code with
the bridge's own AWS adapter, so that a misreading of AWS in one is caught by the other.
"""

from scim_bridge.sandbox.app import create_app
from scim_bridge.sandbox.behaviour import (
    ACCESS_KEY,
    BEARER_TOKEN,
    DOCUMENTED_RATES,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    REGION,
    SECRET_KEY,
    SIGNING_SERVICE,
    TENANT,
    Behaviour,
    UnknownBehaviour,
    read_behaviour,
)
from scim_bridge.sandbox.configuration import write_config
from scim_bridge.sandbox.server import SandboxServer, serve

__all__ = [
    "ACCESS_KEY",
    "BEARER_TOKEN",
    "DOCUMENTED_RATES",
    "IDENTITY_STORE_ID",
    "INSTANCE_ARN",
    "REGION",
    "SECRET_KEY",
    "SIGNING_SERVICE",
    "TENANT",
    "Behaviour",
    "SandboxServer",
    "UnknownBehaviour",
    "create_app",
    "read_behaviour",
    "serve",
    "write_config",
]
