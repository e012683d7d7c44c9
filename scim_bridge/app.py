"""What is a running bridge made of? The one place where its parts are put together."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.middleware.proxy_fix import ProxyFix

from scim_bridge.directory import migration
from scim_bridge.directory.database import Database
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer
from scim_bridge.directory.write import Write
from scim_bridge.errors import DirectoryError
from scim_bridge.identity_center.center import Center, connect
from scim_bridge.identity_center.circuit import Standing
from scim_bridge.metrics import Metrics, count_requests, page
from scim_bridge.plan.policy import Switches
from scim_bridge.scim.authentication import bearer_authentication
from scim_bridge.scim.provider import Provider
from scim_bridge.scim.server import Server
from scim_bridge.settings import IdentityCenter, Settings
from scim_bridge.sync import TARGET
from scim_bridge.sync.decisions import Decisions
from scim_bridge.sync.delivery import Delivery
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.intents import Intents
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.overview import Overview, door_opened_within, overview, remember_door
from scim_bridge.sync.planning import Planning
from scim_bridge.sync.reconciler import Reconciler
from scim_bridge.sync.record import Recorder
from scim_bridge.sync.subjects import Naming, Subjects
from scim_bridge.sync.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """The parts of a bridge: what a request, the worker and the command line work with."""

    settings: Settings
    database: Database
    provider: Provider
    resources: Resources
    center: Center
    marks: Marks
    observations: Observations
    held: HeldLosses
    planning: Planning
    reconciler: Reconciler
    delivery: Delivery
    decisions: Decisions

    def overview(self) -> Overview:
        """How things stand between the directory and Identity Center."""
        return overview(self.database, TARGET)

    def worker(self) -> Worker:
        """The worker that delivers what no request does, and seals the audit trail.

        Raises `SettingsError` when the key of the seals cannot be used.
        """
        sealer = Sealer(self.database, load_key(self.settings.audit, self.database))

        def upkeep() -> None:
            self.show_door()
            self.hear_of_door()
            sealer.seal()

        return Worker(marks=self.marks, reconciler=self.reconciler, upkeep=upkeep)

    def show_door(self) -> None:
        """Say that Identity Center's door is open again, if it answered after it was closed.

        For the worker: the process that found the door closed may have ended since. That this
        process has not been refused yet says nothing.
        """
        circuit, shown = self.center.circuit, self.overview().door
        if shown is None or shown.circuit == "closed" or circuit.state != "closed":
            return
        if circuit.silence is not None and circuit.silence < shown.age:
            _open_for_all(self.database, self.marks)

    def hear_of_door(self) -> None:
        """Try again at once when another process found the door open. For the worker: what it put
        off until its own next probe is due now.
        """
        if self.center.circuit.listen():
            self.marks.wake("pending")

    def forget_door(self) -> None:
        """Forget what an earlier run knew of Identity Center's door. For whoever starts a bridge:
        a process whose door was never closed has nothing to tell when it is open.
        """
        remember_door(self.database, TARGET, circuit="closed", cause=None)

    def close(self) -> None:
        self.database.close()


def build(settings: Settings, *, processes: int = 1) -> Bridge:
    """Put a bridge together. Nothing is called and nothing is read yet.

    `processes`: how many of them call Identity Center at once; each gets its share of the pace.

    Raises `SettingsError` when the settings do not say where Identity Center is.
    """
    database = Database(settings.database.url)
    provider = Provider(settings)
    timeout = settings.identity_center.timeout
    marks = Marks(database, TARGET, call_seconds=timeout)
    center = connect(
        _with_share(settings.identity_center, processes),
        on_change=_on_door(database, marks),
        works_elsewhere=partial(door_opened_within, database, TARGET),
    )
    observations = Observations(database, TARGET)
    held = HeldLosses(database, TARGET, settings.safety)
    planning = _planning(settings, database, observations, held)
    delivery = Delivery(
        database=database,
        marks=marks,
        intents=Intents(database, marks, observations, held, settings.delivery),
        wait=settings.delivery.wait,
    )
    resources = Resources(
        database,
        models=provider.directory_models,
        written=_written(database, delivery),
        restore_within=settings.deprovision.restore_within,
    )
    reconciler = Reconciler(
        database=database,
        center=center,
        marks=marks,
        observations=observations,
        planning=planning,
        recorder=Recorder(database, marks, observations, held),
        call_seconds=timeout,
        quiet=settings.delivery.coalesce,
    )
    delivery.connect(resources=resources, reconciler=reconciler)
    return Bridge(
        settings=settings,
        database=database,
        provider=provider,
        resources=resources,
        center=center,
        marks=marks,
        observations=observations,
        held=held,
        planning=planning,
        reconciler=reconciler,
        delivery=delivery,
        decisions=Decisions(database, resources, marks, observations, held),
    )


def _planning(
    settings: Settings, database: Database, observations: Observations, held: HeldLosses
) -> Planning:
    naming = Naming(external_id=settings.users.external_id, when_deleted=settings.groups.delete)
    switches = Switches(create=settings.users.create, update=settings.users.update)
    return Planning(
        database, Subjects(database, observations, naming), observations, held, switches
    )


def _with_share(settings: IdentityCenter, processes: int) -> IdentityCenter:
    return replace(settings, calls_per_second=settings.calls_per_second / processes)


def _written(database: Database, delivery: Delivery) -> Callable[[Write], None]:
    """Who is told of each write, in its transaction: the audit trail, then the marks."""

    def written(write: Write) -> None:
        record_write(database, write)
        delivery.written(write)

    return written


def _on_door(database: Database, marks: Marks) -> Callable[[Standing], None]:
    """Write every change of the door down, where `status` and the other processes see it."""

    def remember(standing: Standing) -> None:
        if standing.state == "closed":
            _open_for_all(database, marks)
        else:
            remember_door(database, TARGET, circuit=standing.state, cause=standing.cause)

    return remember


def _open_for_all(database: Database, marks: Marks) -> None:
    """The door is open: other processes learn it, and what waited for a probe is due at once."""
    remember_door(database, TARGET, circuit="closed", cause=None)
    marks.wake("pending")


def create_app(settings: Settings, *, bridge: Bridge | None = None) -> Flask:
    """The bridge as a WSGI application: SCIM, health and metrics.

    Raises `SettingsError` when the settings do not say where Identity Center is.
    """
    bridge = bridge or build(settings)
    app = Flask("scim_bridge", static_folder=None, template_folder=None)
    _trust_proxies(app, settings.server.trusted_proxies)
    Server(
        bridge.resources,
        bridge.provider,
        settings,
        delivery=bridge.delivery,
        authenticated=bearer_authentication(bridge.database),
    ).init_app(app)
    _show_health(app, bridge)
    metrics = Metrics(bridge.database, TARGET)
    count_requests(app, metrics)
    if settings.server.metrics_listen is None:
        app.add_url_rule("/metrics", "metrics", lambda: page(metrics))
    app.extensions["bridge"], app.extensions["metrics"] = bridge, metrics
    return app


def _trust_proxies(app: Flask, proxies: int) -> None:
    """Believe exactly this many proxies about the client's address, scheme and host."""
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )


def _show_health(app: Flask, bridge: Bridge) -> None:
    """`/healthz`: this process answers. `/readyz`: it can take writes, and what stands in the way.

    A closed door at AWS does not make the bridge unready: it takes every write, and delivers it
    when the door opens. A load balancer that took it away would lose deactivations.
    """

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @app.get("/readyz")
    def readyz() -> tuple[Response, HTTPStatus]:
        try:
            migration.check(bridge.database)
            now = bridge.overview()
        except DirectoryError as error:
            unready = jsonify(status="unavailable", causes=[str(error)])
            return unready, HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify(_readiness(now)), HTTPStatus.OK


def _readiness(now: Overview) -> dict[str, Any]:
    is_open = now.door is not None and now.door.circuit != "closed"
    causes = [now.door.cause] if now.door is not None and is_open and now.door.cause else []
    return {
        "status": "degraded" if is_open else "ok",
        "circuit": now.door.circuit if now.door else "closed",
        "causes": causes,
    }
