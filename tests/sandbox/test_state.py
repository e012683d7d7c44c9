"""The store: what is refused changes nothing, and nothing that is sent breaks it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.sandbox.refusals import Refused
from scim_bridge.sandbox.state import IdentityStore

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
NAMES = ["userName", "name", "displayName", "active", "emails", "title", "externalId", "members"]
WORDS = [*NAMES, ENTERPRISE, "value", "type", "primary", "manager", "givenName", "familyName", "id"]
PATHS = [*NAMES, "name.givenName", "active.x", "emails.value", 'emails[type eq "work"].value']
PATHS += ['emails[type eq "work"]', "emails[primary eq true].type", f"{ENTERPRISE}:manager"]
PATHS += [ENTERPRISE, f"{ENTERPRISE}:manager.value", 'members[value eq "x"]', "", "a b", "groups"]

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just("work")
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove"]) | leaves},
    optional={"path": st.sampled_from(PATHS) | leaves, "value": anything},
)
patches = st.fixed_dictionaries(
    {
        "schemas": st.just(["urn:ietf:params:scim:api:messages:2.0:PatchOp"]),
        "Operations": st.lists(operations, max_size=3) | anything,
    }
)


def person(name: str = "ada", **more: object) -> dict[str, Any]:
    names = {"givenName": "Ada", "familyName": "Lovelace"}
    return {"userName": name, "name": names, "displayName": "Ada", **more}


def filled() -> tuple[IdentityStore, str, str]:
    """A store with two users, one of them in the one group; and the ids of that user and group."""
    store = IdentityStore()
    email = {"value": "ada@example.com", "type": "work", "primary": True}
    ada = store.create_user(person("ada", externalId="A1", emails=[email]))
    store.create_user(person("bob", active=False))
    group = {"displayName": "Engineers", "members": [{"value": ada.id}]}
    return store, ada.id, store.create_group(group).id


@given(body=anything, patch=patches, strict=st.booleans())
def test_whatever_is_sent_is_done_or_refused_whole(body, patch, strict):
    """No JSON at all breaks the store, and a refusal leaves everything as it was."""
    store, user_id, group_id = filled()
    mixed = {**person("carol"), **body} if isinstance(body, dict) else body
    for act in (
        lambda: store.create_user(body),
        lambda: store.create_user(mixed),
        lambda: store.put_user(user_id, mixed),
        lambda: store.patch_user(user_id, patch),
        lambda: store.create_group(body),
        lambda: store.patch_group(group_id, patch),
    ):
        before = json.dumps(store.everything())
        try:
            act()
        except Refused:
            assert json.dumps(store.everything()) == before


@given(patch=patches)
def test_required_names_survive_every_patch(patch):
    """After patching, the rules of CreateUser hold. [documented]"""
    store, user_id, _ = filled()
    try:
        store.patch_user(user_id, patch)
    except Refused:
        return
    user = store.user(user_id).attributes
    assert user["userName"]
    assert user["displayName"]
    assert user["name"]["givenName"]
    assert user["name"]["familyName"]
    assert isinstance(user["active"], bool)
    assert len(user.get("emails", [])) <= 1


def test_a_refused_change_of_two_unique_values_frees_neither():
    """A conflict on one value leaves the other with its holder."""
    store, user_id, _ = filled()
    with pytest.raises(Refused):
        store.put_user(user_id, person("new", externalId="B1", title=""))
    store.create_user(person("carol", externalId="C1"))
    with pytest.raises(Refused):
        store.put_user(user_id, person("new", externalId="C1"))
    with pytest.raises(Refused):
        store.create_user(person("ada"))
    assert store.create_user(person("new", externalId="B1"))
