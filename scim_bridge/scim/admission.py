"""What of a client's write is let into the directory? Decided before the commit, on models.

Everything Identity Center is known to refuse is refused here, all at once. One thing is never
refused for what comes along with it: a write that sets ``active`` to false. If the rest of it is
not acceptable, the deactivation alone is let in, and the caller is told what was left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from scim2_models import (
    ComplexAttribute,
    Extension,
    ForbiddenException,
    InvalidValueException,
    MutabilityException,
    Resource,
    SCIMException,
)

from scim_bridge.directory.comparison import folded
from scim_bridge.identity_center.payloads import (
    is_accepted,
    problems_of_group,
    problems_of_user,
    split_name,
)
from scim_bridge.plan.protection import Protection
from scim_bridge.scim.provider import Group, User
from scim_bridge.settings import Settings

ResourceT = TypeVar("ResourceT", bound=Resource[Any])

# What an entry of a multi-valued attribute is about is not in these.
_ABOUT_THE_ENTRY = frozenset({"type", "primary", "display"})
# What no client writes, or what a deactivation is about itself.
_NOT_WRITTEN = frozenset({"schemas", "id", "meta", "groups", "active"})


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A change as it may be made."""

    resource: Resource[Any]
    # Whether the client says that the user is inactive: that is done, whatever it comes with.
    deactivates: bool = False
    # The attributes a deactivation came with that were left out.
    ignored: tuple[str, ...] = ()
    # Whether what is not in the resource was left out, and not taken away (a PUT).
    states_all: bool = False


class Admission:
    """The rules of one configuration. Pure: reads and changes nothing but what it is given.

    Raises `ForbiddenException` for a protected name, `InvalidValueException` naming every problem
    of a value, and `MutabilityException` for what cannot be changed or taken away.
    """

    def __init__(self, settings: Settings) -> None:
        self._user_names_change = settings.users.username_changes == "allow"
        self._protection = Protection(settings.safety.protected)

    def creation(self, resource: ResourceT) -> ResourceT:
        """Complete and check a new resource."""
        tidied = _tidied(resource)
        if isinstance(tidied, User) and tidied.active is None:
            tidied.active = True
        self.touch(tidied)
        _refuse_problems(tidied)
        return tidied

    def replacement(self, before: Resource[Any], after: Resource[Any]) -> Admitted:
        """Check what a PUT makes of a resource (RFC 7644, section 3.5.1).

        A value left out is unassigned, except ``active``: only an explicit value changes it.
        """
        return replace(self._change(before, after, partial=False), states_all=True)

    def patch(self, before: Resource[Any], after: Resource[Any]) -> Admitted:
        """Check what a PATCH makes of a resource (RFC 7644, section 3.5.2).

        In ``after``, ``active`` has a value only if the PATCH assigned one.
        """
        return self._change(before, after, partial=True)

    def touch(self, resource: Resource[Any]) -> None:
        """Refuse any write to a protected user or group (``[safety] protected``)."""
        self.touch_named(_name(resource))

    def touch_named(self, name: str) -> None:
        """The same by the name of the user or group."""
        pattern = self._protection.pattern(name)
        if pattern is not None:
            raise ForbiddenException(
                detail=f"{name} is protected: no client may change it. It is like {pattern!r} of "
                "[safety] protected; if it is not meant, rename it or make the pattern narrower"
            )

    def _change(self, before: Resource[Any], after: Resource[Any], *, partial: bool) -> Admitted:
        self.touch(before)
        after = _tidied(after)
        if isinstance(after, User):
            return self._user_change(cast(User[Any], before), after, partial=partial)
        self.touch(after)
        _refuse_problems(after)
        return Admitted(resource=after)

    def _user_change(self, before: User[Any], after: User[Any], *, partial: bool) -> Admitted:
        deactivates = after.active is False
        ignored = self._settle_user_name(before, after, keep=deactivates)
        if after.active is None:
            after.active = before.active
        try:
            self.touch(after)
            if partial:
                _refuse_removal(after)
            _refuse_problems(after)
        except SCIMException:
            if not deactivates:
                raise
            return deactivation(before, after)
        return Admitted(resource=after, deactivates=deactivates, ignored=ignored)

    def _settle_user_name(
        self, before: User[Any], after: User[Any], *, keep: bool
    ) -> tuple[str, ...]:
        """Hold on to the user name unless it may change. Another case of it is the same name.

        That spelling is taken: a client that does not read back its own sends it again for ever,
        and a SAML assertion carries the provider's.
        """
        if self._user_names_change or after.user_name is None:
            return ()
        if folded(after.user_name) == folded(before.user_name or ""):
            return ()
        if not keep:
            raise MutabilityException(
                detail="userName cannot be changed: send the present one, or have the operator "
                'set username_changes = "allow"'
            )
        after.user_name = before.user_name
        return ("userName",)


def deactivation(before: User[Any], after: User[Any]) -> Admitted:
    """Only the deactivation that a change contains, and what else of it is left out."""
    present = before.model_dump()
    wanted = after.model_dump()
    ignored = sorted(
        key
        for key in present.keys() | wanted.keys()
        if key not in _NOT_WRITTEN and present.get(key) != wanted.get(key)
    )
    resource = before.model_copy(deep=True)
    resource.active = False
    return Admitted(resource=resource, deactivates=True, ignored=tuple(ignored))


def _name(resource: Resource[Any]) -> str:
    name = resource.user_name if isinstance(resource, User) else cast(Group, resource).display_name
    return name or ""


# ---------------------------------------------------------------------------------------------
# Tidying: no empty strings, no empty objects, no password, the two names from name.formatted


def _tidied(resource: ResourceT) -> ResourceT:
    if isinstance(resource, User):
        _drop_empty(resource)
        # Accepted for the clients that always send one; the bridge signs nobody in.
        if resource.password is not None:
            resource.password = None
        _split_formatted_name(resource)
    return resource


def _drop_empty(model: Any) -> None:
    """Unassign empty strings, and objects and entries that say nothing.

    RFC 7643, section 2.5, calls only null and empty lists unassigned; clients mean the same by an
    empty string, and Identity Center refuses it.
    """
    # What is unassigned, as most attributes are, is passed over without a look at it.
    assigned = [(name, value) for name, value in vars(model).items() if value is not None]
    for name, value in assigned:
        match value:
            case "":
                setattr(model, name, None)
            case [ComplexAttribute(), *_] as entries:
                for entry in entries:
                    _drop_empty(entry)
                if not all(map(_says_something, entries)):
                    setattr(model, name, [*filter(_says_something, entries)] or None)
            case ComplexAttribute() | Extension():
                _drop_empty(value)
                if not _assigned(value):
                    setattr(model, name, None)


def _assigned(model: Any) -> set[str]:
    fields = type(model).model_fields.keys() - {"schemas"}
    return {name for name in fields if getattr(model, name) not in (None, [])}


def _says_something(entry: Any) -> bool:
    return bool(_assigned(entry) - _ABOUT_THE_ENTRY)


def _split_formatted_name(user: User[Any]) -> None:
    """Fill in the given and the family name from a formatted name of two words.

    Only what is missing, and only if it agrees with the one that is there: "Lovelace Ada" with the
    given name Ada is not split.
    """
    words = split_name(user.name.formatted or "") if user.name else None
    if user.name is None or words is None:
        return
    given, family = words
    present = user.name.given_name, user.name.family_name
    if present != words and present[0] in (None, given) and present[1] in (None, family):
        user.name.given_name, user.name.family_name = given, family


# ---------------------------------------------------------------------------------------------
# Problems


def _missing(user: User[Any]) -> Iterator[str]:
    """What a client has to give, since AWS requires it (AWS SCIM developer guide, CreateUser)."""
    if not user.user_name:
        yield "userName"
    if user.name is None or not user.name.given_name:
        yield "name.givenName"
    if user.name is None or not user.name.family_name:
        yield "name.familyName"


def _looked_at(user: User[Any]) -> dict[str, Any]:
    """What of a user may be refused, as SCIM writes it."""
    name, emails = user.name, user.emails or ()
    told = {
        "userName": user.user_name,
        "displayName": user.display_name,
        "name": name and {"givenName": name.given_name, "familyName": name.family_name},
        "emails": [{"value": email.value} for email in emails if email.value is not None],
    }
    return {attribute: value for attribute, value in told.items() if value is not None}


def _refuse_removal(user: User[Any]) -> None:
    """Refuse a PATCH that takes away what is required (RFC 7644, section 3.5.2.2)."""
    if missing := tuple(_missing(user)):
        raise MutabilityException(
            detail=f"{' and '.join(missing)} cannot be removed: Identity Center requires a value"
        )


def _refuse_problems(resource: Resource[Any]) -> None:
    if problems := tuple(_problems(resource)):
        raise InvalidValueException(detail="; ".join(problems))


def _problems(resource: Resource[Any]) -> Iterator[str]:
    if not isinstance(resource, User):
        # Its members may be many, and are checked where they are stored.
        apart = resource.model_copy(update={"members": None})
        yield from map(str, problems_of_group(apart.model_dump()))
        return
    if is_accepted(_looked_at(resource)):
        return
    # Looked for on the resource: a name that could be read out of another one is still missing.
    missing = tuple(_missing(resource))
    yield from (f"{path}: Identity Center requires a value" for path in missing)
    for problem in problems_of_user(resource.model_dump()):
        if problem.path not in missing:
            yield str(problem)
