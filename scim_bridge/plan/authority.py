"""Which client may write which attribute of a person, and what becomes of a write to another's?

An attribute has the name SCIM gives it: ``title``, ``emails``, ``name.givenName`` (``name`` is all
of its parts), ``department`` of the enterprise extension. Who is named for it owns it, several
together if several are. What nobody owns anybody may write.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scim_bridge.settings import Authority, Settings

Document = Mapping[str, Any]

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# Identity Center has nobody without these. Whoever creates a person may give them, and what people
# are matched by, until the owner does.
REQUIRED = frozenset({"userName", "name.givenName", "name.familyName"})

# The attributes that the keys of ``[matching]`` are in, where the names differ.
_ATTRIBUTES = {"email": "emails"}
# What holds other attributes instead of a value: the path before each of them.
_PARTS = {"name": "name.", ENTERPRISE: ""}
_ENTERPRISE_PARTS = frozenset(
    {"employeeNumber", "costCenter", "organization", "division", "department", "manager"}
)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A document as a client may make it, and what of it is somebody else's."""

    document: dict[str, Any]
    ignored: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Authorities:
    """Who owns what. Pure."""

    def __init__(
        self, authorities: Iterable[Authority] = (), *, matched_by: Iterable[str] = ()
    ) -> None:
        self._given_at_first = REQUIRED | {_ATTRIBUTES.get(key, key) for key in matched_by}
        self._owners: dict[str, set[str]] = {}
        self._refused: set[str] = set()
        for one in authorities:
            for name in one.attributes:
                self._owners.setdefault(_key(name), set()).add(one.client)
                if one.on_conflict == "refuse":
                    self._refused.add(_key(name))

    @classmethod
    def of(cls, settings: Settings) -> "Authorities":
        return cls(settings.authorities, matched_by=settings.matching.users)

    def __bool__(self) -> bool:
        return bool(self._owners)

    def may_write(self, client: str, path: str) -> bool:
        """Whether a client owns an attribute, or nobody does."""
        owners = self._owners_of(path)
        return not owners or client in owners

    def owns(self, client: str, path: str) -> bool:
        return client in self._owners_of(path)

    def is_sole_owner(self, client: str, path: str) -> bool:
        """Whether nobody else may have written an attribute, but to create the person."""
        return self._owners_of(path) == {client}

    def settle(
        self, client: str, before: Document | None, after: Document, *, states_all: bool
    ) -> Settled:
        """What a client makes of a person.

        written by the client          | its own, or nobody's | another's
        -------------------------------+----------------------+---------------------------------
        a value that is there already  | -                    | -
        another value                  | taken                | the old stays; ignored or refused
        none, and `states_all` (PUT)   | taken away           | the old stays
        none (PATCH remove)            | taken away           | the old stays; ignored or refused
        what a new one needs           | taken                | taken, until its owner writes it
        active: false                  | taken                | refused
        """
        had, wanted = flattened(before or {}), flattened(after)
        result: dict[str, Any] = {}
        conflicts: list[str] = []
        for path in {**had, **wanted}:
            old, new = had.get(path), wanted.get(path)
            is_theirs = self.may_write(client, path) or (
                before is None and path in self._given_at_first
            )
            kept = new if is_theirs or old == new else old
            if kept is not None:
                result[path] = kept
            if kept != new and not (new is None and states_all):
                conflicts.append(path)
        if before is None and not self.may_write(client, "active"):
            # Only an explicit word of the owner makes somebody active.
            result["active"] = False
        refused = tuple(
            sorted(path for path in conflicts if self._is_refused(path, before, wanted.get(path)))
        )
        ignored = tuple(sorted(set(conflicts) - set(refused)))
        return Settled(document=whole(result), ignored=ignored, refused=refused)

    def _owners_of(self, path: str) -> set[str]:
        part, whole_name = _key(path), _key(path.partition(".")[0])
        return self._owners.get(part, set()) | self._owners.get(whole_name, set())

    def _is_refused(self, path: str, before: Document | None, wanted: Any) -> bool:
        """Whether a conflict is refused. Of `active` it is the value that says so.

        A client must never believe that it has deactivated somebody when it has not. That a person
        it creates is inactive for now is told, whatever is set: most clients say true by habit.
        """
        if path == "active" and (before is None or wanted is False):
            return before is not None
        return bool({_key(path), _key(path.partition(".")[0])} & self._refused)


def merged(before: Document, given: Document) -> dict[str, Any]:
    """A document with what was given, where that says something; the rest stays."""
    return whole({**flattened(before), **flattened(given)})


def flattened(document: Document) -> dict[str, Any]:
    """A document by attributes, each part of a name and of the enterprise extension by itself."""
    paths: dict[str, Any] = {}
    for name, value in document.items():
        if name not in _PARTS:
            paths[name] = value
            continue
        for part, inner in (value or {}).items():
            paths[f"{_PARTS[name]}{part}"] = inner
    return paths


def whole(paths: Mapping[str, Any]) -> dict[str, Any]:
    """The document that `flattened` took apart."""
    document: dict[str, Any] = {}
    for path, value in paths.items():
        if path.startswith("name."):
            document.setdefault("name", {})[path.removeprefix("name.")] = value
        elif path in _ENTERPRISE_PARTS:
            document.setdefault(ENTERPRISE, {})[path] = value
        else:
            document[path] = value
    schemas = document.get("schemas")
    if schemas is not None:
        apart = [one for one in schemas if one != ENTERPRISE]
        document["schemas"] = [*apart, *([ENTERPRISE] if ENTERPRISE in document else [])]
    return document


def _key(name: str) -> str:
    """A name as it is compared: RFC 7643, section 2.1, knows no case."""
    return name.casefold()
