"""What is a user of Identity Center, and which users does it take?

The attributes and limits are those of the AWS SCIM developer guide, CreateUser, PutUser and
PatchUser. A user is a plain dictionary of SCIM attributes; these functions make a new one or raise
Invalid.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from scim_bridge.sandbox.patches import Patch, apply
from scim_bridge.sandbox.refusals import Invalid
from scim_bridge.sandbox.rules import (
    Rule,
    assigned,
    boolean,
    free_text,
    record,
    single,
    text,
    unreserved,
    unspaced,
)

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

Attributes = dict[str, Any]

_NOTHING: Attributes = {}
_NAME = ("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix")
_PLACE = ("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type")
_POST = ("employeeNumber", "costCenter", "organization", "division", "department")
_TYPED = {"value": text, "type": text, "primary": boolean}

# `groups`, password, ims, photos, x509Certificates and entitlements are absent, as are `display` of
# the multi-valued attributes and `manager.displayName`: the guide calls them unsupported.
_ATTRIBUTES: dict[str, Rule] = {
    "userName": unreserved(unspaced(longest=128)),
    "externalId": unspaced(longest=256),
    "name": record(dict.fromkeys(_NAME, text), required=("givenName", "familyName")),
    "displayName": text,
    "nickName": text,
    "profileUrl": free_text,
    "title": text,
    "userType": text,
    "preferredLanguage": free_text,
    "locale": free_text,
    "timezone": free_text,
    "active": boolean,
    "emails": single(record(_TYPED, required=("value",))),
    "addresses": single(record({**dict.fromkeys(_PLACE, text), "primary": boolean})),
    "phoneNumbers": single(record(_TYPED)),
    "roles": single(record(_TYPED)),
    ENTERPRISE: record(
        {
            **dict.fromkeys(_POST, text),
            "manager": record({"value": text, "$ref": free_text}, required=("value",)),
        }
    ),
}
_user = record(_ATTRIBUTES, required=("userName", "name", "displayName"))

# PatchUser's list of what can be modified does not name `roles`. [documented by omission]
_PATCHABLE = _ATTRIBUTES.keys() - {"roles"}
_MULTI_VALUED = frozenset({"emails", "addresses", "phoneNumbers"})
_ONCE = ("userName", "active")


def created(body: object, *, unknown: str = "refuse") -> Attributes:
    """The user that CreateUser makes of `body`. `active` is true unless the body says otherwise."""
    return {"active": True, **_checked(_writable(body, unknown=unknown))}


def replaced(body: object, *, omitted_active: bool, unknown: str = "refuse") -> Attributes:
    """The user that PutUser makes of `body`: what it leaves out is dropped.

    What an omitted `active` means is not documented.
    """
    return {"active": omitted_active, **_checked(_writable(body, unknown=unknown))}


def patched(present: Attributes, patch: Patch) -> Attributes:
    """The user after PatchUser; raises Invalid when an operation or the outcome is not allowed."""
    _check_operations(patch)
    after = deepcopy(present)
    for operation in patch.operations:
        apply(operation, after, multi_valued=_MULTI_VALUED)
    after["active"] = _as_boolean(after["active"])
    return _checked(after, before=present)


def shown(attributes: Attributes) -> Attributes:
    """The attributes as AWS answers them: without profileUrl, and manager with its value only."""
    answer = {name: value for name, value in attributes.items() if name != "profileUrl"}
    enterprise = answer.get(ENTERPRISE)
    if enterprise and "manager" in enterprise:
        manager = {"value": enterprise["manager"]["value"]}
        answer[ENTERPRISE] = {**enterprise, "manager": manager}
    return answer


def schemas(attributes: Attributes) -> list[str]:
    return [USER, ENTERPRISE] if ENTERPRISE in attributes else [USER]


def unique_values(
    attributes: Attributes, *, fold: Callable[[str], str] = str.casefold
) -> set[tuple[str, str]]:
    """What no other user may have. Case always counts in externalId. [inferred]"""
    values = {("userName", fold(attributes["userName"]))}
    if "externalId" in attributes:
        values.add(("externalId", attributes["externalId"]))
    for email in attributes.get("emails", []):
        values.add(("emails", fold(email["value"])))
    return values


def edits_more_than_active(patch: Patch) -> bool:
    return any(operation.attribute != "active" for operation in patch.operations)


def _writable(body: object, *, unknown: str) -> Attributes:
    """The body without what the server sets itself (RFC 7643 section 3.1) and is ignored."""
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object")
    if "schemas" in body:
        _check_schemas(body["schemas"])
    own = {name: value for name, value in body.items() if name not in ("schemas", "id", "meta")}
    return _user.known(own) if unknown == "ignore" else own


def _check_schemas(named: object) -> None:
    """The guide's own CreateUser example has no `schemas`; where there are, they must be right."""
    known = isinstance(named, list) and set(map(str, named)) <= {USER, ENTERPRISE}
    if not known or USER not in named:  # type: ignore[operator]  # a list, just checked
        raise Invalid(f"schemas: must name {USER}, and may name {ENTERPRISE}")


def _checked(attributes: Attributes, *, before: Attributes = _NOTHING) -> Attributes:
    """Raises Invalid. What a patch leaves as it was `before` is not looked at again: the Identity
    Store API takes values that the SCIM endpoint would not.
    """
    present: Attributes = assigned(attributes)
    untouched = {name for name in before if present.get(name) == before[name]}
    _user.check("", present, untouched=untouched)
    for email in [] if "emails" in untouched else present.get("emails", []):
        if email.get("primary") is not True:
            raise Invalid("emails.primary: the e-mail must be marked as primary")
    return present


def _check_operations(patch: Patch) -> None:
    for operation in patch.operations:
        if operation.attribute not in _PATCHABLE:
            raise Invalid(f"{operation.attribute}: cannot be modified by PATCH")
        if operation.op == "remove" and operation.attribute in _ONCE:
            raise Invalid(f"{operation.attribute}: cannot be removed")
        if operation.op == "remove" and operation.value is not None:
            raise Invalid(f"{operation.attribute}: remove takes no value")
    for name in _ONCE:
        if sum(operation.attribute == name for operation in patch.operations) > 1:
            raise Invalid(f"{name}: only one operation per request is allowed")


def _as_boolean(value: object) -> object:
    """The guide's PATCH example sends `active` as a string; booleans are what clients send."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
