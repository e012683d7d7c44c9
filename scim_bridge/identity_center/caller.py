"""As whom does AWS know the bridge?"""

from typing import Unpack

from scim_bridge.identity_center.api_payloads import IDENTITY, Identity, read
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.exchange import Call
from scim_bridge.identity_center.transport import Haste, Transport


class Caller:
    """The owner of the bridge's credentials, as the Security Token Service tells it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def circuit(self) -> Circuit:
        return self._transport.circuit

    @property
    def ahead(self) -> float | None:
        """Seconds that this machine's clock was ahead of AWS's at the last answer."""
        return self._transport.ahead

    def identity(self, **haste: Unpack[Haste]) -> Identity:
        """Needs no permission: who may not call this has no valid credentials."""
        answer = self._transport.ask(Call(operation="GetCallerIdentity", method="POST"), **haste)
        found: Identity = read(IDENTITY, answer.body)
        return found
