"""What an answer of Identity Center means."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.errors import (
    Conflict,
    DoorClosed,
    Missing,
    Refused,
    TargetError,
    Throttled,
    Unavailable,
)
from scim_bridge.identity_center.exchange import Answer, Call, failure, read_answer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ON_A_USER = Call(operation="PatchUser", method="PATCH", path="Users/1", names_principal=True)
ON_THE_LIST = Call(operation="ListUsers", method="GET", path="Users")


def scim_error(status: int, detail: str) -> bytes:
    """A body as clients captured it: both `schema` and `schemas`, `status` as a string."""
    schema = ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return json.dumps(
        {
            "schema": schema,
            "schemas": schema,
            "detail": detail,
            "status": str(status),
            "exceptionRequestId": "a-uuid",
            "timeStamp": "2024-12-10 19:50:00.531",
        }
    ).encode()


def answer(status: int, content: bytes = b"", **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(
        status=status, headers={"x-amzn-RequestId": "r-1", **given}, content=content, now=NOW
    )


def error(status: int, content: bytes = b"", call: Call = ON_A_USER, **headers: str) -> TargetError:
    failed = failure(call, answer(status, content, **headers), remedy="Do this.")
    assert failed is not None
    return failed


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_2xx_is_done(status: int) -> None:
    """AWS SCIM developer guide, the success code of each operation."""
    assert failure(ON_A_USER, answer(status), remedy="") is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused),
        (401, DoorClosed),
        (403, DoorClosed),
        (404, Missing),
        (405, Refused),
        (408, Unavailable),
        (409, Conflict),
        (413, Refused),
        (429, Throttled),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (302, DoorClosed),
    ],
)
@pytest.mark.parametrize("content", [b"", b"<html>no</html>", scim_error(400, "Some words.")])
def test_each_status_is_one_error(status: int, expected: type, content: bytes) -> None:
    """The same whatever the body is: gateways answer without SCIM's form."""
    failed = error(status, content)
    assert type(failed) is expected
    assert (failed.status, failed.request_id) == (status, "r-1")


def test_awss_own_words_are_in_the_message() -> None:
    """The client gets AWS's detail."""
    words = "Request is unparsable, syntactically incorrect, or violates schema."
    assert error(400, scim_error(400, words)).detail == f"PatchUser: {words}"


def test_an_old_body_with_schema_only_is_read() -> None:
    """Bodies of 2022 had `schema` and no `schemas`."""
    assert "dup" in error(409, b'{"schema": ["x"], "detail": "dup", "status": "409"}').detail


def test_a_body_that_is_no_json_is_named_by_its_kind() -> None:
    """A 403 with an HTML page still says what can be said."""
    failed = error(403, b"<html>Request blocked</html>", Content_Type="text/html; charset=utf-8")
    assert failed.detail == (
        "Identity Center refuses the bridge's credentials (403: no explanation (text/html)). "
        "Do this."
    )


@pytest.mark.parametrize(
    "body",
    [
        {"__type": "com.amazon#ExpiredTokenException", "message": "The token has expired"},
        {"Error": {"Code": "ExpiredTokenException", "Message": "The token has expired"}},
        {"Message": "The token has expired"},
    ],
)
def test_a_400_about_credentials_is_a_closed_door(body: dict[str, Any]) -> None:
    """AWS's gateways answer some errors of credentials with 400: nobody's change fails for them."""
    failed = error(
        400, json.dumps(body).encode(), x_amzn_ErrorType="ExpiredTokenException:http://aws/"
    )
    assert type(failed) is DoorClosed
    assert "ExpiredTokenException: The token has expired" in failed.detail


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KMSAccessDeniedException", DoorClosed),
        ("ThrottlingException", Throttled),
        ("ValidationException", Refused),
    ],
)
def test_a_400_is_what_aws_names_it(name: str, expected: type) -> None:
    """A lost encryption key or a throttle with status 400 is no fault of the change."""
    assert type(error(400, scim_error(400, "no"), x_amzn_ErrorType=name)) is expected


def test_the_name_of_an_error_is_found_in_the_body() -> None:
    """Not every gateway sets the header."""
    body = {"__type": "com.amazon#InvalidSignatureException", "message": "no"}
    assert type(error(400, json.dumps(body).encode())) is DoorClosed


def test_only_the_first_line_of_awss_words_is_repeated() -> None:
    """The lines after it repeat the headers that were signed, the session token among them."""
    body = {
        "message": "The signature does not match.\n\nThe Canonical String\nx-amz-security-token:S"
    }
    assert "token:S" not in error(403, json.dumps(body).encode()).detail
    assert len(error(400, scim_error(400, "x" * 5000)).detail) < 400


def test_a_404_where_nothing_can_be_gone_is_a_wrong_address() -> None:
    """A wrong scim_endpoint must not make everybody look deleted."""
    failed = error(404, scim_error(404, "?"), ON_THE_LIST)
    assert type(failed) is DoorClosed
    assert "scim_endpoint" in failed.detail


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Tue, 24 Nov 2026 12:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    """RFC 9110 section 10.2.3; anything else is as good as no header."""
    failed = error(429, Retry_After=header)
    assert isinstance(failed, Throttled)
    assert failed.retry_after == seconds


def test_a_429_without_retry_after() -> None:
    """AWS was never seen to send the header."""
    failed = error(429, scim_error(429, "Too many requests"))
    assert isinstance(failed, Throttled)
    assert failed.retry_after is None


@given(content=st.binary(), status=st.integers(100, 599), header=st.text(max_size=20))
def test_no_answer_breaks_the_reader(content: bytes, status: int, header: str) -> None:
    """Whatever comes back, it is a value or an error of the tree."""
    read = read_answer(
        status=status,
        headers={"Retry-After": header, "x-amzn-ErrorType": header},
        content=content,
        now=NOW,
    )
    failed = failure(ON_A_USER, read, remedy="")
    assert failed is None or isinstance(failed, TargetError)


def test_deeply_nested_json_is_no_body() -> None:
    """A body made to exhaust the parser is unreadable, not a crash."""
    assert answer(200, b"[" * 100_000).body is None
