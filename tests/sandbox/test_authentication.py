"""Both kinds of authentication are really checked, by requests signed elsewhere.

Signatures are made by botocore and by requests-aws4auth; where neither makes the wrong request that
is needed, by the few lines of the Signature Version 4 algorithm below.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests_aws4auth import AWS4Auth

from scim_bridge.sandbox import (
    ACCESS_KEY,
    BEARER_TOKEN,
    REGION,
    SECRET_KEY,
    SIGNING_SERVICE,
    TENANT,
)

GOOD = {
    "key": ACCESS_KEY,
    "secret": SECRET_KEY,
    "region": REGION,
    "service": SIGNING_SERVICE,
}
PATHS = [
    "/Users",
    "/Users?cursor",
    "/Users?cursor&count=10",
    "/Users?cursor&filter=userName%20eq%20%22ada%22",
    "/Users?filter=userName%20eq%20%22a%2Bb%26c%3D%C3%AB%22",
    "/Users?filter=userName%20eq%20%22o'neil(1)%7E~*%22",
    "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    "/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AUser",
]


def by_botocore(
    method: str, url: str, body: bytes = b"", *, token: str | None = None, **scope: str
) -> dict[str, str]:
    """The headers of a request that botocore signs."""
    scope = {**GOOD, **scope}
    headers = {"Content-Type": "application/json"} if body else {}
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    credentials = Credentials(scope["key"], scope["secret"], token)
    SigV4Auth(credentials, scope["service"], scope["region"]).add_auth(request)
    return dict(request.headers.items())


def by_hand(url: str, *, at: datetime, **changes: Any) -> dict[str, str]:
    """The headers of a GET that is signed as the algorithm says, with any part `changes`d."""
    use = {**GOOD, "headers": {}, "unsigned": {}, "date": f"{at:%Y%m%d}", **changes}
    parts, stamp = urlsplit(url), f"{at:%Y%m%dT%H%M%SZ}"
    signed = {"host": parts.netloc, "x-amz-date": stamp, **use["headers"]}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    empty = hashlib.sha256(b"").hexdigest()
    canonical = "\n".join(["GET", quote(parts.path), parts.query, lines, names, empty])
    scope = f"{use['date']}/{use['region']}/{use['service']}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{use['secret']}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={use['key']}/{scope}"
    value = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return {"Authorization": value, "x-amz-date": stamp, **use["headers"], **use["unsigned"]}


def send(
    method: str, url: str, headers: dict[str, str], body: bytes | None = None
) -> requests.Response:
    return requests.request(method, url, headers=headers, data=body, timeout=10)


def kind(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["__type"]


@pytest.fixture
def url(sandbox) -> str:
    return f"{sandbox.server.scim_endpoint}/Users"


# Signature Version 4


@pytest.mark.parametrize("path", PATHS)
def test_a_signature_by_aws4auth_is_accepted(sandbox, path):
    """Signatures are over the address as written, with the bare `cursor` and %20. [inferred]"""
    auth = AWS4Auth(ACCESS_KEY, SECRET_KEY, REGION, SIGNING_SERVICE)
    response = requests.get(f"{sandbox.server.scim_endpoint}{path}", auth=auth, timeout=10)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", [path for path in PATHS if "(" not in path])
def test_a_signature_by_botocore_is_accepted(sandbox, path):
    """An independent signer agrees. [inferred: that SCIM takes signatures at all]"""
    url = f"{sandbox.server.scim_endpoint}{path}"
    assert send("GET", url, by_botocore("GET", url)).status_code == 200


def test_a_signed_body_is_accepted(sandbox, url, person):
    """The hash of the body is signed, whatever letters are in it. [AWS SigV4 specification]"""
    body = json.dumps(person("zoë"), ensure_ascii=False).encode()
    assert send("POST", url, by_botocore("POST", url, body), body).status_code == 201
    auth = AWS4Auth(ACCESS_KEY, SECRET_KEY, REGION, SIGNING_SERVICE)
    assert requests.post(url, json=person("bob"), auth=auth, timeout=10).status_code == 201


def test_a_signature_by_hand_is_accepted(url):
    """The lines above make right signatures, so that the wrong ones below are wrong by design."""
    now = datetime.now(UTC)
    assert send("GET", url, by_hand(url, at=now)).status_code == 200
    more = by_hand(url, at=now, headers={"user-agent": "probe  1", "x-extra": "a b"})
    more["user-agent"] = "probe 1"
    assert send("GET", url, more).status_code == 403
    one_space = by_hand(url, at=now, headers={"user-agent": "probe 1", "x-extra": "a b"})
    assert send("GET", url, one_space).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"key": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException"),
        ({"secret": "another-secret"}, "InvalidSignatureException"),
        ({"region": "eu-west-1"}, "InvalidSignatureException"),
        ({"service": "scim"}, "InvalidSignatureException"),
    ],
    ids=["key", "secret", "region", "service"],
)
def test_a_signature_with_a_wrong_part_is_a_403(sandbox, url, wrong, expected):
    """Each part is checked, and the answer says which kind of refusal it is. [AWS SigV4
    troubleshooting guide; that SCIM answers so is inferred]
    """
    response = send("GET", url, by_botocore("GET", url, **wrong))
    assert kind(response) == (403, expected)
    assert "x-amzn-RequestId" in response.headers
    assert sandbox.calls() == {"ListUsers": {"403": 1}}


def test_the_answer_names_the_wrong_region_and_service(url):
    """The message names what is wrong and what would be right. [AWS error texts]"""
    region = send("GET", url, by_botocore("GET", url, region="eu-west-1")).json()["message"]
    service = send("GET", url, by_botocore("GET", url, service="scim")).json()["message"]
    assert "eu-west-1" in region
    assert "identitystore" in service


def test_a_changed_request_is_refused(url, person):
    """Method, path, query, signed headers and body are all under the signature."""
    body = json.dumps(person()).encode()
    headers = by_botocore("POST", url, body)
    other = json.dumps(person("eve")).encode()
    refused = (403, "InvalidSignatureException")
    assert kind(send("POST", url, headers, other)) == refused
    assert kind(send("PUT", url, headers, body)) == refused
    assert kind(send("POST", f"{url}?a=b", headers, body)) == refused
    assert kind(send("POST", f"{url}/x", headers, body)) == refused
    typed = {**headers, "Content-Type": "application/scim+json"}
    assert kind(send("POST", url, typed, body)) == refused
    assert send("POST", url, headers, body).status_code == 201


def test_a_stated_body_hash_must_be_true(url, person):
    """x-amz-content-sha256 is checked against the body, not believed."""
    auth = AWS4Auth(ACCESS_KEY, SECRET_KEY, REGION, SIGNING_SERVICE)
    prepared = requests.Request("POST", url, json=person(), auth=auth).prepare()
    other = json.dumps(person("eve")).encode()
    headers = {**prepared.headers, "Content-Length": str(len(other))}
    assert kind(send("POST", url, headers, other)) == (403, "InvalidSignatureException")


def test_a_space_written_as_plus_is_refused(sandbox):
    """Queries are built with %20: signers and AWS do not agree on `+`."""
    auth = AWS4Auth(ACCESS_KEY, SECRET_KEY, REGION, SIGNING_SERVICE)
    url = f"{sandbox.server.scim_endpoint}/Users?filter=userName+eq+%22ada%22"
    assert requests.get(url, auth=auth, timeout=10).status_code == 403


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(url, minutes):
    """A signature counts for five minutes. [AWS SigV4 specification]"""
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes)):
        headers = by_botocore("GET", url)
    response = send("GET", url, headers)
    assert kind(response) == (403, "InvalidSignatureException")
    assert response.json()["message"].startswith("Signature ")


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_by_minutes(url, minutes):
    """Within five minutes a signature counts. [AWS SigV4 specification]"""
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert send("GET", url, by_hand(url, at=at)).status_code == 200


def test_the_date_header_will_do(url):
    """Date is read where X-Amz-Date is missing, in the form of HTTP. [AWS SigV4 specification]"""
    now = datetime.now(UTC)
    written = f"{now:%a, %d %b %Y %H:%M:%S} GMT"
    headers = by_hand(url, at=now, headers={"date": written})
    assert send("GET", url, headers).status_code == 200
    del headers["x-amz-date"]
    assert kind(send("GET", url, headers)) == (403, "InvalidSignatureException")


def test_the_day_of_the_scope_must_be_the_day_signed(url):
    """The scope has the date of the timestamp. [AWS SigV4 specification]"""
    headers = by_hand(url, at=datetime.now(UTC), date="20150830")
    response = send("GET", url, headers)
    assert kind(response) == (403, "InvalidSignatureException")
    assert "Credential scope" in response.json()["message"]


def test_every_amz_header_and_host_must_be_signed(url):
    """Host and X-Amz headers must be signed. [AWS SigV4 specification]"""
    headers = by_hand(url, at=datetime.now(UTC), unsigned={"x-amz-target": "X.DeleteUser"})
    response = send("GET", url, headers)
    assert kind(response) == (403, "InvalidSignatureException")
    assert "x-amz-target" in response.json()["message"]


def test_a_session_token_is_taken_when_it_is_signed(url):
    """Clients of roles send one; the sandbox gives out none, and does not look at its value."""
    assert send("GET", url, by_botocore("GET", url, token="session")).status_code == 200
    headers = {**by_botocore("GET", url), "X-Amz-Security-Token": "session"}
    assert kind(send("GET", url, headers)) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(
    "changes",
    [
        {"Authorization": "AWS4-HMAC-SHA256"},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=sandbox/20240101, SignedHeaders=host"},
        {"x-amz-date": "yesterday"},
        {"x-amz-date": ""},
    ],
)
def test_a_signature_that_cannot_be_read_is_incomplete(url, changes):
    """What is missing is said. [AWS SigV4 troubleshooting guide]"""
    headers = {**by_hand(url, at=datetime.now(UTC)), **changes}
    assert kind(send("GET", url, headers)) == (403, "IncompleteSignatureException")


def test_a_scope_of_too_few_parts_is_incomplete(url):
    """Credential is key/date/region/service/aws4_request. [AWS SigV4 specification]"""
    headers = by_hand(url, at=datetime.now(UTC))
    headers["Authorization"] = headers["Authorization"].replace("/aws4_request", "")
    assert kind(send("GET", url, headers)) == (403, "IncompleteSignatureException")


# Bearer token


def test_the_bearer_token_is_accepted(url):
    """`Authorization: Bearer <token>`. [documented]"""
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {BEARER_TOKEN}"}
        assert send("GET", url, headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer sandbox-tokem"},
        {"Authorization": "Bearer sandbox-token sandbox-token"},
        {"Authorization": BEARER_TOKEN},
        {"Authorization": "Basic c2FuZGJveDpzYW5kYm94LXNlY3JldA=="},
    ],
)
def test_a_missing_or_wrong_token_is_a_401(sandbox, url, headers):
    """UnauthorizedException: the header is missing or invalid. [documented]"""
    assert kind(send("GET", url, headers)) == (401, "UnauthorizedException")
    assert sandbox.calls() == {"ListUsers": {"401": 1}}


@pytest.mark.parametrize("path", ["/Users", "/Me", "/ServiceProviderConfig", "/Schemas"])
def test_nothing_below_the_endpoint_is_open(sandbox, path):
    """Discovery lists a 401 as well. [documented]"""
    response = requests.get(f"{sandbox.server.scim_endpoint}{path}", timeout=10)
    assert response.status_code == 401


def test_a_wrong_tenant_is_a_401(sandbox, url):
    """UnauthorizedException also if the tenant is wrong, whoever asks. [documented]"""
    other = url.replace(TENANT, TENANT.replace("5", "6"))
    headers = {"Authorization": f"Bearer {BEARER_TOKEN}"}
    assert kind(send("GET", other, headers)) == (401, "UnauthorizedException")
    assert kind(send("GET", other, by_botocore("GET", other))) == (401, "UnauthorizedException")


def test_both_kinds_can_be_changed_while_it_runs(sandbox, url):
    """A token that stops counting is refused from the next call on, the new one accepted."""
    sandbox.behave(bearer_token="other-token", secret_key="other-secret")
    old = {"Authorization": f"Bearer {BEARER_TOKEN}"}
    new = {"Authorization": "Bearer other-token"}
    assert [send("GET", url, one).status_code for one in (old, new)] == [401, 200]
    assert send("GET", url, by_botocore("GET", url)).status_code == 403
    assert send("GET", url, by_botocore("GET", url, secret="other-secret")).status_code == 200


def test_another_signing_service_can_be_asked_for(sandbox, url):
    """The service is `identitystore` unless the sandbox is told otherwise."""
    sandbox.behave(signing_service="scim")
    assert send("GET", url, by_botocore("GET", url)).status_code == 403
    assert send("GET", url, by_botocore("GET", url, service="scim")).status_code == 200
