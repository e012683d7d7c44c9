"""How may a client depart from RFC 7643 and RFC 7644? Each deviation is a rule with a name.

A rule rewrites parsed JSON, or the text of a filter, into what the standards have. It is pure, it
changes nothing that keeps to the standards already, and a second time it changes nothing more.
The strict dialect rewrites nothing but a password, and refuses what the SCIM libraries would let
pass. It lets pass on purpose, as nothing can be mistaken in it: an empty string for a value that is
no boolean.

Clients, and how sure each deviation is: E Microsoft Entra ID (E-flag with aadOptscim062020, E-old
its older jobs), O Okta (O-AIW apps of its integration wizard), P1 PingOne, S SAP, HR hand-made.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Any, Literal, cast

from scim2_models import ScimPolicy

from scim_bridge.scim.shape import Attribute, Shape

Object = dict[str, Any]
DialectName = Literal["tolerant", "strict"]

_DRAFTS: Mapping[str, str] = {
    "urn:scim:schemas:core:1.0": "core",
    "urn:scim:schemas:core:2.0": "core",
    "urn:scim:schemas:core:2.0:user": "core",
    "urn:scim:schemas:core:2.0:group": "core",
    "urn:scim:schemas:extension:enterprise:1.0": "enterprise",
    "urn:scim:schemas:extension:enterprise:1.0:user": "enterprise",
    "urn:scim:schemas:extension:enterprise:2.0:user": "enterprise",
}
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"
# What a vendor may name its own extensions; anything else that nobody knows is refused.
_FOREIGN = re.compile(r"urn:(ietf:params:)?scim:schemas:extension:.+", re.I | re.S)
# Attributes that decide about access: nothing that looks like one of them is dropped.
_MATTER = ("active", "username", "members", "accountassignments", "applications")
# Read-only attributes that clients send back as they read them.
_ECHOED = frozenset({"meta", "groups", "display", "displayName"})
# How alike two names are for one to be the other misspelt: of an attribute, of a schema.
_ALIKE, _SAME_SCHEMA = 0.81, 0.93

_STRING = r'"(?:[^"\\]|\\.)*"'
_COMPARED = re.compile(
    rf"(?<![\w.:$-])(?P<name>[\w.:$-]+)(?P<op>\s+(?:eq|ne)\s+)"
    rf'(?:"(?P<value>true|false)"|(?P<bare>true|false)(?![\w.:$-]))|{_STRING}',
    re.I | re.S,
)
_BARE = re.compile(r'\s*(?P<name>[\w.:$-]+)\s+(?P<op>eq)\s+(?P<word>[^\s"()\[\]]+)\s*', re.I)
_ID_OR_ADDRESS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^@]+@[^@]+", re.I)
_MANAGER = re.compile(
    rf"(?<![\w.:$-])manager(?P<sub>\.\w+)?(?=\s+(?:eq|ne|co|sw|ew|pr)\b)|{_STRING}", re.I | re.S
)
_BRACKETS = re.compile(r"\[(.*)\]", re.S)


class Where(StrEnum):
    """What a rule is given."""

    # A message, by the schema of the message: of a PATCH, a Bulk request or a search by POST.
    MESSAGE = "message"
    # A resource as it is created or replaced.
    RESOURCE = "resource"
    # Any object within one.
    OBJECT = "object"
    # The message of a PATCH, by the schemas of the resource.
    PATCH = "patch"
    # What a PATCH operation sets: an object within its value, or, if its path leads to an
    # attribute, an object of that attribute and its value alone.
    VALUE = "value"
    # Only an object within the value of a PATCH operation.
    WITHIN = "within"
    FILTER = "filter"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One deviation that is understood."""

    name: str
    # For the operator: what the client sends, and how it is read.
    meaning: str
    clients: str
    source: str
    where: frozenset[Where] = frozenset()
    # None: not applicable. A rule without one is carried out by scim2-models, by its policy.
    rewrite: Callable[[Any, Shape], Any | None] | None = None
    # What the rule leaves out because nothing can take it, by name.
    drops: Callable[[Any, Shape], tuple[str, ...]] | None = None


# ---------------------------------------------------------------------------------------------
# Values


def _at_each(change: Callable[[Any, Attribute], Any]) -> Callable[[Object, Shape], Object | None]:
    """A rewrite that changes values one by one. What comes back as it went is unchanged."""

    def rewrite(found: Object, shape: Shape) -> Object | None:
        changed = {}
        for name, value in found.items():
            attribute = shape.attribute(name)
            if attribute and (new := change(value, attribute)) is not value:
                changed[name] = new
        return {**found, **changed} if changed else None

    return rewrite


def _unwrapped(value: Any, attribute: Attribute) -> Any:
    if attribute.several or not isinstance(value, list) or len(value) != 1:
        return value
    (only,) = value
    if attribute.shape is None and isinstance(only, dict):
        named = {name.lower(): item for name, item in only.items()}
        only = named["value"] if named.keys() in ({"value"}, {"value", "$ref"}) else value
    # A list in a list is nothing that anybody means.
    return value if isinstance(only, list) else only


def _truth(value: Any, attribute: Attribute) -> Any:
    if not attribute.boolean or not isinstance(value, str):
        return value
    return {"true": True, "false": False}.get(value.strip().lower(), value)


def _in_digits(value: Any, attribute: Attribute) -> Any:
    """A whole number as text. Of a fraction nobody knows how it was written: 10.10 is 10.1."""
    takes = attribute.text and not attribute.several
    return str(value) if takes and type(value) is int else value


def _no_boolean(value: Any, attribute: Attribute) -> Any:
    return None if attribute.boolean and isinstance(value, str) else value


def _referring(value: Any, attribute: Attribute) -> Any:
    """The id of a resource as the complex attribute that refers to it. Only `manager` is one."""
    refers = attribute.shape and {"value", "$ref"} <= attribute.shape.attributes.keys()
    if not refers or attribute.several or not isinstance(value, str) or not value.strip():
        return value
    return {"value": value}


def _listed(value: Any, attribute: Attribute) -> Any:
    return [value] if attribute.several and isinstance(value, dict) else value


def _absent(value: Any, attribute: Attribute) -> Any:
    # Not where a list is meant: nobody leaves a group because of an empty string.
    return None if value == "" and not attribute.several else value


def _writable(found: Object, shape: Shape) -> Object | None:
    """Without what clients echo. An id is left, to be compared with the resource's own."""
    kept = {name: value for name, value in found.items() if not _is_echo(name, value, shape)}
    return kept if len(kept) < len(found) else None


def _groups(found: Object, shape: Shape) -> tuple[str, ...]:
    """The groups that a client says a user is in: nobody joins or leaves one so."""
    return tuple(
        name for name in found if name.lower() == "groups" and _is_echo(name, found[name], shape)
    )


def _is_echo(name: str, value: Any, shape: Shape) -> bool:
    attribute = shape.attribute(name)
    if attribute is None or not attribute.read_only:
        return False
    return attribute.name in _ECHOED or (attribute.name == "id" and value in (None, ""))


# ---------------------------------------------------------------------------------------------
# Schemas, and names that carry one


def _with_schemas(found: Object, shape: Shape) -> Object | None:
    if any(name.lower() == "schemas" and value not in (None, []) for name, value in found.items()):
        return None
    others = {name: value for name, value in found.items() if name.lower() != "schemas"}
    return {"schemas": [shape.schema], **others}


def _in_schemas(
    change: Callable[[list[Any], Shape], list[Any]],
) -> Callable[[Object, Shape], Object | None]:
    def rewrite(found: Object, shape: Shape) -> Object | None:
        key = next((name for name in found if name.lower() == "schemas"), None)
        listed = found.get(key) if key else None
        if (
            key is None
            or not isinstance(listed, list)
            or not all(isinstance(u, str) for u in listed)
        ):
            return None
        new = change(listed, shape)
        if new == listed:
            return None
        others = {name: value for name, value in found.items() if name != key}
        # Without any, the endpoint says which schema is meant.
        return {key: new or [shape.schema], **others}

    return rewrite


def _known(listed: list[str], shape: Shape) -> list[str]:
    return [urn for urn in listed if urn.lower() in shape.schemas or _matters_as_schema(urn, shape)]


def _standard(urn: str, shape: Shape) -> str:
    """The standard's URN for that of a draft."""
    match _DRAFTS.get(urn.lower()):
        case "core":
            return cast(str, shape.schema)
        case "enterprise" if extension := shape.extensions.get(_ENTERPRISE):
            return cast(str, extension.schema)
        case _:
            return urn


def _standard_schemas(listed: list[str], shape: Shape) -> list[str]:
    return list(dict.fromkeys(_standard(urn, shape) for urn in listed))


def _standard_name(name: str, shape: Shape) -> str:
    """A key or path, with the standard's URN for that of a draft."""
    lowered = name.lower()
    for draft in sorted(_DRAFTS, key=len, reverse=True):
        standard = _standard(draft, shape)
        if standard == draft:
            continue
        if lowered == draft:
            return standard
        if lowered.startswith((f"{draft}:", f"{draft}.")):
            return standard + name[len(draft) :]
    return name


def _colon_name(name: str, shape: Shape) -> str:
    """`urn:...:User.department` as the standard has it: `urn:...:User:department`."""
    lowered = name.lower()
    for urn in shape.schemas:
        if lowered.startswith(f"{urn}."):
            return f"{name[: len(urn)]}:{name[len(urn) + 1 :]}"
    return name


def _renamed(found: Object, shape: Shape, rename: Callable[[str, Shape], str]) -> Object | None:
    """An object whose keys are renamed, unless two would then be one."""
    names = {name: rename(name, shape) for name in found}
    if all(old == new for old, new in names.items()):
        return None
    if len({new.lower() for new in names.values()}) < len(names):
        return None
    return {names[name]: value for name, value in found.items()}


def _draft_resource(found: Object, shape: Shape) -> Object | None:
    schemas = _in_schemas(_standard_schemas)(found, shape)
    names = _renamed(schemas or found, shape, _standard_name)
    return names or schemas


def _foreign(names: Iterable[str], shape: Shape) -> tuple[str, ...]:
    return tuple(name for name in names if _is_foreign(name, shape))


def _is_foreign(name: str, shape: Shape) -> bool:
    """Whether a key or path belongs to an extension that nobody here knows.

    What looks like a schema of ours, or ends in an attribute that matters, is no such thing but a
    mistake: it is left to be refused.
    """
    if not _FOREIGN.fullmatch(name) or shape.target(name) is not None:
        return False
    if any(name.lower().startswith(f"{urn}{mark}") for urn in shape.schemas for mark in ":."):
        return False
    return not _matters_as_schema(name, shape) and not _matters(re.split(r"[:.]", name)[-1])


def _matters_as_schema(urn: str, shape: Shape) -> bool:
    lowered = urn.lower()
    for candidate in (lowered, lowered.rpartition(":")[0]):
        if get_close_matches(candidate, shape.schemas, n=1, cutoff=_SAME_SCHEMA):
            return True
    return False


def _matters(name: str) -> bool:
    return bool(get_close_matches(name.lower(), _MATTER, n=1, cutoff=_ALIKE))


def _foreign_extensions(found: Object, shape: Shape) -> tuple[str, ...]:
    """The extensions of a resource that nobody knows, if nothing in them can matter."""
    return tuple(
        name for name in _foreign(found, shape) if not any(map(_matters, _keys_in(found[name])))
    )


def _keys_in(value: Any) -> Iterator[str]:
    """The keys of every object in a value."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _without(
    drops: Callable[[Object, Shape], tuple[str, ...]],
) -> Callable[[Object, Shape], Object | None]:
    def rewrite(found: Object, shape: Shape) -> Object | None:
        dropped = frozenset(drops(found, shape))
        return {n: v for n, v in found.items() if n not in dropped} if dropped else None

    return rewrite


def _password(found: Object, shape: Shape) -> tuple[str, ...]:
    # Only a user has one: that of a group is a mistake, and left to be refused.
    if shape.attribute("password") is None:
        return ()
    return tuple(name for name in found if name.lower() == "password")


# ---------------------------------------------------------------------------------------------
# PATCH: the operations, whose names have no case

Operations = list[Any]


def _each_operation(
    change: Callable[[Object, Shape], list[Object] | None],
) -> Callable[[Object, Shape], Object | None]:
    """A rewrite of the operations one by one. None leaves an operation as it is."""

    def rewrite(patch: Object, shape: Shape) -> Object | None:
        key, operations = operations_of(patch)
        new: Operations = []
        applied = False
        for operation in operations:
            changed = change(operation, shape) if isinstance(operation, dict) else None
            applied = applied or changed is not None
            new += [operation] if changed is None else changed
        return {**patch, cast(str, key): new} if applied else None

    return rewrite


def operations_of(patch: Object) -> tuple[str | None, Operations]:
    """The operations of a message, and their name as it is written."""
    for name, value in patch.items():
        if name.lower() == "operations" and isinstance(value, list):
            return name, value
    return None, []


def member(operation: Object, name: str) -> tuple[str, Any]:
    """A member of an operation, with its name as it is written."""
    return next(((n, v) for n, v in operation.items() if n.lower() == name), (name, None))


def _lower_op(operation: Object, _shape: Shape) -> list[Object] | None:
    key, op = member(operation, "op")
    if (
        not isinstance(op, str)
        or op.lower() == op
        or op.lower() not in ("add", "remove", "replace")
    ):
        return None
    return [{**operation, key: op.lower()}]


def _renamed_paths(
    operation: Object, shape: Shape, *, rename: Callable[[str, Shape], str]
) -> list[Object] | None:
    (path_key, path), (value_key, value) = member(operation, "path"), member(operation, "value")
    new = dict(operation)
    if isinstance(path, str):
        new[path_key] = rename(path, shape)
    elif isinstance(value, dict):
        new[value_key] = _renamed(value, shape, rename) or value
    return [new] if new != operation else None


def _separated(operation: Object, shape: Shape) -> list[Object] | None:
    """An operation on a whole schema with paths as keys, as one operation for each path."""
    (path_key, path), (key, value) = member(operation, "path"), member(operation, "value")
    holder = shape if path is None else shape.schemas.get(str(path).lower())
    if holder is None or not isinstance(value, dict) or is_removal(operation):
        return None
    paths = {name: item for name, item in value.items() if _is_path(name, holder)}
    if not paths:
        return None
    plain = {name: item for name, item in value.items() if name not in paths}
    rest = [{**operation, key: plain}] if plain else []
    return rest + [
        {**operation, path_key: _qualified(path, name, shape), key: item}
        for name, item in paths.items()
    ]


def _qualified(schema: str | None, name: str, shape: Shape) -> str:
    """A key as a path: of this schema, unless it names a schema itself."""
    meant = _colon_name(_standard_name(name, shape), shape).lower()
    if schema is None or meant.startswith(tuple(f"{urn}:" for urn in shape.schemas)):
        return name
    return f"{schema}:{name}"


def _is_path(name: str, shape: Shape) -> bool:
    """Whether a key is a path: not the name of an attribute, nor a schema's whole URN."""
    name = _colon_name(_standard_name(name, shape), shape)
    if shape.attribute(name) is not None or not re.search(r"[.:\[]", name):
        return False
    target = shape.target(name)
    return target is not None and target.attribute is not None


def _without_paths(found: Object, shape: Shape) -> Object | None:
    kept = {name: item for name, item in found.items() if not _is_path(name, shape)}
    return kept if len(kept) < len(found) else None


def is_removal(operation: Object) -> bool:
    return str(member(operation, "op")[1]).lower() == "remove"


def _naming_values(operation: Object, _shape: Shape) -> list[Object] | None:
    named = is_removal(operation) and isinstance(member(operation, "value")[1], dict | list)
    # Left as it is: the policy of scim2-models, and what reads members, go by the value.
    return [operation] if named else None


def _filtered_truth(operation: Object, shape: Shape) -> list[Object] | None:
    key, path = member(operation, "path")
    if not isinstance(path, str) or "[" not in path:
        return None
    target = shape.target(re.sub(r"\].*", "]", path, flags=re.S))
    entries = target.attribute.shape if target and target.attribute else None
    if entries is None:
        return None
    new = _BRACKETS.sub(lambda found: f"[{_compared_truth(found[1], entries)}]", path)
    return [{**operation, key: new}] if new != path else None


def _foreign_paths(patch: Object, shape: Shape) -> tuple[str, ...]:
    return tuple(
        name
        for operation in operations_of(patch)[1]
        if isinstance(operation, dict)
        for name in _foreign_in(operation, shape)
    )


def _foreign_in(operation: Object, shape: Shape) -> tuple[str, ...]:
    (_, path), (_, value) = member(operation, "path"), member(operation, "value")
    if isinstance(path, str):
        return _foreign_extensions({path: value}, shape)
    return _foreign_extensions(value, shape) if isinstance(value, dict) else ()


def _password_in(operation: Object, shape: Shape) -> tuple[str, ...]:
    (_, path), (_, value) = member(operation, "path"), member(operation, "value")
    if isinstance(path, str):
        target = shape.target(path)
        named = target is not None and target.shape is shape and target.attribute
        return (path,) if named and named.name == "password" else ()
    return _password(value, shape) if isinstance(value, dict) else ()


def _password_paths(patch: Object, shape: Shape) -> tuple[str, ...]:
    return tuple(
        name
        for operation in operations_of(patch)[1]
        if isinstance(operation, dict)
        for name in _password_in(operation, shape)
    )


def _without_in(
    operation: Object, shape: Shape, *, drops: Callable[[Object, Shape], tuple[str, ...]]
) -> list[Object] | None:
    dropped = frozenset(drops(operation, shape))
    if not dropped:
        return None
    (path_key, path), (key, value) = member(operation, "path"), member(operation, "value")
    if path is not None:
        # An operation that changes nothing: a PATCH needs at least one.
        op_key, _ = member(operation, "op")
        rest = {n: v for n, v in operation.items() if n not in (path_key, key)}
        return [{**rest, op_key: "add", key: {}}]
    return [{**operation, key: {n: v for n, v in value.items() if n not in dropped}}]


# ---------------------------------------------------------------------------------------------
# Filters


def _compared_truth(expression: str, shape: Shape) -> str:
    """A filter whose booleans are not strings, and in lower case."""

    def replaced(found: re.Match[str]) -> str:
        if found["bare"]:
            return f"{found['name']}{found['op']}{found['bare'].lower()}"
        target = shape.target(found["name"]) if found["name"] else None
        if target is None or target.attribute is None or not target.attribute.boolean:
            return found[0]
        return f"{found['name']}{found['op']}{found['value'].lower()}"

    return _COMPARED.sub(replaced, expression)


def _truth_in_filter(expression: str, shape: Shape) -> str | None:
    new = _compared_truth(expression, shape)
    return new if new != expression else None


def _quoted(expression: str, shape: Shape) -> str | None:
    """`eq` with one bare word, as if the word were in quotes. Anything more stays refused.

    Clients that leave them out look for ids and addresses: of other attributes any other word is a
    mistake.
    """
    found = _BARE.fullmatch(expression)
    if found is None or found["word"] in ("true", "false", "null") or found["word"][0] == "'":
        return None
    is_id = found["name"].lower() in ("id", "externalid")
    if not is_id and not _ID_OR_ADDRESS.fullmatch(found["word"]):
        return None
    if shape.target(found["name"]) is None:
        return None
    return f"{found['name']} {found['op']} {json.dumps(found['word'], ensure_ascii=False)}"


def _with_manager(expression: str, shape: Shape) -> str | None:
    extension = shape.extensions.get(_ENTERPRISE)
    if extension is None:
        return None

    def replaced(found: re.Match[str]) -> str:
        if found[0].startswith('"'):
            return found[0]
        return f"{extension.schema}:manager{found['sub'] or '.value'}"

    new = _MANAGER.sub(replaced, expression)
    return new if new != expression else None


# ---------------------------------------------------------------------------------------------
# The rules

_RESOURCE, _OBJECT = frozenset({Where.RESOURCE}), frozenset({Where.OBJECT})
_PATCH, _VALUE = frozenset({Where.PATCH}), frozenset({Where.VALUE})
_FILTER = frozenset({Where.FILTER})

PASSWORD = Rule(
    name="password",
    meaning="a password is sent; it is dropped, since nobody signs in at the bridge",
    clients="O",
    source="RFC 7643, section 4.1.1: never returned; Okta sends a throw-away one",
    where=_RESOURCE,
    rewrite=_without(_password),
    drops=_password,
)
PASSWORD_IN_PATCH = Rule(
    name="password-in-patch",
    meaning="a PATCH sets a password; it is dropped, since nobody signs in at the bridge",
    clients="O",
    source="RFC 7643, section 4.1.1: never returned; Okta sets one by PATCH",
    where=_PATCH,
    rewrite=_each_operation(partial(_without_in, drops=_password_in)),
    drops=_password_paths,
)
MISSING_ENTRY = Rule(
    name="missing-entry",
    meaning="a value is set of an entry that is not there, for instance at "
    'emails[type eq "work"].value; the entry is made',
    clients="E, E-flag",
    source="RFC 7644, section 3.5.2.3: replace is noTarget; Microsoft's SCIM reference sends it",
)

RULES = (
    # First, so that two spellings of one path are two operations and never one key.
    Rule(
        name="paths-as-keys",
        meaning="a value without path has paths as keys (name.givenName); each is read as a path",
        clients="E-flag",
        source="RFC 7644, section 3.5.2: the value holds attributes; Entra with aadOptscim062020",
        where=_PATCH,
        rewrite=_each_operation(_separated),
    ),
    Rule(
        name="schemas-missing",
        meaning="schemas is missing, null or empty; the endpoint says which is meant",
        clients="E, HR",
        source="RFC 7643, section 3, and RFC 7644, section 3.1: it is required; reported in public "
        "issues",
        where=_RESOURCE | frozenset({Where.MESSAGE}),
        rewrite=_with_schemas,
    ),
    Rule(
        name="draft-uri",
        meaning="a schema is named by the URI of a draft (urn:scim:schemas:...); it is read as "
        "the standard's",
        clients="E",
        source="RFC 7643, section 10: the registered URIs; drafts of SCIM 1 and 2 had others",
        where=_RESOURCE,
        rewrite=_draft_resource,
    ),
    Rule(
        name="draft-uri-in-path",
        meaning="a path begins with the URI of a draft (urn:scim:schemas:...); it is read as the "
        "standard's",
        clients="E",
        source="RFC 7644, section 3.10, and the drafts of SCIM 1 and 2",
        where=_PATCH,
        rewrite=_each_operation(partial(_renamed_paths, rename=_standard_name)),
    ),
    Rule(
        name="unknown-schema",
        meaning="schemas lists a URI that nobody here knows; it is ignored",
        clients="E",
        source="RFC 7643, section 3: schemas name what is there; Entra adds ADSCIM's to groups",
        where=_RESOURCE,
        rewrite=_in_schemas(_known),
    ),
    Rule(
        name="dotted-extension",
        meaning="an attribute follows its extension's URN after a dot; it is read as after a colon",
        clients="E-old",
        source="RFC 7644, section 3.10: a colon; customappsso jobs from before December 2018",
        where=_RESOURCE,
        rewrite=partial(_renamed, rename=_colon_name),
    ),
    Rule(
        name="dotted-extension-in-path",
        meaning="in a path an attribute follows its extension's URN after a dot; it is read as "
        "after a colon",
        clients="E-old",
        source="RFC 7644, section 3.10: a colon; customappsso jobs from before December 2018",
        where=_PATCH,
        rewrite=_each_operation(partial(_renamed_paths, rename=_colon_name)),
    ),
    Rule(
        name="foreign-extension",
        meaning="an extension is sent that nobody here knows; it is dropped, with a warning in "
        "the audit trail",
        clients="E, O",
        source="RFC 7643, section 3.3; custom extensions that an administrator mapped",
        where=_RESOURCE,
        rewrite=_without(_foreign_extensions),
        drops=_foreign_extensions,
    ),
    Rule(
        name="foreign-extension-in-patch",
        meaning="a PATCH is about an extension that nobody here knows; that is dropped, with a "
        "warning in the audit trail",
        clients="E, O",
        source="RFC 7644, section 3.12: invalidPath; custom extensions an administrator mapped",
        where=_PATCH,
        rewrite=_each_operation(partial(_without_in, drops=_foreign_in)),
        drops=_foreign_paths,
    ),
    Rule(
        name="op-in-capitals",
        meaning="op is written Add, Replace or Remove; it is read in lower case",
        clients="E, E-old",
        source="RFC 7644, section 3.5.2: the values are in lower case; Entra without its flag",
        where=_PATCH,
        rewrite=_each_operation(_lower_op),
    ),
    Rule(
        name="remove-names-values",
        meaning="a remove lists values; those leave and nobody else",
        clients="E, E-old",
        source="RFC 7644, section 3.5.2.2: a remove has no value; Entra removes members so",
        where=_PATCH,
        rewrite=_each_operation(_naming_values),
    ),
    Rule(
        name="boolean-in-path",
        meaning='a path spells a boolean otherwise (roles[primary eq "True"], eq True); it is read '
        "as a boolean",
        clients="E",
        source="RFC 7644, section 3.4.2.2: booleans are true and false; Entra's app roles",
        where=_PATCH,
        rewrite=_each_operation(_filtered_truth),
    ),
    Rule(
        name="one-element-list",
        meaning="a single value comes as a list of one; it is taken out of it",
        clients="E-old, O",
        source="RFC 7643, section 2.4; customappsso jobs from before December 2018",
        where=_OBJECT | _VALUE,
        rewrite=_at_each(_unwrapped),
    ),
    Rule(
        name="number-for-string",
        meaning="a whole number comes where a string is meant (employeeNumber 1001); it is read as "
        "its digits",
        clients="HR",
        source="RFC 7643, section 2.3.1: a string is one of JSON; numbers of an HR system's export",
        where=_OBJECT | _VALUE,
        rewrite=_at_each(_in_digits),
    ),
    Rule(
        name="single-object",
        meaning="one object comes where a list is meant; it is read as a list of one",
        clients="HR",
        source="RFC 7643, section 2.4: a multi-valued attribute is an array",
        where=_OBJECT | _VALUE,
        rewrite=_at_each(_listed),
    ),
    Rule(
        name="empty-string",
        meaning="an empty string stands for no value; the value is unassigned",
        clients="O-AIW, PF, HR",
        source="RFC 7643, section 2.5: only null and the empty list mean no value",
        where=_OBJECT | _VALUE,
        rewrite=_at_each(_absent),
    ),
    Rule(
        name="manager-string",
        meaning="manager is the bare id of a user; it is read as manager.value",
        clients="E, E-flag",
        source="RFC 7643, section 4.3: manager is complex; Microsoft's SCIM reference",
        where=_OBJECT | _VALUE,
        rewrite=_at_each(_referring),
    ),
    Rule(
        name="boolean-string",
        meaning='"True" or "false" stands for a boolean; it is read as one',
        clients="E, E-old, HR",
        source="RFC 7643, section 2.3.2: true or false; Entra without its flag",
        where=_OBJECT | _VALUE,
        rewrite=_at_each(_truth),
    ),
    Rule(
        name="read-only-in-patch",
        meaning="the value of a PATCH has read-only attributes (meta, groups); they are ignored, "
        "groups with a warning in the audit trail",
        clients="O, S",
        source="RFC 7644, section 3.5.2: mutability; clients send back what they read",
        where=frozenset({Where.WITHIN}),
        rewrite=_writable,
        drops=_groups,
    ),
    MISSING_ENTRY,
    Rule(
        name="unquoted-filter-value",
        meaning="an id or address in a filter has no quotes; it is read as if it had",
        clients="E-old",
        source="RFC 7644, section 3.4.2.2: a JSON string; Microsoft's older pages",
        where=_FILTER,
        rewrite=_quoted,
    ),
    Rule(
        name="manager-in-filter",
        meaning="a filter has manager without its schema; the enterprise extension's is meant",
        clients="E-old",
        source="RFC 7644, section 3.10: extensions need their URN; Entra's reference queries",
        where=_FILTER,
        rewrite=_with_manager,
    ),
    Rule(
        name="boolean-in-filter",
        meaning='a filter spells a boolean otherwise (active eq "True", active eq True); it is '
        "read as a boolean",
        clients="E, HR",
        source="RFC 7644, section 3.4.2.2: booleans are true and false",
        where=_FILTER,
        rewrite=_truth_in_filter,
    ),
)


_NAMED = {rule.name: rule for rule in RULES}
# Those that are about a filter, also of a path.
COMPARING = (_NAMED["boolean-in-filter"], _NAMED["boolean-in-path"])


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a client may send."""

    name: DialectName
    # In the order they are tried.
    rules: tuple[Rule, ...]
    # What scim2-models lets pass.
    policy: ScimPolicy
    # What scim2-models would let pass and this dialect does not: where one of these rules would
    # rewrite something, the request is refused.
    refused: tuple[Rule, ...] = ()

    def at(self, where: Where) -> tuple[Rule, ...]:
        return tuple(rule for rule in (*self.refused, *self.rules) if where in rule.where)


# An unknown attribute is refused by both: a misspelt "active" must not look applied.
TOLERANT = Dialect(
    name="tolerant",
    rules=(PASSWORD, PASSWORD_IN_PATCH, *RULES),
    policy=ScimPolicy(remove_value_as_filter=ScimPolicy.RemoveValue.apply),
)
# The standards as they stand. A password is part of them, and cannot be kept for anybody.
STRICT = Dialect(
    name="strict",
    rules=(PASSWORD, PASSWORD_IN_PATCH),
    policy=ScimPolicy(),
    refused=(
        replace(
            _NAMED["boolean-string"],
            meaning="a string stands for a boolean",
            rewrite=_at_each(_no_boolean),
        ),
        replace(
            _NAMED["paths-as-keys"],
            meaning="a path stands for the name of an attribute",
            where=frozenset({Where.WITHIN}),
            rewrite=_without_paths,
        ),
        _NAMED["schemas-missing"],
        _NAMED["single-object"],
        _NAMED["op-in-capitals"],
        _NAMED["boolean-in-filter"],
        _NAMED["boolean-in-path"],
    ),
)

DIALECTS: Mapping[str, Dialect] = {one.name: one for one in (TOLERANT, STRICT)}
