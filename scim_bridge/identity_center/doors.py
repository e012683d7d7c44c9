"""Which addresses does Identity Center have, and how is a call to each of them sent and read?"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

from scim_bridge.errors import SettingProblem, SettingsError, TargetError
from scim_bridge.identity_center.api_failures import api_failure
from scim_bridge.identity_center.api_operations import ORGANIZATIONS, STS, Service
from scim_bridge.identity_center.credentials import Authority, Keys, Signature, authority
from scim_bridge.identity_center.exchange import Answer, Call, failure, read_answer
from scim_bridge.settings import IdentityCenter

DoorName = Literal["scim", "identity-store", "sso-admin", "organizations", "sts"]

SCIM_JSON = "application/scim+json"
AMZ_JSON = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
STS_VERSION = "2011-06-15"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A call as it goes over the wire, not yet authenticated."""

    url: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Door(Protocol):
    """One address, and what is spoken there."""

    @property
    def name(self) -> DoorName: ...

    # The address without a slash at its end, and the setting it comes from.
    @property
    def base(self) -> str: ...

    @property
    def setting(self) -> str: ...

    # What is read there.
    @property
    def accept(self) -> str: ...

    @property
    def authority(self) -> Authority: ...

    def letter(self, call: Call) -> Letter: ...

    def answer(self, *, status: int, headers: Mapping[str, str], content: bytes) -> Answer: ...

    def failure(self, call: Call, answer: Answer) -> TargetError | None:
        """The error an answer stands for; None if the call was done."""
        ...


class ScimDoor:
    """The SCIM endpoint, with SigV4 or the bearer token.

    :raises SettingsError: the settings do not say where it is.
    """

    name: DoorName = "scim"
    setting = "identity_center.scim_endpoint"
    accept = f"{SCIM_JSON}, application/json"

    def __init__(self, settings: IdentityCenter, keys: Keys | None = None) -> None:
        self.base = _scim_base(settings)
        self.authority = authority(settings, keys)

    def letter(self, call: Call) -> Letter:
        url = f"{self.base}/{call.path}" + (f"?{call.query}" if call.query else "")
        if call.body is None:
            return Letter(url=url)
        return Letter(
            url=url, content=json.dumps(call.body).encode(), headers={"Content-Type": SCIM_JSON}
        )

    def answer(self, *, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        return read_answer(status=status, headers=headers, content=content, now=datetime.now(UTC))

    def failure(self, call: Call, answer: Answer) -> TargetError | None:
        return failure(call, answer, remedy=self.authority.remedy)


class ApiDoor:
    """An API of AWS in JSON 1.1, always with SigV4.

    :raises SettingsError: the settings do not say which region.
    """

    accept = "application/json"

    def __init__(
        self, settings: IdentityCenter, keys: Keys, *, name: DoorName, service: Service
    ) -> None:
        region = _region(settings, service)
        self.name = name
        self.service = service
        self.base = (settings.endpoint_url or _address(service, region)).rstrip("/")
        self.setting = (
            "identity_center.endpoint_url" if settings.endpoint_url else "identity_center.region"
        )
        self.authority: Authority = Signature(settings, keys, service=service.host, region=region)

    def letter(self, call: Call) -> Letter:
        return Letter(
            url=f"{self.base}/",
            content=json.dumps(call.body or {}).encode(),
            headers={
                "Content-Type": AMZ_JSON,
                "X-Amz-Target": f"{self.service.target}.{call.operation}",
            },
        )

    def answer(self, *, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        return read_answer(status=status, headers=headers, content=content, now=datetime.now(UTC))

    def failure(self, call: Call, answer: Answer) -> TargetError | None:
        return api_failure(
            call, answer, service=self.service, setting=self.setting, remedy=self.authority.remedy
        )


class StsDoor(ApiDoor):
    """The Security Token Service, which is older: a form goes in, XML comes out."""

    accept = "text/xml"

    def __init__(self, settings: IdentityCenter, keys: Keys) -> None:
        super().__init__(settings, keys, name="sts", service=STS)

    def letter(self, call: Call) -> Letter:
        form = {"Action": call.operation, "Version": STS_VERSION}
        return Letter(
            url=f"{self.base}/", content=urlencode(form).encode(), headers={"Content-Type": FORM}
        )

    def answer(self, *, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        """The innermost elements of the XML by their name: ``Arn``, ``Code``, ``Message``."""
        found = re.findall(r"<(\w+)>([^<]*)</\1>", content.decode(errors="replace"))
        body: dict[str, Any] = {name: html.unescape(text) for name, text in found}
        named = {"__type": body["Code"]} if "Code" in body else {}
        return super().answer(
            status=status, headers=headers, content=json.dumps({**body, **named}).encode()
        )


def _scim_base(settings: IdentityCenter) -> str:
    """The endpoint without a slash at its end, as the console shows it with or without."""
    problems = []
    if not settings.scim_endpoint:
        problems.append(_missing("scim_endpoint", "the SCIM endpoint that the console shows"))
    if settings.auth == "sigv4" and not settings.region:
        problems.append(_missing("region", "the region of the instance, for the signature"))
    if problems:
        raise SettingsError(problems)
    return str(settings.scim_endpoint).rstrip("/")


def _region(settings: IdentityCenter, service: Service) -> str:
    """The region a call is signed for: Organizations has one for each partition."""
    if not settings.region:
        raise SettingsError([_missing("region", "the region of the instance")])
    if service is not ORGANIZATIONS:
        return settings.region
    if settings.region.startswith("cn-"):
        return "cn-northwest-1"
    return "us-gov-west-1" if settings.region.startswith("us-gov-") else "us-east-1"


def _address(service: Service, region: str) -> str:
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{service.host}.{region}.{suffix}"


def _missing(key: str, what: str) -> SettingProblem:
    return SettingProblem(where=f"identity_center.{key}", what=f"is missing: {what}")
