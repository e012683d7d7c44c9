"""Whose turn is it to do what only one process at a time may do?"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import update

from scim_bridge.directory.database import Database, insert_or, now
from scim_bridge.directory.tables import locks


@contextmanager
def turn(database: Database, name: str, seconds: float) -> Iterator[bool]:
    """Take the turn of a name for a while, and give it back at the end; False: somebody has it.

    A process that dies in the middle loses its turn after `seconds`; what is done in a turn must
    not take longer.
    """
    number = _take(database, name, seconds)
    try:
        yield number is not None
    finally:
        if number is not None:
            _give_back(database, name, number)


def _take(database: Database, name: str, seconds: float) -> int | None:
    """The number of the turn that was taken; None if somebody else has it."""
    with database.transaction() as connection:
        made = insert_or(database, locks).values(name=name, leased_until=0, number=0)
        connection.execute(made.on_conflict_do_nothing())
        number: int | None = connection.scalar(
            update(locks)
            .where(locks.c.name == name, locks.c.leased_until <= now())
            .values(leased_until=now() + seconds, number=locks.c.number + 1)
            .returning(locks.c.number)
        )
        return number


def _give_back(database: Database, name: str, number: int) -> None:
    with database.transaction() as connection:
        connection.execute(
            update(locks)
            .where(locks.c.name == name, locks.c.number == number)
            .values(leased_until=0)
        )


def keep(database: Database, name: str, seconds: float) -> None:
    """Have the turn of a name, which one has, for so many seconds from now."""
    with database.transaction() as connection:
        connection.execute(
            update(locks).where(locks.c.name == name).values(leased_until=now() + seconds)
        )
