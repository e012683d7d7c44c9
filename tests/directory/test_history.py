"""The versions of a resource, as they were written."""

from scim_bridge.directory import actor, history
from scim_bridge.directory.actor import Actor
from scim_bridge.directory.resources import Resources
from tests.directory.population import USER, add_group, add_user


def test_each_version_tells_who_made_it_and_from_what(resources: Resources) -> None:
    """Who, in which request, before and after; a deletion has no after."""
    with actor.acting(Actor(name="client:okta", request_id="r-1")):
        person = add_user(resources, "ada", title="Boss")
        person.title = "Clerk"
        resources.update(USER, person)
    with actor.acting(Actor(name="operator:root", request_id="r-2")):
        resources.delete(USER, person.id)
    first, second, third = history.versions(resources.database, "user", person.id)
    assert (first.version, second.version, third.version) == (1, 2, 3)
    assert (first.actor, first.request_id) == ("client:okta", "r-1")
    assert (third.actor, third.request_id) == ("operator:root", "r-2")
    assert first.before is None
    assert first.after == second.before
    assert second.after == third.before
    assert third.after is None
    assert second.after is not None
    assert second.after["title"] == "Clerk"


def test_later_versions_can_be_read_alone(resources: Resources) -> None:
    """`since` leaves out the versions up to it."""
    person = add_user(resources, "ada")
    person.title = "Boss"
    resources.update(USER, person)
    (later,) = history.versions(resources.database, "user", person.id, since=1)
    assert later.version == 2


def test_a_change_of_members_is_a_version_of_the_group(resources: Resources) -> None:
    """The group's; the user's version rises without a row of its own."""
    person = add_user(resources, "ada")
    group = add_group(resources, "Admins")
    resources.change_members(group.id, add=[person.id])
    assert [each.version for each in history.versions(resources.database, "group", group.id)] == [
        1,
        2,
    ]
    assert len(history.versions(resources.database, "user", person.id)) == 1
