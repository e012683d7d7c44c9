"""Snapshots of the directory in a folder: what is in them, and that nobody reads half of one."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.directory.database import Database
from scim_bridge.errors import NotSent
from scim_bridge.settings import Snapshot
from scim_bridge.sync.snapshots import Snapshots
from tests.sync.conftest import Directory, eventually


@pytest.fixture
def people(directory: Directory) -> dict[str, str]:
    """Two active people and one who left, in groups."""
    ids = {who: directory.add_user(who) for who in ("ada", "bob", "eve")}
    ids["crew"] = directory.add_group("crew", *ids.values())
    ids["empty"] = directory.add_group("empty")
    ids["all"] = directory.add_group("zero", ids["bob"])
    directory.change_user(ids["eve"], active=False)
    return ids


def test_a_table_shows_people_and_who_is_effectively_in_which_group(
    database: Database, people: dict[str, str], tmp_path: Path
) -> None:
    """A leaver is listed, inactive, and in no group."""
    Snapshots(database, "lake", Snapshot(type="csv", folder=tmp_path)).write()

    users = _table(tmp_path / "users.csv")
    inside = _table(tmp_path / "memberships.csv")

    assert {(one["userName"], one["active"]) for one in users} == {
        ("ada", "true"),
        ("bob", "true"),
        ("eve", "false"),
    }
    assert {(one["group"], one["userName"]) for one in inside} == {
        ("crew", "ada"),
        ("crew", "bob"),
        ("zero", "bob"),
    }
    assert len(_table(tmp_path / "groups.csv")) == 3


def test_json_lines_hold_the_scim_documents(
    database: Database, people: dict[str, str], tmp_path: Path
) -> None:
    """Groups with their members, also where one has none."""
    Snapshots(database, "lake", Snapshot(type="jsonl", folder=tmp_path)).write()

    groups = _lines(tmp_path / "groups.jsonl")
    users = _lines(tmp_path / "users.jsonl")

    assert {one["displayName"]: len(one["members"]) for one in groups} == {
        "crew": 2,
        "empty": 0,
        "zero": 1,
    }
    assert {one["id"] for one in users} == {people[who] for who in ("ada", "bob", "eve")}
    assert all(one["name"]["familyName"] == "Tester" for one in users)


def test_a_snapshot_that_fails_leaves_the_last_one_and_is_tried_again(
    database: Database,
    people: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written beside, put on the disk, then renamed: a full disk costs a snapshot, not a file."""
    folder = tmp_path / "lake"
    folder.mkdir()
    snapshots = Snapshots(database, "lake", Snapshot(type="csv", folder=folder))
    snapshots.look()
    eventually(lambda: (folder / "memberships.csv").exists())
    snapshots.stop()
    before = (folder / "users.csv").read_text()

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", _full)
        with pytest.raises(NotSent, match="No space left"):
            snapshots.write()

    assert (folder / "users.csv").read_text() == before
    assert {file.name for file in folder.iterdir()} == {
        "users.csv",
        "groups.csv",
        "memberships.csv",
    }


def _full(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def _table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
