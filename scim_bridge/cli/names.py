"""What do people call those whom the bridge knows by ids, and how is that put into a sentence?"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Column, select

from scim_bridge.directory import tables
from scim_bridge.directory.database import Database
from scim_bridge.directory.memberships import chunks

# How many names stand in a sentence before the rest is only counted.
MOST = 10


def user_names(database: Database, ids: Iterable[str]) -> dict[str, str]:
    """The userName of each of these users that the directory has, or once had."""
    return _names(database, tables.users.c.id, tables.users.c.user_name, ids)


def group_names(database: Database, ids: Iterable[str]) -> dict[str, str]:
    """The displayName of each of these groups that the directory has, or once had."""
    return _names(database, tables.groups.c.id, tables.groups.c.display_name, ids)


def principal_names(database: Database, target: str, ids: Iterable[str]) -> dict[str, str]:
    """The userName of the user that each of these people at a target is, as far as it is known."""
    links, users = tables.links, tables.users
    found: dict[str, str] = {}
    with database.reading() as connection:
        for chunk in chunks(dict.fromkeys(ids)):
            rows = connection.execute(
                select(links.c.target_id, users.c.user_name)
                .join(users, users.c.id == links.c.resource_id)
                .where(
                    links.c.target == target,
                    links.c.kind == "user",
                    links.c.target_id.in_(chunk),
                )
            )
            found.update({target_id: printable(name) for target_id, name in rows})
    return found


def called(names: Mapping[str, str], ids: Iterable[str]) -> list[str]:
    """These ids by name where there is one, in the order of the alphabet."""
    return sorted(names.get(one, one) for one in ids)


def listed(names: Sequence[str], *, most: int = MOST) -> str:
    """Names in a sentence: "ada, jane and 3 more"."""
    shown, more = names[:most], len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def printable(text: str) -> str:
    """Clients choose names: no line break or escape sequence of theirs reaches a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _names(
    database: Database, key: Column[str], name: Column[str], ids: Iterable[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    with database.reading() as connection:
        for chunk in chunks(dict.fromkeys(ids)):
            rows = connection.execute(select(key, name).where(key.in_(chunk)))
            found.update({row_id: printable(row_name) for row_id, row_name in rows})
    return found
