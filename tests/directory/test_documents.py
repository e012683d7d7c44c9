"""What is kept of a resource, and the columns that are filled from it."""

from typing import Annotated, Any

import pytest
from scim2_models import (
    URN,
    ComplexAttribute,
    EnterpriseUser,
    Extension,
    Group,
    InvalidValueException,
    Returned,
    User,
)

from scim_bridge.directory.documents import (
    document_of,
    group_columns,
    is_active,
    primary_email,
    user_columns,
)
from tests.directory.population import ENTERPRISE


class Badge(ComplexAttribute):
    """An attribute with a part that is never returned."""

    number: str | None = None
    pin: Annotated[str | None, Returned.never] = None


class Door(Extension):
    """An extension with secrets at two depths."""

    __schema__ = URN("urn:example:door")

    code: Annotated[str | None, Returned.never] = None
    badges: list[Badge] | None = None


def test_a_document_has_no_id_meta_or_memberships() -> None:
    """The directory adds those itself."""
    person = User[EnterpriseUser].model_validate(
        {"id": "1", "userName": "ada", "groups": [{"value": "g"}], "meta": {"version": "1"}}
    )
    assert document_of(person) == {"schemas": [str(User.__schema__)], "userName": "ada"}
    group = Group.model_validate({"displayName": "A", "members": [{"value": "u"}]})
    assert document_of(group) == {"schemas": [str(Group.__schema__)], "displayName": "A"}


def test_what_is_never_returned_is_not_kept_at_any_depth() -> None:
    """`returned: never` (RFC 7643 §7) in an attribute, an extension and an entry."""
    person: Any = User[Door].model_validate(
        {
            "userName": "ada",
            "password": "p",
            "urn:example:door": {"code": "c", "badges": [{"number": "7", "pin": "1"}]},
        }
    )
    document = document_of(person)
    assert document["urn:example:door"] == {"badges": [{"number": "7"}]}
    assert "password" not in document


@pytest.mark.parametrize(
    ("emails", "expected"),
    [
        (None, None),
        ([], None),
        ([{"value": "a"}, {"value": "b"}], "a"),
        ([{"value": "a"}, {"value": "b", "primary": True}], "b"),
        ([{"type": "work"}], None),
        ([{"value": ""}], None),
    ],
)
def test_the_primary_email_is_the_marked_one_or_the_first(emails: Any, expected: str) -> None:
    """RFC 7643 §2.4."""
    assert primary_email({"emails": emails}) == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [({}, True), ({"active": True}, True), ({"active": None}, True), ({"active": False}, False)],
)
def test_only_false_makes_inactive(document: dict[str, Any], expected: bool) -> None:
    """A client that never sends `active` has active people."""
    assert is_active(document) is expected


def test_a_users_columns_hold_what_is_compared() -> None:
    """Folded where case does not matter, as sent where it does."""
    columns = user_columns(
        {
            "userName": "Ada",
            "externalId": "E\u0301-1",
            "displayName": "ADA",
            "emails": [{"value": "Ada@A.example"}],
            ENTERPRISE: {"manager": {"value": "boss"}},
        }
    )
    del columns["document"]
    assert columns == {
        "user_name": "Ada",
        "user_name_folded": "ada",
        "external_id": "É-1",
        "email_folded": "ada@a.example",
        "display_name_folded": "ada",
        "manager_id": "boss",
        "active": True,
    }


def test_a_resource_without_its_name_is_refused() -> None:
    """400 `invalidValue` naming the attribute, whatever the caller has checked."""
    with pytest.raises(InvalidValueException, match="userName"):
        user_columns({})
    with pytest.raises(InvalidValueException, match="displayName"):
        group_columns({})
