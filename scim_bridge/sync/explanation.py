"""Why has somebody an access, or why not? In sentences, from the record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.nesting import around, groups_with
from scim_bridge.directory.tables import assignments, groups, held, memberships, pending, users
from scim_bridge.directory.takeover import SOURCE
from scim_bridge.sync.holdings import BY_HAND, Holding, holdings
from scim_bridge.sync.outstanding import Outstanding


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which access is asked about. "" is any."""

    account: str = ""
    # A name, or an ARN.
    permission_set: str = ""

    @property
    def is_open(self) -> bool:
        return not self.account and not self.permission_set

    def fits(self, one: Holding) -> bool:
        names = (one.permission_set, one.permission_set_arn)
        return self.account in ("", one.account) and self.permission_set in ("", *names)

    def fits_row(self, row: Row[Any]) -> bool:
        names = (row.permission_set, row.permission_set_arn)
        return self.account in ("", row.account_id) and self.permission_set in ("", *names)


def explain(database: Database, user_id: str, question: Question) -> Sequence[str]:
    """Why the person with this id has the access that is asked about, or has not."""
    with database.reading():
        person = database.connection.execute(select(users).where(users.c.id == user_id)).one()
        found = [one for one in holdings(database, person=user_id) if question.fits(one)]
        return [
            _standing(person),
            *(_reason(one) for one in found),
            *(() if any(not one.loss for one in found) else _why_not(database, person, question)),
            *_under_way(database, user_id),
        ]


def _standing(person: Row[Any]) -> str:
    if person.deleted_at is not None:
        return f"{person.user_name} was deleted on {_day(person.deleted_at)}: nothing is held."
    if not person.active:
        since = f" since {_day(person.deactivated_at)}" if person.deactivated_at else ""
        return (
            f"{person.user_name} is inactive{since}: they hold nothing until they are active again."
        )
    return f"{person.user_name} is active."


def _reason(one: Holding) -> str:
    if one.loss is not None:
        return _leftover(one, one.loss)
    since = f" since {_day(one.since)}" if one.since is not None else ""
    what = _what(one)
    if not one.group:
        return f"{what} is held directly{since}, given {_by(one.origin)}."
    back = f", and given it back {_by(one.given_back_by)}" if one.given_back_by else ""
    put = f"put in {_by(one.member_by)}{back}"
    if one.through:
        put = f"put into group {one.through}, which is in it, {_by(one.member_by)}{back}"
    if not one.origin:
        return f"Group {one.group}{since}: {put}; the group grants nothing."
    return (
        f"{what} is held through group {one.group}{since}: the group has it {_by(one.origin)}, "
        f"the person was {put}."
    )


def _leftover(one: Holding, loss: Outstanding) -> str:
    """What is there though the directory does not give it any more."""
    where = f"through group {one.group}" if one.group else "directly"
    what = f"{_what(one)} is still held {where}" if _what(one) else f"Still in group {one.group}"
    standing = f"held in set {loss.held_in}" if loss.held_in else loss.state
    return f"{what} at Identity Center: it is to be taken away, and that is {standing}."


def _what(one: Holding) -> str:
    if one.application:
        return f"Application {one.application}"
    return f"{one.permission_set} in account {one.account}" if one.account else ""


def _by(origin: str) -> str:
    if origin == BY_HAND:
        return origin
    if origin == SOURCE:
        return "at Identity Center, which is the source"
    if origin == "adopted":
        return "at Identity Center before the bridge took it over"
    kind, _, name = origin.partition(":")
    return f"by {kind} {name}" if name else f"by {origin}"


def _why_not(database: Database, person: Row[Any], question: Question) -> Iterator[str]:
    """What would give the access that is asked about, and why it does not."""
    rows = database.connection.execute(select(assignments)).all()
    fitting = [row for row in rows if question.fits_row(row)]
    own = [row for row in fitting if row.kind == "user" and row.resource_id == person.id]
    for row in own:
        if row.valid_to is not None:
            yield f"A direct assignment, given {_by(row.origin)}, ended on {_day(row.valid_to)}."
        elif row.permission_set_arn is None and row.permission_set:
            yield f"{row.permission_set!r} is not known at Identity Center (yet)."
    granting = {row.resource_id: row for row in fitting if row.kind == "group"}
    if question.is_open:
        if not own and not _joined(database, person.id):
            yield "Nothing was given to the person: they are in no group, and have no assignment."
        return
    if not granting and not own:
        yield "No group of the directory grants it, and nobody gave it directly."
    for group_id, row in granting.items():
        yield from _through(database, person.id, group_id, row)


def _joined(database: Database, person: str) -> bool:
    return database.connection.scalar(groups_with(person).limit(1)) is not None


def _through(database: Database, person: str, group_id: str, row: Row[Any]) -> Iterator[str]:
    name = database.connection.scalar(select(groups.c.display_name).where(groups.c.id == group_id))
    if row.valid_to is not None:
        yield f"Group {name} granted it until {_day(row.valid_to)}."
        return
    member = database.connection.execute(
        select(memberships)
        .where(memberships.c.group_id == group_id, memberships.c.member_id == person)
        .order_by(memberships.c.id.desc())
        .limit(1)
    ).one_or_none()
    if group_id in database.connection.scalars(groups_with(person)).all():
        yield f"Group {name} grants it and the person is in it, but is not active."
    elif member is None:
        yield f"Group {name} grants it; the person is not in it and never was."
    else:
        yield f"Group {name} grants it; the person was in it until {_day(member.valid_to)}."


def _under_way(database: Database, user_id: str) -> Iterator[str]:
    """What has yet to reach Identity Center for the person and their groups."""
    ever = select(memberships.c.group_id).where(memberships.c.member_id == user_id)
    joined = around(ever)
    rows = database.connection.execute(
        select(pending.c.kind, pending.c.state, pending.c.last_error, groups.c.display_name)
        .outerjoin(groups, groups.c.id == pending.c.resource_id)
        .where(
            pending.c.state != "clear",
            (pending.c.resource_id == user_id) | pending.c.resource_id.in_(joined),
        )
    )
    for row in rows:
        what = "a change of the person" if row.kind == "user" else f"group {row.display_name}"
        why = f": {row.last_error}" if row.last_error else ""
        yield f"Not yet at Identity Center: {what} is {row.state}{why}."
    stopped = database.connection.scalars(
        select(held.c.set_id).where(held.c.person == user_id, held.c.state == "held").distinct()
    )
    for set_id in stopped:
        yield f"The brake holds a loss of access of the person, set {set_id}: scim-bridge status."


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
