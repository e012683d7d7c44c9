"""Reading the changes of members from the operations of a group PATCH."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import Context, InvalidValueException, PatchOp

from scim_bridge.scim.members import GroupPatch, MemberChanges, plain_additions, taken_apart
from scim_bridge.scim.provider import Group, Provider
from scim_bridge.settings import Settings

PROVIDER = Provider(Settings())
PATCH_OP = str(PatchOp.__schema__)


def patch(*operations: dict[str, Any]) -> PatchOp[Group]:
    with PROVIDER:
        return PatchOp[Group].model_validate(
            {"Operations": list(operations)}, scim_ctx=Context.RESOURCE_PATCH_REQUEST
        )


def members_of(*operations: dict[str, Any]) -> MemberChanges | None:
    with PROVIDER:
        apart = taken_apart(patch(*operations))
    assert apart is not None
    assert apart.rest is None
    return apart.members


@pytest.mark.parametrize("path", ["members", "Members", f"{Group.__schema__}:members"])
def test_an_add_of_a_list_adds_each_of_them(path: str) -> None:
    """RFC 7644, section 3.5.2.1; attribute names in any case and with the schema in front."""
    changes = members_of({"op": "Add", "path": path, "value": [{"value": "a"}, {"value": "b"}]})

    assert changes == MemberChanges(add=("a", "b"))


def test_an_add_of_one_object_adds_that_one() -> None:
    """RFC 7644, section 3.5.2.1 has a value or a list; HR systems send the value."""
    assert members_of({"op": "add", "path": "members", "value": {"value": "a"}}) == MemberChanges(
        add=("a",)
    )


def test_a_remove_with_a_filter_removes_the_one_it_names() -> None:
    """RFC 7644, section 3.5.2.2."""
    changes = members_of({"op": "remove", "path": 'members[value eq "a"]'})

    assert changes == MemberChanges(remove=("a",))


def test_a_remove_with_a_value_list_removes_only_those() -> None:
    """Microsoft Entra ID names who leaves in the value; by the letter it would be everybody."""
    value = [{"$ref": None, "value": "a"}, {"value": "b"}]

    assert members_of({"op": "Remove", "path": "members", "value": value}) == MemberChanges(
        remove=("a", "b")
    )


def test_a_remove_with_an_empty_list_removes_nobody() -> None:
    """A client that names nobody to remove removes nobody."""
    assert members_of({"op": "remove", "path": "members", "value": []}) == MemberChanges()


def test_a_remove_without_a_value_removes_everybody() -> None:
    """RFC 7644, section 3.5.2.2: without a filter, all values are removed."""
    assert members_of({"op": "remove", "path": "members"}) == MemberChanges(replace=())


def test_a_replace_gives_the_whole_list() -> None:
    """RFC 7644, section 3.5.2.3: all values are replaced, also with none."""
    replaced = members_of({"op": "replace", "path": "members", "value": [{"value": "a"}]})
    emptied = members_of({"op": "replace", "path": "members", "value": []})

    assert (replaced, emptied) == (MemberChanges(replace=("a",)), MemberChanges(replace=()))


def test_a_pathless_value_may_hold_the_members() -> None:
    """RFC 7644, section 3.5.2: without a path the value holds attributes."""
    added = members_of({"op": "add", "value": {"members": [{"value": "a"}]}})
    replaced = members_of({"op": "replace", "value": {"Members": [{"value": "a"}]}})

    assert (added, replaced) == (MemberChanges(add=("a",)), MemberChanges(replace=("a",)))


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": Group.__schema__, "value": {"members": [{"value": "a"}]}},
        {"op": "add", "path": Group.__schema__.upper(), "value": {"Members": [{"value": "a"}]}},
        {"op": "add", "value": {Group.__schema__: {"members": [{"value": "a"}]}}},
        {"op": "add", "value": {f"{Group.__schema__}:members": [{"value": "a"}]}},
    ],
)
def test_the_schema_may_stand_around_the_members(operation: dict[str, Any]) -> None:
    """RFC 7644, section 3.10: an attribute may be named with the schema that defines it."""
    assert members_of(operation) == MemberChanges(add=("a",))


def test_members_under_two_names_are_all_meant() -> None:
    """None of them is dropped in silence."""
    value = {
        "members": [{"value": "a"}],
        f"{Group.__schema__}:members": [{"value": "b"}],
        str(Group.__schema__): {"members": [{"value": "c"}]},
    }

    assert members_of({"op": "add", "value": value}) == MemberChanges(add=("a", "b", "c"))


def test_what_is_not_about_members_is_kept_apart() -> None:
    """Okta renames a group and changes its members in one request."""
    with PROVIDER:
        apart = taken_apart(
            patch(
                {"op": "replace", "value": {"id": "g", "displayName": "A", "members": []}},
                {"op": "replace", "path": "externalId", "value": "x"},
            )
        )

    assert isinstance(apart, GroupPatch)
    assert apart.rest is not None
    assert apart.members == MemberChanges(replace=())
    assert [(o.path, o.value) for o in apart.rest.operations or []] == [
        (None, {"id": "g", "displayName": "A"}),
        ("externalId", "x"),
    ]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": 'members[display eq "Ada"]'},
        {"op": "remove", "path": 'members[value eq "a" or value eq "b"]'},
        {"op": "remove", "path": 'members[value eq "a"].display'},
        {"op": "replace", "path": 'members[value eq "a"].display', "value": "Ada"},
        {"op": "replace", "value": {"members.display": "Ada"}},
    ],
)
def test_a_patch_that_needs_the_members_themselves_is_not_taken_apart(
    operation: dict[str, Any],
) -> None:
    """What cannot be told from the operations alone is left to the whole group."""
    with PROVIDER:
        assert taken_apart(patch(operation)) is None


@pytest.mark.parametrize(
    "value", [[{"display": "Ada"}], [{"value": ""}], ["a"], "", [{"value": 7}]]
)
def test_a_member_without_an_id_is_refused(value: object) -> None:
    """A member that cannot be understood must not be dropped in silence (RFC 7643, section 4.2)."""
    operation = {"op": "add", "path": "members", "value": value}

    with PROVIDER, pytest.raises(InvalidValueException, match="id of a user"):
        taken_apart(patch(operation))


IDS = st.lists(st.sampled_from("abcd"), max_size=3)
STEPS = st.lists(
    st.one_of(
        IDS.map(lambda ids: {"op": "add", "path": "members", "value": [{"value": i} for i in ids]}),
        IDS.map(
            lambda ids: {"op": "remove", "path": "members", "value": [{"value": i} for i in ids]}
        ),
        st.sampled_from("abcd").map(lambda i: {"op": "remove", "path": f'members[value eq "{i}"]'}),
        IDS.map(
            lambda ids: {"op": "replace", "path": "members", "value": [{"value": i} for i in ids]}
        ),
        st.just({"op": "remove", "path": "members"}),
    ),
    min_size=1,
    max_size=5,
)


def applied(before: set[str], changes: MemberChanges) -> set[str]:
    if changes.replace is not None:
        return set(changes.replace)
    return (before - set(changes.remove)) | set(changes.add)


def one_by_one(before: set[str], steps: list[dict[str, Any]]) -> set[str]:
    members = set(before)
    for step in steps:
        ids = {entry["value"] for entry in step.get("value", [])}
        if "[" in step["path"]:
            members.discard(step["path"].split('"')[1])
        elif step["op"] == "add":
            members |= ids
        elif step["op"] == "replace" or "value" not in step:
            members = ids
        else:
            members -= ids
    return members


@given(before=st.sets(st.sampled_from("abcd")), steps=STEPS)
def test_all_operations_together_do_what_they_do_one_by_one(
    before: set[str], steps: list[dict[str, Any]]
) -> None:
    """RFC 7644, section 3.5.2: operations are applied in the order they are listed."""
    changes = members_of(*steps)

    assert changes is not None
    assert applied(before, changes) == one_by_one(before, steps)


@given(steps=STEPS)
def test_nobody_is_both_named_for_removal_and_a_member_afterwards(
    steps: list[dict[str, Any]],
) -> None:
    """The last word on a person counts: who is added again is not taken away."""
    changes = members_of(*steps)

    assert changes is not None
    assert not set(changes.remove) & {*changes.add, *(changes.replace or ())}


ADA, BOB = "2819c223-7f76-453a-919d-413861904646", "902c246b-6245-4190-8e05-00816be7344a"


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "add", "path": "members", "value": [{"value": ADA}]}],
        [{"op": "add", "path": "members", "value": [{"value": ADA, "type": "User"}]}] * 2,
        [
            {"op": "add", "path": "members", "value": [{"value": ADA}, {"value": BOB}]},
            {"op": "add", "path": "members", "value": [{"value": BOB, "display": "Bob"}]},
        ],
    ],
    ids=["one", "twice", "several"],
)
def test_plain_additions_mean_what_they_mean_as_models(operations: list[Any]) -> None:
    """RFC 7644, section 3.5.2.1, in the form that clients send most."""
    payload = {"schemas": [PATCH_OP], "Operations": operations}
    assert plain_additions(payload) == members_of(*operations)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": "members", "value": [{"value": ADA}]},
        {"op": "remove", "path": "members", "value": [{"value": ADA}]},
        {"op": "replace", "path": "members", "value": [{"value": ADA}]},
        {"op": "add", "path": "displayName", "value": [{"value": ADA}]},
        {"op": "add", "path": "members", "value": {"value": ADA}},
        {"op": "add", "path": "members", "value": [{"value": ""}]},
        {"op": "add", "path": "members", "value": [{"value": 5}]},
        {"op": "add", "path": "members", "value": []},
        {"op": "add", "value": {"members": [{"value": ADA}]}},
    ],
)
def test_anything_else_is_read_as_a_model(operation: dict[str, Any]) -> None:
    """What a dialect or the SCIM library has a say in is left to it."""
    assert plain_additions({"schemas": [PATCH_OP], "Operations": [operation]}) is None
