"""Who is in the directory that is measured? People and groups that are the same for every server.

Everybody has an id, a name and an e-mail that follow from a number, so that a request can be made
for anybody without asking the server first.
"""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"

# The groups that are measured, as far as there are people for them.
SIZES = (10, 1_000, 10_000, 100_000)
# How many groups the busy person is in, and how many are in the team.
BUSY, TEAM = 20, 10

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Population:
    """So many people, and beside them those who join groups, a team and a busy person."""

    users: int
    # Who is in no group until the benchmark puts them there.
    spare: int
    # Groups of many people besides those that are measured.
    crowds: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(size for size in SIZES if size <= self.users)

    @property
    def everybody(self) -> range:
        return range(self.users + self.spare + TEAM + 1)

    @property
    def spares(self) -> range:
        return range(self.users, self.users + self.spare)

    @property
    def team(self) -> range:
        return range(self.users + self.spare, self.users + self.spare + TEAM)

    @property
    def busy(self) -> int:
        return self.users + self.spare + TEAM

    def groups(self) -> Iterator[tuple[str, Sequence[int]]]:
        """Each group by its name, and the numbers of its members."""
        for size in self.sizes:
            yield sized(size), range(size)
        yield "team", self.team
        for number in range(BUSY):
            yield f"busy {number}", (self.busy,)
        for number in range(self.crowds):
            start = number * self.users // self.crowds
            yield (
                f"crowd {number}",
                [(start + one) % self.users for one in range(min(10_000, self.users))],
            )


def sized(size: int) -> str:
    """The name of the group of this size."""
    return f"group of {size}"


@cache
def user_id(number: int) -> str:
    return _id(f"user {number}")


@cache
def group_id(name: str) -> str:
    return _id(f"group {name}")


def _id(seed: str) -> str:
    # As random as real ones: an index must not profit from their order.
    return str(uuid.UUID(int=random.Random(seed).getrandbits(128), version=4))


def name_of(number: int) -> tuple[str, str]:
    """A given and a family name; one family in a thousand people is called Quartz."""
    family = "Quartz" if number % 1000 == 7 else f"Family{number % 997}"
    return f"Given{number % 89}", f"{family}-{number}"


def person(number: int) -> Document:
    """A person as an identity provider sends them, about 1 KB of JSON."""
    given, family = name_of(number)
    who = f"person{number}@example.com"
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": f"external-{number}",
        "userName": who,
        "name": {
            "formatted": f"{given} {family}",
            "familyName": family,
            "givenName": given,
        },
        "displayName": f"{given} {family}",
        "title": "Engineer",
        "userType": "Employee",
        "preferredLanguage": "en-US",
        "locale": "en-US",
        "timezone": "Europe/Berlin",
        "active": True,
        "emails": [{"value": who, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": f"+49 30 {number:07}", "type": "work"}],
        "addresses": [
            {
                "streetAddress": f"{number} Long Street",
                "locality": "Berlin",
                "region": "BE",
                "postalCode": "10115",
                "country": "DE",
                "type": "work",
            }
        ],
        ENTERPRISE: {
            "employeeNumber": f"E{number:08}",
            "costCenter": "4130",
            "organization": "Example",
            "division": "Research",
            "department": f"Department {number % 50}",
        },
    }


def group(name: str, members: Sequence[int] = ()) -> Document:
    listed = [{"value": user_id(number)} for number in members]
    return {"schemas": [GROUP], "displayName": name, **({"members": listed} if listed else {})}


def as_mapping(population: Population) -> Mapping[str, int]:
    """The population as JSON can hold it."""
    return {
        "users": population.users,
        "spare": population.spare,
        "crowds": population.crowds,
    }
