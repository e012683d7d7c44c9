"""What did somebody have when they left, when was it to go, and when was it gone?

Read from the history, the rows of the directory, the audit trail and what Identity Center was last
seen to hold. What no call took away and what is still seen is told as it is, never as gone.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import select

from scim_bridge.directory import history, tables
from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.takeover import SOURCE
from scim_bridge.directory.trail import Entry, trail
from scim_bridge.sync import TARGET, is_of_first
from scim_bridge.sync.cuts import sessions_until
from scim_bridge.sync.holdings import BY_HAND, STILL_THERE, Holding, holdings
from scim_bridge.sync.outstanding import Outstanding, OutstandingLosses, Standing

# What was taken from somebody less than this long before they left belongs to their leaving:
# identity providers take memberships away first and deactivate afterwards. In seconds.
BEFOREHAND = 86_400.0

# "unknown": no call took it away, and it is not seen there: it never arrived, or somebody else
# took it away. "returned": the person came back, and has it again.
State = Literal["gone", "still there", "unknown", "returned"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who asked for something, when, and in which request."""

    at: float
    by: str
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """When a call at Identity Center was done, and what AWS calls its requests."""

    at: float
    request_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """One access of somebody who left."""

    access: Holding
    # When it was to go; None of what came to light only afterwards.
    asked: Asked | None
    state: State
    call: Call | None = None
    # How its loss stands while it is still there.
    loss: Outstanding | None = None


@dataclass(frozen=True, kw_only=True)
class Offboarding:
    """How somebody left."""

    person: str
    user_name: str
    left: Asked
    # Whether the record was deleted, and not only deactivated.
    deleted_at: float | None
    # The call that disabled them. None: there was none.
    disabled: Call | None
    # Whether they were last seen enabled at Identity Center; None: not seen there at all.
    enabled_there: bool | None
    sessions_until: float | None
    returned: Asked | None
    accesses: tuple[Ended, ...]

    @property
    def still_there(self) -> tuple[Ended, ...]:
        return tuple(one for one in self.accesses if one.state == "still there")

    @property
    def is_complete(self) -> bool:
        """Whether nothing of what they had is left at Identity Center, as far as it was seen."""
        return not self.still_there and (self.returned is not None or not self.enabled_there)

    @property
    def gone_at(self) -> float | None:
        """When the last of it was gone. None while something is still there, or unknown."""
        if not self.is_complete:
            return None
        calls = [self.disabled, *(one.call for one in self.accesses)]
        return max((call.at for call in calls if call), default=None)


def offboarding(database: Database, records: Iterable[str]) -> Offboarding | None:
    """The last leaving of a person, by the ids of all their records. None: they never left."""
    found = offboardings(database, records)
    return found[-1] if found else None


def offboardings(
    database: Database, records: Iterable[str], *, since: float = 0.0, until: float = math.inf
) -> Sequence[Offboarding]:
    """Each time that a person left in a period, by the ids of all their records."""
    with database.reading():
        moves = sorted(
            (
                move
                for one in records
                for move in moves_of(one, history.versions(database, "user", one))
            ),
            key=lambda one: one.at,
        )
        return [
            _Leaver(database, left, next((one for one in moves if one.at > left.at), None)).told()
            for left in moves
            if not left.is_active and since <= left.at < until
        ]


@dataclass(frozen=True, kw_only=True)
class Move:
    """Somebody became active, or inactive."""

    person: str
    user_name: str
    at: float
    is_active: bool
    # Whether there was no record before, or is none afterwards.
    is_first: bool
    is_deleted: bool
    asked: Asked


def moves_of(person: str, versions: Iterable[history.Version]) -> Iterator[Move]:
    """When a record with these versions became active and inactive."""
    for version in versions:
        before, after = version.before or {}, version.after or {}
        is_active = version.after is not None and after.get("active") is not False
        was_active = version.before is not None and before.get("active") is not False
        if is_active != was_active:
            yield Move(
                person=person,
                user_name=str((after or before).get("userName", "")),
                at=version.at,
                is_active=is_active,
                is_first=version.before is None,
                is_deleted=version.after is None,
                asked=Asked(at=version.at, by=version.actor, request_id=version.request_id),
            )


# What an access is known by: "group" and its id, or "grant", account, permission set, application.
_Key = tuple[str, ...]


class _Leaver:
    """Everything that is known of one leaving."""

    def __init__(self, database: Database, left: Move, returned: Move | None) -> None:
        self.database = database
        self.left = left
        self.returned = returned
        self.entries = list(trail(database, resource_id=left.person))
        self.applications = _application_names(database)
        self.groups = _Groups.read(database)
        self.principal = self._principal()
        self.calls = dict(self._calls())

    def told(self) -> Offboarding:
        left, person = self.left, self.left.person
        deleted = self.database.connection.scalar(
            select(tables.users.c.deleted_at).where(tables.users.c.id == person)
        )
        return Offboarding(
            person=person,
            user_name=left.user_name,
            left=left.asked,
            deleted_at=deleted,
            disabled=self._call(("user",), since=left.at),
            enabled_there=self._enabled_there(),
            sessions_until=None if self.returned else sessions_until(self.database, person),
            returned=self.returned.asked if self.returned else None,
            accesses=tuple(self._accesses()),
        )

    # -- What they had --------------------------------------------------

    def _accesses(self) -> Iterator[Ended]:
        seen = {} if self.returned else dict(self._seen())
        again = {_key_of(one) for one in self._held_again()}
        told: set[_Key] = set()
        for access, asked in self._had():
            key = _key_of(access)
            told.add(key)
            yield self._ended(access, asked, seen.get(key), is_held_again=key in again)
        for key, standing in seen.items():
            if key not in told:
                yield self._found_later(key, standing)

    def _had(self) -> list[tuple[Holding, Asked]]:
        """What they had when they left, or lost shortly before, once each."""
        found: dict[tuple[str, ...], tuple[Holding, Asked]] = {}
        for moment in [self.left.at, *sorted(self._lost_before(), reverse=True)]:
            before = math.nextafter(moment, 0)
            for one in holdings(self.database, at=before, person=self.left.person):
                whole = (*_key_of(one), one.account, one.permission_set, one.application)
                found.setdefault(whole, (one, self._asked(one, moment)))
        for one in self._by_hand():
            whole = (*_key_of(one), one.account, one.permission_set, one.application)
            found.setdefault(whole, (one, self.left.asked))
        return [found[key] for key in sorted(found)]

    def _lost_before(self) -> set[float]:
        """When memberships and direct grants of theirs ended before they left."""
        moments: set[float] = set()
        for table, whose in (
            (tables.memberships, tables.memberships.c.member_id),
            (tables.assignments, tables.assignments.c.resource_id),
        ):
            ended = table.c.valid_to
            query = select(ended).where(
                whose == self.left.person,
                ended.between(self.left.at - BEFOREHAND, math.nextafter(self.left.at, 0)),
            )
            moments.update(self.database.connection.scalars(query))
        return moments

    def _asked(self, one: Holding, moment: float) -> Asked:
        """Who asked for the end of something that was there until then."""
        if moment == self.left.at:
            return self.left.asked
        action = Action.MEMBER_REMOVED if one.group else Action.REVOKED
        entry = next(
            (
                entry
                for entry in reversed(self.entries)
                if entry.action == action
                and entry.related_id == (one.group_id or None)
                and entry.time.timestamp() <= self.left.at
            ),
            None,
        )
        if entry is None:
            return Asked(at=moment, by="not recorded")
        return Asked(at=moment, by=entry.actor, request_id=entry.request_id)

    def _by_hand(self) -> Iterator[Holding]:
        """What nobody gave through the bridge, and this leaving took away."""
        taken = tables.taken
        until = self.returned.at if self.returned else math.inf
        rows = self.database.connection.execute(
            select(taken).where(
                taken.c.target == TARGET, taken.c.person == self.left.person,
                taken.c.at >= self.left.at,
            )
        )  # fmt: skip
        for row in rows:
            if row.at >= until:
                continue
            access = Holding(person=self.left.person, user_name=self.left.user_name, origin=BY_HAND)
            if row.group_id:
                yield self.groups.membership(
                    replace(access, origin="", member_by=BY_HAND), row.group_id
                )
            else:
                yield self._granted(access, row)

    def _granted(self, access: Holding, row: Any) -> Holding:
        sets = tables.permission_sets.c
        name = self.database.connection.scalar(
            select(sets.name).where(sets.arn == row.permission_set).limit(1)
        )
        return replace(
            access,
            account=row.account_id,
            permission_set=name or row.permission_set,
            permission_set_arn=row.permission_set,
            application=self.applications.get(row.application, row.application),
        )

    def _held_again(self) -> Sequence[Holding]:
        if self.returned is None:
            return ()
        return holdings(self.database, person=self.returned.person)

    # -- What became of it ----------------------------------------------

    def _ended(
        self, access: Holding, asked: Asked, seen: "_Seen | None", *, is_held_again: bool
    ) -> Ended:
        """
        seen there | a call took it | the person has it again | state
        -----------+----------------+-------------------------+------------
        yes        | -              | -                       | still there
        no         | yes            | -                       | gone
        no         | no             | yes                     | returned
        no         | no             | no                      | unknown
        """
        call = self._call(_key_of(access), since=asked.at)
        if seen is not None:
            return Ended(access=access, asked=asked, state="still there", loss=seen.loss)
        if call is not None:
            return Ended(access=access, asked=asked, state="gone", call=call)
        state: State = "returned" if is_held_again else "unknown"
        return Ended(access=access, asked=asked, state=state)

    def _found_later(self, key: _Key, seen: "_Seen") -> Ended:
        access = replace(
            seen.access, person=self.left.person, user_name=self.left.user_name,
            origin=STILL_THERE if seen.loss else BY_HAND,
        )  # fmt: skip
        return Ended(access=access, asked=None, state="still there", loss=seen.loss)

    def _call(self, key: _Key, *, since: float) -> Call | None:
        call = self.calls.get(key)
        return call if call is not None and call.at >= since else None

    def _calls(self) -> Iterator[tuple[_Key, Call]]:
        """The last call after the leaving that took each thing away, before they came back."""
        first = self.left.at - BEFOREHAND
        until = self.returned.at if self.returned else math.inf
        begun: dict[_Key, list[str]] = {}
        for entry in self.entries:
            key = self._taken_by(entry)
            if key is None or not first <= entry.time.timestamp() < until:
                continue
            if entry.target_request_id:
                begun.setdefault(key, []).append(entry.target_request_id)
            if entry.outcome in ("ok", "gone"):
                ids = tuple(dict.fromkeys(begun.pop(key, ())))
                yield key, Call(at=entry.time.timestamp(), request_ids=ids)

    def _taken_by(self, entry: Entry) -> _Key | None:
        """What the call of an entry took away, if it took something."""
        if entry.action != Action.CALL or entry.resource_id != self.left.person:
            return None
        if not is_of_first(entry.facts):
            return None
        match entry.facts.get("change"):
            case "DisableUser":
                return ("user",)
            case "RemoveMembers":
                return ("group", self.groups.known_as(entry.related_id or ""))
            case "DeleteAssignment" | "DeleteApplicationAssignment":
                application = str(entry.facts.get("application", ""))
                return (
                    "grant",
                    str(entry.facts.get("account", "")),
                    str(entry.facts.get("permissionSet", "")),
                    self.applications.get(application, application),
                )
            case _:
                return None

    # -- What is still there --------------------------------------------

    def _principal(self) -> str | None:
        links = tables.links
        found: str | None = self.database.connection.scalar(
            select(links.c.target_id).where(
                links.c.target == TARGET,
                links.c.kind == "user",
                links.c.resource_id == self.left.person,
            )
        )
        return found

    def _enabled_there(self) -> bool | None:
        observed = tables.observed
        found: bool | None = self.database.connection.scalar(
            select(observed.c.active).where(
                observed.c.target == TARGET,
                observed.c.kind == "user",
                observed.c.target_id == self.principal,
            )
        )
        return found

    def _seen(self) -> Iterator[tuple[_Key, "_Seen"]]:
        """What the person was last seen to have there, also while they are disabled."""
        if self.principal is None:
            return
        losses = OutstandingLosses(self.database)
        who = Standing(
            person=self.left.person,
            principal=self.principal,
            # Whoever was disabled at a source keeps there what the source has.
            was_given=self.left.asked.by != SOURCE,
            leaves=self.left.asked.by != SOURCE,
        )
        base = Holding(person=self.left.person, user_name=self.left.user_name)
        inside = tables.observed_memberships
        for group in self.database.connection.scalars(
            select(inside.c.group_id).where(
                inside.c.target == TARGET, inside.c.member_id == self.principal
            )
        ).all():
            access = self.groups.membership(base, group)
            loss = losses.of_membership(replace(who, group=self.groups.here.get(group, "")))
            yield _key_of(access), _Seen(access=access, loss=loss)
        held = tables.observed_assignments
        for row in self.database.connection.execute(
            select(held).where(
                held.c.target == TARGET, held.c.kind == "user",
                held.c.principal_id == self.principal,
            )
        ).all():  # fmt: skip
            grant = f"{row.account_id}|{row.permission_set or row.application}"
            access = self._granted(base, row)
            yield _key_of(access), _Seen(access=access, loss=losses.of_grant(who, grant))


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Something that a leaver was last seen to have."""

    access: Holding
    loss: Outstanding | None


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """What groups at Identity Center are in the directory, and what they are called."""

    # The id in the directory by the one there, and the name by the id there.
    here: Mapping[str, str]
    names: Mapping[str, str]

    @classmethod
    def read(cls, database: Database) -> "_Groups":
        links, observed, groups = tables.links, tables.observed, tables.groups
        here = database.connection.execute(
            select(links.c.target_id, links.c.resource_id, groups.c.display_name)
            .join(groups, groups.c.id == links.c.resource_id)
            .where(links.c.target == TARGET, links.c.kind == "group")
        ).all()
        there = database.connection.execute(
            select(observed.c.target_id, observed.c.attributes).where(
                observed.c.target == TARGET, observed.c.kind == "group"
            )
        )
        names = {row.target_id: str(row.attributes.get("displayName", "")) for row in there}
        return cls(
            here={row.target_id: row.resource_id for row in here},
            names={**names, **{row.target_id: row.display_name for row in here}},
        )

    def membership(self, base: Holding, target_id: str) -> Holding:
        """Being in a group, by its id there."""
        name = self.names.get(target_id) or target_id
        return replace(base, group=name, group_id=self.known_as(target_id))

    def known_as(self, group_id: str) -> str:
        """The id in the directory of a group, if it has one there."""
        return self.here.get(group_id, group_id)


def _key_of(one: Holding) -> _Key:
    """What takes an access away: the end of a membership, or of a direct grant."""
    if one.group:
        return ("group", one.group_id)
    return ("grant", one.account, one.permission_set_arn or one.permission_set, one.application)


def _application_names(database: Database) -> Mapping[str, str]:
    table = tables.applications
    rows = database.connection.execute(select(table.c.arn, table.c.name))
    return {row.arn: row.name for row in rows}
