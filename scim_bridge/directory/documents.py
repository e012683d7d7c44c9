"""What is kept of a SCIM resource: its document, and the columns that are filled from it.

A document is the resource as JSON, without what the directory adds (``id``, ``meta``) or keeps as
rows (``members``, ``groups``, and the grants of the extensions), and without what is never
returned, such as a password.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from scim2_models import (
    BaseModel,
    Context,
    EnterpriseUser,
    InvalidValueException,
    Resource,
    Returned,
)

from scim_bridge.directory.comparison import folded, normalized
from scim_bridge.directory.entitlements import (
    EXTENSIONS,
    NamedGrant,
    grants_in,
    without_grants,
)

ENTERPRISE = str(EnterpriseUser.__schema__)

Document = dict[str, Any]

# Stands for names that are returned.
_ANY: Any = object()

_ADDED = ("id", "meta", "members", "groups")


def document_of(resource: Resource[Any]) -> Document:
    """The document of a resource.

    Raises `InvalidValueException` for a string that no database stores: one with a NUL character.
    """
    dumped = _without_members(resource).model_dump(scim_ctx=Context.DEFAULT)
    document = without_grants(_returnable(type(resource), dumped))
    for name in _ADDED:
        document.pop(name, None)
    for name, value in document.items():
        if any("\0" in text for text in _strings(value)):
            raise InvalidValueException(
                attribute=name, detail=f"{name} holds a NUL character, which cannot be stored"
            )
    return document


def _without_members(resource: Resource[Any]) -> Resource[Any]:
    """The same without members, which may be many and are no part of a document."""
    if getattr(resource, "members", None) is None:
        return resource
    return resource.model_copy(update={"members": None})


def grants_of(resource: Resource[Any]) -> tuple[NamedGrant, ...]:
    """What a resource says that it is granted."""
    # Only those extensions: a group may have many members.
    return grants_in(
        {
            schema: extension.model_dump(scim_ctx=Context.DEFAULT)
            for schema, model in resource.get_extension_models().items()
            if schema in EXTENSIONS and (extension := getattr(resource, model.__name__)) is not None
        }
    )


def is_active(document: Document) -> bool:
    """Whether a user's document makes the person active: everything but a false ``active``."""
    return document.get("active") is not False


def primary_email(document: Document) -> str | None:
    """The value of the primary e-mail, or else of the first (RFC 7643 §2.4)."""
    emails = document.get("emails") or []
    chosen = next((email for email in emails if email.get("primary")), emails[0] if emails else {})
    value: str | None = chosen.get("value")
    return value or None


def user_columns(document: Document) -> dict[str, Any]:
    """The columns of a user's row.

    Raises `InvalidValueException` when there is no userName.
    """
    user_name = _required(document, "userName")
    manager = document.get(ENTERPRISE, {}).get("manager") or {}
    return {
        "document": document,
        "user_name": user_name,
        "user_name_folded": folded(user_name),
        "external_id": _prepared(normalized, document.get("externalId")),
        "email_folded": _prepared(folded, primary_email(document)),
        "display_name_folded": _prepared(folded, document.get("displayName")),
        "manager_id": manager.get("value"),
        "active": is_active(document),
    }


def group_columns(document: Document) -> dict[str, Any]:
    """The columns of a group's row.

    Raises `InvalidValueException` when there is no displayName.
    """
    display_name = _required(document, "displayName")
    return {
        "document": document,
        "display_name": display_name,
        "display_name_folded": folded(display_name),
        "external_id": _prepared(normalized, document.get("externalId")),
    }


def _required(document: Document, name: str) -> str:
    value = document.get(name)
    if value is None:
        raise InvalidValueException(attribute=name, detail=f"{name} is required")
    return str(value)


def _prepared(prepare: Any, value: str | None) -> str | None:
    return None if value is None else prepare(value)


def _returnable(model: Any, dumped: Document) -> Document:
    """A dump without the attributes that are never returned, at any depth (RFC 7643 §7)."""
    return cast(Document, _without(_never_returned(model), dumped))


# Names of a model that are never returned, or those of its parts where some are.
_Never = Mapping[str, "_Never | None"]


@cache
def _never_returned(model: Any) -> _Never:
    found: dict[str, _Never | None] = {}
    for field_name, field in model.model_fields.items():
        name = field.serialization_alias or field_name
        part = model.get_field_root_type(field_name)
        if model.get_field_annotation(field_name, Returned) == Returned.never:
            found[name] = None
            continue
        inner = isinstance(part, type) and issubclass(part, BaseModel) and _never_returned(part)
        if inner:
            found[name] = inner
    return found


def _without(never: _Never, dumped: Any) -> Any:
    if isinstance(dumped, list):
        return [_without(never, entry) for entry in dumped]
    kept = {name: value for name, value in dumped.items() if never.get(name, _ANY) is not None}
    for name in never.keys() & kept.keys():
        kept[name] = _without(cast("_Never", never[name]), kept[name])
    return kept


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)
