"""`scim-bridge config show`: which settings are in force, and who set them."""


def test_each_value_is_shown_with_where_it_came_from(json_of, folder):
    """File, variable and default are told apart."""
    file = folder / "scim-bridge.toml"
    file.write_text("[server]\nport = 9000\n")
    shown = json_of("config", "show", SCIM_BRIDGE_LOG__LEVEL="debug")

    assert shown["server.port"] == {"value": 9000, "from": "scim-bridge.toml"}
    assert shown["log.level"] == {"value": "debug", "from": "SCIM_BRIDGE_LOG__LEVEL"}
    assert shown["safety.brake"] == {"value": True, "from": "default"}


def test_the_table_is_never_cut(run, folder):
    """A long value is whole, however narrow the terminal."""
    endpoint = f"http://127.0.0.1:9090/{'t' * 200}/scim/v2"
    said = run(
        "config",
        "show",
        COLUMNS="40",
        SCIM_BRIDGE_IDENTITY_CENTER__SCIM_ENDPOINT=endpoint,
        SCIM_BRIDGE_IDENTITY_CENTER__REGION="us-east-1",
    ).stdout

    assert any(endpoint in line and "SCIM_BRIDGE_" in line for line in said.splitlines())


def test_the_option_names_the_file(json_of, folder):
    """--config wins over the file in the current folder."""
    (folder / "scim-bridge.toml").write_text("[server]\nport = 9000\n")
    (folder / "other.toml").write_text("[server]\nport = 9001\n")

    shown = json_of("--config", "other.toml", "config", "show")

    assert shown["server.port"]["value"] == 9001


def test_who_owns_what_is_shown_and_an_owner_that_is_missing_is_told(json_of, run, folder):
    """A client that nobody added can write nothing, and nobody else may."""
    file = folder / "scim-bridge.toml"
    file.write_text('[[authority]]\nclient = "hr"\nattributes = ["title", "active"]\n')
    run("db", "upgrade")

    shown = json_of("config", "show")
    assert shown["authority 1"]["value"] == "hr: title, active (ignore)"
    said = {one["what"]: one["said"] for one in json_of("doctor", expect=1)["findings"]}
    assert "no such client" in said["authority"]
    run("client", "add", "hr")
    assert "authority" not in {one["what"] for one in json_of("doctor", expect=1)["findings"]}
