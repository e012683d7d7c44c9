"""What of a SCIM user or group does Identity Center hold, and how is it written and read there?

The attributes are those of the AWS SCIM developer guide ("Limitations", CreateUser, PatchUser).
Inside the bridge a principal's attributes are flat, keyed by the path a PATCH would name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.values import GROUP_NAME, TEXT, URL, USER_NAME, Taken
from scim_bridge.plan.state import Attributes, Principal

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

MANAGER = f"{ENTERPRISE}:manager"

# Identity Center takes these when it creates a user, but no PATCH of them: PatchUser's list of
# what can be modified leaves them out.
ONLY_AT_CREATION = frozenset({"roles"})
# Identity Center takes these and never shows them, so that reading a user does not tell what became
# of a call whose answer was lost.
NEVER_SHOWN = frozenset({"profileUrl"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One value that Identity Center would refuse."""

    # The SCIM attribute path: "name.givenName".
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Projection:
    """What is sent of a user, and what is not although Identity Center has a place for it."""

    attributes: dict[str, Any]
    withheld: tuple[Problem, ...] = ()


def _text() -> fields.String:
    return fields.String(validate=TEXT)


# --- What is sent -------------------------------------------------------------------------------


class _Sent(Schema):
    """What is not listed is left out: Identity Center refuses what it does not know."""

    class Meta:
        unknown = EXCLUDE


class _SentName(_Sent):
    formatted = _text()
    # The two that are required are checked before a write is accepted, and sent as they are.
    familyName = fields.String()
    givenName = fields.String()
    middleName = _text()
    honorificPrefix = _text()
    honorificSuffix = _text()


class _SentEmail(_Sent):
    value = fields.String()
    type = _text()
    primary = fields.Boolean()


class _SentValue(_Sent):
    """A phone number or a role. ``display`` is not supported."""

    value = _text()
    type = _text()
    primary = fields.Boolean()


class _SentAddress(_Sent):
    formatted = _text()
    streetAddress = _text()
    locality = _text()
    region = _text()
    postalCode = _text()
    country = _text()
    type = _text()
    primary = fields.Boolean()


class _SentManager(_Sent):
    value = _text()


class _SentEnterprise(_Sent):
    employeeNumber = _text()
    costCenter = _text()
    organization = _text()
    division = _text()
    department = _text()
    manager = fields.Nested(_SentManager)


class _SentUser(_Sent):
    userName = fields.String()
    name = fields.Nested(_SentName)
    displayName = fields.String()
    nickName = _text()
    profileUrl = fields.String(validate=URL)
    title = _text()
    userType = _text()
    preferredLanguage = _text()
    locale = _text()
    timezone = _text()
    emails = fields.List(fields.Nested(_SentEmail))
    addresses = fields.List(fields.Nested(_SentAddress))
    phoneNumbers = fields.List(fields.Nested(_SentValue))
    roles = fields.List(fields.Nested(_SentValue))
    enterprise = fields.Nested(_SentEnterprise, data_key=ENTERPRISE)


class _SentGroup(_Sent):
    displayName = fields.String()


# --- What must be right before a write is accepted ----------------------------------------------


def _required(validator: Taken) -> fields.String:
    return fields.String(
        required=True,
        validate=validator,
        error_messages={"required": "Identity Center requires a value"},
    )


class _AcceptedName(_Sent):
    givenName = _required(TEXT)
    familyName = _required(TEXT)


class _AcceptedEmail(_Sent):
    value = _text()


class _AcceptedUser(_Sent):
    userName = _required(USER_NAME)
    displayName = _text()
    name = fields.Nested(_AcceptedName)
    emails = fields.List(fields.Nested(_AcceptedEmail))


class _AcceptedGroup(_Sent):
    displayName = _required(GROUP_NAME)


# --- What is shown ------------------------------------------------------------------------------


class _ShownPrincipal(_Sent):
    id = fields.String(required=True, validate=validate.Length(min=1))
    externalId = fields.String(load_default=None, allow_none=True)
    active = fields.Boolean(load_default=True)


def _shown(sent: type[Schema]) -> Schema:
    """The schema of what is read: that of what is sent, without its limits.

    Other doors than the bridge write to Identity Center as well, and are held to fewer limits.
    """
    plain = {name: _unlimited(field) for name, field in sent._declared_fields.items()}
    return Schema.from_dict(plain)(unknown=EXCLUDE)


def _unlimited(field: fields.Field[Any]) -> fields.Field[Any]:
    match field:
        case fields.Nested():
            return fields.Nested(_shown(type(field.schema)), data_key=field.data_key)
        case fields.List():
            return fields.List(_unlimited(field.inner))
        case _:
            return type(field)()


_SENT_USER = _SentUser()
_SENT_GROUP = _SentGroup()
_ACCEPTED_USER = _AcceptedUser()
_ACCEPTED_GROUP = _AcceptedGroup()
_SHOWN_PRINCIPAL = _ShownPrincipal()
_SHOWN_USER = _shown(_SentUser)
_SHOWN_GROUP = _shown(_SentGroup)


# --- From the directory to Identity Center ------------------------------------------------------


def project_user(document: Mapping[str, Any], *, manager: str | None) -> Projection:
    """What Identity Center gets to hold of a user's SCIM document.

    Of several e-mails, addresses, phone numbers or roles it gets the primary one, else the first,
    marked as primary (AWS SCIM developer guide: one value each, and the e-mail must be primary).
    A missing displayName, givenName or familyName is filled in; an empty value is never sent.
    A value that would be refused is withheld, not rewritten; those that `problems_of_user` reports
    are sent as they are, since nothing can be held without them.

    ``manager`` is the principal id of the person's manager, if there is one.
    """
    user = _filled(_slimmed(document))
    post = {**_mapping(user.get(ENTERPRISE)), "manager": {"value": manager} if manager else None}
    user[ENTERPRISE] = {name: value for name, value in post.items() if value is not None}
    taken, withheld = _sorted_out(_SENT_USER, user)
    return Projection(attributes=_flat(taken), withheld=withheld)


def withheld_of_user(document: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What of a user's SCIM document cannot be sent, although Identity Center has a place for it.

    Where every value can stand anywhere, nothing has to be looked at more closely.
    """
    told = (value for name, value in document.items() if name != "schemas")
    if all(map(TEXT.takes, _strings(told))):
        return ()
    return project_user(document, manager=None).withheld


def _strings(values: Iterable[Any]) -> Iterator[str]:
    """Every string in values, at any depth; for what JSON has beside them, none that is taken."""
    for value in values:
        match value:
            case str():
                yield value
            case Mapping():
                yield from _strings(value.values())
            case list():
                yield from _strings(value)
            case bool() | None:
                pass
            case _:
                yield ""


def project_group(document: Mapping[str, Any]) -> dict[str, Any]:
    """What Identity Center gets to hold of a group's SCIM document, without its members."""
    taken, _ = _sorted_out(_SENT_GROUP, _slimmed(document))
    return _flat(taken)


def problems_of_user(document: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Everything for which Identity Center would refuse a user's SCIM document as a whole.

    userName, givenName and familyName are required; these, displayName and the e-mail that would
    be sent must be values it takes. Nothing else stands in the way: see `Projection.withheld`.
    """
    if is_accepted(document):
        return ()
    slim = _slimmed(document)
    user = _filled(slim)
    if "displayName" not in slim:
        # What was only filled in is not what the client has to mend.
        user.pop("displayName", None)
    return _sorted_out(_ACCEPTED_USER, user)[1]


def is_accepted(document: Mapping[str, Any]) -> bool:
    """Whether a user's document has what is required, and nothing in it can be refused.

    What most documents are, known without a schema: by userName, name, displayName and emails.
    """
    name = document.get("name")
    if not isinstance(name, Mapping) or not USER_NAME.takes(_said(document.get("userName"))):
        return False
    emails = document.get("emails") or ()
    told = (
        name.get("givenName"),
        name.get("familyName"),
        document.get("displayName", "-"),
        *(entry.get("value", "-") for entry in emails),
    )
    return all(TEXT.takes(_said(value)) for value in told)


def _said(value: Any) -> str:
    """A text, or one that is not taken for what is none, or blank."""
    return value if isinstance(value, str) and value.strip() else ""


def problems_of_group(document: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Everything for which Identity Center would refuse a group's SCIM document."""
    return _sorted_out(_ACCEPTED_GROUP, _slimmed(document))[1]


def split_name(formatted: str) -> tuple[str, str] | None:
    """Given and family name of a name of two words, such as "Ada Lovelace"; None for any other.

    "Lovelace, Ada" is not split: a comma says that the order is another.
    """
    words = formatted.split()
    return (words[0], words[1]) if len(words) == 2 and "," not in formatted else None


def user_body(
    attributes: Attributes, *, active: bool, external_id: str | None = None
) -> dict[str, Any]:
    """The body of CreateUser."""
    body = nested(attributes)
    schemas = [USER, ENTERPRISE] if ENTERPRISE in body else [USER]
    return {"schemas": schemas, **_external(external_id), **body, "active": active}


def group_body(attributes: Attributes, *, external_id: str | None = None) -> dict[str, Any]:
    """The body of CreateGroup, without members."""
    return {"schemas": [GROUP], **_external(external_id), **attributes}


def patch_operations(set_: Attributes, remove: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The operations of a PATCH: one for each path, with ``path`` named and ``op`` in lower case.

    ``replace`` sets what is there as well as what is not (RFC 7644 section 3.5.2.3); ``add`` would
    give a multi-valued attribute a second value, which Identity Center refuses.
    """
    return [
        *({"op": "replace", "path": path, "value": value} for path, value in set_.items()),
        *({"op": "remove", "path": path} for path in remove),
    ]


def member_operation(op: str, members: Iterable[str]) -> dict[str, Any]:
    """The operation that adds or removes members by name (AWS SCIM developer guide, PatchGroup)."""
    return {"op": op, "path": "members", "value": [{"value": member} for member in members]}


def patch_body(operations: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


# --- From Identity Center -----------------------------------------------------------------------


def read_user(body: Mapping[str, Any]) -> Principal:
    """A user as Identity Center shows it; what the bridge does not know is left out.

    ``active`` is true where it is not shown.

    :raises Unavailable: there is no id, or ``active`` cannot be read.
    """
    principal = _principal(body)
    shown, _ = _sorted_out(_SHOWN_USER, _slimmed(body))
    return Principal(
        id=principal["id"],
        external_id=principal["externalId"],
        attributes=_flat(shown),
        active=principal["active"],
    )


def read_group(body: Mapping[str, Any]) -> Principal:
    """A group as Identity Center shows it. Its members are never in there.

    :raises Unavailable: there is no id.
    """
    principal = _principal(body)
    shown, _ = _sorted_out(_SHOWN_GROUP, _slimmed(body))
    return Principal(
        id=principal["id"], external_id=principal["externalId"], attributes=_flat(shown)
    )


def _principal(body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        principal: dict[str, Any] = _SHOWN_PRINCIPAL.load(body)
    except ValidationError as error:
        unreadable = ", ".join(map(str, _problems(error.messages)))
        raise Unavailable(f"an answer of Identity Center cannot be read: {unreadable}") from error
    return principal


# --- Shapes -------------------------------------------------------------------------------------

_MULTI_VALUED = frozenset({"emails", "addresses", "phoneNumbers", "roles"})
# What alone makes no address, phone number, e-mail or role.
_LABELS = frozenset({"type", "primary", "display"})


def _slimmed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without empty values, and with one value for each multi-valued attribute."""
    slim = {}
    for name, value in document.items():
        kept = _one_of(value) if name in _MULTI_VALUED else _kept(value)
        if kept is not None:
            slim[name] = kept
    return slim


def _kept(value: Any) -> Any:
    """A value, or None for what is as good as none: null, blank, or an object of nothing else."""
    match value:
        case str():
            return value if value.strip() else None
        case Mapping():
            inner = {name: kept for name in value if (kept := _kept(value[name])) is not None}
            return inner or None
        case _:
            return value


def _one_of(values: Any) -> list[dict[str, Any]] | None:
    """The primary value, else the first, as a list of one, marked as primary."""
    given = values if isinstance(values, list) else []
    kept = [slim for value in given if isinstance(value, Mapping) and (slim := _kept(value))]
    usable = [value for value in kept if value.keys() - _LABELS]
    chosen = next((value for value in usable if value.get("primary") is True), None)
    if chosen is None:
        chosen = usable[0] if usable else None
    return [{**chosen, "primary": True}] if chosen else None


def _filled(user: Mapping[str, Any]) -> dict[str, Any]:
    """A slim user with the names that Identity Center requires, as far as they can be told."""
    name = _mapping(user.get("name"))
    formatted = name.get("formatted")
    if isinstance(formatted, str) and (words := split_name(formatted)):
        name = {"givenName": words[0], "familyName": words[1], **name}
    return {**user, "name": name, **_display_name(user, name)}


def _display_name(user: Mapping[str, Any], name: Mapping[str, Any]) -> dict[str, Any]:
    """displayName, else the formatted name, else given and family name, else userName.

    What would be refused is not filled in, so that nobody is asked to mend what they did not send.
    """
    if "displayName" in user:
        return {"displayName": user["displayName"]}
    both = (name.get("givenName"), name.get("familyName"))
    candidates = (name.get("formatted"), " ".join(map(str, both)) if all(both) else None)
    fitting = (value for value in candidates if isinstance(value, str) and TEXT.takes(value))
    chosen = next(fitting, user.get("userName"))
    return {} if chosen is None else {"displayName": chosen}


def _sorted_out(
    schema: Schema, document: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """What a schema takes of a document, and the problems of the rest."""
    try:
        taken: dict[str, Any] = schema.load(document)
    except ValidationError as error:
        return _mapping(error.valid_data), tuple(_problems(error.messages))
    return taken, ()


def _problems(messages: Any, path: str = "") -> Iterator[Problem]:
    """Marshmallow's messages, each with the SCIM path of its value."""
    if not isinstance(messages, Mapping):
        yield Problem(path=path, reason="; ".join(messages))
        return
    for name, inner in messages.items():
        yield from _problems(inner, path if isinstance(name, int) else _joined(path, name))


def _joined(path: str, name: str) -> str:
    if not path:
        return name
    return f"{path}:{name}" if path == ENTERPRISE else f"{path}.{name}"


def _flat(user: Mapping[str, Any]) -> dict[str, Any]:
    """Loaded attributes by the path that a PATCH would name."""
    flat: dict[str, Any] = {}
    for name, value in user.items():
        match name:
            case "name":
                flat |= {f"name.{part}": inner for part, inner in value.items()}
            case "enterprise":
                flat |= {f"{ENTERPRISE}:{part}": inner for part, inner in value.items() if inner}
            case _ if name in _MULTI_VALUED:
                flat |= {name: value} if value and value[0].keys() - _LABELS else {}
            case _:
                flat[name] = value
    return flat


def nested(attributes: Attributes) -> dict[str, Any]:
    """Flat attributes as SCIM writes them in a body: the inverse of `_flat`."""
    body: dict[str, Any] = {}
    for path, value in attributes.items():
        if path.startswith(f"{ENTERPRISE}:"):
            body.setdefault(ENTERPRISE, {})[path.removeprefix(f"{ENTERPRISE}:")] = value
        elif path.startswith("name."):
            body.setdefault("name", {})[path.removeprefix("name.")] = value
        else:
            body[path] = value
    return body


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _external(external_id: str | None) -> dict[str, str]:
    return {} if external_id is None else {"externalId": external_id}
