"""`scim-bridge backup` and `restore`: a copy while the bridge writes, and the way back to it."""

import json
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import click
import pytest
import requests
from alembic import command as alembic
from alembic.config import Config

from scim_bridge.cli.copying import sqlite_file
from scim_bridge.directory import migrations
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer
from scim_bridge.settings import Audit, Settings
from scim_bridge.settings import Database as DatabaseSettings
from scim_bridge.sync.journal import journalled
from tests.cli.operation import (
    PATCH,
    client_of,
    in_front_of,
    person,
    serving,
)


@pytest.fixture
def file(server, folder):
    return in_front_of(server, folder)


def _sql(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows


def _members(operation):
    return {"schemas": [PATCH], "Operations": [operation]}


@pytest.fixture
def sealed(file, folder):
    """A directory with somebody in it, and a trail that is sealed."""
    with client_of(file) as client:
        client.add_user("jane@example.com")
    database = Database(f"sqlite:///{folder}/bridge.db")
    Sealer(database, load_key(Audit(), database)).seal()
    database.close()


# -- Backup -----------------------------------------------------------------


def test_a_backup_of_a_bridge_that_writes_holds_all_that_was_answered(json_of, run, file, folder):
    """Whatever a client was answered before the backup began is in it, and the file verifies.

    Nothing is put back while the bridge runs.
    """
    backup = folder / "backup.db"
    answered: list[str] = []
    enough, over = threading.Event(), threading.Event()

    def push(served, names):
        for name in names:
            if over.is_set():
                return
            if served.send("POST", "/Users", person(name)).status_code == 201:
                answered.append(name)
            if len(answered) > 30:
                enough.set()

    with serving(file) as served:
        names = [f"p{number}@example.com" for number in range(5000)]
        clients = [threading.Thread(target=push, args=(served, names[n::3])) for n in range(3)]
        for client in clients:
            client.start()
        try:
            assert enough.wait(60)
            # A backup of so little may be over before anybody is answered: then one more is made.
            while True:
                before = list(answered)
                found = json_of("backup", str(backup))
                if len(answered) > len(before):
                    break
            assert "is in use" in run("restore", str(backup), expect=1).stderr
            assert requests.get(f"{served.url}/readyz", timeout=10).ok
        finally:
            over.set()
            for client in clients:
                client.join()

    assert set(before) <= {name for (name,) in _sql(backup, "SELECT user_name FROM users")}
    assert found["sealed"] > 0
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    # One file: nothing has to be copied with it, and no draft is left.
    assert not [one.name for one in folder.iterdir() if one.name.startswith((".", "backup.db-"))]
    kept = backup.read_bytes()
    json_of("audit", "verify", "--head", found["head"])
    run("backup", str(folder / "no" / "folder" / "x.db"), expect=1)
    assert backup.read_bytes() == kept


@pytest.mark.usefixtures("sealed")
def test_a_trail_that_was_changed_is_not_backed_up(run, folder):
    """A backup that would not verify does not take the place of one that does."""
    backup = folder / "backup.db"
    run("backup", str(backup))
    good = backup.read_bytes()
    _sql(folder / "bridge.db", "UPDATE audit SET actor = 'operator:eve' WHERE id = 1")

    assert "seal 1 does not fit" in run("backup", str(backup), expect=1).stderr
    assert backup.read_bytes() == good


@pytest.mark.parametrize("tool", ["pg_dump FILE", "pg_restore FILE"])
def test_postgresql_has_tools_of_its_own(tool):
    """They are named, and nothing is tried: exit code 2."""
    settings = Settings(database=DatabaseSettings(url="postgresql+psycopg://db.example.com/bridge"))

    with pytest.raises(click.UsageError, match=tool) as refused:
        sqlite_file(settings, instead=tool)

    assert refused.value.exit_code == 2


# -- Restore ----------------------------------------------------------------


@pytest.fixture
def lived_on(run, file, folder, sandbox):
    """A backup, and what happened after it: its client's work and Identity Center's state."""
    with client_of(file) as client:
        ids = {
            name: client.add_user(f"{name}@example.com")
            for name in ("jane", "bob", "mia", "tom", "zoe")
        }
        group = client.add_group("staff", ids["bob"], ids["mia"])
        run("sync")
        run("extract")
        run("client", "add", "leaked")
        run("backup", str(folder / "backup.db"))
        # Jane and Zoe leave, Bob leaves the group, Tom joins it, Eve is new.
        client.patch(f"/Users/{ids['jane']}", active=False)
        client.patch(f"/Users/{ids['zoe']}", active=False)
        leave = {"op": "remove", "path": f'members[value eq "{ids["bob"]}"]'}
        client.send("PATCH", f"/Groups/{group}", _members(leave))
        join = {"op": "add", "path": "members", "value": [{"value": ids["tom"]}]}
        client.send("PATCH", f"/Groups/{group}", _members(join))
        client.add_user("eve@example.com")
        run("sync")
        etag = client.send("GET", f"/Groups/{group}")["meta"]["version"]
        run("client", "revoke", "leaked")
    assert sandbox.members("staff") == {"mia@example.com", "tom@example.com"}
    return {**ids, "staff": group, "etag": etag}


def test_a_restored_bridge_gives_and_takes_nothing_by_itself(
    run, json_of, file, folder, sandbox, lived_on
):
    """Identity Center has gone on without the directory that is back: an operator compares first.

    Not even a client's write lets the leaver back in, or out whom nobody took out. What differs is
    shown by drift and can be taken over; then delivery goes on.
    """
    done = json_of("restore", str(folder / "backup.db"), "--reason", "ticket 4711")

    there = sandbox.state()
    with client_of(file, name="again") as client:
        listed = client.send("GET", "/Users")["Resources"]
        client.patch(f"/Users/{lived_on['mia']}", displayName="Mia B.")
        client.patch(f"/Users/{lived_on['jane']}", title="Engineer")
        version = client.send("GET", f"/Groups/{lived_on['staff']}")["meta"]["version"]
    assert "eve@example.com" not in {one["userName"] for one in listed}
    assert all(one["active"] for one in listed)
    assert sandbox.state() == there
    status = json_of("status")
    assert status["paused"]["reason"].startswith("restored from a backup of ")
    assert "paused" in run("sync", expect=1).stderr
    # Whose token was revoked stays out.
    assert done["tokens_stay_revoked"] is True
    assert [one["name"] for one in json_of("client", "list") if one["revoked"]] == ["leaked"]
    # No ETag of the lost time comes again.
    assert int(version[3:-1]) > int(lived_on["etag"][3:-1])

    assert "scim-bridge extract" in run("resume", expect=1).stderr
    run("extract")
    drift = json_of("drift", expect=1)
    found = {(one["what"], one["member_name"]) for one in drift["drift"]}
    assert {("member-removed", "bob@example.com"), ("member-added", "tom@example.com")} <= found
    assert "eve@example.com" in {one["name"] for one in drift["unmanaged"]}
    assert ("disabled", "zoe@example.com") in {(one["what"], one["name"]) for one in drift["drift"]}
    # The write of her title would let a leaver in again, and the plan says so.
    assert "enable" in run("plan").stdout.partition("user jane@example.com")[2]
    assert "jane@example.com" in {one["whose"] for one in json_of("plan", "--calls")["calls"]}

    run("deprovision", "jane@example.com", "--reason", "left before the restore", expect=1)
    run("drift", "--accept", expect=1)
    run("adopt", "--yes")
    run("resume")
    run("sync")

    assert sandbox.user("jane@example.com")["active"] is False
    assert sandbox.user("zoe@example.com")["active"] is False
    assert sandbox.user("eve@example.com")["active"] is True
    assert sandbox.user("mia@example.com")["displayName"] == "Mia B."
    assert sandbox.members("staff") == {"mia@example.com", "tom@example.com"}
    json_of("audit", "verify", "--head", done["head"])
    assert "restored the directory from a backup" in run("audit").stdout
    replaced = Path(done["replaced"])
    assert "eve@example.com" in {n for (n,) in _sql(replaced, "SELECT user_name FROM users")}
    assert stat.S_IMODE(replaced.stat().st_mode) == 0o600


def test_a_backup_made_before_an_update_is_restored_after_it(run, database):
    """An older schema is backed up as it is, and brought to this version's when it is put back."""
    with database.transaction() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        alembic.upgrade(config, "0003")
    database.close()
    assert "older version" in run("client", "list", expect=1).stderr
    run("backup", "backup.db")

    run("restore", "backup.db")

    run("client", "list")


def test_a_lost_database_is_restored(run, json_of, file, folder, lived_on):
    """Neither a file that is gone nor one that is damaged is in the way."""
    (folder / "bridge.db").write_bytes(b"nonsense" * 1000)
    damaged = json_of("restore", str(folder / "backup.db"))
    assert Path(damaged["replaced"]).read_bytes() == b"nonsense" * 1000
    json_of("audit", "verify", "--head", damaged["head"])

    for one in folder.glob("bridge.db*"):
        if not one.name.endswith(".audit-key"):
            one.unlink()
    lost = json_of("restore", str(folder / "backup.db"))
    assert lost["replaced"] is None
    json_of("audit", "verify", "--head", lost["head"])
    assert stat.S_IMODE((folder / "bridge.db").stat().st_mode) == 0o600


@pytest.mark.usefixtures("sealed")
def test_what_a_lost_database_left_beside_it_is_not_played_back(run, folder):
    """SQLite would take the log of the file that is lost for that of the backup, and mix the two.

    https://www.sqlite.org/howtocorrupt.html, section 1.4
    """
    there = folder / "bridge.db"
    run("backup", str(folder / "backup.db"))
    with closing(sqlite3.connect(there)) as killed:
        killed.execute("UPDATE users SET user_name = 'late'")
        killed.commit()
        log = Path(f"{there}-wal").read_bytes()
    for one in (there, Path(f"{there}-wal"), Path(f"{there}-shm")):
        one.unlink(missing_ok=True)
    Path(f"{there}-wal").write_bytes(log)
    assert log

    run("restore", str(folder / "backup.db"))

    assert _sql(there, "SELECT user_name FROM users") == [("jane@example.com",)]
    assert [one.read_bytes() for one in folder.glob("*.replaced-*-wal")] == [log]


def test_a_postgresql_that_was_put_back_is_told_so(run, json_of, folder, postgresql):
    """pg_restore says nothing to the bridge: with --rewound it is as after a restore of a file.

    https://www.postgresql.org/docs/current/backup-dump.html
    """
    dump = str(folder / "dump")
    with postgresql.fresh() as url:
        there = {"SCIM_BRIDGE_DATABASE__URL": url, "SCIM_BRIDGE_AUDIT__KEY_FILE": f"{folder}/key"}
        run("client", "add", "okta", **there)
        database = Database(url)
        with journalled(database, "extraction:users"):
            database.close()
        postgresql.tool("pg_dump", url, "--format=custom", f"--file={dump}")
        run("client", "add", "late", **there)
        postgresql.tool("pg_restore", url, "--clean", dump)
        with database.reading():
            refused = run("restore", "--rewound", expect=1, **there)
        database.close()
        assert "stop every bridge" in refused.stderr

        done = json_of("restore", "--rewound", "--reason", "ticket 4711", **there)

        assert [one["name"] for one in json_of("client", "list", **there)] == ["okta"]
        status = json_of("status", **there)
        assert status["paused"]["reason"].startswith("restored from a backup of ")
        json_of("audit", "verify", "--head", done["head"], **there)
        # Whoever goes back once more, before they compared, has to read all the same.
        run("restore", "--rewound", **there)
        assert "scim-bridge extract" in run("resume", expect=1, **there).stderr


@pytest.mark.usefixtures("sealed")
def test_a_file_that_was_put_back_by_hand_is_told_so_too(run, json_of):
    """A snapshot of the machine's disk, for example; nothing is replaced."""
    assert "either FILE or --rewound" in run("restore", expect=2).stderr

    assert json_of("restore", "--rewound")["replaced"] is None

    assert json_of("status")["paused"]


def _damage(copy):
    size = copy.stat().st_size
    with copy.open("r+b") as pages:
        pages.seek(size // 2)
        pages.write(b"\xff" * (size // 3))


def _newer(copy):
    _sql(copy, "UPDATE alembic_version SET version_num = '9999'")


def _tampered(copy):
    _sql(copy, "UPDATE audit SET actor = 'operator:eve' WHERE id = 1")


def _foreign(copy):
    copy.unlink()
    _sql(copy, "CREATE TABLE other (id INTEGER)")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda copy: copy.write_bytes(b"no database" * 500), "no SQLite database"),
        (_damage, "damaged"),
        (_newer, "newer scim-bridge"),
        (_tampered, "does not fit"),
        (_foreign, "no database of scim-bridge"),
    ],
    ids=["no database", "damaged", "newer", "tampered", "foreign"],
)
@pytest.mark.usefixtures("sealed")
def test_a_file_that_fails_the_check_is_refused(spoil, said, run, folder):
    """What is there stays as it is."""
    run("backup", str(folder / "backup.db"))
    copy = Path(shutil.copy(folder / "backup.db", folder / "copy.db"))
    spoil(copy)
    before = json.loads(run("status", "--json").stdout)

    refused = run("restore", str(copy), expect=1).stderr

    assert said in refused
    assert "copy.db" in refused
    assert "draft" not in refused
    assert json.loads(run("status", "--json").stdout)["paused"] == before["paused"] is None
    assert not list(folder.glob("*replaced*"))
