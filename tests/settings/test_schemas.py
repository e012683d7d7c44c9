"""What may stand in each section, and what an operator is told about the rest."""

from dataclasses import fields
from pathlib import Path

import pytest

from scim_bridge.errors import SettingsError
from scim_bridge.settings import Settings, load
from scim_bridge.settings.schemas import NAMED, SECTIONS

IDENTITY_CENTER = {
    "SCIM_BRIDGE_IDENTITY_CENTER__REGION": "eu-central-1",
    "SCIM_BRIDGE_IDENTITY_CENTER__SCIM_ENDPOINT": (
        "https://scim.eu-central-1.amazonaws.com/11111111-2222-3333-4444-555555555555/scim/v2"
    ),
}


def _problems(text: str, folder: Path) -> dict[str, str]:
    """What is said about a settings file, by key."""
    file = folder / "scim-bridge.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file, {})
    return {problem.where: problem.what for problem in raised.value.problems}


def _with(**variables: str) -> Settings:
    """The settings of a complete Identity Center and these variables of that section."""
    named = {f"SCIM_BRIDGE_IDENTITY_CENTER__{key}": value for key, value in variables.items()}
    return load(None, {**IDENTITY_CENTER, **named})


def test_schemas_and_values_have_the_same_keys():
    """Every section and key that can be set has a value to go to, and the reverse."""
    values = Settings()

    # Of [[authority]] there may be several: it is no section.
    assert [field.name for field in fields(Settings)] == [*SECTIONS, "authorities", *NAMED]
    for name, schema in SECTIONS.items():
        assert [field.name for field in fields(getattr(values, name))] == list(schema.fields)


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("server", 'port = "8080"', 'must be a whole number, not "8080"'),
        ("server", "port = true", "must be a whole number, not true"),
        ("server", "port = 70000", "must be from 1 to 65535, not 70000"),
        ("server", 'host = "two words"', 'must be a host name or address, not "two words"'),
        ("server", 'metrics_listen = "9464"', 'such as "127.0.0.1:9464"'),
        ("server", 'public_url = "scim.example.com"', "must be an https:// address"),
        ("server", 'public_url = "https://a:99999/"', "must be an https:// address"),
        ("server", 'public_url = "https://a b/"', "must be an https:// address"),
        ("delivery", 'wait = "5"', 'must be a number, not "5"'),
        ("delivery", "wait = -1", "must be from 0 to 60, not -1"),
        ("delivery", "wait = nan", "must be a number, not nan"),
        ("users", "create = 1", "must be true or false, not 1"),
        ("users", 'username_changes = "yes"', 'must be "refuse" or "allow", not "yes"'),
        ("deprovision", "restore_within = 30", 'such as "30d" or "12h", or 0, not 30'),
        ("deprovision", 'restore_within = "a month"', 'not "a month"'),
        ("deprovision", "restore_within = false", "not false"),
        ("safety", 'protected = "AWS*"', 'must be a list such as ["AWS*"], not "AWS*"'),
        ("safety", "protected = [1]", "not a list"),
        ("audit", "key_file = {}", "must be the path of a file, not a table"),
        ("identity_center", 'region = "Frankfurt"', 'such as "eu-central-1", not "Frankfurt"'),
        ("identity_center", 'bearer_token_expires = "May"', 'such as "2027-05-01", not "May"'),
        ("identity_center", 'instance_arn = "arn:x"', "must be an ARN"),
        ("identity_center", 'scim_endpoint = "https://a/?b=c"', "must end with the path"),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(section, line, said, tmp_path):
    """A value of the wrong type, form or size is named by its key, with what would be right."""
    key = line.partition(" ")[0]

    assert said in _problems(f"[{section}]\n{line}\n", tmp_path)[f"{section}.{key}"]


def test_an_identity_center_needs_its_region_and_its_endpoint(tmp_path):
    """Setting anything of an Identity Center asks for what it takes to reach it."""
    problems = _problems('[identity_center]\nprofile = "scim"\n', tmp_path)

    assert set(problems) == {"identity_center.region", "identity_center.scim_endpoint"}
    assert "automatic provisioning" in problems["identity_center.scim_endpoint"]


def test_the_region_must_be_the_endpoints(tmp_path):
    """An endpoint of AWS names its region (AWS SCIM developer guide); another region is refused."""
    problems = _problems(
        "[identity_center]\n"
        'region = "us-east-1"\n'
        'scim_endpoint = "https://scim.eu-central-1.amazonaws.com/t/scim/v2"\n',
        tmp_path,
    )

    assert problems == {
        "identity_center.region": 'must be the region of scim_endpoint, "eu-central-1"'
    }


@pytest.mark.parametrize("host", ["127.0.0.1:9090", "localhost:9090", "[::1]:9090"])
def test_an_endpoint_on_this_machine_may_be_plain_http(host):
    """Credentials that never leave the machine need no TLS: that is how the sandbox is used."""
    settings = _with(SCIM_ENDPOINT=f"http://{host}/t/scim/v2/")

    assert settings.identity_center.scim_endpoint == f"http://{host}/t/scim/v2"


def test_an_endpoint_elsewhere_must_be_encrypted():
    """Credentials are never sent in the clear over a network."""
    with pytest.raises(SettingsError, match="must be https:// unless the host is this machine"):
        _with(SCIM_ENDPOINT="http://scim.example.com/t/scim/v2")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AUTH": "bearer"}, '"bearer" needs bearer_token_env or bearer_token_file'),
        (
            {"AUTH": "bearer", "BEARER_TOKEN_ENV": "TOKEN", "BEARER_TOKEN_FILE": "/token"},
            "cannot be set together with bearer_token_env: keep one",
        ),
    ],
)
def test_a_bearer_token_has_exactly_one_source(variables, said):
    """Without a source there is nothing to send; with two, nobody knows which is sent."""
    with pytest.raises(SettingsError, match=said):
        _with(**variables)


def test_a_token_in_place_of_its_variables_name_is_not_repeated():
    """A token set where the name of its variable belongs does not appear in the message."""
    token = "a4f0c9e2-1b7d-4c55-9a0e-3f2d6b8c7e11:AAECAHj0"
    with pytest.raises(SettingsError) as raised:
        _with(AUTH="bearer", BEARER_TOKEN_ENV=token)

    assert "must be the name of a variable" in str(raised.value)
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://bridge:hunter2@db/bridge", '"mysql" databases are not supported'),
        ("postgresql://bridge:hunter2@db/bridge", '"postgresql+psycopg://user@host/database"'),
        ("postgresql+psycopg://bridge:hunter2@db", "must name the database"),
        ("postgresql+psycopg://bridge@db/bridge?password=hunter2", "name a file in password_file"),
        ("sqlite://", "the directory must outlive the process"),
        ("sqlite:///:memory:", "the directory must outlive the process"),
        ("scim-bridge.db", 'must be of the form "sqlite:///path/to/scim-bridge.db"'),
    ],
)
def test_a_database_must_outlive_the_process(url, said):
    """Or a database of a PostgreSQL server; and a password in the URL is never shown."""
    with pytest.raises(SettingsError) as raised:
        load(None, {"SCIM_BRIDGE_DATABASE__URL": url})

    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_database_has_one_password():
    """From a file, or in the URL."""
    url = "postgresql+psycopg://bridge@db.example/bridge"
    set_ = {"SCIM_BRIDGE_DATABASE__URL": url, "SCIM_BRIDGE_DATABASE__PASSWORD_FILE": "/run/word"}
    assert load(None, set_).database.url == url
    twice = url.replace("bridge@", "bridge:hunter2@")
    with pytest.raises(SettingsError, match="leave one of them out") as raised:
        load(None, {**set_, "SCIM_BRIDGE_DATABASE__URL": twice})
    assert "hunter2" not in str(raised.value)


def test_a_password_in_an_endpoint_is_refused_and_not_shown():
    """Credentials do not belong in an address, and a message does not repeat them."""
    with pytest.raises(SettingsError) as raised:
        _with(SCIM_ENDPOINT="https://user:hunter2@scim.example.com/scim/v2")
    with pytest.raises(SettingsError) as broken:
        _with(SCIM_ENDPOINT="ftp://user:hunter@2@scim.example.com/scim/v2")

    assert "must not hold a user name or password" in str(raised.value)
    assert "hunter" not in str(raised.value) + str(broken.value)


@pytest.mark.parametrize(
    ("written", "seconds"), [("30d", 2592000), ("12h", 43200), ("1.5h", 5400), ("0", 0)]
)
def test_a_period_has_a_unit(written, seconds):
    """Days, hours, minutes and seconds are told apart by their letter; 0 needs none."""
    settings = load(None, {"SCIM_BRIDGE_DEPROVISION__RESTORE_WITHIN": written})

    assert settings.deprovision.restore_within == seconds
