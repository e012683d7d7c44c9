"""Which members does a group PATCH add and remove? Read from the operations, without the group.

RFC 7644, section 3.5.2, and the forms clients use: one object instead of a list, a remove whose
value lists who leaves (Microsoft Entra ID), a pathless value that holds `members` (Okta).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scim2_models import InvalidValueException, PatchOp, PatchOperation, Path, SCIMException
from scim2_models.path import CompareOperator, Comparison

from scim_bridge.scim.provider import Group

_PATCH_OP = str(PatchOp.__schema__)
_SCHEMA = str(Group.__schema__).lower()
_MEMBERS = frozenset({"members", f"{_SCHEMA}:members"})


@dataclass(frozen=True, kw_only=True)
class MemberChanges:
    """The changes of a group's members a PATCH asks for, all operations taken together.

    Without ``replace``: these leave, these join. With it: these are the members.
    """

    add: tuple[str, ...] = ()
    # Named for removal, members or not.
    remove: tuple[str, ...] = ()
    replace: tuple[str, ...] | None = None

    def then_add(self, ids: Sequence[str]) -> "MemberChanges":
        remove = _without(self.remove, ids)
        if self.replace is not None:
            return MemberChanges(remove=remove, replace=_union(self.replace, ids))
        return MemberChanges(add=_union(self.add, ids), remove=remove)

    def then_remove(self, ids: Sequence[str]) -> "MemberChanges":
        replace = None if self.replace is None else _without(self.replace, ids)
        return MemberChanges(
            add=_without(self.add, ids), remove=_union(self.remove, ids), replace=replace
        )

    def then_replace(self, ids: Sequence[str]) -> "MemberChanges":
        return MemberChanges(remove=_without(self.remove, ids), replace=_union((), ids))

    def on(self, present: Sequence[str]) -> "MemberChanges":
        """The same, with the whole list of who is a member afterwards."""
        if self.replace is not None:
            return self
        return MemberChanges(
            remove=self.remove, replace=_union(_without(present, self.remove), self.add)
        )


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _without(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    gone = frozenset(second)
    return tuple(one for one in first if one not in gone)


class Named(NamedTuple):
    """A member as far as the directory looks at it."""

    value: str


# What an entry of `members` may hold beside its value, to be read without a model.
_USUAL = frozenset({"value", "display", "type"})


def named_apart(payload: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Named]] | None:
    """Take the members out of the body of a group, which may be many: none needs a model.

    None if there are none, or if any is not usual; then the SCIM library says what is wrong.
    """
    keys = [name for name in payload if name.lower() in _MEMBERS]
    entries = payload[keys[0]] if len(keys) == 1 else None
    if not isinstance(entries, list) or not entries or not all(map(_is_usual, entries)):
        return None
    rest = {name: value for name, value in payload.items() if name != keys[0]}
    return rest, [Named(entry["value"]) for entry in entries]


def _is_usual(entry: Any) -> bool:
    if not isinstance(entry, dict) or not entry.keys() <= _USUAL or not entry.get("value"):
        return False
    # Asked of each of many: a loop is the fastest.
    for part in entry.values():  # noqa: SIM110
        if not isinstance(part, str):
            return False
    return True


_ADDITION = {"op", "path", "value"}


def plain_additions(payload: Any) -> MemberChanges | None:
    """What a PATCH adds, if it adds members and is written as the standard has it.

    Most PATCHes of groups do nothing else, and need no model. None: read it as any other.
    """
    match payload:
        case {"schemas": [schema], "Operations": [_, *_] as operations} if len(payload) == 2:
            plain = schema == _PATCH_OP and all(map(_is_addition, operations))
        case _:
            return None
    if not plain:
        return None
    named = (entry["value"] for operation in operations for entry in operation["value"])
    return MemberChanges(add=tuple(dict.fromkeys(named)))


def _is_addition(operation: Any) -> bool:
    return (
        isinstance(operation, dict)
        and operation.keys() == _ADDITION
        and operation["op"] == "add"
        and operation["path"] == "members"
        and isinstance(operation["value"], list)
        and operation["value"] != []
        and all(map(_is_usual, operation["value"]))
    )


@dataclass(frozen=True, kw_only=True)
class GroupPatch:
    """A PATCH of a group, taken apart."""

    # None: no operation touches the members.
    members: MemberChanges | None
    # The operations on everything else. None: there are none.
    rest: "PatchOp[Any] | None"


def taken_apart(patch_op: "PatchOp[Any]") -> GroupPatch | None:
    """Take the changes of members out of a PATCH of a group.

    None if an operation reaches members in another way than by their ids, such as a filter on
    `display`: then the group has to be loaded and patched as a whole.

    :raises InvalidValueException: If a member to add or remove is not given by its id.
    """
    operations = [one for each in patch_op.operations or [] for one in _unwrapped(each)]
    if any(_needs_the_group(operation) for operation in operations):
        return None
    members: MemberChanges | None = None
    rest = []
    for operation in operations:
        steps, remainder = _split(operation)
        for step in steps:
            members = _folded(members or MemberChanges(), step)
        if remainder is not None:
            rest.append(remainder)
    return GroupPatch(
        members=members,
        rest=patch_op.model_copy(update={"operations": rest}) if rest else None,
    )


def _unwrapped(operation: PatchOperation[Any]) -> Iterator[PatchOperation[Any]]:
    """The same without the schema that may stand around attributes (RFC 7644, section 3.10).

    It may be the path, or an attribute of a pathless value.
    """
    path, value = operation.path, operation.value
    pathless = path is None or _is_schema(str(path))
    if not pathless or not isinstance(value, Mapping):
        yield operation
        return
    inner = [item for key, item in value.items() if _is_schema(key)]
    outer = {key: item for key, item in value.items() if not _is_schema(key)}
    for attributes in filter(None, (outer, *inner)):
        yield operation.model_copy(update={"path": None, "value": attributes})


def _is_schema(name: str) -> bool:
    return name.lower() == _SCHEMA


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One operation on `members`. Without ids, a remove means everybody."""

    op: PatchOperation.Op
    ids: tuple[str, ...] | None


def _folded(members: MemberChanges, step: _Step) -> MemberChanges:
    match step.op, step.ids:
        case PatchOperation.Op.add, ids:
            return members.then_add(ids or ())
        case PatchOperation.Op.remove, None:
            return members.then_replace(())
        case PatchOperation.Op.remove, ids:
            return members.then_remove(ids or ())
        case _, ids:
            return members.then_replace(ids or ())


def _needs_the_group(operation: PatchOperation[Any]) -> bool:
    if operation.path is None:
        return any(
            key.lower() not in _MEMBERS and _is_about_members(key)
            for key in (operation.value if isinstance(operation.value, Mapping) else {})
        )
    if not _is_about_members(str(operation.path)):
        return False
    if str(operation.path).lower() in _MEMBERS:
        return False
    return operation.op is not PatchOperation.Op.remove or _filtered_id(operation.path) is None


def _is_about_members(path: str) -> bool:
    binding = _resolved(path)
    return binding is not None and binding.field_name == "members"


def _resolved(path: str) -> Any:
    try:
        return Path[Group](path).resolve()
    except SCIMException:
        return None


def _filtered_id(path: Path[Any]) -> str | None:
    """The id in `members[value eq "id"]`, if that is what the path is."""
    binding = path.resolve()
    match path.value_filter:
        case Comparison(attr_path=attribute, op=CompareOperator.eq, value=str() as value) if (
            str(attribute).lower() == "value" and binding and binding.sub_field_name is None
        ):
            return value
        case _:
            return None


def _split(
    operation: PatchOperation[Any],
) -> tuple[list[_Step], PatchOperation[Any] | None]:
    """Split an operation into what it does to the members and what it does to the rest."""
    path, value = operation.path, operation.value
    if path is None and isinstance(value, Mapping):
        return _split_pathless(operation, value)
    if path is None or not _is_about_members(str(path)):
        return [], operation
    if (named := _filtered_id(path)) is not None:
        return [_Step(op=operation.op, ids=(named,))], None
    return [_Step(op=operation.op, ids=None if value is None else _ids(value))], None


def _split_pathless(
    operation: PatchOperation[Any], value: Mapping[str, Any]
) -> tuple[list[_Step], PatchOperation[Any] | None]:
    steps, rest = [], {}
    for key, item in value.items():
        if key.lower() in _MEMBERS:
            steps.append(_Step(op=operation.op, ids=() if item is None else _ids(item)))
        else:
            rest[key] = item
    remainder = operation.model_copy(update={"value": rest}) if rest or not steps else None
    return steps, remainder


def _ids(value: Any) -> tuple[str, ...]:
    return tuple(_id(entry) for entry in (value if isinstance(value, list) else [value]))


def _id(entry: Any) -> str:
    for found in _values(entry):
        if isinstance(found, str) and found:
            return found
    raise InvalidValueException(
        detail='members: each member needs a "value", the id of a user or group'
    )


def _values(entry: Any) -> Iterator[Any]:
    if isinstance(entry, Mapping):
        yield from (item for key, item in entry.items() if key.lower() == "value")
