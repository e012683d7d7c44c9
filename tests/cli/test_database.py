"""`scim-bridge db upgrade`: the schema after an update of the bridge."""


def test_an_empty_database_gets_the_schema(run, database):
    """`db upgrade` makes what every other command needs, and says where."""
    assert "scim-bridge.db" in run("db", "upgrade").stdout
    assert "A new directory" not in run("client", "list").stderr


def test_upgrading_twice_changes_nothing(run, database):
    """A database at this version's schema is left as it is."""
    run("client", "add", "okta")
    run("db", "upgrade")

    assert "okta" in run("client", "list").stdout
