"""Which AWS accounts does the organization have?"""

from collections.abc import Iterator
from typing import Unpack

from scim_bridge.identity_center.api_payloads import ACCOUNT, Account, read
from scim_bridge.identity_center.circuit import Circuit
from scim_bridge.identity_center.json_api import JsonApi, TurnPage
from scim_bridge.identity_center.transport import Haste

# ListAccounts takes no larger page.
ACCOUNTS_PER_PAGE = 20


class Organizations:
    """The organization whose management account, or delegated administrator, the bridge uses."""

    def __init__(self, api: JsonApi) -> None:
        self._api = api

    @property
    def circuit(self) -> Circuit:
        return self._api.circuit

    def accounts(
        self, *, turn_page: TurnPage | None = None, **haste: Unpack[Haste]
    ) -> Iterator[Account]:
        """Every account, also those that are suspended or on their way out."""
        shown = self._api.pages(
            "ListAccounts",
            {},
            "Accounts",
            page_size=ACCOUNTS_PER_PAGE,
            turn_page=turn_page,
            **haste,
        )
        return (read(ACCOUNT, one) for one in shown)
