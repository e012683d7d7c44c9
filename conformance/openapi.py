"""What may be sent to this server, as OpenAPI, by what it says of itself?

Made from the server's own /Schemas, /ResourceTypes and /ServiceProviderConfig. Requests are
described loosely, as anything of the right kind; `traffic` sends what a client means. What answers
look like is described strictly, so that they can be checked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.target import SCIM

Schema = dict[str, Any]
# As a schema of the server describes one (RFC 7643 7).
Attribute = Mapping[str, Any]

MESSAGES = "urn:ietf:params:scim:api:messages:2.0:"
ANYTHING: Schema = {}
TEXT: Schema = {"type": "string", "pattern": "^[A-Za-z]{1,12}$"}
# What no attribute, path or id is. Beside those that are: a schema that allows any text would
# never make one of them.
ODD = (
    "",
    "0",
    "nobody",
    "a b",
    "\u0000",
    "é𝟘",
    "%",
    "a[",
    "(",
    '"',
    "a.b.c",
    "x" * 3000,
    "../Users",
)
# In a request. A reference may be relative, so it is no `uri` (RFC 7643 2.3.7).
SENT: Mapping[str, Schema] = {
    "string": TEXT,
    "reference": TEXT,
    "binary": TEXT,
    "boolean": {"anyOf": [{"type": "boolean"}, {"enum": ["True", "false"]}]},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "dateTime": {"type": "string", "format": "date-time"},
}
ANSWERED: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "reference": {"type": "string"},
    "binary": {"type": "string"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "dateTime": {"type": "string"},
}
# What no resource needs to announce, since every one has it (RFC 7643 3.1).
COMMON: Sequence[Attribute] = (
    {"name": "id", "type": "string"},
    {"name": "externalId", "type": "string"},
    {
        "name": "meta",
        "type": "complex",
        "subAttributes": [
            {"name": "resourceType", "type": "string"},
            {"name": "created", "type": "dateTime"},
            {"name": "lastModified", "type": "dateTime"},
            {"name": "location", "type": "reference"},
            {"name": "version", "type": "string"},
        ],
    },
)
ERROR: Schema = {
    "type": "object",
    "required": ["schemas", "status"],
    "properties": {
        "schemas": {"type": "array", "contains": {"const": f"{MESSAGES}Error"}},
        # RFC 7644 3.12: a JSON string.
        "status": {"type": "string"},
        "scimType": {"type": "string"},
        "detail": {"type": "string"},
    },
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A resource type: where its resources are and what they consist of."""

    name: str
    endpoint: str
    urn: str
    attributes: Sequence[Attribute]
    extensions: Mapping[str, Sequence[Attribute]] = field(default_factory=dict)

    def paths(self) -> list[str]:
        """The paths of its attributes, as a PATCH or a filter names them."""
        own = [path for one in (*COMMON, *self.attributes) for path in _paths(one)]
        more = [
            f"{urn}:{path}"
            for urn, attributes in self.extensions.items()
            for one in attributes
            for path in _paths(one)
        ]
        return own + more


def kinds(schemas: Any, resource_types: Any) -> list[Kind]:
    """The resource types, by what the server publishes. What cannot be understood is left out."""
    attributes = {str(one.get("id")): _listed(one.get("attributes")) for one in _listed(schemas)}
    return [
        Kind(
            name=str(one.get("name")),
            endpoint="/" + str(one.get("endpoint")).strip("/").rpartition("/")[2],
            urn=str(one.get("schema")),
            attributes=attributes.get(str(one.get("schema")), []),
            extensions={
                urn: attributes[urn]
                for extension in _listed(one.get("schemaExtensions"))
                if (urn := str(extension.get("schema"))) in attributes
            },
        )
        for one in _listed(resource_types)
        if isinstance(one.get("endpoint"), str)
    ]


def document(
    found: Sequence[Kind], *, ids: Mapping[str, Sequence[str]], bulk: bool = True
) -> Schema:
    """The OpenAPI document. ``ids`` are those of resources that may be changed, by endpoint."""
    paths: dict[str, Any] = {
        "/ServiceProviderConfig": {"get": _operation(ANYTHING)},
        "/Schemas": {"get": _operation(_list_of(ANYTHING), query=_paging())},
        "/Schemas/{id}": {"get": _operation(ANYTHING, query=[_id([kind.urn for kind in found])])},
        "/ResourceTypes": {"get": _operation(_list_of(ANYTHING))},
        "/ResourceTypes/{id}": {
            "get": _operation(ANYTHING, query=[_id([kind.name for kind in found])])
        },
        # Whoever the token stands for is only read: the run removes what it made, not people.
        "/Me": {"get": _operation(ANYTHING, query=_projection([]))},
        "/": {"get": _operation(_list_of(ANYTHING), query=_search_parameters(found))},
        "/.search": {"post": _operation(_list_of(ANYTHING), body=_search(found))},
    }
    for kind in found:
        paths |= _of_a_kind(kind, ids.get(kind.endpoint, ()), ids)
    if bulk:
        paths["/Bulk"] = {"post": _operation(_bulk_answer(), body=_bulk(found, ids))}
    return {
        "openapi": "3.1.0",
        "info": {"title": "A SCIM 2.0 server, by its own discovery", "version": "2.0"},
        "paths": paths,
    }


def _of_a_kind(kind: Kind, own: Sequence[str], ids: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    read = answered(kind)
    sent = _resource(kind)
    paths = kind.paths()
    one = [_id(own), *_projection(paths), *_conditions()]
    return {
        kind.endpoint: {
            "get": _operation(_list_of(read), query=_search_parameters([kind])),
            "post": _operation(read, body=sent, query=_projection(paths)),
        },
        f"{kind.endpoint}/.search": {"post": _operation(_list_of(read), body=_search([kind]))},
        f"{kind.endpoint}/{{id}}": {
            "get": _operation(read, query=one),
            "put": _operation(read, query=one, body=sent),
            "patch": _operation(read, query=one, body=_patch(kind, ids)),
            "delete": _operation(None, query=[_id(own), *_conditions()]),
        },
    }


def _operation(
    answer: Schema | None, *, body: Schema | None = None, query: Iterable[Schema] = ()
) -> Schema:
    good = {} if answer is None else {"content": {SCIM: {"schema": answer}}}
    operation: Schema = {
        "parameters": list(query),
        "responses": {
            **{status: {"description": "Done", **good} for status in ("200", "201")},
            **{status: {"description": "Done"} for status in ("202", "204", "304")},
            "default": {"description": "Refused", "content": {SCIM: {"schema": ERROR}}},
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {SCIM: {"schema": body}}}
    return operation


# -- Answers ----------------------------------------------------------------


def answered(kind: Kind) -> Schema:
    """What a resource looks like in an answer. Without ``attributes``, id and schemas are there."""
    properties = {
        str(one.get("name")): _value(one, ANSWERED) for one in (*COMMON, *kind.attributes)
    }
    for urn, attributes in kind.extensions.items():
        properties[urn] = _complex(attributes, ANSWERED)
    return {
        "type": "object",
        "required": ["schemas", "id"],
        "properties": {
            "schemas": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            **properties,
        },
    }


def _list_of(resource: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["schemas", "totalResults"],
        "properties": {
            "schemas": {"type": "array", "contains": {"const": f"{MESSAGES}ListResponse"}},
            "totalResults": {"type": "integer", "minimum": 0},
            "itemsPerPage": {"type": "integer", "minimum": 0},
            "startIndex": {"type": "integer", "minimum": 1},
            "nextCursor": {"type": "string"},
            "previousCursor": {"type": "string"},
            "Resources": {"type": "array", "items": resource},
        },
    }


def _bulk_answer() -> Schema:
    return {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": {"type": "array", "contains": {"const": f"{MESSAGES}BulkResponse"}},
            "Operations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["status"],
                    # RFC 7644 3.7.3: a JSON string, and nothing that a server broke over.
                    "properties": {"status": {"type": "string", "pattern": "^[234]\\d\\d$|^501$"}},
                },
            },
        },
    }


# -- Requests ---------------------------------------------------------------


def _resource(kind: Kind) -> Schema:
    properties = {str(one.get("name")): _value(one, SENT) for one in (*COMMON, *kind.attributes)}
    for urn, attributes in kind.extensions.items():
        properties[urn] = _complex(attributes, SENT)
    required = [str(one.get("name")) for one in kind.attributes if one.get("required") is True]
    schemas = {"const": [kind.urn, *kind.extensions]}
    return {
        "type": "object",
        "required": ["schemas", *required],
        "properties": {"schemas": schemas, **properties},
    }


def _patch(kind: Kind, ids: Mapping[str, Sequence[str]]) -> Schema:
    verbs = {"enum": ["add", "remove", "replace", "Add", "Replace"]}
    paths = {"enum": [*kind.paths(), *ODD]}
    members = {"type": "array", "maxItems": 3, "items": _exactly(value=_member(ids))}
    operation = {
        "anyOf": [
            _exactly(op=verbs, path={"enum": ["members"]}, value=members),
            _exactly(op={"const": "remove"}, path=paths),
            _exactly(op=verbs, value=_resource(kind)),
            _exactly(op=verbs, path=paths, value=TEXT),
            _exactly(op={"enum": ["", "move", "test"]}, path=paths),
        ]
    }
    return _exactly(
        schemas={"const": [f"{MESSAGES}PatchOp"]},
        Operations={"type": "array", "minItems": 1, "maxItems": 4, "items": operation},
    )


def _bulk(found: Sequence[Kind], ids: Mapping[str, Sequence[str]]) -> Schema:
    there = [f"{endpoint}/{one}" for endpoint, known in ids.items() for one in known]
    bulk_id = {"type": "string", "pattern": "^[a-z]{1,3}$"}
    operations = []
    for kind in found:
        paths = {"enum": [path for path in there if path.startswith(f"{kind.endpoint}/")] or ["/"]}
        operations += [
            _exactly(
                method={"const": "POST"},
                path={"const": kind.endpoint},
                bulkId=bulk_id,
                data=_resource(kind),
            ),
            _exactly(method={"const": "PUT"}, path=paths, data=_resource(kind)),
            _exactly(method={"const": "PATCH"}, path=paths, data=_patch(kind, ids)),
        ]
    anything = {
        "type": "object",
        "properties": {
            "method": {"enum": ["POST", "PUT", "PATCH", "DELETE", "GET"]},
            "path": {"enum": [*there, "/Bulk", "/Me", *ODD]},
            "bulkId": bulk_id,
            "version": {"type": "string"},
            "data": ANYTHING,
        },
    }
    return {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": {"const": [f"{MESSAGES}BulkRequest"]},
            "failOnErrors": {"type": "integer"},
            "Operations": {
                "type": "array",
                "maxItems": 5,
                "items": {"anyOf": [*operations, anything]},
            },
        },
    }


def _search(found: Sequence[Kind]) -> Schema:
    properties = {one["name"]: one["schema"] for one in _search_parameters(found)}
    attributes = {"type": "array", "items": properties["sortBy"], "maxItems": 3}
    return {
        "type": "object",
        "required": ["schemas"],
        "properties": {
            **properties,
            "schemas": {"const": [f"{MESSAGES}SearchRequest"]},
            "attributes": attributes,
            "excludedAttributes": attributes,
        },
    }


def _search_parameters(found: Sequence[Kind]) -> list[Schema]:
    paths = [path for kind in found for path in kind.paths()]
    return [
        _parameter("filter", {"enum": [*filters(paths), *ODD]}),
        _parameter("sortBy", {"enum": [*paths, *ODD]}),
        _parameter("sortOrder", {"anyOf": [{"enum": ["ascending", "descending"]}, TEXT]}),
        *_paging(),
        _parameter("cursor", {"anyOf": [{"enum": [""]}, {"type": "string"}]}),
        *_projection(paths),
    ]


def filters(paths: Sequence[str]) -> list[str]:
    """A filter for each path and operator, and some of several."""
    plain = [path for path in paths if "[" not in path]
    operators = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")
    values = ('"a"', "true", "1", '"2026-01-01T00:00:00Z"', "null", '"%_\\\\"', '"É"')
    single = [
        f"{path} {operators[n % len(operators)]} {values[n % len(values)]}"
        for n, path in enumerate(plain * 3)
    ]
    present = [f"{path} pr" for path in plain]
    joined = [f"{one} and not ({other})" for one, other in zip(single, present, strict=False)]
    return single + present + joined


def _paging() -> list[Schema]:
    # Not beyond what a database counts with, and a bit beyond what makes sense.
    number = {"type": "integer", "minimum": -2, "maximum": 2**33}
    return [_parameter("startIndex", number), _parameter("count", number)]


def _projection(paths: Sequence[str]) -> list[Schema]:
    schema = {"enum": [*paths, "id,meta", "nothing"]}
    return [_parameter("attributes", schema), _parameter("excludedAttributes", schema)]


def _conditions() -> list[Schema]:
    schema = {"enum": ["*", 'W/"1"', '"1"', 'W/"1", W/"2"', "nonsense"]}
    return [_parameter(name, schema, where="header") for name in ("If-Match", "If-None-Match")]


def _id(known: Sequence[str]) -> Schema:
    schema = {"enum": [*known, *ODD[1:4]]}
    return {**_parameter("id", schema, where="path"), "required": True}


def _parameter(name: str, schema: Schema, *, where: str = "query") -> Schema:
    return {"name": name, "in": where, "schema": schema}


def _member(ids: Mapping[str, Sequence[str]]) -> Schema:
    known = [one for ones in ids.values() for one in ones]
    return {"enum": [*known, "nobody", ""]}


def _exactly(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


# -- Attributes -------------------------------------------------------------


def _value(attribute: Attribute, types: Mapping[str, Schema]) -> Schema:
    kind = attribute.get("type")
    if kind == "complex":
        one = _complex(_listed(attribute.get("subAttributes")), types)
    else:
        one = types.get(str(kind), ANYTHING)
    return {"type": "array", "items": one} if attribute.get("multiValued") is True else one


def _complex(attributes: Sequence[Attribute], types: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": {str(one.get("name")): _value(one, types) for one in attributes},
    }


def _paths(attribute: Attribute) -> list[str]:
    name = str(attribute.get("name"))
    return [name, *(f"{name}.{one.get('name')}" for one in _listed(attribute.get("subAttributes")))]


def _listed(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; a server may answer anything."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
