"""`scim-bridge doctor`: it finds what is wrong and says what to do."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from scim_bridge.sandbox import SandboxServer, write_config


@pytest.fixture(scope="module")
def server():
    """An Identity Center on this machine."""
    with SandboxServer() as server:
        yield server


@pytest.fixture(params=["sigv4", "bearer"])
def auth(request):
    """Both kinds of authentication."""
    return request.param


@pytest.fixture
def credentials(folder, server, auth, run):
    """The credentials of the settings that are in force, which are right at first."""
    file = write_config(folder / "scim-bridge.toml", base_url=server.url, auth=auth)
    run("db", "upgrade")
    return file


@pytest.fixture
def states(json_of):
    """What doctor finds, by what it looks at, and whether it says that all is well."""

    def states(*, expect: int = 0, **variables: str) -> dict[str, str]:
        found = json_of("doctor", expect=expect, **variables)
        assert found["ok"] is (expect == 0)
        return {one["what"]: one["state"] for one in found["findings"]}

    return states


@pytest.mark.usefixtures("credentials")
def test_all_is_well_in_front_of_a_sandbox(run, states):
    """Every line is right; the brake that is off is a warning, which fails nothing."""
    run("client", "add", "okta")

    assert states() == {
        "settings": "ok",
        "database": "ok",
        "audit key": "ok",
        "clients": "ok",
        "region": "ok",
        "credentials": "ok",
        "endpoint": "ok",
        "brake": "warning",
    }


@pytest.mark.usefixtures("credentials")
def test_each_finding_is_one_line(run):
    """People read a mark, what was looked at, and what was found."""
    lines = run("doctor").stdout.splitlines()

    assert all(re.match(r"[✓!✗] [a-z ]+: \S", line) for line in lines)
    assert "! brake: is off: nothing stops a wave of leavers" in "\n".join(lines)
    assert "! clients: nobody has a token yet: `scim-bridge client add NAME`" in "\n".join(lines)


def test_wrong_credentials_are_told_with_the_remedy(run, states, credentials, auth):
    """What Identity Center refuses is exit code 1, and names what to check."""
    right = "sandbox-token" if auth == "bearer" else "sandbox-secret"
    credentials.write_text(credentials.read_text().replace(right, "wrong"))

    assert states(expect=1)["endpoint"] == "wrong"
    said = run("doctor", expect=1).stdout
    assert "Automatic provisioning" in said if auth == "bearer" else 'auth = "bearer"' in said


def test_missing_credentials_are_told_before_anything_is_asked(states, credentials):
    """Without credentials the endpoint is not asked."""
    credentials.unlink()
    found = states(expect=1)

    assert found["credentials"] == "wrong"
    assert "endpoint" not in found


@pytest.mark.usefixtures("credentials")
def test_an_endpoint_that_does_not_answer_is_told(states):
    """A wrong address is found."""
    address = "http://127.0.0.1:1/t/scim/v2"
    found = states(expect=1, SCIM_BRIDGE_IDENTITY_CENTER__SCIM_ENDPOINT=address)

    assert found["endpoint"] == "wrong"


def test_nothing_set_is_told(run):
    """A fresh machine is told what to set first."""
    said = run("doctor", expect=1).stdout

    assert "✗ identity center: is not set" in said
    assert "✗ database: there is no database scim-bridge.db" in said


def test_broken_settings_are_the_only_finding(run):
    """Every problem of the settings is a line; nothing else can be looked at."""
    variables = {"SCIM_BRIDGE_SERVER__PORT": "x", "SCIM_BRIDGE_LOG__LEVEL": "loud"}
    lines = run("doctor", expect=1, **variables).stdout.splitlines()

    assert [line.split(":")[0] for line in lines] == ["✗ settings", "✗ settings"]


@pytest.mark.parametrize(("days", "state"), [(-1, "wrong"), (3, "warning"), (300, "ok")])
def test_the_end_of_the_access_token_is_told_before_it_comes(
    days, state, run, states, folder, server
):
    """A bearer token ends after a year (AWS SCIM developer guide); an operator hears of it."""
    write_config(folder / "scim-bridge.toml", base_url=server.url, auth="bearer")
    run("db", "upgrade")
    end = datetime.now(UTC).date() + timedelta(days=days)
    found = states(
        expect=1 if state == "wrong" else 0,
        SCIM_BRIDGE_IDENTITY_CENTER__BEARER_TOKEN_EXPIRES=end.isoformat(),
    )

    assert found["access token"] == state


def test_a_region_nobody_knows_is_a_warning(run, states, folder, server):
    """A new region may not be known yet, so it is not called wrong."""
    write_config(folder / "scim-bridge.toml", base_url=server.url, auth="bearer")
    run("db", "upgrade")
    found = states(SCIM_BRIDGE_IDENTITY_CENTER__REGION="eu-nowhere-1")

    assert found["region"] == "warning"


@pytest.mark.usefixtures("credentials")
def test_an_audit_key_that_others_can_read_is_told(states, folder):
    """The trail is worth nothing when its key is public."""
    states()
    [key] = folder.glob("*.audit-key")
    key.chmod(0o644)

    assert states(expect=1)["audit key"] == "wrong"
