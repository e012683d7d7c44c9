"""What does a client send that knows the server's schemas, and what the server gave it before?

Only what is well-formed and means something: paths and filters of real attributes, values of their
types, ids that exist, cursors and versions that were given. By chance, and always the same for the
same seed and the same answers.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from conformance.openapi import MESSAGES, Attribute, Kind

T = TypeVar("T")
ADDRESSES = frozenset({"userName", "emails.value"})
# Attributes whose values are the ids of people.
PEOPLE = frozenset({"members.value", "manager.value"})
# What a client leaves to the server (RFC 7643 2.3.7 and 4.2).
DERIVED = frozenset({"$ref", "display", "schemas"})
OPERATORS: Mapping[str, Sequence[str]] = {
    "boolean": ("eq", "ne"),
    "binary": ("eq", "ne"),
    "integer": ("eq", "ne", "gt", "ge", "lt", "le"),
    "decimal": ("eq", "ne", "gt", "ge", "lt", "le"),
    "dateTime": ("eq", "ne", "gt", "ge", "lt", "le"),
}
TEXT_OPERATORS = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")
BULK_METHODS = (*("POST", "PUT", "PATCH") * 3, "DELETE")
# Not more of each is remembered, so that what is used is fairly new.
_REMEMBERED = 30


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request below the server's base address."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


class Traffic:
    """The requests of one client, which remembers what it was answered."""

    def __init__(self, kinds: Sequence[Kind], chance: random.Random) -> None:
        self._kinds = kinds
        self._chance = chance
        # Of resources that the client made and may change, by endpoint.
        self.ids: dict[str, list[str]] = {kind.endpoint: [] for kind in kinds}
        self._versions: list[str] = []
        # What asks for the next page of a search, by the path that was searched.
        self._pages: dict[str, dict[str, Any]] = {}

    def learn(self, asked: Asked, status: int, answer: Any) -> None:
        """Remember ids, versions and cursors; forget what is deleted."""
        endpoint, _, last = asked.path.partition("?")[0].rpartition("/")
        gone = status == 404 or (asked.method == "DELETE" and status == 204)
        if gone and last in self.ids.get(endpoint, ()):
            self.ids[endpoint].remove(last)
        if not isinstance(answer, dict):
            return
        if asked.method == "POST" and status == 201 and isinstance(answer.get("id"), str):
            _remember(self.ids.get(f"/{last}", []), answer["id"])
        if isinstance(meta := answer.get("meta"), dict) and isinstance(meta.get("version"), str):
            _remember(self._versions, meta["version"])
        if isinstance(answer.get("nextCursor"), str) and isinstance(asked.body, dict):
            self._pages[asked.path] = {**asked.body, "cursor": answer["nextCursor"]}

    def request(self, method: str, path: str) -> Asked:
        """A request of this method to a path, in which ``{id}`` stands for a resource."""
        kind = next((one for one in self._kinds if path.startswith(f"{one.endpoint}")), None)
        kinds = [kind] if kind else list(self._kinds)
        query: dict[str, Any] = {}
        if method == "GET":
            query = self._projection(kinds) if "{id}" in path else self._joined(self.search(kinds))
        if kind and "{id}" in path:
            path = path.replace("{id}", quote(self._one_of(self.ids[kind.endpoint] or ["nobody"])))
        return Asked(
            method=method,
            path=f"{path}?{urlencode(query)}" if query else path,
            headers=self._conditions(method) if self._once_in(6) else {},
            body=self._body(method, path, kinds),
        )

    def _body(self, method: str, path: str, kinds: Sequence[Kind]) -> Any:
        if path.endswith("/.search"):
            if path in self._pages and self._once_in(3):
                return self._pages[path]
            return {"schemas": [f"{MESSAGES}SearchRequest"], **self.search(kinds)}
        if path == "/Bulk":
            return self.bulk()
        if method == "PATCH":
            return self.patch(kinds[0])
        return self.resource(kinds[0]) if method in {"POST", "PUT"} else None

    def _conditions(self, method: str) -> dict[str, str]:
        """A version that is known, and perhaps no longer the newest (RFC 7644 3.14)."""
        name = "If-None-Match" if method in {"GET", "POST"} else "If-Match"
        return {name: self._one_of([*self._versions, "*"])}

    # -- Bodies -------------------------------------------------------------

    def resource(self, kind: Kind) -> dict[str, Any]:
        """What most servers take: required attributes, usual ones, and some of the others."""
        usual = {"userName", "displayName", "name", "emails"}
        body: dict[str, Any] = {"schemas": [kind.urn]}
        for one in kind.attributes:
            name = str(one.get("name"))
            if _writable(one) and (_required(one) or name in usual or self._once_in(6)):
                body[name] = self.value(one)
        for urn, attributes in kind.extensions.items():
            if self._once_in(4):
                body["schemas"].append(urn)
                body[urn] = self._complex(attributes)
        return body

    def patch(self, kind: Kind) -> dict[str, Any]:
        """One to three operations (RFC 7644 3.5.2)."""
        operations = [self._operation(kind) for _ in range(self._chance.randint(1, 3))]
        return {"schemas": [f"{MESSAGES}PatchOp"], "Operations": operations}

    def _operation(self, kind: Kind) -> dict[str, Any]:
        prefix, one = self._attribute(kind)
        op, path = self._one_of(["add", "replace", "replace", "remove"]), f"{prefix}{_name(one)}"
        if op == "remove":
            if _required(one):
                op = "replace"
            else:
                return {"op": op, "path": self._narrowed(path, one)}
        subs = [sub for sub in _subs(one) if _writable(sub)]
        if not subs or not self._once_in(4):
            # Without a path, an attribute of the resource is named in the value.
            bare = not prefix and self._once_in(3)
            value = self.value(one)
            return {"op": op, "value": {path: value}} if bare else _set(op, path, value)
        sub = self._one_of(subs)
        return _set(op, f"{self._narrowed(path, one)}.{_name(sub)}", self.value(sub, of=_name(one)))

    def _narrowed(self, path: str, one: Attribute) -> str:
        """Some of the values of an attribute that has several, or the attribute."""
        subs = [sub for sub in _subs(one) if sub.get("name") not in DERIVED]
        if one.get("multiValued") is not True or not subs or self._once_in(2):
            return path
        return f"{path}[{self._comparison(self._one_of(subs), of=_name(one))}]"

    def bulk(self) -> dict[str, Any]:
        """Resources made, changed and removed; a group may refer to people made just before."""
        operations: list[dict[str, Any]] = []
        for number in range(self._chance.randint(1, 5)):
            kind = self._one_of(self._kinds)
            known = self.ids[kind.endpoint]
            method = self._one_of(BULK_METHODS) if known else "POST"
            operation: dict[str, Any] = {"method": method, "path": kind.endpoint}
            if method == "POST":
                operation["bulkId"] = f"b{number}"
            else:
                operation["path"] += f"/{self._one_of(known)}"
            if method != "DELETE":
                operation["data"] = data = self._body(method, "", [kind])
                if "members" in data:
                    people = [one["bulkId"] for one in operations if one["path"] == "/Users"]
                    data["members"] = [{"value": f"bulkId:{one}"} for one in people]
            operations.append(operation)
        more = {"failOnErrors": self._chance.randint(1, 3)} if self._once_in(3) else {}
        return {"schemas": [f"{MESSAGES}BulkRequest"], "Operations": operations, **more}

    # -- Searches -----------------------------------------------------------

    def search(self, kinds: Sequence[Kind]) -> dict[str, Any]:
        """A filter, an order, a page and a projection, or some of them (RFC 7644 3.4.2)."""
        asked: dict[str, Any] = {}
        kind = self._one_of(kinds)
        if not self._once_in(4):
            asked["filter"] = self.filter(kind)
        if self._once_in(2):
            asked["sortBy"] = self._leaf(kind)
            asked["sortOrder"] = self._one_of(["ascending", "descending"])
        if self._once_in(3):
            asked |= {"cursor": "", "count": 2}
        elif self._once_in(2):
            asked |= {"startIndex": self._chance.randint(0, 9), "count": self._chance.randint(0, 9)}
        return asked | self._projection(kinds)

    def filter(self, kind: Kind, *, depth: int = 2) -> str:
        """A filter over real attributes, of every form (RFC 7644 3.4.2.2)."""
        if depth and self._once_in(3):
            left, right = (self.filter(kind, depth=depth - 1) for _ in range(2))
            return self._one_of([f"{left} and {right}", f"({left}) or {right}", f"not ({left})"])
        prefix, one = self._attribute(kind)
        path, subs = f"{prefix}{_name(one)}", _subs(one)
        if not subs:
            return self._comparison(one, path=path)
        sub = self._one_of(subs)
        if one.get("multiValued") is True and self._once_in(2):
            return f"{path}[{self._comparison(sub, of=_name(one))}]"
        return self._comparison(sub, path=f"{path}.{_name(sub)}", of=_name(one))

    def _comparison(self, one: Attribute, *, path: str = "", of: str = "") -> str:
        path = path or _name(one)
        if self._once_in(4):
            return f"{path} pr"
        operator = self._one_of(OPERATORS.get(str(one.get("type")), TEXT_OPERATORS))
        return f"{path} {operator} {json.dumps(self._single(one, of=of))}"

    def _leaf(self, kind: Kind) -> str:
        """The path of an attribute that is not complex: the others have no order."""
        prefix, one = self._attribute(kind)
        return f"{prefix}{'.'.join(map(_name, (one, *_subs(one)[:1])))}"

    def _projection(self, kinds: Sequence[Kind]) -> dict[str, Any]:
        if self._once_in(2):
            return {}
        paths = self._one_of(kinds).paths()
        name = self._one_of(["attributes", "excludedAttributes"])
        return {name: [self._one_of(paths) for _ in range(self._chance.randint(1, 3))]}

    def _joined(self, search: Mapping[str, Any]) -> dict[str, Any]:
        """As a query has it: names of attributes with commas between them."""
        return {
            name: ",".join(one) if isinstance(one, list) else one for name, one in search.items()
        }

    # -- Values -------------------------------------------------------------

    def value(self, one: Attribute, *, of: str = "") -> Any:
        """A value of an attribute's type; of several, at most one is primary (RFC 7643 2.4)."""
        if one.get("multiValued") is not True:
            return self._single(one, of=of)
        values = [self._single(one, of=of) for _ in range(self._chance.randint(1, 2))]
        for other in values[1:]:
            if isinstance(other, dict):
                other.pop("primary", None)
        return values

    def _single(self, one: Attribute, *, of: str) -> Any:
        if subs := _subs(one):
            return self._complex(subs, of=_name(one))
        match one.get("type"):
            case "boolean":
                return self._once_in(2)
            case "integer" | "decimal":
                return self._chance.randint(0, 1000)
            case "dateTime":
                return (
                    f"{self._chance.randint(2010, 2030)}-0{self._chance.randint(1, 9)}-01T00:00:00Z"
                )
            case "binary":
                return self._one_of(["YQ==", "Zm9v", "MIICIjANBgkqhkiG"])
            case "reference":
                return f"https://example.com/{self._word()}"
            case _:
                return self._text(one, f"{of}.{_name(one)}" if of else _name(one))

    def _text(self, one: Attribute, path: str) -> str:
        if path in ADDRESSES:
            return f"{self._word()}@example.com"
        if path in PEOPLE:
            return self._one_of(self.ids.get("/Users") or ["nobody"])
        canonical = one.get("canonicalValues")
        return str(self._one_of(canonical)) if isinstance(canonical, list) else self._word()

    def _complex(self, attributes: Sequence[Attribute], *, of: str = "") -> dict[str, Any]:
        chosen = {
            _name(one): self.value(one, of=of)
            for one in attributes
            if _writable(one) and (_required(one) or _name(one) == "value" or self._once_in(2))
        }
        return {name: value for name, value in chosen.items() if name not in DERIVED}

    # -- Chance -------------------------------------------------------------

    def _attribute(self, kind: Kind) -> tuple[str, Attribute]:
        """One that may be written, with what stands before it in a path."""
        own = [("", one) for one in kind.attributes]
        more = [(f"{urn}:", one) for urn, ones in kind.extensions.items() for one in ones]
        return self._one_of([(urn, one) for urn, one in (*own, *own, *more) if _writable(one)])

    def _word(self) -> str:
        return "".join(self._chance.choices("abcdefghijklmnoprstuvwz", k=8)).capitalize()

    def _once_in(self, number: int) -> bool:
        return self._chance.randrange(number) == 0

    def _one_of(self, choices: Sequence[T]) -> T:
        return self._chance.choice(choices)


def _set(op: str, path: str, value: Any) -> dict[str, Any]:
    return {"op": op, "path": path, "value": value}


def _name(one: Attribute) -> str:
    return str(one.get("name"))


def _required(one: Attribute) -> bool:
    return one.get("required") is True


def _writable(one: Attribute) -> bool:
    return one.get("mutability") != "readOnly" and _name(one) not in DERIVED


def _subs(one: Attribute) -> list[Attribute]:
    found = one.get("subAttributes")
    return [sub for sub in found if isinstance(sub, dict)] if isinstance(found, list) else []


def _remember(known: list[str], one: str) -> None:
    if one not in known:
        known.append(one)
        del known[:-_REMEMBERED]
