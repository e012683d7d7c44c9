"""What do the cases of a data file and the results of a suite have in common?"""

import json
from importlib.resources import files
from typing import Any

from conformance.result import Outcome


def data(name: str) -> Any:
    """A JSON file of ``conformance/data``."""
    return json.loads((files("conformance") / "data" / name).read_text("utf-8"))


def user(user_name: str, **attributes: Any) -> dict[str, Any]:
    """The body of a user whom every server should take."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": user_name,
        "name": {"givenName": "Case", "familyName": "Helper"},
        "displayName": user_name,
        "active": True,
        **attributes,
    }


def outcome(reason: str, *, grave: bool = False, open_to_choice: bool = False) -> Outcome:
    """What a reason makes of a case. Where the RFC leaves a choice, only a grave one fails it."""
    if not reason:
        return Outcome.passed
    return Outcome.warned if open_to_choice and not grave else Outcome.failed
