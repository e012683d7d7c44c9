"""What is let into the directory, and how a refusal reads."""

from dataclasses import replace
from typing import Any

import pytest
from scim2_models import (
    Context,
    ForbiddenException,
    InvalidValueException,
    MutabilityException,
)

from scim_bridge.scim.admission import Admission, Admitted
from scim_bridge.scim.provider import Group, Provider, User
from scim_bridge.settings import Safety, Settings, Users

SETTINGS = Settings()
PROVIDER = Provider(SETTINGS)
MODEL: Any = PROVIDER.model_for(PROVIDER.user)

ADA = {
    "userName": "ada@example.com",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "title": "Countess",
    "active": True,
}


def user(**attributes: Any) -> Any:
    return MODEL.model_validate(
        {**ADA, **attributes}, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_provider=PROVIDER
    )


def admission(*, username_changes: Any = "refuse", protected: tuple[str, ...] = ()) -> Admission:
    return Admission(
        replace(
            SETTINGS,
            users=Users(username_changes=username_changes),
            safety=Safety(protected=protected),
        )
    )


def replacement(after: Any, **rules: Any) -> Admitted:
    return admission(**rules).replacement(user(), after)


# -- Creation -------------------------------------------------------------


def test_a_user_without_active_is_active() -> None:
    """Design of the bridge: a missing `active` on creation is true."""
    assert admission().creation(user(active=None)).active is True


def test_a_user_may_be_created_inactive() -> None:
    """A person who has not begun yet is created disabled."""
    assert admission().creation(user(active=False)).active is False


def test_everything_missing_is_named_at_once() -> None:
    """AWS SCIM developer guide, CreateUser, requires these three of the client."""
    with pytest.raises(InvalidValueException) as refusal:
        admission().creation(user(userName=None, name=None))

    for path in ("userName", "name.givenName", "name.familyName"):
        assert f"{path}: Identity Center requires a value" in str(refusal.value)


def test_only_what_is_missing_is_named() -> None:
    """A refusal names exactly what the client has to add."""
    with pytest.raises(InvalidValueException) as refusal:
        admission().creation(user(name={"givenName": "Ada"}))

    assert str(refusal.value) == "name.familyName: Identity Center requires a value"


def test_every_value_identity_center_refuses_is_named_at_once() -> None:
    """AWS refuses white space in a userName and these characters in names (AWS SCIM guide)."""
    with pytest.raises(InvalidValueException) as refusal:
        admission().creation(
            user(userName="ada lovelace", name={"givenName": "A<da", "familyName": "Love;lace"})
        )

    for path in ("userName", "name.givenName", "name.familyName"):
        assert path in str(refusal.value)


def test_a_formatted_name_of_two_words_gives_both_names() -> None:
    """Clients that keep one name send name.formatted only."""
    created = admission().creation(user(name={"formatted": "Ada Lovelace"}))

    assert (created.name.given_name, created.name.family_name) == ("Ada", "Lovelace")


@pytest.mark.parametrize("formatted", ["Ada", "Ada King Lovelace", ""])
def test_any_other_formatted_name_is_not_guessed_at(formatted: str) -> None:
    """Which of three words is the family name cannot be known."""
    with pytest.raises(InvalidValueException, match=r"name\.familyName: "):
        admission().creation(user(name={"formatted": formatted}))


def test_a_formatted_name_that_contradicts_a_given_one_is_not_split() -> None:
    """With the family name first, splitting would make the given name the family name."""
    with pytest.raises(InvalidValueException, match=r"^name\.familyName: [^;]+$"):
        admission().creation(user(name={"formatted": "Lovelace Ada", "givenName": "Ada"}))


def test_nothing_empty_is_kept() -> None:
    """Clients send an empty string for "no value", and Identity Center refuses it."""
    created = admission().creation(
        user(
            title="",
            emails=[{"value": "", "type": "work", "primary": True}],
            addresses=[{"type": "work", "locality": ""}, {"type": "home", "locality": "Cork"}],
            **{str(MODEL.get_extension_model("EnterpriseUser").__schema__): {"department": ""}},
        )
    )

    document = created.model_dump()
    assert document.keys() - {"schemas"} == {"userName", "name", "active", "addresses"}
    assert document["addresses"] == [{"locality": "Cork", "type": "home"}]


def test_a_password_is_accepted_and_dropped() -> None:
    """Okta sends a throw-away password; the bridge signs nobody in and keeps none."""
    assert admission().creation(user(password="secret")).password is None


# -- Protected names --------------------------------------------------------


@pytest.mark.parametrize("name", ["AWSAdmin", "awsadmin"])
def test_a_protected_user_cannot_be_created(name: str) -> None:
    """`[safety] protected` names what no client may touch, whatever the case."""
    with pytest.raises(ForbiddenException, match=name):
        admission(protected=("AWS*",)).creation(user(userName=name))


def test_a_protected_group_cannot_be_created_changed_or_named() -> None:
    """Both the old and the new name count."""
    rules = admission(protected=("AWS*",))
    protected, other = Group(display_name="AWSControlTower"), Group(display_name="Crew")

    for attempt in (
        lambda: rules.creation(protected),
        lambda: rules.replacement(protected, other.model_copy()),
        lambda: rules.replacement(other, protected.model_copy()),
        lambda: rules.touch(protected),
    ):
        with pytest.raises(ForbiddenException):
            attempt()


@pytest.mark.parametrize(
    "name", [" AWSAdmins", "\u00a0AWSAdmins", "\uff21\uff37\uff33Admins", "Glass ", "GLASS"]
)
def test_blanks_and_wide_letters_make_no_other_name_of_a_protected_one(name: str) -> None:
    """What people read as the protected name is protected."""
    with pytest.raises(ForbiddenException):
        admission(protected=("AWS*", "Glass")).creation(Group(display_name=name))


def test_a_refusal_says_which_pattern_protects_the_name() -> None:
    """``AWS*`` is a default: nobody who names a group AWS-Operations has written it."""
    with pytest.raises(ForbiddenException, match=r"like 'AWS\*' of \[safety\] protected"):
        Admission(Settings()).creation(Group(display_name="AWS-Operations"))


def test_a_protected_user_is_not_even_deactivated() -> None:
    """A break-glass user must not be locked out by an identity provider's mistake."""
    with pytest.raises(ForbiddenException):
        replacement(user(active=False), protected=("ada@*",))


# -- userName ---------------------------------------------------------------


def test_another_user_name_is_refused() -> None:
    """`[users] username_changes = "refuse"`: 400 mutability (RFC 7644, section 3.12)."""
    with pytest.raises(MutabilityException, match="userName"):
        replacement(user(userName="countess@example.com"))


def test_the_same_name_in_another_case_is_taken() -> None:
    """userName is compared without case (RFC 7643, section 4.1.1): no other name, but stored."""
    admitted = replacement(user(userName="Ada@Example.com"))

    assert (admitted.resource.user_name, admitted.ignored) == ("Ada@Example.com", ())  # type: ignore[attr-defined]


def test_another_user_name_is_taken_where_that_is_allowed() -> None:
    """`"allow"` renames in place."""
    admitted = replacement(user(userName="countess@example.com"), username_changes="allow")

    assert admitted.resource.user_name == "countess@example.com"  # type: ignore[attr-defined]


# -- active -----------------------------------------------------------------


@pytest.mark.parametrize("present", [True, False])
def test_a_replacement_without_active_keeps_it(present: bool) -> None:
    """Only an explicit true enables, only an explicit false disables."""
    admitted = admission().replacement(user(active=present), user(active=None))

    assert admitted.resource.active is present  # type: ignore[attr-defined]


def test_a_deactivation_is_applied_with_everything_else_in_it() -> None:
    """The usual leaver: the whole user, with active false."""
    admitted = replacement(user(active=False, title="Retired"))

    assert isinstance(admitted.resource, User)
    assert (admitted.resource.active, admitted.resource.title) == (False, "Retired")
    assert admitted.ignored == ()


def test_a_deactivation_passes_a_changed_user_name_and_leaves_it_out() -> None:
    """Issue: active=false is always applied, a changed userName in it ignored and audited."""
    admitted = replacement(user(active=False, userName="gone@example.com", title="Retired"))

    assert isinstance(admitted.resource, User)
    assert admitted.resource.user_name == "ada@example.com"
    assert (admitted.resource.active, admitted.resource.title) == (False, "Retired")
    assert admitted.ignored == ("userName",)


@pytest.mark.parametrize(
    "rest",
    [
        {"name": None},
        {"name": {"givenName": "A<da", "familyName": "Lovelace"}},
        {"userName": None},
    ],
)
def test_a_deactivation_passes_what_would_be_refused_alone(rest: dict[str, Any]) -> None:
    """A leaver does not keep access because their record is incomplete."""
    admitted = replacement(user(active=False, title="Retired", **rest))

    assert isinstance(admitted.resource, User)
    assert admitted.resource.model_dump() == {**user().model_dump(), "active": False}
    assert set(admitted.ignored) == {"title", *rest}


def test_a_patch_cannot_take_a_required_name_away() -> None:
    """RFC 7644, section 3.5.2.2: removing a required attribute is 400 mutability."""
    with pytest.raises(MutabilityException, match=r"name\.familyName"):
        admission().patch(user(), user(name={"givenName": "Ada"}))
