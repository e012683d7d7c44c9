"""`scim-bridge doctor`: it finds what is wrong and says what to do."""

import os
import re
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
import requests
from alembic import command as alembic

from scim_bridge.cli.reach import of_skew
from scim_bridge.directory import migration
from scim_bridge.directory.database import Database
from scim_bridge.sandbox import Behaviour, SandboxServer, write_config


@pytest.fixture(scope="module")
def server():
    """An Identity Center on this machine."""
    with SandboxServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _well_behaved(server, monkeypatch):
    """The sandbox as it was at first, and no machine that gives out AWS keys."""
    requests.post(f"{server.url}/_sandbox/behaviour", json=asdict(Behaviour()), timeout=5)
    requests.delete(f"{server.url}/_sandbox/faults", timeout=5)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


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
        "clock": "ok",
        "caller": "ok",
        "instance": "ok",
        "permissions": "ok",
        "sessions": "ok",
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


def test_without_aws_keys_people_are_moved_all_the_same(run, states, folder, server):
    """The token alone is the authority over users and groups; nothing else is done without keys."""
    write_config(folder / "scim-bridge.toml", base_url=server.url, auth="bearer")
    (folder / "scim-bridge.toml.aws-credentials").unlink()
    run("db", "upgrade")
    found = states()

    assert found["endpoint"] == "ok"
    assert found["aws keys"] == "warning"
    assert "caller" not in found


def test_a_region_nobody_knows_is_a_warning(run, states, folder, server):
    """A new region may not be known yet, so it is not called wrong."""
    write_config(folder / "scim-bridge.toml", base_url=server.url, auth="bearer")
    (folder / "scim-bridge.toml.aws-credentials").unlink()
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


# -- Must show: it names the cause --------------------------------------------


@pytest.fixture
def signed(folder, server, run):
    """A bridge that signs, with its credentials."""
    file = write_config(folder / "scim-bridge.toml", base_url=server.url, auth="sigv4")
    run("db", "upgrade")
    return file


@pytest.fixture
def said(json_of):
    """What doctor says of one thing that is wrong, and that it fails for it."""

    def said(what, **variables):
        found = json_of("doctor", expect=1, **variables)["findings"]
        [one] = [one for one in found if one["what"] == what]
        assert one["state"] == "wrong"
        return one["said"]

    return said


def test_a_wrong_key_is_named(said, signed):
    """Who the bridge is cannot be told, and the key is to be checked; no permission is blamed."""
    signed.write_text(signed.read_text().replace("sandbox-secret", "another"))

    assert "Check the access key and its secret" in said("caller")


def test_an_expired_bearer_token_is_named(said, server, folder):
    """An access token ends after a year, and the endpoint says no more than 401."""
    token = write_config(folder / "scim-bridge.toml", base_url=server.url, auth="bearer")
    token.write_text("last-years-token")
    expired = {"SCIM_BRIDGE_IDENTITY_CENTER__BEARER_TOKEN_EXPIRES": "2026-01-31"}

    assert "ended on 2026-01-31: make a new one" in said("access token", **expired)
    assert "The access token has expired (noted as ending on 2026-01-31)" in said(
        "endpoint", **expired
    )


@pytest.mark.usefixtures("signed")
def test_a_wrong_region_is_named(said):
    """A signature for another region is refused."""
    wrong = {"SCIM_BRIDGE_IDENTITY_CENTER__REGION": "eu-central-1"}

    assert "region (eu-central-1)" in said("caller", **wrong)
    assert "region (eu-central-1)" in said("endpoint", **wrong)


@pytest.mark.usefixtures("signed")
def test_an_instance_that_is_elsewhere_is_named(said):
    """The keys are right and the region has another instance than the settings name."""
    other = "arn:aws:sso:::instance/ssoins-fedcba9876543210"

    assert "ssoins-0123456789abcdef" in said(
        "instance", SCIM_BRIDGE_IDENTITY_CENTER__INSTANCE_ARN=other
    )


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    "action",
    [
        "sso:DeleteAccountAssignment",
        "sso:ListInstances",
        "identitystore:ListUsers",
        "organizations:ListAccounts",
    ],
)
def test_a_missing_permission_is_named(said, server, action):
    """IAM refuses one operation; the others go on."""
    deny(server, action)

    assert said("permission").startswith(f"{action}: ")


@pytest.mark.usefixtures("signed")
def test_nothing_is_changed_by_looking(run, server):
    """Every call that is tried names somebody who does not exist."""
    before = requests.get(f"{server.url}/_sandbox/state", timeout=5).json()
    everything = {
        "SCIM_BRIDGE_DEPROVISION__CUT_SESSIONS": "true",
        "SCIM_BRIDGE_IDENTITY_CENTER__WRITE_VIA": "identity-store",
    }
    run("doctor", **everything)

    assert requests.get(f"{server.url}/_sandbox/state", timeout=5).json() == before


@pytest.mark.usefixtures("signed")
def test_an_endpoint_that_refuses_signatures_is_named(said, server, states):
    """AWS documents only the bearer token there: the keys are right, and the switch is named."""
    behaviour = {"sigv4_on_scim": False}
    requests.post(f"{server.url}/_sandbox/behaviour", json=behaviour, timeout=5)

    assert 'set auth = "bearer" in [identity_center]' in said("endpoint")
    assert states(expect=1)["caller"] == "ok"


@pytest.mark.usefixtures("signed")
def test_a_read_only_database_is_named(said, run, folder):
    """The bridge could serve nobody, so it must not look well."""
    # Everything that is imported late is imported by who may read it.
    run("doctor")
    [database] = folder.glob("*.db")
    with read_only(folder):
        assert f"{database} cannot be written" in said("database")


def test_a_missing_migration_is_named(said, folder, server):
    """After an update, the command that mends it is named."""
    write_config(folder / "scim-bridge.toml", base_url=server.url, auth="sigv4")
    database = Database(f"sqlite:///{folder}/bridge.db")
    with database.transaction() as connection:
        config = migration._config()
        config.attributes["connection"] = connection
        alembic.upgrade(config, "0001")
    database.close()

    assert "scim-bridge db upgrade" in said("database")


def test_what_cannot_be_done_without_scim_is_said(run, states, signed):
    """An organisation that allows IAM roles only learns what it goes without."""
    without = {"SCIM_BRIDGE_IDENTITY_CENTER__WRITE_VIA": "identity-store"}

    assert states(**without)["limits"] == "warning"
    lines = run("doctor", **without).stdout
    assert "nobody is disabled: who leaves loses every membership and assignment" in lines
    assert "endpoint:" not in lines
    assert "identitystore:CreateUser was not tried" in lines
    assert "nobody is disabled" in run("status", **without).stdout


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        (0.7, "ok", "agrees"),
        (30, "ok", "30 s ahead of"),
        (-90, "warning", "90 s behind"),
        (301, "wrong", "301 s ahead of"),
        (-3600, "wrong", "3600 s behind"),
    ],
)
def test_a_clock_that_is_off_is_told(seconds, state, words):
    """AWS refuses a signature that is five minutes off."""
    found = of_skew(seconds)

    assert found.state == state
    assert words in found.said


def deny(server, action):
    order = {"operation": action, "error": "AccessDeniedException", "times": -1}
    answer = requests.post(f"{server.url}/_sandbox/faults", json=order, timeout=5)
    assert answer.ok, answer.text


@contextmanager
def read_only(folder):
    """A folder as a user sees it who may read it only; root may write everything."""
    closed = [parent for parent in folder.parents if parent.stat().st_mode & 0o055 != 0o055]
    wanted = {parent: parent.stat().st_mode | 0o055 for parent in closed}
    wanted |= {folder: 0o555, **dict.fromkeys(folder.iterdir(), 0o444)}
    before = {file: file.stat().st_mode for file in wanted}
    is_root = os.geteuid() == 0
    for file, mode in wanted.items():
        file.chmod(mode)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for file, mode in before.items():
            file.chmod(mode)
