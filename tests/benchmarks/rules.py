"""Rules for 5 departments at 4 places over 10,000 people: how long does it take to follow them?

`python -m tests.benchmarks.rules` prints it: a full evaluation, a difference, the application, and
one person's change with the number of statements that it writes. Nothing is delivered.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from sqlalchemy import event, func, insert, select

from scim_bridge.app import Bridge, build
from scim_bridge.directory import migration
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import user_columns
from scim_bridge.directory.tables import memberships, users
from scim_bridge.lifecycle.rules import decide
from scim_bridge.settings import Database as DatabaseSettings
from scim_bridge.settings import IdentityCenter, Settings
from tests.cli.operation import ENTERPRISE, person

DEPARTMENTS = ("Engineering", "Sales", "Finance", "Support", "People")
PLACES = ("Berlin", "London", "Paris", "Warsaw")
ACCOUNTS = ("111122223333", "222233334444", "333344445555", "444455556666", "555566667777")


def rules(*, without: str = "") -> str:
    """A rule for everybody, for each department, and for each department at each place."""
    text = '[[rule]]\nname = "staff"\nwhen = \'userName pr\'\ngroups = ["staff"]\n'
    for department, account in zip(DEPARTMENTS, ACCOUNTS, strict=True):
        is_it = f'{ENTERPRISE}:department eq "{department}"'
        text += _rule(department, is_it, account)
        for place in PLACES:
            there = f'addresses[type eq "work" and locality eq "{place}"]'
            if place != without:
                text += _rule(f"{department}-{place}", f"{is_it} and {there}")
    return text


def _rule(name: str, when: str, account: str = "") -> str:
    text = f'[[rule]]\nname = "{name}"\nwhen = \'{when}\'\ngroups = ["{name}"]\n'
    if account:
        text += f'assignments = [{{ account = "{account}", permission_set = "ReadOnlyAccess" }}]\n'
    return text


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--url", default=None, help="A migrated and empty database; otherwise SQLite.")
def main(people: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bridge = _bridge(url or f"sqlite:///{Path(folder) / 'bridge.db'}")
        _fill(bridge.database, people)
        for what, seconds, count in measured(bridge):
            click.echo(f"{what:<44} {seconds:8.3f} s   {count}")
        bridge.close()


def measured(bridge: Bridge) -> Iterator[tuple[str, float, str]]:
    ruling = bridge.ruling
    file = ruling.rulebook.files.read(rules())
    other = ruling.rulebook.files.read(rules(without="Paris"))
    with bridge.database.reading():
        everybody = list(ruling.people())

    def evaluate() -> None:
        for one in everybody:
            decide(file.rules, one.document, active=one.active, now=0.0)

    yield "evaluate all rules for everybody", _seconds(evaluate), f"{len(file.rules)} rules"
    yield "rules diff, nothing in force", _seconds(lambda: ruling.difference(file)), ""
    yield "rules apply, nothing in force", _seconds(lambda: ruling.apply(file)), _rows(bridge)
    yield "rules diff, nothing changed", _seconds(lambda: ruling.difference(file)), ""
    yield "rules diff, one place left out", _seconds(lambda: ruling.difference(other)), ""
    yield "rules apply, one place left out", _seconds(lambda: ruling.apply(other)), _rows(bridge)
    with _Statements(bridge.database) as written:
        yield (
            "one person changes department",
            _seconds(lambda: _move(bridge, everybody[7].id)),
            f"{written.count} statements write",
        )


def _move(bridge: Bridge, user_id: str) -> None:
    with bridge.database.transaction():
        resource_type = bridge.provider.user
        user: Any = bridge.resources.get(resource_type, user_id)
        extension = type(user).get_extension_model(ENTERPRISE)
        user[extension].department = "Sales"
        bridge.resources.update(resource_type, user)


class _Statements:
    """How many statements write meanwhile."""

    def __init__(self, database: Database) -> None:
        self.engine, self.count = database.engine, 0

    def __enter__(self) -> "_Statements":
        event.listen(self.engine, "after_cursor_execute", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self.engine, "after_cursor_execute", self._count)

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.count += statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))


def _bridge(url: str) -> Bridge:
    settings = Settings(
        database=DatabaseSettings(url=url),
        identity_center=IdentityCenter(
            region="eu-central-1", scim_endpoint="http://127.0.0.1:9/scim/v2"
        ),
    )
    bridge = build(settings)
    migration.upgrade(bridge.database)
    return bridge


def _fill(database: Database, people: int) -> None:
    rows = [
        {
            "id": f"00000000-0000-4000-8000-{number:012}",
            "created": 0.0,
            "last_modified": 0.0,
            "version": 1,
            **user_columns(_document(number)),
        }
        for number in range(people)
    ]
    with database.transaction() as connection:
        connection.execute(insert(users), rows)


def _document(number: int) -> dict[str, Any]:
    return person(
        f"p{number}@example.com",
        addresses=[{"type": "work", "locality": PLACES[number % len(PLACES)]}],
        emails=[{"value": f"p{number}@example.com", "primary": True}],
        **{ENTERPRISE: {"department": DEPARTMENTS[number % len(DEPARTMENTS)]}},
    )


def _rows(bridge: Bridge) -> str:
    with bridge.database.reading() as connection:
        count = connection.scalar(select(func.count()).select_from(memberships))
    return f"{count} memberships ever"


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
