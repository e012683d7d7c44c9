"""Where settings are read from, which one wins, and that nothing wrong goes unsaid."""

from pathlib import Path

import pytest

from scim_bridge.errors import SettingsError
from scim_bridge.settings import Settings, load, masked, read


@pytest.fixture
def file(tmp_path):
    """A settings file with one setting."""
    path = tmp_path / "etc" / "bridge.toml"
    path.parent.mkdir()
    path.write_text('[server]\nport = 9000\n[audit]\nkey_file = "keys/audit.key"\n')
    return path


def _said(path: Path | None, environ: dict[str, str]) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        load(path, environ)
    return {problem.where: problem.what for problem in raised.value.problems}


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    """Nothing needs to be set to try the bridge."""
    monkeypatch.chdir(tmp_path)

    assert load(None, {}) == Settings()


def test_the_file_in_the_current_folder_is_read(file, monkeypatch):
    """scim-bridge.toml in the current folder needs no naming."""
    monkeypatch.chdir(file.parent)
    file.rename("scim-bridge.toml")

    assert load(None, {}).server.port == 9000


def test_a_variable_names_the_file(file):
    """SCIM_BRIDGE_CONFIG stands for --config."""
    assert load(None, {"SCIM_BRIDGE_CONFIG": str(file)}).server.port == 9000


def test_the_option_wins_over_the_variable_that_names_a_file(file):
    """What is said on the command line wins."""
    assert load(file, {"SCIM_BRIDGE_CONFIG": "/nowhere.toml"}).server.port == 9000


def test_the_environment_wins_over_the_file(file):
    """SCIM_BRIDGE_<SECTION>__<KEY> overrides, in the type of the setting."""
    settings = load(
        file,
        {
            "SCIM_BRIDGE_SERVER__PORT": "9001",
            "SCIM_BRIDGE_SAFETY__BRAKE": "false",
            "SCIM_BRIDGE_DELIVERY__WAIT": "2.5",
            "SCIM_BRIDGE_SAFETY__PROTECTED": "AWS*, emergency-*",
        },
    )

    assert settings.server.port == 9001
    assert settings.safety.brake is False
    assert settings.delivery.wait == 2.5
    assert settings.safety.protected == ("AWS*", "emergency-*")


def test_an_empty_variable_counts_as_not_set(file):
    """A variable that a container passes on empty leaves the file's value."""
    assert load(file, {"SCIM_BRIDGE_SERVER__PORT": ""}).server.port == 9000


def test_variables_of_other_purposes_are_left_alone(file):
    """A variable without a section, such as one that holds a token, is no setting."""
    assert load(file, {"SCIM_BRIDGE_TOKEN": "x", "SCIM_BRIDGE_OPERATOR": "ann"}).server.port == 9000


def test_every_problem_is_reported_at_once(file):
    """One run tells all there is to mend, each by its key in the file or its variable."""
    file.write_text('[server]\nport = "x"\nprot = 1\n[databse]\nurl = "x"\n[log]\nlevel = "loud"\n')

    said = _said(
        file,
        {
            "SCIM_BRIDGE_DELIVERY__WAIT": "long",
            "SCIM_BRIDGE_USERS__CRATE": "1",
            "SCIM_BRIDGE_A__B": "1",
        },
    )

    assert said == {
        "server.port": 'must be a whole number, not "x"',
        "server.prot": "there is no such key; did you mean port?",
        "databse": "there is no such section; did you mean database?",
        "log.level": 'must be "debug" or "info" or "warning" or "error", not "loud"',
        "SCIM_BRIDGE_DELIVERY__WAIT": 'must be a number, not "long"',
        "SCIM_BRIDGE_USERS__CRATE": "there is no such key; did you mean create?",
        "SCIM_BRIDGE_A__B": said["SCIM_BRIDGE_A__B"],
    }
    assert said["SCIM_BRIDGE_A__B"].startswith("there is no section [a]; there are server, ")


def test_a_key_in_the_wrong_section_is_told_its_place(file):
    """A key that exists elsewhere is not called unknown."""
    file.write_text("[server]\nbrake = false\n")

    assert _said(file, {}) == {
        "server.brake": "there is no such key here; brake belongs in [safety]"
    }


def test_a_value_outside_any_section_is_told(file):
    """A section written as a value is named with what it should be."""
    file.write_text('database = "sqlite:///x.db"\n')

    assert _said(file, {}) == {"database": 'must be a section, [database], not "sqlite:///x.db"'}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[server\n", "is not TOML: "),
        (b'host = "\xff"\n', "is not UTF-8 text"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content, said, file):
    """A broken or missing settings file is an error, never a reason to run with the defaults."""
    file.unlink()
    if content is not None:
        file.write_bytes(content)

    assert said in _said(file, {})[str(file)]


def test_paths_in_the_file_are_relative_to_the_file(file):
    """Which directory is meant does not depend on where the command is run."""
    settings = load(file, {})

    assert settings.audit.key_file == file.parent / "keys" / "audit.key"
    assert settings.database.url == f"sqlite:///{file.parent}/scim-bridge.db"


def test_absolute_paths_and_those_in_variables_stay(file):
    """A path that needs no file to be found is not changed."""
    settings = load(
        file,
        {
            "SCIM_BRIDGE_AUDIT__KEY_FILE": "audit.key",
            "SCIM_BRIDGE_DATABASE__URL": "sqlite:////var/lib/bridge.db",
        },
    )

    assert settings.audit.key_file == Path("audit.key")
    assert settings.database.url == "sqlite:////var/lib/bridge.db"


def test_where_each_value_came_from_is_kept(file):
    """`config show` can say for each value who set it."""
    origins = read(file, {"SCIM_BRIDGE_LOG__LEVEL": "debug"}).origins

    assert origins["server.port"] == str(file)
    assert origins["log.level"] == "SCIM_BRIDGE_LOG__LEVEL"
    assert origins["server.host"] == "default"


def test_what_is_shown_can_be_set_again(file):
    """Every shown value has the form in which it is set."""
    shown = masked(load(file, {}))

    assert shown["deprovision"] == {"restore_within": "30d", "cut_sessions": False}
    assert shown["safety"]["protected"] == ["AWS*", "Administrator*"]
    assert shown["audit"] == {"key_file": str(file.parent / "keys" / "audit.key")}


@pytest.mark.parametrize("password", ["hunter2", "hun/ter2", "hun@ter2"])
def test_the_password_of_the_database_is_shown_nowhere(tmp_path, password):
    """Also one that holds what ends an address elsewhere; and the URL is no path in a folder."""
    file = tmp_path / "bridge.toml"
    url = f"postgresql+psycopg://bridge:{password}@db.example/bridge"
    file.write_text(f'[database]\nurl = "{url}"\n')

    settings = load(file, {})

    assert settings.database.url == url
    assert masked(settings)["database"]["url"] == "postgresql+psycopg://***@db.example/bridge"


def test_each_authority_is_read_and_every_problem_of_them_is_told_at_once(tmp_path):
    """[[authority]] may stand several times: a problem names which one."""
    file = tmp_path / "scim-bridge.toml"
    file.write_text('[[authority]]\nclient = "hr"\nattributes = ["title", "department"]\n')
    (one,) = load(file, {}).authorities
    assert (one.client, one.attributes, one.on_conflict) == (
        "hr",
        ("title", "department"),
        "ignore",
    )

    file.write_text(
        '[[authority]]\nclient = "hr"\nattributes = ["shoe"]\n[[authority]]\nclient = ""\n'
    )
    with pytest.raises(SettingsError) as raised:
        load(file, {})
    assert [problem.where for problem in raised.value.problems] == [
        "authority 1: attributes", "authority 2: client", "authority 2: attributes",
    ]  # fmt: skip


TARGETS = """
[identity_center]
region = "eu-central-1"
scim_endpoint = "https://scim.eu-central-1.amazonaws.com/t/scim/v2"
filter = 'userType eq "Employee"'
[targets.paris]
type = "identity-center"
region = "eu-west-3"
scim_endpoint = "https://scim.eu-west-3.amazonaws.com/u/scim/v2"
credentials_file = "paris.keys"
filter = 'addresses[country eq "FR"]'
"""


def test_further_identity_centers_have_names_and_paths_beside_the_file(file):
    """`[targets.NAME]` takes the keys of `[identity_center]`, and is shown as it is set."""
    file.write_text(TARGETS)

    loaded = read(file, {})

    paris = loaded.settings.targets["paris"]
    assert paris.credentials_file == file.parent / "paris.keys"
    assert (paris.filter, paris.timeout) == ('addresses[country eq "FR"]', 20.0)
    assert masked(loaded.settings)["targets.paris"]["region"] == "eu-west-3"
    assert loaded.origins["targets.paris.region"] == str(file)


def test_what_is_wrong_with_a_further_identity_center_is_said_with_its_name(file):
    """Also a filter that is none, a name that cannot be one, and what no key is."""
    file.write_text(
        '[targets.identity-center]\ntype = "identity-center"\n[targets."Pa ris"]\n'
        '[targets.rome]\nregion = "eu-south-1"\nfilter = "userType is x"\nspeed = 3\n'
    )

    said = _said(file, {})

    assert said["targets.identity-center"] == "the name 'identity-center' is taken: choose another"
    assert "lower-case letters" in said["targets.Pa ris"]
    assert said["targets.rome.type"] == 'is missing: it is "identity-center"'
    assert said["targets.rome.filter"].startswith("must be a SCIM filter")
    assert "no such key" in said["targets.rome.speed"]
    assert said["targets.rome.scim_endpoint"].startswith("is missing")


def test_connectors_have_names_and_keys_of_their_type(file):
    """`[[connector]]`; where a secret is, and never the secret itself, is shown."""
    file.write_text(
        '[[connector]]\nname = "pager"\ntype = "webhook"\nurl = "https://events.example.com/x"\n'
        'secret_file = "pager.secret"\n'
        '[[connector]]\nname = "lake"\ntype = "csv"\nfolder = "lake"\ninterval = "12h"\n'
    )

    loaded = read(file, {})

    assert loaded.settings.connector["lake"].folder == file.parent / "lake"
    shown = masked(loaded.settings)
    assert shown["connector.pager"]["secret_file"] == str(file.parent / "pager.secret")
    assert shown["connector.lake"]["interval"] == "12h"


def test_what_is_wrong_with_a_connector_is_said_with_its_name(file):
    """A type that there is not, a name twice, no secret, and another type's key."""
    file.write_text(
        '[[connector]]\nname = "x"\ntype = "fax"\n'
        '[[connector]]\nname = "pager"\ntype = "webhook"\nurl = "http://events.example.com"\n'
        '[[connector]]\nname = "pager"\ntype = "csv"\nfolder = "lake"\n'
        '[[connector]]\nname = "lake"\ntype = "jsonl"\nsecret_env = "SECRET"\n'
    )

    said = _said(file, {})

    assert said["connector.x"].startswith("type must be scim or webhook or csv")
    assert said["connector.pager.secret_file"].startswith("is missing")
    assert "https://" in said["connector.pager.url"]
    assert said["connector.pager"] == "the name 'pager' is taken: choose another"
    assert said["connector.lake.folder"] == "is missing"
    assert "no such key" in said["connector.lake.secret_env"]


def test_the_source_takes_no_filter(file):
    """Whom it does not match "leaves" Identity Center: they would be disabled at their source."""
    file.write_text("[source]\nenabled = true\n" + TARGETS)

    assert _said(file, {}) == {
        "identity_center.filter": "cannot be set together with source.enabled: it would disable "
        "people at their source; give the filter to those that follow it"
    }
    by_variable = {"SCIM_BRIDGE_IDENTITY_CENTER__FILTER": "active eq true"}
    assert _said(file, by_variable).keys() == by_variable.keys()
    assert load(file, {"SCIM_BRIDGE_SOURCE__ENABLED": "false"}).targets["paris"].filter
