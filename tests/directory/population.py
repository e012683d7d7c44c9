"""Users and groups that a translation to SQL tends to get wrong, and how to store them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hypothesis import strategies as st
from scim2_models import (
    EnterpriseUser,
    Group,
    Resource,
    ResourceType,
    SearchRequest,
    UniquenessException,
    User,
)

from scim_bridge.directory.database import Database
from scim_bridge.directory.resources import Resources
from tests.conftest import Fresh

USER = ResourceType.from_resource(User[EnterpriseUser])
GROUP = ResourceType.from_resource(Group)
ENTERPRISE = str(EnterpriseUser.__schema__)

# Case pairs beyond ASCII, decomposed letters, LIKE wildcards, quotes, and characters outside the
# basic plane.
PIECES = [
    "", "a", "A", "b", "ab", "z", "%", "_", "'", '"', "\\", " ", ".", "0", "9", "ß", "ẞ", "SS",
    "é", "e\u0301", "É", "İ", "i\u0307", "Σ", "σ", "ς", "Å", "\u212b", "😀", "\ufffd", "true",
]  # fmt: skip

texts = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
names = st.lists(st.sampled_from(PIECES[1:]), min_size=1, max_size=4).map("".join)
flags = st.sampled_from([None, True, False])
emails = st.sampled_from(
    ["a@b.example", "A@B.example", "b@b.example", "ab@c.example", "z@z.example"]
)
types = st.sampled_from([None, "work", "WORK", "home", "Ünusual"])


def some(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A JSON object with some of these attributes."""
    return st.fixed_dictionaries({}, optional=attributes)


def values(value: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A multi-valued attribute."""
    return st.lists(some(value=value, display=texts, type=types, primary=flags), max_size=3)


users = st.fixed_dictionaries(
    {"userName": names},
    optional={
        "externalId": texts,
        "displayName": texts,
        "title": texts,
        "nickName": texts,
        "active": flags,
        "name": some(givenName=texts, familyName=texts, formatted=texts),
        "emails": values(emails),
        "phoneNumbers": values(texts),
        "roles": values(texts),
        "addresses": st.lists(some(locality=texts, country=texts, primary=flags), max_size=2),
        "x509Certificates": st.lists(some(value=st.sampled_from(["YWI=", "YWJj"])), max_size=2),
        ENTERPRISE: some(
            employeeNumber=texts,
            department=texts,
            manager=st.fixed_dictionaries({"value": texts, "$ref": st.just("Users/x")}),
        ),
    },
)


@contextmanager
def stored_in(fresh: Fresh) -> Iterator[Resources]:
    """A directory on a fresh database."""
    with fresh() as url:
        database = Database(url)
        try:
            yield Resources(database, nested="flatten")
        finally:
            database.close()


def fill(
    resources: Resources, people: list[dict[str, Any]], teams: list[tuple[str, list[int]]]
) -> None:
    """Store what can be stored together. A team has who is at these places: people, then teams that
    came before.
    """
    stored: list[str] = []
    with resources.operation():
        for person in people:
            with suppress(UniquenessException):
                stored.append(add_user(resources, **person).id)
        for name, places in teams:
            with suppress(UniquenessException):
                team = add_group(
                    resources, name, *(stored[place % len(stored)] for place in places)
                )
                stored.append(team.id)


def add_user(resources: Resources, user_name: str = "", **attributes: Any) -> Any:
    """Create a user from SCIM attributes."""
    document = {"userName": user_name, **attributes} if user_name else attributes
    return resources.create(USER, User[EnterpriseUser].model_validate(document))


def add_group(resources: Resources, name: str, *members: str) -> Any:
    """Create a group of these members."""
    document = {"displayName": name, "members": [{"value": each} for each in members]}
    return resources.create(GROUP, Group.model_validate(document))


def request(*models: type[Resource[Any]], **parameters: Any) -> SearchRequest[Any]:
    """A search request on these models, as the server makes it."""
    bound: Any = SearchRequest
    union: Any = models[0] if len(models) == 1 else models[0] | models[1]
    return bound[union](**parameters)  # type: ignore[no-any-return]


def everyone(resources: Resources, resource_type: ResourceType = USER) -> list[Any]:
    """Every live resource of a type."""
    model = User[EnterpriseUser] if resource_type is USER else Group
    return resources.search([resource_type], request(model)).resources
