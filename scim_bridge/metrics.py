"""Which numbers does the bridge show? Prometheus metrics of its requests and of its delivery."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args
from wsgiref.simple_server import WSGIServer

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from scim_bridge.directory.database import Database
from scim_bridge.directory.rulebook import FileStanding, State
from scim_bridge.errors import DatabaseUnavailable
from scim_bridge.settings import Extraction
from scim_bridge.sync.freshness import Freshness, drift_counts, freshness
from scim_bridge.sync.overview import Door, Overview, overview

# Where the processes of one bridge keep their counts, so that each can show the sum.
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_STATES = ("pending", "failed", "held", "suppressed")


class Metrics:
    """What is counted, and what is read from the database when somebody asks.

    With ``PROMETHEUS_MULTIPROC_DIR`` set, counts are those of all processes that share the folder.
    """

    def __init__(
        self,
        database: Database,
        target: str,
        extraction: Extraction | None = None,
        rules: Callable[[], FileStanding] | None = None,
    ) -> None:
        # What is shown; in one process it is also where counts are kept.
        self.registry = CollectorRegistry()
        counted = self.registry
        if os.environ.get(MULTIPROCESS_VARIABLE):
            counted = CollectorRegistry()
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        self.registry.register(_Standing(database, target, extraction or Extraction(), rules))
        self._requests = Counter(
            "scim_bridge_requests",
            "Requests answered.",
            ["method", "status"],
            registry=counted,
        )
        self._counted: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._seconds = Histogram(
            "scim_bridge_request_seconds",
            "How long answers took, the wait for Identity Center included.",
            ["method"],
            registry=counted,
        )
        self._tolerances = Counter(
            "scim_bridge_tolerances",
            "Requests that depart from the standard in a way that is understood.",
            ["client", "rule"],
            registry=counted,
        )

    def count(self, *, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        # Anybody may invent a method, and each would be kept for ever.
        requests, taken = self._of(method if method in _METHODS else "other", status)
        requests.inc()
        taken.observe(seconds)

    def _of(self, method: str, status: int) -> tuple[Counter, Histogram]:
        """Where requests of a method that are answered like this are counted."""
        if (method, status) not in self._counted:
            self._counted[method, status] = (
                self._requests.labels(method=method, status=str(status)),
                self._seconds.labels(method=method),
            )
        return self._counted[method, status]

    def count_tolerance(self, client: str, rule: str) -> None:
        """Count a request of a client that a rule of its dialect was needed for."""
        self._tolerances.labels(client=client, rule=rule).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


def count_requests(app: Flask, metrics: Metrics) -> None:
    """Count every request of an application."""

    @app.before_request
    def _begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def _end(response: Response) -> Response:
        metrics.count(
            method=request.method,
            status=response.status_code,
            seconds=time.perf_counter() - g.begun,
        )
        return response


def page(metrics: Metrics) -> Response:
    return Response(metrics.text(), content_type=CONTENT_TYPE_LATEST)


def serve_apart(metrics: Metrics, listen: str) -> WSGIServer:
    """Serve the metrics alone at ``[server] metrics_listen`` ("127.0.0.1:9464"), in a thread.

    The server that is returned is stopped with its ``shutdown()``.
    """
    host, _, port = listen.rpartition(":")
    server, _ = start_http_server(int(port), host.strip("[]"), registry=metrics.registry)
    return server


class _Standing(Collector):
    """How things stand between the directory and Identity Center, read when asked."""

    def __init__(
        self,
        database: Database,
        target: str,
        extraction: Extraction,
        rules: Callable[[], FileStanding] | None,
    ) -> None:
        self._rules = rules
        self._database = database
        self._target = target
        self._extraction = extraction

    def describe(self) -> Iterable[Metric]:
        # Without it, registering would ask the database.
        return ()

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("scim_bridge_database_up", "1 if the database answers.")
        try:
            now = overview(self._database, self._target)
            read = freshness(self._database, self._extraction)
            drift = drift_counts(self._database, self._target)
            rules = self._rules() if self._rules else None
        except DatabaseUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _metrics(now)
        yield from _reading(read, drift)
        if rules is not None:
            yield _rule_file(rules)


def _rule_file(standing: FileStanding) -> Metric:
    found = GaugeMetricFamily(
        "scim_bridge_rules_file",
        "How the file of rules stands to the rules in force: 1 for what it is.",
        labels=["state"],
    )
    for state in get_args(State):
        found.add_metric([state], int(standing.state == state))
    return found


def _metrics(now: Overview) -> Iterator[Metric]:
    resources = GaugeMetricFamily(
        "scim_bridge_resources_unsettled",
        "Users and groups that are not at Identity Center as they should be, by state.",
        labels=["state"],
    )
    for state in _STATES:
        resources.add_metric([state], now.states.get(state, 0))
    yield resources
    yield GaugeMetricFamily(
        "scim_bridge_oldest_pending_seconds",
        "Age of the oldest change that has not reached Identity Center; 0 if there is none.",
        value=now.oldest_pending or 0.0,
    )
    yield GaugeMetricFamily(
        "scim_bridge_revocations_overdue",
        "Revocations of access that have not reached Identity Center for 5 minutes.",
        value=now.overdue,
    )
    circuit = GaugeMetricFamily(
        "scim_bridge_circuit_open",
        "1 while nothing gets through to Identity Center, with the cause.",
        labels=["cause"],
    )
    circuit.add_metric([_cause(now.door)], _is_open(now.door))
    yield circuit
    access = GaugeMetricFamily(
        "scim_bridge_access_circuit_open",
        "1 while no call for assignments gets through to Identity Center, with the cause.",
        labels=["cause"],
    )
    access.add_metric([_cause(now.access_door)], _is_open(now.access_door))
    yield access
    denied = GaugeMetricFamily(
        "scim_bridge_action_denied",
        "1 for each IAM action that the bridge needs for something pending and is not allowed.",
        labels=["action"],
    )
    for action in now.denied:
        denied.add_metric([action], 1)
    yield denied


def _is_open(door: Door | None) -> int:
    return int(door is not None and door.circuit != "closed")


def _cause(door: Door | None) -> str:
    return (door.cause if door else None) or ""


def _reading(read: Iterable[Freshness], drift: Mapping[str, int]) -> Iterator[Metric]:
    """What is known of Identity Center, and how fresh it is."""
    age = GaugeMetricFamily(
        "scim_bridge_extraction_age_seconds",
        "Seconds since Identity Center was last read well, by kind.",
        labels=["kind"],
    )
    seconds = GaugeMetricFamily(
        "scim_bridge_extraction_seconds", "How long that reading took.", labels=["kind"]
    )
    found = GaugeMetricFamily(
        "scim_bridge_extraction_found", "How many it found.", labels=["kind", "what"]
    )
    stale = GaugeMetricFamily(
        "scim_bridge_extraction_stale",
        "1 if it was not read well for two intervals.",
        labels=["kind"],
    )
    for one in read:
        stale.add_metric([one.kind], int(one.is_stale))
        if one.age is not None:
            age.add_metric([one.kind], one.age)
            seconds.add_metric([one.kind], one.seconds or 0.0)
        for what, count in one.counts.items():
            found.add_metric([one.kind, what], count)
    differing = GaugeMetricFamily(
        "scim_bridge_drift",
        "What differs from what the bridge applied, by what has come of it.",
        labels=["state"],
    )
    for state in ("reported", "repaired", "contested"):
        differing.add_metric([state], drift.get(state, 0))
    yield from (age, seconds, found, stale, differing)
