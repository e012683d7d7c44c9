"""`scim_bridge.directory.seal_key`: the key of the seals and its file."""

import threading
from pathlib import Path

import pytest

from scim_bridge.directory.audit import Action, record
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer
from scim_bridge.errors import SettingsError
from scim_bridge.settings import Audit


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "audit.key"


def test_a_missing_key_is_made_beside_the_database(database_file, tmp_path):
    """32 random bytes that only their owner can read, the same ones every time after."""
    database = Database(f"sqlite:///{database_file}")
    key = load_key(Audit(), database)
    made = tmp_path / "directory.db.audit-key"
    assert len(key) == 32
    assert bytes.fromhex(made.read_text()) == key
    assert made.stat().st_mode & 0o777 == 0o600
    assert load_key(Audit(), database) == key
    assert list(tmp_path.glob("*audit-key*")) == [made]
    database.close()


def test_each_key_is_another_one(database, tmp_path):
    """Random, not derived from anything an attacker knows."""
    keys = {load_key(Audit(key_file=tmp_path / name), database) for name in ("one", "another")}
    assert len(keys) == 2


def test_a_key_file_that_is_named_is_used(database, key_file):
    """`[audit] key_file` may be a secret that an operator mounts."""
    key_file.write_text(f"  {'AB' * 40}\n")
    key_file.chmod(0o400)
    assert load_key(Audit(key_file=key_file), database) == b"\xab" * 40


def test_everyone_who_starts_at_the_same_time_has_the_same_key(database, key_file):
    """The file appears whole, once: nobody reads half a key or overwrites another's."""
    keys: list[bytes] = []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        keys.append(load_key(Audit(key_file=key_file), database))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("content", ["", "\n", "ab" * 31, "not hexadecimal " * 8, "é" * 64])
def test_a_file_without_a_whole_key_is_refused(database, key_file, content):
    """An empty or short key would make seals that anybody can make."""
    key_file.write_text(content)
    key_file.chmod(0o600)
    with pytest.raises(SettingsError, match=r"audit\.key_file: .* does not hold a key") as refused:
        load_key(Audit(key_file=key_file), database)
    assert "ab" * 31 not in str(refused.value)
    assert key_file.read_text() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_open_is_refused(database, key_file, mode):
    """Who has the key can rewrite the trail."""
    key_file.write_text("ab" * 32)
    key_file.chmod(mode)
    with pytest.raises(SettingsError, match=r"audit\.key_file: .* chmod 600"):
        load_key(Audit(key_file=key_file), database)


def test_no_new_key_is_made_once_rows_are_sealed(database, key_file):
    """A new key would begin a chain that hides the loss of the old one."""
    key = load_key(Audit(key_file=key_file), database)
    with database.transaction():
        record(database, action=Action.CREATE)
    assert Sealer(database, key).seal() == 1
    key_file.unlink()
    with pytest.raises(SettingsError, match=r"audit\.key_file: .* missing, .* holds 1 seals"):
        load_key(Audit(key_file=key_file), database)
    assert not key_file.exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_without_a_file_needs_the_setting(url):
    """There is no place beside a database on another machine, or in memory."""
    database = Database(url)
    with pytest.raises(SettingsError, match=r"audit\.key_file: is not set"):
        load_key(Audit(), database)
    database.close()


def test_a_folder_that_is_not_there_is_named(database, tmp_path):
    """The operator learns which file could not be made, and what to do."""
    missing = tmp_path / "nowhere" / "audit.key"
    with pytest.raises(SettingsError, match=r"nowhere/audit\.key cannot be made: No such file"):
        load_key(Audit(key_file=missing), database)


def test_something_that_is_not_a_file_is_refused(database, tmp_path):
    """A folder in the key's place is told apart from a missing key."""
    with pytest.raises(SettingsError, match=r"audit\.key_file: .* cannot be read"):
        load_key(Audit(key_file=tmp_path), database)


def test_a_link_that_leads_nowhere_is_refused(database, tmp_path, key_file):
    """A key on a volume that is not mounted is not replaced by another one."""
    key_file.symlink_to(tmp_path / "not-mounted")
    with pytest.raises(SettingsError, match=r"audit\.key_file: "):
        load_key(Audit(key_file=key_file), database)
    assert key_file.is_symlink()
