"""What do Organizations and STS answer, as far as the bridge asks them? (reference 4)"""

from collections.abc import Mapping
from typing import Any

from scim_bridge.sandbox.access import Access, Account
from scim_bridge.sandbox.behaviour import OWNER_ACCOUNT, Behaviour
from scim_bridge.sandbox.pages import paged

CALLER_ARN = f"arn:aws:iam::{OWNER_ACCOUNT}:user/sandbox"
CALLER_ID = "AIDASANDBOXSANDBOX000"

_ORGANIZATION = f"arn:aws:organizations::{OWNER_ACCOUNT}:account/o-0123456789"
_MOST = 20
_JOINED = 1_700_000_000


def list_accounts(
    asked: Mapping[str, Any], *, access: Access, behaviour: Behaviour
) -> dict[str, Any]:
    shown, token = paged(
        access.accounts,
        asked,
        key=lambda account: account.sequence,
        most=_MOST,
        page_size=behaviour.page_size,
    )
    return {"Accounts": [_account(one) for one in shown], **token}


def _account(account: Account) -> dict[str, Any]:
    return {
        "Id": account.id,
        "Arn": f"{_ORGANIZATION}/{account.id}",
        "Email": f"{account.name.lower()}@example.com",
        "Name": account.name,
        "Status": "ACTIVE",
        "State": "ACTIVE",
        "JoinedMethod": "INVITED" if account.id == OWNER_ACCOUNT else "CREATED",
        "JoinedTimestamp": _JOINED,
    }


def caller_identity() -> dict[str, Any]:
    """Who signed: everybody who is let in is the same user."""
    return {"UserId": CALLER_ID, "Account": OWNER_ACCOUNT, "Arn": CALLER_ARN}
