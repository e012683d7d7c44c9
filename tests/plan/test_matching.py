"""Who at the target is whom in the directory?"""

from scim_bridge.plan.matching import Stranger, match

ADA = ("userName", "ada")
MAIL = ("email", "ada@example.com")


def stranger(number="1", *traits, **more):
    return Stranger(kind="user", id=number, name=f"name{number}", traits=traits, **more)


def matched(*strangers, known_by=None, linked=(), deleted=()):
    return match(strangers, known_by=known_by or {}, linked=linked, deleted=deleted)


def test_who_is_like_one_resource_is_that_one():
    found = matched(stranger("1", ADA, MAIL), known_by={ADA: {"a"}, MAIL: {"a"}})
    (one,) = found.matches
    assert (one.resource, one.by) == ("a", ("userName", "email"))


def test_who_is_like_nobody_is_unknown():
    assert [one.id for one in matched(stranger("1", ADA)).unknown] == ["1"]


def test_who_is_like_two_is_left_alone():
    found = matched(stranger("1", ADA, MAIL), known_by={ADA: {"a"}, MAIL: {"b"}})
    (clash,) = found.clashes
    assert clash.why == "several in the directory are like it: a by userName; b by email"
    assert not found.matches


def test_who_is_like_somebody_that_is_linked_already_is_left_alone():
    found = matched(stranger("1", ADA), known_by={ADA: {"a"}}, linked={"a"})
    (clash,) = found.clashes
    assert "linked to another principal" in clash.why


def test_two_that_are_like_one_are_both_left_alone():
    found = matched(stranger("1", ADA), stranger("2", MAIL), known_by={ADA: {"a"}, MAIL: {"a"}})
    assert len(found.clashes) == 2
    assert not found.matches


def test_a_protected_name_is_left_alone():
    found = matched(stranger("1", ADA, is_protected=True), known_by={ADA: {"a"}})
    assert "protected" in found.clashes[0].why


def test_the_principal_of_a_deleted_record_is_left_alone():
    found = matched(stranger("1", ("externalId", "old")), deleted={"old"})
    assert "deleted" in found.clashes[0].why
