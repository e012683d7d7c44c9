"""How does this sandbox behave, and which fixed names and secrets does it go by?

The secrets are published on purpose: they protect nothing but make-believe people.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

REGION = "us-east-1"
ACCESS_KEY = "sandbox"
SECRET_KEY = "sandbox-secret"  # noqa: S105 - published, see above
BEARER_TOKEN = "sandbox-token"  # noqa: S105 - published, see above
SIGNING_SERVICE = "identitystore"
TENANT = "5a4db0c5-0b0c-4f5e-9d53-0123456789ab"
IDENTITY_STORE_ID = "d-0123456789"
INSTANCE_ARN = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
# The account that owns the instance: the organization's management account.
OWNER_ACCOUNT = "111122223333"
# What the Identity Store API names as the issuer of externalIds that came by SCIM; AWS documents
# no form.
SCIM_ISSUER = f"https://scim.{REGION}.amazonaws.com/{TENANT}"
# AWS documents one quota of calls per second: of SSO Admin's operations together (5).
DOCUMENTED_RATES = {"throttle_sso": 20.0}


# What is held to a pace of its own.
APIS = ("scim", "identitystore", "sso", "organizations")


class UnknownBehaviour(ValueError):
    """A behaviour that the sandbox does not have, or a value it cannot take."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the sandbox accepts, and where AWS's open questions are decided.

    The numbers are sections of the facts on Identity Center (reference/identity-center.md).
    """

    # 9, 1.11: edits and new memberships of a disabled user are refused over SCIM.
    strict_disabled: bool = False
    # 9, 1.11: taking a disabled user out of a group is refused over SCIM as well.
    strict_removals: bool = False
    # 9, 1.1: the SCIM endpoint takes a signature, not only the bearer token.
    sigv4_on_scim: bool = True
    # 9, 1.8: PATCH add of somebody who is a member already: "ok" or "409".
    add_existing_member: str = "ok"
    # 9, 1.8: PATCH remove of somebody who is no member: "ok" or "404".
    remove_non_member: str = "ok"
    # 9, 1.8: PATCH of a member that does not exist: "404" or "400".
    unknown_member: str = "404"
    # 9, 1.8: PATCH remove takes the path members[value eq "…"].
    member_filter_path: bool = False
    # 9, 1.11: userName, e-mail and displayName are unique and looked up with their case.
    case_sensitive_names: bool = False
    # 9, 1.5: attributes that SCIM users and groups do not have: "refuse" or "ignore".
    unknown_attributes: str = "refuse"
    # 9, 1.6: what PUT of a user makes of an omitted active: "keep" or "true".
    put_omitted_active: str = "keep"
    # 9, 4: the lists of assignments for a user have the rows of the user's groups, too.
    principal_listing_includes_inherited: bool = False
    # 9, 4: creating an assignment that exists: "succeed" or "conflict" (ConflictException).
    create_existing_assignment: str = "succeed"
    # 9, 3.2: UpdateUser removes an attribute whose AttributeValue is null or missing; else 400.
    update_user_null_removes: bool = True
    # 9, 3.3: keys of the enterprise extension in answers: "camel" (department) or "pascal".
    extension_key_case: str = "camel"
    # 4: how long an assignment, its removal and a provisioning take, in seconds.
    assignment_seconds: float = 0.2
    # 5: how many creations of assignments may be outstanding; one more is throttled.
    outstanding_assignments: int = 10
    # 1.9, 3.2: a page has no more than so many items, whatever is asked for; None: AWS's limits.
    page_size: int | None = None
    # 5: how many users and groups there may be. What SCIM answers beyond is not documented.
    most_users: int = 100_000
    most_groups: int = 100_000
    # Seconds that every call takes, as the way to AWS and the work there do.
    latency: float = 0
    # Authenticated calls per second, of the SCIM endpoint and of each API by itself; None never
    # throttles.
    throttle: float | None = None
    throttle_identitystore: float | None = None
    throttle_sso: float | None = None
    throttle_organizations: float | None = None
    signing_service: str = SIGNING_SERVICE
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    bearer_token: str = BEARER_TOKEN
    region: str = REGION

    def changed(self, changes: Mapping[str, object]) -> "Behaviour":
        """This behaviour with `changes` made; raises UnknownBehaviour, naming a wrong one."""
        for name, value in changes.items():
            _check(name, value)
        return replace(self, **changes)  # type: ignore[arg-type]  # just checked

    def rate(self, api: str) -> float | None:
        """How many calls a second `api` takes: "scim", "identitystore", "sso" …"""
        rates = {
            "scim": self.throttle,
            "identitystore": self.throttle_identitystore,
            "sso": self.throttle_sso,
            "organizations": self.throttle_organizations,
        }
        return rates.get(api)


_CHOICES = {
    "add_existing_member": ("ok", "409"),
    "remove_non_member": ("ok", "404"),
    "unknown_member": ("404", "400"),
    "unknown_attributes": ("refuse", "ignore"),
    "put_omitted_active": ("keep", "true"),
    "create_existing_assignment": ("succeed", "conflict"),
    "extension_key_case": ("camel", "pascal"),
}


def read_behaviour(file: Path) -> Behaviour:
    """The behaviour that a TOML or JSON file of switches describes, such as `probe` writes.

    Raises OSError, and UnknownBehaviour for what is not a behaviour.
    """
    text = file.read_text(encoding="utf-8")
    try:
        switches = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise UnknownBehaviour(f"{file}: is neither JSON (.json) nor TOML: {error}") from error
    if not isinstance(switches, dict):
        raise UnknownBehaviour(f"{file}: must be an object of switches")
    return Behaviour().changed(switches)


def _check(name: str, value: object) -> None:
    default = asdict(Behaviour()).get(name, _MISSING)
    match name:
        case _ if default is _MISSING:
            known = ", ".join(asdict(Behaviour()))
            raise UnknownBehaviour(f"{name}: there is no such behaviour; there are {known}")
        case _ if name in _CHOICES:
            fits, wanted = value in _CHOICES[name], f"one of {', '.join(_CHOICES[name])}"
        case _ if isinstance(default, bool):
            fits, wanted = isinstance(value, bool), "true or false"
        case "assignment_seconds" | "latency":
            fits, wanted = _is_number(value, least=0), "a number of seconds"
        case "outstanding_assignments" | "most_users" | "most_groups":
            fits, wanted = type(value) is int and value > 0, "a whole number above 0"
        case "page_size":
            fits = value is None or (type(value) is int and value > 0)
            wanted = "a whole number above 0, or null"
        case _ if name.startswith("throttle"):
            fits = value is None or (_is_number(value, least=0) and value != 0)
            wanted = "a number of calls per second above 0, or null"
        case _:
            fits, wanted = isinstance(value, str) and value != "", "a non-empty string"
    if not fits:
        raise UnknownBehaviour(f"{name}: must be {wanted}")


_MISSING = object()


def _is_number(value: object, *, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least
