"""What happens in the story, what does the HR system send, and what should then be held?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

JANE = "jane.doe@example.com"
BEN = "ben.ito@example.com"

# What the company's rules give: to each department its group.
RULES = "\n".join(
    f"""[[rule]]
name = "{department.lower()}"
when = '{ENTERPRISE}:department eq "{department}"'
groups = ["{group}"]
"""
    for department, group in (("Engineering", "Engineers"), ("Product", "Product"))
)

Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the HR system sends. A word such as $jane stands for the id that answered "jane"."""

    method: str
    path: str
    body: Body
    # The name under which the id in the answer is kept.
    named: str | None = None

    def with_ids(self, ids: Mapping[str, str]) -> "Request":
        """The request with the ids that are known by now."""
        text = Template(json.dumps(self.body)).safe_substitute(ids)
        return Request(
            method=self.method,
            path=Template(self.path).safe_substitute(ids),
            body=json.loads(text),
            named=self.named,
        )


@dataclass(frozen=True, kw_only=True)
class Held:
    """What Identity Center holds of one person."""

    user_name: str
    enabled: bool
    title: str
    department: str
    groups: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One thing that happens."""

    title: str
    # Before the requests, and once Identity Center holds what it should.
    happens: str
    means: str
    requests: tuple[Request, ...]
    # Everybody that Identity Center then holds.
    then: tuple[Held, ...]


def _hired(name: str, given: str, family: str, *, title: str, department: str) -> Body:
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": name,
        "name": {"givenName": given, "familyName": family},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
        "title": title,
        ENTERPRISE: {"department": department},
    }


def _set(path: str, value: Any) -> Body:
    return {"op": "replace", "path": path, "value": value}


def _patch(*operations: Body) -> Body:
    return {"schemas": [PATCH], "Operations": list(operations)}


def _held(name: str, *groups: str, title: str, department: str, enabled: bool = True) -> Held:
    return Held(
        user_name=name,
        enabled=enabled,
        title=title,
        department=department,
        groups=frozenset(groups),
    )


_BEN = _held(BEN, "Engineers", title="Engineer", department="Engineering")

STORY = (
    Scene(
        title="Before: two rules and a colleague",
        happens="Two rules are in force at the bridge: who is in Engineering is in the group "
        "Engineers, who is in Product in the group Product. The HR system knows Ben, an engineer.",
        means="The bridge has created Ben and both groups in Identity Center, and put Ben in his.",
        requests=(
            Request(
                method="POST",
                path="/Users",
                body=_hired(BEN, "Ben", "Ito", title="Engineer", department="Engineering"),
                named="ben",
            ),
        ),
        then=(_BEN,),
    ),
    Scene(
        title="1. The joiner",
        happens="Jane Doe starts as an engineer. She needs an account and her team's access.",
        means="One push, and Jane can sign in to AWS, with everything that engineers may do there.",
        requests=(
            Request(
                method="POST",
                path="/Users",
                body=_hired(JANE, "Jane", "Doe", title="Engineer", department="Engineering"),
                named="jane",
            ),
        ),
        then=(
            _BEN,
            _held(JANE, "Engineers", title="Engineer", department="Engineering"),
        ),
    ),
    Scene(
        title="2. The mover",
        happens="Jane becomes a product manager: a new title and another department.",
        means="Jane has what her new team has, and nothing of the old one. Ben is not touched.",
        requests=(
            Request(
                method="PATCH",
                path="/Users/$jane",
                body=_patch(
                    _set("title", "Product manager"),
                    _set(f"{ENTERPRISE}:department", "Product"),
                ),
            ),
        ),
        then=(
            _BEN,
            _held(JANE, "Product", title="Product manager", department="Product"),
        ),
    ),
    Scene(
        title="3. The leaver",
        happens="Jane leaves. The HR system says one thing only: she is not active any more.",
        means="Jane is disabled and out of every group. She is not deleted: the record stays for "
        "the audit, and for the day she returns.",
        requests=(
            Request(method="PATCH", path="/Users/$jane", body=_patch(_set("active", False))),
        ),
        then=(
            _BEN,
            _held(JANE, title="Product manager", department="Product", enabled=False),
        ),
    ),
    Scene(
        title="4. The returner",
        happens="Two weeks later Jane is back. Again the HR system says one thing: she is active.",
        means="It is the same account in Identity Center, and the rules have put her back into her "
        "team.",
        requests=(Request(method="PATCH", path="/Users/$jane", body=_patch(_set("active", True))),),
        then=(
            _BEN,
            _held(JANE, "Product", title="Product manager", department="Product"),
        ),
    ),
)


def held(state: Mapping[str, Any]) -> tuple[Held, ...]:
    """What the sandbox's /_sandbox/state says of everybody, by userName."""
    groups = {group["id"]: group["displayName"] for group in state["groups"]}
    members = [(one["userId"], groups[one["groupId"]]) for one in state["memberships"]]
    people = [
        Held(
            user_name=user["userName"],
            enabled=user["active"],
            title=user.get("title", ""),
            department=user.get(ENTERPRISE, {}).get("department", ""),
            groups=frozenset(group for member, group in members if member == user["id"]),
        )
        for user in state["users"]
    ]
    return tuple(sorted(people, key=lambda person: person.user_name))
