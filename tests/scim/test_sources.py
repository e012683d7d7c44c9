"""Several sources of the same people: whose attributes are whose, and who is the same person."""

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_bridge.directory.audit import Action
from scim_bridge.directory.database import Database
from scim_bridge.directory.provenance import provenance
from scim_bridge.directory.trail import trail, warned
from scim_bridge.plan.authority import flattened
from scim_bridge.scim import credentials
from scim_bridge.settings import Authority, Matching, Settings
from tests.scim.conftest import ENTERPRISE, USER, Caller, assert_error, serve

OWNED = {
    "hr": ("active", "name", "title", "department", "employeeNumber"),
    "idp": ("emails", "displayName", "preferredLanguage"),
}


def of_two(on_conflict: Any = "ignore", *keys: str) -> Settings:
    return Settings(
        authorities=tuple(
            Authority(client=client, attributes=names, on_conflict=on_conflict)
            for client, names in OWNED.items()
        ),
        matching=Matching(users=keys or ("userName",)),
    )


def clients_of(database: Database, settings: Settings) -> dict[str, Caller]:
    scim = serve(database, settings, client="hr")
    token = credentials.add(database, "idp").token
    return {"hr": scim, "idp": Caller(app=scim.app, token=token)}


def stated(name: str, **values: Any) -> dict[str, Any]:
    """A person as a source states them, with everything it has."""
    department = values.pop("department", None)
    email = values.pop("email", None)
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": f"{name}@example.com",
        "name": {"givenName": values.pop("given", "Ada"), "familyName": "Lovelace"},
        **({"emails": [{"value": email, "type": "work", "primary": True}]} if email else {}),
        ENTERPRISE: {"employeeNumber": name, **({"department": department} if department else {})},
        **{key: value for key, value in values.items() if value is not None},
    }


def test_what_is_anothers_stays_and_the_client_is_warned(database):
    """In the trail, and counted; an omission in a PUT is no write and takes nothing away."""
    by = clients_of(database, of_two())
    user = by["hr"].post("/Users", stated("ada", title="Clerk", active=True)).json

    shown = by["idp"].put(f"/Users/{user['id']}", stated("ada", displayName="Ada L", active=True))
    assert (shown.status_code, shown.json["title"]) == (200, "Clerk")
    assert warned(database, since=0) == ()

    remove = {"op": "remove", "path": "title"}
    move = {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "R&D"}
    shown = by["idp"].patch(f"/Users/{user['id']}", remove, move)
    assert (shown.status_code, shown.json["title"]) == (200, "Clerk")
    assert "department" not in shown.json[ENTERPRISE]
    (entry,) = [one for one in trail(database) if one.action == Action.WARNING]
    assert (entry.actor, entry.outcome) == ("client:idp", "ignored")
    assert entry.facts["attributes"] == ["department", "title"]
    assert [one.client for one in warned(database, since=0)] == ["idp"]
    origins = {one.attribute: one.origin for one in provenance(database, user["id"])}
    assert (origins["title"], origins["displayName"]) == ("client:hr", "client:idp")


def test_a_write_to_anothers_is_refused_where_that_is_set(database):
    """RFC 7644, section 3.12: 403, naming what and the remedy. Nothing is written then."""
    by = clients_of(database, of_two("refuse"))
    user = by["hr"].post("/Users", stated("ada", title="Clerk", active=True)).json

    answer = by["idp"].put(f"/Users/{user['id']}", stated("ada", title="King", displayName="A"))

    assert_error(answer, 403)
    assert "title" in answer.json["detail"]
    assert "displayName" not in by["hr"].get(f"/Users/{user['id']}").json
    assert_error(by["idp"].delete(f"/Users/{user['id']}"), 403)
    assert by["hr"].delete(f"/Users/{user['id']}").status_code == 204


def test_a_client_never_believes_that_it_has_deactivated_somebody(database):
    """Where another source alone says who is active, a deactivation is refused, not ignored."""
    by = clients_of(database, of_two())
    user = by["hr"].post("/Users", stated("ada", active=True)).json

    answer = by["idp"].patch(
        f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False}
    )

    assert_error(answer, 403)
    assert by["hr"].get(f"/Users/{user['id']}").json["active"] is True


@pytest.mark.parametrize("key", ["userName", "externalId", "employeeNumber", "email"])
def test_a_person_is_matched_by_the_keys_that_are_set(database, key):
    """A second creation adds to the first, with its id; without the key it is another person."""
    by = clients_of(database, of_two("ignore", key))
    same = {"externalId": "e1", "email": "ada@example.com"}
    first = by["idp"].post("/Users", stated("ada", displayName="Ada", **same)).json
    assert first["active"] is False

    second = by["hr"].post("/Users", stated("ada", title="Clerk", active=True, **same))

    assert second.status_code == 201
    assert second.json["id"] == first["id"]
    assert (second.json["title"], second.json["displayName"]) == ("Clerk", "Ada")
    assert second.json["active"] is True
    other = by["hr"].post("/Users", stated("bob", active=True))
    assert other.json["id"] != first["id"]


def test_nobody_is_matched_with_two_people(database):
    by = clients_of(database, of_two("ignore", "employeeNumber", "email"))
    by["idp"].post("/Users", stated("ada", email="ada@example.com"))
    by["idp"].post("/Users", stated("bob", email="bob@example.com"))

    answer = by["idp"].post("/Users", stated("ada", email="bob@example.com"))

    assert_error(answer, 409, "uniqueness")


@pytest.fixture
def by(database: Database) -> Mapping[str, Caller]:
    """Two sources of one directory, which all examples share: each has people of its own."""
    return clients_of(database, of_two())


# What a source says of a person, one time after the other.
_SAID = st.fixed_dictionaries(
    {
        "given": st.sampled_from(["Ada", "Eve"]),
        "title": st.sampled_from([None, "Clerk", "King"]),
        "department": st.sampled_from([None, "R&D", "Sales"]),
        "displayName": st.sampled_from([None, "A", "B"]),
        "preferredLanguage": st.sampled_from([None, "en", "de"]),
        "active": st.booleans(),
    }
)
_SAYINGS = st.lists(_SAID, min_size=1, max_size=4)
_serial = itertools.count()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(hr=_SAYINGS, idp=_SAYINGS, shuffle=st.randoms(use_true_random=False))
def test_two_sources_in_random_order_end_as_each_alone_for_its_attributes(
    by, hr, idp, shuffle: random.Random
):
    """Must show 4. Creations, replacements and changes of the same person, interleaved at will."""
    number = next(_serial)
    said = {"hr": hr, "idp": [{**each, "active": True} for each in idp]}
    turns = ["hr"] * len(hr) + ["idp"] * len(idp)
    shuffle.shuffle(turns)

    both = play(by, f"both{number}", said, turns)
    for client, names in OWNED.items():
        alone = play(by, f"{client}{number}", said, [one for one in turns if one == client])
        assert owned(both, names) == owned(alone, names), client


def play(
    by: Mapping[str, Caller], name: str, said: Mapping[str, Sequence[Any]], turns: Sequence[str]
) -> dict[str, Any]:
    """What the directory holds of a person once the sources have had these turns."""
    ids: dict[str, str] = {}
    sayings = {client: iter(each) for client, each in said.items()}
    for turn in turns:
        body = stated(name, **next(sayings[turn]))
        if turn in ids:
            answer = by[turn].put(f"/Users/{ids[turn]}", body)
        else:
            answer = by[turn].post("/Users", body)
        assert answer.status_code in (200, 201), answer.text
        ids[turn] = answer.json["id"]
    (user_id,) = set(ids.values())
    return dict(by["hr"].get(f"/Users/{user_id}").json)


def owned(shown: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """These attributes of a person, without what tells one run's person from another's."""
    return {
        path: value
        for path, value in flattened(shown).items()
        if (path in names or path.partition(".")[0] in names) and path != "employeeNumber"
    }
