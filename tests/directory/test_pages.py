"""A page costs what the page holds: what it is found by, and what is read for it."""

import re
from typing import Any

import pytest
from scim2_models import EnterpriseUser, User
from sqlalchemy import event

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from tests.directory.population import USER, add_user, request
from tests.plans import steps


class Plans:
    """How the database would run each statement that was run since."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.run: list[tuple[str, Any]] = []
        event.listen(database.engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self.run.append((statement, parameters))

    def walks(self) -> set[str]:
        """The steps that go through all people, from one end to the other."""
        run = [one for one in self.run if one[0].startswith(("SELECT", "WITH"))]
        with self._database.reading() as connection:
            plans = "\n".join(steps(connection, *one) for one in run)
        found = re.findall(
            r"SCAN users\b.*|Seq Scan on users|Index.* Scan using \S+ on users", plans
        )
        return set(found)


@pytest.fixture
def directory(database: Database) -> Resources:
    directory = Resources(database)
    with directory.operation():
        for number in range(30):
            add_user(directory, f"user{number}@example.com", displayName=f"User {number}")
    return directory


@pytest.mark.parametrize(
    "asked",
    [
        {"start_index": 21, "count": 5},
        {"cursor": "", "count": 5},
        {"filter": 'displayName co "user"', "start_index": 6, "count": 5},
    ],
    ids=["by index", "by cursor", "by a part of a name"],
)
def test_a_page_is_found_and_counted_without_a_look_at_the_rows_before_it(
    directory: Resources, database: Database, asked: dict[str, Any]
) -> None:
    """Every walk along all people is one along the index alone."""
    plans = Plans(database)
    page = directory.search([USER], request(User[EnterpriseUser], **asked))

    assert (page.total, len(page.resources)) == (30, 5)
    # For so few rows PostgreSQL takes any index.
    if database.engine.dialect.name == "sqlite":
        assert "SCAN users USING COVERING INDEX ix_users_live" in plans.walks()
    assert not plans.walks() & {"SCAN users", "Seq Scan on users"}


def test_the_last_page_needs_no_count(directory: Resources, database: Database) -> None:
    """What is not full is the end, so the total is known."""
    plans = Plans(database)
    page = directory.search([USER], request(User[EnterpriseUser], start_index=28, count=5))

    assert (page.total, len(page.resources)) == (30, 3)
    # The version of each person counts their memberships; what is not counted is the people.
    assert not any(statement.startswith("SELECT count(") for statement, _ in plans.run)
