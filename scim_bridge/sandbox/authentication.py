"""Did the caller prove who it is?

The SCIM endpoint takes two ways at the same time, the APIs only the second. A bearer token is
compared. A Signature Version 4 is recomputed over the request as it came in, by botocore, an
independent implementation: method, path, query, the headers that the caller signed, and the hash of
the body. AWS documents only the bearer token for the SCIM endpoint; that a signature is accepted
there is the sandbox's supposition.

The refusals and their texts are those of AWS's gateways: 401 for a missing header, another scheme,
a wrong token; 403 for a signature, with the kind that AWS names (IAM user guide, "Troubleshoot
Signature Version 4 request signing"). [inferred: that the SCIM endpoint answers so]
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from scim_bridge.sandbox.behaviour import Behaviour
from scim_bridge.sandbox.refusals import Denied, unauthorized

CLOCK_SKEW = timedelta(minutes=5)

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} +Credential=(?P<credential>[^ ,]+) *, *"
    r"SignedHeaders=(?P<headers>[^ ,]+) *, *Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as it came over the wire. Header names are in lower case."""

    method: str
    # Still percent-encoded, as the caller wrote it.
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def scheme(self) -> str | None:
        """By what the caller says who it is: "sigv4", "bearer", something else or nothing."""
        first = self.headers.get("authorization", "").split(" ", 1)[0]
        return "sigv4" if first == _ALGORITHM else first.lower() or None


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a signature counts for."""

    date: str
    region: str
    service: str


def authenticate(received: Received, behaviour: Behaviour, *, now: datetime) -> None:
    """Returns when the caller is who it says; raises Denied with 401 or 403 when not."""
    match received.scheme:
        case "bearer":
            _check_bearer(received, behaviour.bearer_token)
        case "sigv4":
            service, region = behaviour.signing_service, behaviour.region
            _check_signature(received, behaviour, now=now, service=service, region=region)
        case None:
            raise unauthorized("there is no Authorization header")
        case other:
            raise unauthorized(f"the Authorization scheme {other!r} is not known")


def authenticate_signed(
    received: Received, behaviour: Behaviour, *, now: datetime, service: str, region: str
) -> None:
    """Like `authenticate`, where only a signature for `service` in `region` counts."""
    if received.scheme != "sigv4":
        raise unauthorized("there is no signature")
    _check_signature(received, behaviour, now=now, service=service, region=region)


def _check_bearer(received: Received, token: str) -> None:
    given = received.headers["authorization"].partition(" ")[2].strip()
    if not _same(given, token):
        raise unauthorized("the bearer token is wrong")


def _check_signature(
    received: Received, behaviour: Behaviour, *, now: datetime, service: str, region: str
) -> None:
    match = _AUTHORIZATION.fullmatch(received.headers["authorization"].strip())
    if match is None:
        message = "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders'."
        raise _incomplete(message)
    timestamp = _timestamp(received, now=now)
    scope = Scope(date=timestamp[:8], region=region, service=service)
    _check_scope(match["credential"], behaviour.access_key, scope)
    signed = match["headers"].split(";")
    _check_signed_headers(signed, received)
    _check_body_hash(received)
    credentials = Credentials(behaviour.access_key, behaviour.secret_key)
    signer = _Recomputed(credentials, service, region, signed=signed)
    expected = _signature(received, signer, signed=signed, timestamp=timestamp)
    if not _same(match["signature"], expected):
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details."
        )


def _timestamp(received: Received, *, now: datetime) -> str:
    """When the caller signed, from X-Amz-Date or Date, at most five minutes away from now."""
    written = received.headers.get("x-amz-date") or received.headers.get("date")
    if written is None:
        raise _incomplete("Authorization header requires 'X-Amz-Date' or a 'Date' header.")
    signed_at = _parsed(written)
    timestamp = signed_at.strftime("%Y%m%dT%H%M%SZ")
    if abs(now - signed_at) > CLOCK_SKEW:
        gone = "expired" if signed_at < now else "not yet current"
        raise _mismatch(f"Signature {gone}: {timestamp}, the time is {now:%Y%m%dT%H%M%SZ}")
    return timestamp


def _parsed(written: str) -> datetime:
    try:
        return datetime.strptime(written, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(written).astimezone(UTC)
    except ValueError as error:
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got {written!r}.") from error


def _check_scope(credential: str, known_key: str, wanted: Scope) -> None:
    access_key, _, scope = credential.partition("/")
    if not _same(access_key, known_key):
        message = "The security token included in the request is invalid."
        reason = f"the access key {access_key!r} is not known"
        raise Denied(403, "UnrecognizedClientException", message, reason=reason)
    parts = scope.split("/")
    if len(parts) != 4 or parts[3] != "aws4_request":
        raise _incomplete("Credential must be key/date/region/service/aws4_request.")
    date, region, service, _ = parts
    if date != wanted.date:
        raise _mismatch(f"Date in Credential scope does not match the date signed: {date!r}")
    if region != wanted.region:
        raise _mismatch(f"Credential should be scoped to a valid region, not {region!r}.")
    if service != wanted.service:
        raise _mismatch(f"Credential should be scoped to correct service: {wanted.service!r}.")


def _check_signed_headers(signed: list[str], received: Received) -> None:
    """Host and every X-Amz header must be signed.

    A session token is thus signed or refused; what it says is not looked at, because the sandbox
    gives out no temporary credentials, and clients of its permanent ones may still send one.
    """
    needed = {"host"} | {name for name in received.headers if name.startswith("x-amz-")}
    unsigned = sorted(needed - set(signed))
    if unsigned:
        raise _mismatch(f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_body_hash(received: Received) -> None:
    stated = received.headers.get("x-amz-content-sha256")
    if stated is not None and not _same(stated, hashlib.sha256(received.body).hexdigest()):
        raise _mismatch("The value passed in x-amz-content-sha256 does not match the body.")


def _signature(
    received: Received, signer: "_Recomputed", *, signed: list[str], timestamp: str
) -> str:
    request = AWSRequest(
        method=received.method,
        url=f"http://{received.headers.get('host', '')}{received.path}",
        headers={name: received.headers.get(name, "") for name in signed},
        data=received.body,
        params=_decoded(received.query),
    )
    request.context["timestamp"] = timestamp
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))


class _Recomputed(SigV4Auth):  # type: ignore[misc]  # botocore ships no types
    """Signs exactly the headers that the caller signed, whichever botocore itself would."""

    def __init__(self, *args: object, signed: list[str]) -> None:
        super().__init__(*args)
        self._signed = signed

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers = HTTPHeaders()
        for name in self._signed:
            headers[name] = request.headers[name]
        return headers


def _decoded(query: str) -> list[tuple[str, str]]:
    """The pairs of the query, for botocore to encode in the one canonical way.

    A `+` stays a plus sign, as in AWS's rules; a caller that means a space must write %20. A bare
    key has an empty value.
    """
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _mismatch(message: str) -> Denied:
    return Denied(403, "InvalidSignatureException", message)


def _incomplete(message: str) -> Denied:
    return Denied(403, "IncompleteSignatureException", message)
