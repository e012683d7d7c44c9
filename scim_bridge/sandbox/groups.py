"""What is a group of Identity Center, and which changes of one does it take?

The attributes and limits are those of the AWS SCIM developer guide, CreateGroup and PatchGroup.
Members are kept apart from the group's attributes: no group body ever shows them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scim_bridge.sandbox.patches import Operation, Patch, apply
from scim_bridge.sandbox.refusals import REPLACING_MEMBERS, Invalid
from scim_bridge.sandbox.rules import assigned, free_text, record, text, unreserved, unspaced

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
MEMBERSHIP_CHANGES = 100

Attributes = dict[str, Any]

_group = record(
    {"displayName": unreserved(text), "externalId": unspaced(longest=256)},
    required=("displayName",),
)
_member = record({"value": text, "$ref": free_text, "type": text}, required=("value",))
_PATCHABLE = ("displayName", "externalId", "members")


@dataclass(frozen=True, kw_only=True)
class MembershipChange:
    """One user who joins or leaves the group."""

    joins: bool
    user_id: str


def created(body: object, *, unknown: str = "refuse") -> tuple[Attributes, list[str]]:
    """The group that CreateGroup makes of `body`, and the ids of its first members."""
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object")
    if body.get("schemas", [GROUP]) != [GROUP]:
        raise Invalid(f"schemas: must be [{GROUP}]")
    # What the server sets itself is ignored (RFC 7643 section 3.1); members are kept apart.
    apart = ("schemas", "id", "meta", "members")
    own = {name: value for name, value in body.items() if name not in apart}
    attributes = _checked(_group.known(own) if unknown == "ignore" else own)
    members = body.get("members")
    user_ids = [] if members in (None, []) else _user_ids(members)
    _check_number(len(user_ids))
    return attributes, user_ids


def patched(
    present: Attributes, patch: Patch, *, member_filter_path: bool = False
) -> tuple[Attributes, list[MembershipChange]]:
    """The group after PatchGroup, and who joins and leaves, in order; raises Invalid."""
    after, changes = dict(present), []
    for operation in patch.operations:
        if operation.attribute not in _PATCHABLE:
            raise Invalid(f"{operation.attribute}: cannot be modified by PATCH")
        if operation.attribute == "members":
            changes += _membership_changes(operation, member_filter_path=member_filter_path)
        else:
            apply(operation, after, multi_valued=frozenset())
    _check_number(len(changes))
    return _checked(after), changes


def unique_values(
    attributes: Attributes, *, fold: Callable[[str], str] = str.casefold
) -> set[tuple[str, str]]:
    """What no other group may have. Case always counts in externalId. [inferred]"""
    values = {("displayName", fold(attributes["displayName"]))}
    if "externalId" in attributes:
        values.add(("externalId", attributes["externalId"]))
    return values


def _membership_changes(
    operation: Operation, *, member_filter_path: bool
) -> list[MembershipChange]:
    if operation.op == "replace":
        raise Invalid("members: cannot be replaced", detail=REPLACING_MEMBERS)
    if member_filter_path and operation.op == "remove" and operation.where is not None:
        key, user_id = operation.where
        if key == "value" and len(operation.steps) == 1:
            return [MembershipChange(joins=False, user_id=str(user_id))]
    # The guide shows neither members[value eq "…"] nor members.value. [inferred: both refused]
    if operation.where is not None or len(operation.steps) > 1:
        raise Invalid("members: must be named in the value, not in the path")
    joins = operation.op == "add"
    return [MembershipChange(joins=joins, user_id=one) for one in _user_ids(operation.value)]


def _user_ids(members: object) -> list[str]:
    if not isinstance(members, list) or not members:
        raise Invalid("members: must be a list that names at least one user")
    for member in members:
        _member("members", member)
    return [member["value"] for member in members]


def _check_number(changes: int) -> None:
    if changes > MEMBERSHIP_CHANGES:
        raise Invalid(f"members: {changes} changes in one request, {MEMBERSHIP_CHANGES} at most")


def _checked(attributes: Attributes) -> Attributes:
    present: Attributes = assigned(attributes)
    _group("", present)
    return present
