"""The numbers the bridge shows to Prometheus."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from scim_bridge.directory.database import Database
from scim_bridge.errors import DatabaseUnavailable
from scim_bridge.metrics import Metrics, count_requests, page, serve_apart
from scim_bridge.sync.marks import Intent, Key, Marks
from scim_bridge.sync.overview import remember_door

TARGET = "identity-center"


@pytest.fixture
def metrics(database: Database) -> Metrics:
    return Metrics(database, TARGET)


def sample(text: str, name: str, **labels: str) -> float | None:
    """The value of one sample, or None if it is not there."""
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.name == name and one.labels == labels:
                return one.value
    return None


def test_requests_are_counted_by_method_and_status(metrics: Metrics) -> None:
    """With how long they took."""
    app = Flask("counted")
    count_requests(app, metrics)
    app.add_url_rule("/", "root", lambda: "ok")
    client = app.test_client()
    client.get("/")
    client.get("/")
    client.post("/")
    client.open("/", method="BREW")

    text = metrics.text().decode()

    assert sample(text, "scim_bridge_requests_total", method="GET", status="200") == 2
    assert sample(text, "scim_bridge_requests_total", method="POST", status="405") == 1
    assert sample(text, "scim_bridge_requests_total", method="other", status="405") == 1
    assert sample(text, "scim_bridge_request_seconds_count", method="GET") == 2


def test_tolerances_are_counted_by_client_and_rule(metrics: Metrics) -> None:
    """So an operator sees what each client really sends."""
    for client in ("entra", "entra", "hr"):
        metrics.count_tolerance(client, "boolean-string")

    text = metrics.text().decode()

    name = "scim_bridge_tolerances_total"
    assert sample(text, name, client="entra", rule="boolean-string") == 2
    assert sample(text, name, client="hr", rule="boolean-string") == 1


def test_what_is_pending_is_shown(database: Database, metrics: Metrics) -> None:
    """By state, with the age of the oldest, and the revocations that are overdue."""
    marks = Marks(database, TARGET)
    with database.transaction():
        marks.mark(Intent(key=Key(kind="user", id="u1"), urgent=True))

    text = metrics.text().decode()

    assert sample(text, "scim_bridge_resources_unsettled", state="pending") == 1
    assert sample(text, "scim_bridge_resources_unsettled", state="failed") == 0
    assert sample(text, "scim_bridge_revocations_overdue") == 0
    assert (sample(text, "scim_bridge_oldest_pending_seconds") or -1.0) >= 0


def test_a_quiet_bridge_shows_zeros(metrics: Metrics) -> None:
    """An alert on a missing series is harder to write than one on a zero."""
    text = metrics.text().decode()

    for state in ("pending", "failed", "held", "suppressed"):
        assert sample(text, "scim_bridge_resources_unsettled", state=state) == 0
    assert sample(text, "scim_bridge_oldest_pending_seconds") == 0
    assert sample(text, "scim_bridge_circuit_open", cause="") == 0
    assert sample(text, "scim_bridge_database_up") == 1


def test_an_open_circuit_names_its_cause(database: Database, metrics: Metrics) -> None:
    """Design: a metric names the cause."""
    remember_door(database, TARGET, circuit="open", cause="403: no right to write")

    text = metrics.text().decode()
    assert sample(text, "scim_bridge_circuit_open", cause="403: no right to write") == 1


def test_a_database_that_is_away_leaves_the_rest_readable(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape must not fail just when it is needed."""

    def away(*_: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr("scim_bridge.metrics.overview", away)
    metrics.count(method="GET", status=503, seconds=0.1)

    text = metrics.text().decode()
    assert sample(text, "scim_bridge_database_up") == 0
    assert sample(text, "scim_bridge_requests_total", method="GET", status="503") == 1


def test_the_page_is_prometheus_text(metrics: Metrics) -> None:
    """In the version a scraper knows."""
    assert page(metrics).content_type.startswith("text/plain; version=")


@pytest.fixture
def apart(metrics: Metrics) -> Iterator[str]:
    server = serve_apart(metrics, "127.0.0.1:0")
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()


def test_metrics_can_be_served_apart(metrics: Metrics, apart: str) -> None:
    """`[server] metrics_listen`: on an address of their own."""
    metrics.count(method="GET", status=200, seconds=0.1)

    text = requests.get(apart, timeout=5).text
    assert sample(text, "scim_bridge_requests_total", method="GET", status="200") == 1


COUNTING = """
    import sys
    from scim_bridge.directory.database import Database
    from scim_bridge.metrics import Metrics

    metrics = Metrics(Database(sys.argv[1]), "identity-center")
    metrics.count(method="GET", status=200, seconds=0.1)
    print(metrics.text().decode())
"""


def test_processes_that_share_a_folder_show_their_sum(database_file: Path, tmp_path: Path) -> None:
    """Whichever process a scraper reaches."""
    folder = tmp_path / "counts"
    folder.mkdir()

    shown = ""
    for _ in range(2):
        shown = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(COUNTING), f"sqlite:///{database_file}"],
            check=True,
            capture_output=True,
            text=True,
            env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": ""},
        ).stdout

    assert sample(shown, "scim_bridge_requests_total", method="GET", status="200") == 2
    assert sample(shown, "scim_bridge_database_up") == 1
