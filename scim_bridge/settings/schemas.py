"""What may stand in each section of the settings, and which values go together?"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, validates_schema

from scim_bridge.settings.kinds import (
    Choice,
    DatabaseUrl,
    Day,
    File,
    Filter,
    Flag,
    Number,
    Patterns,
    Period,
    Table,
    Text,
    Texts,
    Url,
    Whole,
)

_HOST = r"[A-Za-z0-9.:-]+"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_REGION = r"[a-z]{2}(-[a-z]+)+-\d"
# The SCIM endpoint's host names its region (AWS SCIM developer guide; api.aws is the dual-stack
# form). Other hosts, such as the sandbox's, tell nothing.
_AWS_HOST = re.compile(rf"scim\.({_REGION})\.(amazonaws\.com(\.cn)?|api\.aws)")

Given = Mapping[str, Any]
Problems = Iterator[tuple[str, str]]


class Section(Schema):
    """A section: its fields, and the rules over several of them."""

    def together(self, given: Given, named: Collection[str]) -> Problems:
        """The keys that do not go together, and why.

        `given` holds the values that are right in themselves, `named` every key that was set.
        """
        yield from ()

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _check_together(self, given: Given, original: Given, **_: Any) -> None:
        problems: dict[str, list[str]] = {}
        for key, message in self.together(given, original.keys()):
            problems.setdefault(key, []).append(message)
        if problems:
            raise ValidationError(dict(problems))


class ServerSchema(Section):
    host = Text(_HOST, hint="a host name or address")
    port = Whole(1, 65535)
    processes = Whole(1, 64)
    threads = Whole(1, 256)
    public_url = Url(encrypted=False)
    trusted_proxies = Whole(0, 10)
    metrics_listen = Text(rf"{_HOST}:\d{{1,5}}", hint='an address such as "127.0.0.1:9464"')
    max_body = Whole(1024, 1024**3)


class DatabaseSchema(Section):
    url = DatabaseUrl()
    password_file = File()

    def together(self, given: Given, named: Collection[str]) -> Problems:
        address = given.get("url", "").partition("://")[2]
        if "password_file" in given and ":" in address.rpartition("@")[0]:
            yield "password_file", "the password stands in url already; leave one of them out"


class IdentityCenterSchema(Section):
    region = Text(_REGION, hint='an AWS region such as "eu-central-1"')
    scim_endpoint = Url(encrypted=True)
    auth = Choice("sigv4", "bearer")
    # A token put here by mistake must not be shown, so it is told from a name by its length too.
    bearer_token_env = Text(_VARIABLE, hint="the name of a variable", showable=False)
    bearer_token_file = File()
    bearer_token_expires = Day()
    signing_service = Text(r"[a-z0-9-]+", hint='a service name such as "identitystore"')
    credentials_file = File()
    profile = Text(hint="the name of a profile")
    identity_store_id = Text(
        r"d-[0-9a-f]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        hint='an id such as "d-1234567890"',
    )
    instance_arn = Text(
        r"arn:aws[a-z-]*:sso:::instance/(sso)?ins-[a-zA-Z0-9.-]{16}",
        hint='an ARN such as "arn:aws:sso:::instance/ssoins-1234567890abcdef"',
    )
    endpoint_url = Url(encrypted=True)
    calls_per_second = Number(0.1, 1000)
    timeout = Number(1, 120)
    write_via = Choice("scim", "identity-store")
    filter = Filter()

    def together(self, given: Given, named: Collection[str]) -> Problems:
        yield from _missing(given, named)
        yield from _token(given, named)
        yield from _other_region(given)


class TargetSchema(IdentityCenterSchema):
    """A further Identity Center: the keys of `[identity_center]`."""

    type = Choice("identity-center")

    def together(self, given: Given, named: Collection[str]) -> Problems:
        if "type" not in named:
            yield "type", 'is missing: it is "identity-center"'
        yield from super().together(given, named)


class ConnectorSchema(Section):
    """Another system that follows the directory."""

    name = Text(hint="a name")
    type = Text()
    # The keys that must be set.
    needs: ClassVar[tuple[str, ...]] = ()

    def together(self, given: Given, named: Collection[str]) -> Problems:
        for key in self.needs:
            if key not in named:
                yield key, "is missing"


class WebhookSchema(ConnectorSchema):
    url = Url(encrypted=True)
    # A secret put here by mistake must not be shown.
    secret_env = Text(_VARIABLE, hint="the name of a variable", showable=False)
    secret_file = File()
    timeout = Number(1, 120)
    needs = ("url",)

    def together(self, given: Given, named: Collection[str]) -> Problems:
        yield from super().together(given, named)
        yield from _one_secret(named, "secret_env", "secret_file")


class SnapshotSchema(ConnectorSchema):
    folder = File()
    interval = Period()
    needs = ("folder",)


class ScimSystemSchema(ConnectorSchema):
    url = Url(encrypted=True)
    # A token put here by mistake must not be shown.
    bearer_token_env = Text(_VARIABLE, hint="the name of a variable", showable=False)
    bearer_token_file = File()
    filter = Filter()
    adopt = Choice("never", "matching")
    attributes = Table()
    calls_per_second = Number(0.1, 1000)
    timeout = Number(1, 120)
    needs = ("url",)

    def together(self, given: Given, named: Collection[str]) -> Problems:
        yield from super().together(given, named)
        yield from _one_secret(named, "bearer_token_env", "bearer_token_file")


class DeliverySchema(Section):
    wait = Number(0, 60)
    coalesce = Number(0, 60)
    coalesce_at_most = Number(0, 300)


class UsersSchema(Section):
    create = Flag()
    update = Flag()
    username_changes = Choice("refuse", "allow")
    external_id = Choice("bridge", "client")


class GroupsSchema(Section):
    delete = Choice("empty", "remove")
    nested = Choice("skip", "flatten")


class DeprovisionSchema(Section):
    restore_within = Period()
    cut_sessions = Flag()


class SafetySchema(Section):
    brake = Flag()
    max_deprovision_percent = Number(0, 100)
    max_deprovisions = Whole(0, 1_000_000)
    max_removal_percent = Number(0, 100)
    max_removals = Whole(0, 1_000_000)
    protected = Patterns()
    protected_permission_sets = Patterns()
    protected_accounts = Texts(r"\d{12}", hint="the twelve digits of an account")


class ExtractionSchema(Section):
    interval = Period()
    users = Period()
    groups = Period()
    memberships = Period()
    assignments = Period()
    margin = Period()


class DriftSchema(Section):
    on_managed = Choice("repair", "report", "accept")


class AdoptSchema(Section):
    inline = Choice("never", "matching")


class SourceSchema(Section):
    enabled = Flag()


class MatchingSchema(Section):
    users = Texts(
        r"userName|externalId|employeeNumber|email",
        hint='"userName", "externalId", "employeeNumber" or "email"',
    )


# What a client may own, as the schemas spell it.
_OWNABLE = (
    "userName", "externalId", "displayName", "nickName", "profileUrl", "title", "userType",
    "preferredLanguage", "locale", "timezone", "active", "emails", "phoneNumbers", "ims", "photos",
    "addresses", "entitlements", "roles", "x509Certificates", "name", "name.formatted",
    "name.familyName", "name.givenName", "name.middleName", "name.honorificPrefix",
    "name.honorificSuffix", "employeeNumber", "costCenter", "organization", "division",
    "department", "manager",
)  # fmt: skip


class AuthoritySchema(Section):
    """One ``[[authority]]``: not a section, there may be several."""

    client = Text(hint="the name of a client")
    attributes = Texts(
        "|".join(map(re.escape, _OWNABLE)),
        hint='the name of an attribute, such as "title", "name" or "department"',
    )
    on_conflict = Choice("ignore", "refuse")

    def together(self, given: Given, named: Collection[str]) -> Problems:
        for key in ("client", "attributes"):
            if key not in named:
                yield key, "is missing"


AUTHORITY = AuthoritySchema()


class AlertsSchema(Section):
    webhook_url = Url(encrypted=True)
    mail_to = Texts(r"[^@\s]+@[^@\s]+", hint="an e-mail address")
    mail_from = Text(r"[^@\s]+@[^@\s]+", hint="an e-mail address")
    smtp_server = Text(rf"{_HOST}:\d{{1,5}}", hint='a host and port such as "smtp.example.com:587"')
    smtp_user = Text(hint="the name to sign in with")
    smtp_password_file = File()

    def together(self, given: Given, named: Collection[str]) -> Problems:
        if given.get("mail_to"):
            for key in ("mail_from", "smtp_server"):
                if key not in named:
                    yield key, "is missing: mail_to needs it"


class AuditSchema(Section):
    key_file = File()


class LifecycleSchema(Section):
    rules = File()


class LogSchema(Section):
    format = Choice("text", "json")
    level = Choice("debug", "info", "warning", "error")


# The sections that there is one of.
SECTIONS: Mapping[str, Section] = {
    "server": ServerSchema(),
    "database": DatabaseSchema(),
    "identity_center": IdentityCenterSchema(),
    "delivery": DeliverySchema(),
    "users": UsersSchema(),
    "groups": GroupsSchema(),
    "deprovision": DeprovisionSchema(),
    "safety": SafetySchema(),
    "extraction": ExtractionSchema(),
    "drift": DriftSchema(),
    "adopt": AdoptSchema(),
    "source": SourceSchema(),
    "matching": MatchingSchema(),
    "alerts": AlertsSchema(),
    "audit": AuditSchema(),
    "lifecycle": LifecycleSchema(),
    "log": LogSchema(),
}


# The sections that there may be several of, and how TOML holds them.
NAMED: Mapping[str, type] = {"targets": dict, "connector": list}
# Of each further Identity Center, `[targets.NAME]`.
TARGET = TargetSchema()
# Of each `[[connector]]`, by its type.
CONNECTORS: Mapping[str, Section] = {
    "scim": ScimSystemSchema(),
    "webhook": WebhookSchema(),
    "csv": SnapshotSchema(),
    "jsonl": SnapshotSchema(),
}


def _one_secret(named: Collection[str], variable: str, file: str) -> Problems:
    sources = [key for key in (variable, file) if key in named]
    if len(sources) == 2:
        yield file, f"cannot be set together with {variable}: keep one"
    if not sources:
        yield file, f"is missing: name a file, or a variable in {variable}"


def _missing(given: Given, named: Collection[str]) -> Problems:
    """An Identity Center of which anything is set must be reachable."""
    examples = {
        "region": 'the region of the Identity Center, such as "eu-central-1"',
        "scim_endpoint": "the SCIM endpoint that the console shows under automatic provisioning",
    }
    if given.get("write_via") == "identity-store":
        del examples["scim_endpoint"]
    for key, example in examples.items():
        if named and key not in named:
            yield key, f"is missing: set {example}"


def _token(given: Given, named: Collection[str]) -> Problems:
    sources = [key for key in ("bearer_token_env", "bearer_token_file") if key in named]
    if len(sources) == 2:
        yield "bearer_token_file", "cannot be set together with bearer_token_env: keep one"
    if given.get("auth") == "bearer" and not sources:
        yield "auth", '"bearer" needs bearer_token_env or bearer_token_file'


def _other_region(given: Given) -> Problems:
    host = urlsplit(given.get("scim_endpoint", "")).hostname or ""
    match = _AWS_HOST.fullmatch(host)
    if match and given.get("region") not in (None, match[1]):
        yield "region", f'must be the region of scim_endpoint, "{match[1]}"'
