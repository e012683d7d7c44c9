"""What clients are told of requests that never reach the application."""

import pytest
from gunicorn.http.errors import (
    InvalidHeader,
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
)

from scim_bridge.cli.web import refusal


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (LimitRequestLine(9000, 8190), 414, "/.search"),
        (LimitRequestHeaders("too many"), 431, "headers"),
        (InvalidRequestLine("nonsense"), 400, "HTTP"),
        (InvalidHeader("Authorization: Bearer secret"), 400, "HTTP"),
        (RuntimeError("secret"), 500, "could not be answered"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_repeats_nothing(error, status, word):
    """Each kind of error has its HTTP status; what was sent is not sent back."""
    found, detail = refusal(error)

    assert found == status
    assert word in detail
    assert "secret" not in detail
