"""Telling who calls from an Authorization header."""

import pytest
from scim2_models import UnauthorizedException
from structlog.testing import capture_logs

from scim_bridge.directory.database import Database
from scim_bridge.scim import credentials
from scim_bridge.scim.authentication import InvalidToken, bearer_authentication
from scim_bridge.scim.credentials import Client


def test_a_live_token_tells_the_client(database: Database) -> None:
    """With its name and what it may do."""
    token = credentials.add(database, "auditor", read_only=True).token

    client = bearer_authentication(database)(f"Bearer  {token} ")
    assert client == Client(name="auditor", read_only=True)


def test_why_a_token_is_refused_is_logged_and_not_told(database: Database) -> None:
    """A caller who guesses learns nothing; the operator can tell an old token from a wrong one."""
    old = credentials.add(database, "old", expires_days=1, clock=lambda: 0.0).token
    authenticated = bearer_authentication(database)
    details, reasons = set(), []

    for token in (old, "scb_unknown"):
        with capture_logs() as logs, pytest.raises(InvalidToken) as refusal:
            authenticated(f"Bearer {token}")
        details.add(str(refusal.value))
        reasons.append(logs[0]["reason"])
        assert token not in str(logs)

    assert len(details) == 1
    assert reasons == ["expired", "unknown"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "Token x"], ids=repr)
def test_without_a_bearer_token_nobody_is_looked_up(database: Database, header: str | None) -> None:
    """RFC 6750, section 3: no error code, since nothing was wrong with a token."""
    database.close()

    with pytest.raises(UnauthorizedException) as refusal:
        bearer_authentication(database)(header)
    assert not isinstance(refusal.value, InvalidToken)
