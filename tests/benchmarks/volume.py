"""A trail of a million rows, and a hundred thousand changes that wait: what does looking cost?"""

import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Table, insert

from scim_bridge.cli.invocation import opened
from scim_bridge.directory.audit import Action, canonical, personal_digest
from scim_bridge.directory.database import Database
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer
from scim_bridge.directory.tables import audit, audit_personal, pending
from scim_bridge.settings import Settings, load
from tests.acceptance.installation import Installation, center, install
from tests.benchmarks.figures import Figure, say
from tests.benchmarks.stand import quantile

ASKED = 60
AT_ONCE = 10_000
# The trail has some rows already: somebody added a client.
FIRST = 1_001
_SALT = "0123456789abcdef" * 2


def run(*, rows: int, pending: int) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="scim-bridge-benchmark-") as folder,
        center(Path(folder), "sigv4") as sandbox,
    ):
        installation = install(sandbox, Path(folder) / "bridge", rate=100)
        settings = load(installation.folder / "bridge.toml", {})
        with opened(settings, create=True) as database:
            _fill(database, settings, rows)
            _wait_for_target(database, pending)
        installation.run("pause", "--reason", "measured")
        return [_verified(installation, rows), *_asked(installation)]


def _fill(database: Database, settings: Settings, rows: int) -> None:
    """A sealed trail: every other row has a personal part, as that of a push has."""
    sealer = Sealer(database, load_key(settings.audit, database))
    for start in range(0, rows, AT_ONCE):
        ids = range(FIRST + start, FIRST + min(start + AT_ONCE, rows))
        _insert(database, audit, (_entry(number) for number in ids))
        _insert(database, audit_personal, (_personal(number) for number in ids if number % 2))
        sealer.seal()
    while sealer.seal():
        continue
    say(f"  {rows} rows of audit trail written")


def _entry(number: int) -> dict[str, Any]:
    personal = _personal(number)
    digest = personal_digest(_SALT, personal["user_name_folded"], personal["content"])
    return {
        "id": number,
        "at": 1.7e9 + number,
        "actor": "client:hr",
        "action": Action.CALL.value,
        "kind": "user",
        "resource_id": str(uuid.UUID(int=number % 5000)),
        "request_id": str(uuid.UUID(int=number)),
        "target_request_id": str(uuid.UUID(int=number)),
        "outcome": "ok",
        "facts": canonical({"operation": "PatchUser", "status": 200, "attributes": ["title"]}),
        "personal_digest": digest if number % 2 else None,
    }


def _personal(number: int) -> dict[str, Any]:
    name = f"p{number % 5000:06}@example.com"
    content = canonical({"userName": name, "after": {"title": f"Engineer {number}"}})
    return {
        "audit_id": number,
        "salt": _SALT,
        "content": content,
        "user_name_folded": name,
    }


def _wait_for_target(database: Database, number: int) -> None:
    """So many people whose changes have not reached Identity Center."""
    rows = [_mark(one) for one in range(number)]
    for start in range(0, number, AT_ONCE):
        _insert(database, pending, rows[start : start + AT_ONCE])
    say(f"  {number} changes wait")


def _mark(number: int) -> dict[str, Any]:
    return {
        "target": "identity-center",
        "kind": "user",
        "resource_id": str(uuid.UUID(int=number)),
        "generation": 1,
        "state": "pending",
        "since": time.time() - number,
        "urgent": number % 100 == 0,
        "revoking_since": time.time() - number if number % 100 == 0 else None,
        "take_away": {"everyone": False, "linked": False, "named": [], "inherited": False},
        "reread": False,
        "attempts": 3,
        "next_attempt_at": time.time() + number % 60,
        "lease_no": 3,
        "last_error": "CreateUser: no answer in time" if number % 10 == 0 else None,
        "requests": [],
    }


def _insert(database: Database, table: Table, rows: Any) -> None:
    rows = list(rows)
    if rows:
        with database.transaction() as connection:
            connection.execute(insert(table), rows)


def _verified(installation: Installation, rows: int) -> Figure:
    began = time.monotonic()
    found = installation.json_of("audit", "verify")
    took = time.monotonic() - began
    assert found["sealed"] >= rows
    return Figure(
        name=f"audit verify of {rows} rows", value=took, unit="s", bound="at most", target=60
    )


def _asked(installation: Installation) -> Iterator[Figure]:
    """How long a scrape takes, with the directory in use by the worker as always."""
    with installation.serving() as bridge, requests.Session() as session:
        waiting = bridge.unsettled("pending")
        seconds = []
        for _ in range(ASKED):
            began = time.perf_counter()
            answer = session.get(f"{bridge.url}/metrics", timeout=60)
            seconds.append(time.perf_counter() - began)
            assert answer.ok
    yield Figure(name="pending", value=waiting)
    for name, share in (("median", 0.5), ("p95", 0.95)):
        yield Figure(
            name=f"/metrics, {name}",
            value=1000 * quantile(seconds, share),
            unit="ms",
            bound="at most",
            target=50,
        )
