"""How does the directory take over what somebody did by hand at Identity Center?"""

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from scim2_models import ResourceType
from sqlalchemy import select

from scim_bridge.directory.documents import Document
from scim_bridge.directory.kinds import kind_named
from scim_bridge.directory.nesting import inner_groups, outer_groups, people
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.takeover import ADOPTED, begin_grants, end_grant
from scim_bridge.identity_center.payloads import ENTERPRISE, MANAGER
from scim_bridge.plan.drift import Difference
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.grants import from_text
from scim_bridge.sync.marks import Key
from scim_bridge.sync.observed import Observations

_MULTI_VALUED = ("emails", "addresses", "phoneNumbers", "roles")


class Acceptance:
    """Takes differences over. Methods join the caller's transaction."""

    def __init__(
        self,
        resources: Resources,
        observations: Observations,
        entitlements: Entitlements,
        *,
        origin: str = ADOPTED,
    ) -> None:
        self.database = resources.database
        self.resources = resources
        self.observations = observations
        self.entitlements = entitlements
        self.origin = origin

    def accept(self, difference: Difference) -> bool:
        """Make what is at the target what the directory wants.

        False for what is never taken over: that somebody was enabled, disabled or deleted, access
        of somebody whom the directory does not know or who is inactive, and that somebody is out of
        a group whom another group in it puts there. False too, for now, of a group's member whom an
        inner group was seen to have and may yet put there.

        Raises `SCIMException` when the directory cannot hold it.
        """
        key = Key(kind=difference.kind, id=difference.id)
        match difference.what:
            case "changed":
                return self._attributes(key, difference.attributes)
            case "member-added":
                return self._member_added(key, difference.name)
            case "member-removed":
                return self._member_removed(key, difference.name)
            case "assignment-added" | "assignment-removed":
                return self._assignment(key, difference)
            case "enabled" | "disabled" | "deleted":
                return False
            case _:
                assert_never(difference.what)

    # -- Attributes -----------------------------------------------------

    def _attributes(self, key: Key, paths: Iterable[str]) -> bool:
        last, link = self.observations.applied(key), self.observations.link(key)
        seen = self.observations.seen(key.kind, link.target_id) if link else None
        document = self._document(key)
        if last is None or seen is None or document is None:
            return False
        shown = {path: seen.attributes.get(path) for path in paths}
        wanted = {path: self._in_the_directory(path, value) for path, value in shown.items()}
        if shown.get(MANAGER) and not wanted[MANAGER]:
            return False
        self.observations.write(
            key,
            attributes=_merged(last.attributes, shown),
            echo=_merged(last.echo, shown),
            active=last.active,
        )
        self._rewrite(key, with_attributes(document, wanted))
        return True

    def _in_the_directory(self, path: str, value: Any) -> Any:
        """A value as the directory has it: a manager by the id there."""
        if path != MANAGER or not value:
            return value
        manager = self.observations.linked_to("user", value["value"])
        return {"value": manager.id} if manager else None

    def _document(self, key: Key) -> Document | None:
        table = kind_named(key.kind).table
        found: Document | None = self.database.connection.scalar(
            select(table.c.document).where(table.c.id == key.id, table.c.deleted_at.is_(None))
        )
        return found

    def _rewrite(self, key: Key, document: Document) -> None:
        model = self.resources.models[kind_named(key.kind).type_name]
        resource = model.model_validate({**document, "id": key.id})
        self.resources.update(ResourceType.from_resource(model), resource, members="kept")

    # -- Access ---------------------------------------------------------

    def _member_added(self, group: Key, member: str) -> bool:
        person = self.observations.linked_to("user", member)
        link = self.observations.link(group)
        if person is None or link is None or self._document(group) is None:
            return False
        if not self.entitlements.is_effective(person):
            return False
        # Who is there through an inner group must not stay when they leave that one later.
        is_inherited = self._is_inherited(group, person)
        if not is_inherited and self._is_seen_within(group, member):
            return False
        self.observations.joined(link.target_id, [member])
        if not is_inherited:
            self.resources.change_members(group.id, add=[person.id], origin=self.origin)
        return True

    def _member_removed(self, group: Key, member: str) -> bool:
        person = self.observations.linked_to("user", member)
        link = self.observations.link(group)
        if person is None or link is None or self._is_inherited(group, person):
            return False
        self.observations.left(link.target_id, [member])
        self.resources.change_members(group.id, remove=[person.id])
        return True

    def _is_inherited(self, group: Key, person: Key) -> bool:
        """Whether somebody is in a group through one that is in it."""
        inner = inner_groups(self.database, [group.id]).get(group.id, ())
        return person.id in people(self.database, inner)

    def _is_seen_within(self, group: Key, member: str) -> bool:
        """Whether somebody was last seen in a group that is in a group.

        The directory may yet take them over there, or take them out of it.
        """
        seen = self.observations.groups_of(member)
        inner = set(self.observations.resources("group", seen).values()) - {group.id}
        return group.id in outer_groups(self.database, inner)

    def _assignment(self, key: Key, difference: Difference) -> bool:
        principal = self.entitlements.holder(key)
        if principal is None or not self.entitlements.is_effective(key):
            return False
        grant = from_text(difference.name)
        if difference.what == "assignment-added":
            self.entitlements.grants.given(principal, grant)
            begin_grants(self.database, key.kind, key.id, [grant], origin=self.origin)
        else:
            self.entitlements.grants.gone(principal, [grant])
            end_grant(self.database, key.kind, key.id, grant)
        return True


def with_attributes(document: Document, changes: Mapping[str, Any]) -> Document:
    """A document with what a target holds, by the paths that a PATCH would name. None removes."""
    changed = dict(document)
    for path, value in changes.items():
        if path.startswith(f"{ENTERPRISE}:"):
            part = path.removeprefix(f"{ENTERPRISE}:")
            changed[ENTERPRISE] = _merged(changed.get(ENTERPRISE) or {}, {part: value})
        elif path.startswith("name."):
            part = path.removeprefix("name.")
            changed["name"] = _merged(changed.get("name") or {}, {part: value})
        elif path in _MULTI_VALUED:
            changed[path] = _with_first(changed.get(path) or [], value)
        else:
            changed = _merged(changed, {path: value})
    return {name: value for name, value in changed.items() if value not in ({}, [])}


def _with_first(values: list[Any], shown: list[Any] | None) -> list[Any]:
    """Values with the one that a target holds in the place of the one it was sent."""
    primary = [value for value in values if value.get("primary")]
    replaced = primary[0] if primary else (values[0] if values else None)
    return [*(shown or []), *(value for value in values if value is not replaced)]


def _merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What was there with the changes, without what they set to None."""
    return {path: value for path, value in {**before, **changes}.items() if value is not None}
