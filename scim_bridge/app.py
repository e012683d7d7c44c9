"""What is a running bridge made of? The one place where its parts are put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.middleware.proxy_fix import ProxyFix

from scim_bridge.directory import migration
from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.directory.database import Database
from scim_bridge.directory.database import connect as connect_database
from scim_bridge.directory.entries import record_write
from scim_bridge.directory.ownership import Owners
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.rulebook import FileWatch, Rulebook
from scim_bridge.directory.ruling import Ruling
from scim_bridge.directory.seal_key import load_key
from scim_bridge.directory.seals import Sealer
from scim_bridge.directory.write import Write
from scim_bridge.errors import DirectoryError
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.center import Center, connect
from scim_bridge.identity_center.circuit import Circuit, Standing
from scim_bridge.identity_center.doors import DoorName
from scim_bridge.identity_center.rehearsal import RehearsedCenter, RehearsedSsoAdmin
from scim_bridge.identity_center.store_center import StoreCenter
from scim_bridge.lifecycle.rule_file import RuleFiles
from scim_bridge.metrics import Metrics, count_requests, page
from scim_bridge.plan.authority import Authorities
from scim_bridge.plan.changes import Change
from scim_bridge.plan.grants import AccessChange
from scim_bridge.plan.policy import Switches
from scim_bridge.plan.state import Abilities
from scim_bridge.scim.authentication import bearer_authentication
from scim_bridge.scim.provider import Provider
from scim_bridge.scim.server import Server
from scim_bridge.scim.tolerances import Tolerances
from scim_bridge.settings import IdentityCenter, Settings
from scim_bridge.sync import ACCESS_TARGET, TARGET
from scim_bridge.sync.access import AccessReconciler
from scim_bridge.sync.access_intents import AccessIntents
from scim_bridge.sync.access_planning import AccessPlanning
from scim_bridge.sync.access_record import AccessRecorder
from scim_bridge.sync.alerts import Alerts, Cause, causes, ending_tokens
from scim_bridge.sync.attempt import Inline
from scim_bridge.sync.cuts import Cuts, uncut
from scim_bridge.sync.decisions import Decisions
from scim_bridge.sync.delivery import Delivery
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.freshness import Freshness, freshness
from scim_bridge.sync.grants import Grants
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.intents import Intents
from scim_bridge.sync.marks import Key, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.overview import (
    Door,
    Overview,
    door_opened_within,
    overview,
    remember_door,
)
from scim_bridge.sync.planning import Planning
from scim_bridge.sync.provisioning import provisioning
from scim_bridge.sync.reconciler import Reconciler
from scim_bridge.sync.record import Recorder
from scim_bridge.sync.rule_clock import RuleClock
from scim_bridge.sync.shared_pace import SharedPace
from scim_bridge.sync.subjects import Naming, Subjects
from scim_bridge.sync.watch import Watch, watch
from scim_bridge.sync.worker import Lane, Worker


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
    # Assignments: their marks, who delivers them, and what is known of them.
    access_marks: Marks
    access: AccessReconciler
    entitlements: Entitlements
    # The APIs of AWS, and what reads Identity Center by them. None: the settings do not say in
    # which region they are.
    apis: Apis | None
    watch: Watch | None
    cuts: Cuts
    ruling: Ruling
    # How the file of rules stands to what is in force.
    rule_file: FileWatch

    def overview(self) -> Overview:
        """How things stand between the directory and Identity Center."""
        return overview(self.database, TARGET)

    def worker(self, *, upkeep: Callable[[], object] | None = None) -> Worker:
        """The worker that delivers what no request does, and seals the audit trail.

        `upkeep`: what it does instead of sealing and alerting.

        Raises `SettingsError` when the key of the seals cannot be used.
        """
        return Worker(
            marks=self.marks,
            reconciler=self.reconciler,
            access_marks=self.access_marks,
            access=self.access,
            upkeep=upkeep or self._upkeep(),
            background=(
                *((self.watch.schedule,) if self.watch else ()),
                self.cuts,
                RuleClock(self.ruling, self.rule_file),
            ),
        )

    def _upkeep(self) -> Callable[[], object]:
        """What a worker sees to about twice a second."""
        sealer = Sealer(self.database, load_key(self.settings.audit, self.database))

        alerts = Alerts(self.database, self.settings.alerts, self._causes)

        def upkeep() -> None:
            self.show_door()
            self.hear_of_door()
            sealer.seal()
            alerts.keep_up()

        return upkeep

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        """The ways of deliveries: of users, groups and memberships, and of their assignments."""
        return (
            Lane(marks=self.marks, passes=self.reconciler),
            Lane(marks=self.access_marks, passes=self.access),
        )

    def _causes(self) -> Sequence[Cause]:
        """What needs a person just now."""
        expires = self.settings.identity_center.bearer_token_expires
        today = datetime.now(UTC).date()
        read = freshness(self.database, self.settings.extraction)
        stale = [one.kind for one in read if one.is_stale]
        return [
            *causes(self.overview(), stale=stale, uncut=uncut(self.database, TARGET)),
            *ending_tokens(self.database, expires, today=today),
        ]

    def show_door(self) -> None:
        """Say that a door of Identity Center is open again, if it answered after it was closed.

        For the worker: the process that found the door closed may have ended since. That this
        process has not been refused yet says nothing.
        """
        now = self.overview()
        _show_open(self.database, self.marks, self.center.circuit, now.door)
        if self.apis is not None:
            circuit = self.apis.sso_admin.circuit
            _show_open(self.database, self.access_marks, circuit, now.access_door)

    def hear_of_door(self) -> None:
        """Try again at once when another process found a door open. For the worker: what it put
        off until its own next probe is due now.
        """
        if self.center.circuit.listen():
            self.marks.wake("pending")
        if self.apis is not None and self.apis.sso_admin.circuit.listen():
            self.access_marks.wake("pending")

    def forget_door(self) -> None:
        """Forget what an earlier run knew of Identity Center's doors. For whoever starts a bridge:
        a process whose door was never closed has nothing to tell when it is open.
        """
        for target in (TARGET, ACCESS_TARGET):
            remember_door(self.database, target, circuit="closed", cause=None)

    def close(self) -> None:
        self.database.close()


def _show_open(database: Database, marks: Marks, circuit: Circuit, shown: Door | None) -> None:
    if shown is None or shown.circuit == "closed" or circuit.state != "closed":
        return
    if circuit.silence is not None and circuit.silence < shown.age:
        _open_for_all(database, marks)


def build(settings: Settings, *, rehearsed: list[Change | AccessChange] | None = None) -> Bridge:
    """Put a bridge together. Nothing is called and nothing is read yet.

    All bridges of one database keep one pace at each door of Identity Center.
    `rehearsed`: nothing is changed at Identity Center; what would be is noted there.

    Raises `SettingsError` when the settings do not say where Identity Center is.
    """
    database = connect_database(settings.database)
    provider = Provider(settings)
    timeout = settings.identity_center.timeout
    marks = Marks(database, TARGET, call_seconds=timeout)
    access_marks = Marks(database, ACCESS_TARGET, call_seconds=timeout)
    center = connect(
        settings.identity_center,
        on_change=_on_door(database, marks),
        works_elsewhere=partial(door_opened_within, database, TARGET),
        keeper=partial(SharedPace, database),
    )
    apis = _apis(settings.identity_center, database, access_marks)
    if rehearsed is not None:
        center, apis = RehearsedCenter(center, rehearsed), _rehearsed(apis, rehearsed)
    observations = Observations(database, TARGET)
    held = HeldLosses(
        database,
        TARGET,
        settings.safety,
        leavers_stay_active=not center.abilities.disables,
    )
    grants = Grants(database, TARGET)
    entitlements = Entitlements(database, observations, grants)
    planning = _planning(settings, database, observations, held, center.abilities)
    access_intents = AccessIntents(
        access_marks,
        entitlements,
        held,
        has_door=apis is not None,
        when_deleted=settings.groups.delete,
    )
    cuts = Cuts(
        database,
        TARGET,
        apis.sso_admin if apis else None,
        wanted=settings.deprovision.cut_sessions,
        brake=settings.safety.brake,
    )
    delivery = Delivery(
        database=database,
        marks=marks,
        intents=Intents(database, marks, observations, held, settings.delivery),
        wait=settings.delivery.wait,
        at_once=max(settings.server.threads // 2, 1),
    )
    files = RuleFiles(provider.directory_models["User"], settings.safety)
    ruling = Ruling(database, Rulebook(database, files))
    resources = Resources(
        database,
        models=provider.directory_models,
        written=_written(database, cuts, delivery, access_intents, ruling),
        restore_within=settings.deprovision.restore_within,
        nested=settings.groups.nested,
        owners=Owners(database, Authorities.of(settings)),
        resolve=Catalogue(database, TARGET).grant,
        provisioning=lambda kind, id_: provisioning(database, Key(kind=kind, id=id_)),
    )
    ruling.connect(resources)
    recorder = Recorder(database, marks, observations, held)
    reconciler = Reconciler(
        database=database,
        center=center,
        marks=marks,
        observations=observations,
        planning=planning,
        recorder=recorder,
        call_seconds=timeout,
        quiet=settings.delivery.coalesce,
        inline=Inline(adopt=settings.adopt.inline, protected=settings.safety.protected),
        detour=_detour(settings.identity_center, apis) if rehearsed is None else None,
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
        decisions=Decisions(database, resources, marks, observations, held, access_intents),
        access_marks=access_marks,
        access=AccessReconciler(
            database=database,
            sso_admin=apis.sso_admin if apis else None,
            marks=access_marks,
            principal_marks=marks,
            planning=AccessPlanning(entitlements, planning.subjects, held),
            recorder=AccessRecorder(database, grants, held),
            call_seconds=timeout,
        ),
        entitlements=entitlements,
        cuts=cuts,
        ruling=ruling,
        rule_file=FileWatch(ruling.rulebook, settings.lifecycle.rules),
        apis=apis,
        watch=None
        if apis is None
        else watch(
            settings,
            database=database,
            apis=apis,
            observations=observations,
            grants=grants,
            subjects=planning.subjects,
            recorder=recorder,
            marks=marks,
            access_marks=access_marks,
            resources=resources,
            held=held,
            written=_recorded(database, cuts),
        ),
    )


def _apis(settings: IdentityCenter, database: Database, access_marks: Marks) -> Apis | None:
    """The APIs of AWS. None when the settings do not say in which region they are."""
    if settings.region is None:
        return None
    on_access_door = _on_door(database, access_marks)

    def on_change(name: DoorName, standing: Standing) -> None:
        if name == "sso-admin":
            on_access_door(standing)

    def works_elsewhere(name: DoorName, seconds: float) -> bool:
        return name == "sso-admin" and door_opened_within(database, ACCESS_TARGET, seconds)

    return connect_apis(
        settings,
        on_change=on_change,
        works_elsewhere=works_elsewhere,
        keeper=partial(SharedPace, database),
    )


def _detour(settings: IdentityCenter, apis: Apis | None) -> Center | None:
    """By what people are taken out of groups whom the SCIM endpoint refuses to take out."""
    if apis is None or settings.write_via != "scim":
        return None
    return StoreCenter(apis.identity_store)


def _rehearsed(apis: Apis | None, calls: list[Change | AccessChange]) -> Apis | None:
    if apis is None:
        return None
    return replace(apis, sso_admin=RehearsedSsoAdmin(apis.sso_admin.api, apis.site, calls))


def _planning(
    settings: Settings,
    database: Database,
    observations: Observations,
    held: HeldLosses,
    abilities: Abilities,
) -> Planning:
    naming = Naming(
        external_id=settings.users.external_id,
        when_deleted=settings.groups.delete,
        abilities=abilities,
        is_source=settings.source.enabled,
    )
    switches = Switches(create=settings.users.create, update=settings.users.update)
    return Planning(
        database, Subjects(database, observations, naming), observations, held, switches
    )


def _written(
    database: Database, cuts: Cuts, delivery: Delivery, access: AccessIntents, ruling: Ruling
) -> Callable[[Write], None]:
    """Who is told of each write, in its transaction: the audit trail, the marks, then the rules."""

    def written(write: Write) -> None:
        record_write(database, write)
        cuts.written(write)
        # What rules grant a person directly changes nothing of the principal.
        if write.kind == "group" or not write.is_by_rule:
            delivery.written(write)
        access.written(write)
        ruling.written(write)

    return written


def _recorded(database: Database, cuts: Cuts) -> Callable[[Write], None]:
    """Who is told of what Identity Center itself has already, where it is a source."""

    def written(write: Write) -> None:
        record_write(database, write)
        cuts.written(write)

    return written


def _on_door(database: Database, marks: Marks) -> Callable[[Standing], None]:
    """Write every change of the door down, where `status` and the other processes see it."""

    def remember(standing: Standing) -> None:
        if standing.state == "closed":
            _open_for_all(database, marks)
        else:
            remember_door(database, marks.target, circuit=standing.state, cause=standing.cause)

    return remember


def _open_for_all(database: Database, marks: Marks) -> None:
    """The door is open: other processes learn it, and what waited for a probe is due at once."""
    remember_door(database, marks.target, circuit="closed", cause=None)
    marks.wake("pending")


def create_app(settings: Settings, *, bridge: Bridge | None = None) -> Flask:
    """The bridge as a WSGI application: SCIM, health and metrics.

    Raises `SettingsError` when the settings do not say where Identity Center is.
    """
    bridge = bridge or build(settings)
    app = Flask("scim_bridge", static_folder=None, template_folder=None)
    _trust_proxies(app, settings.server.trusted_proxies)
    metrics = Metrics(bridge.database, TARGET, settings.extraction, rules=bridge.rule_file.standing)
    Server(
        bridge.resources,
        bridge.provider,
        settings,
        delivery=bridge.delivery,
        authenticated=bearer_authentication(bridge.database),
        catalogue=Catalogue(bridge.database, TARGET, interval=settings.extraction.interval),
        tolerances=Tolerances(metrics.count_tolerance),
    ).init_app(app)
    _show_health(app, bridge)
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
            migration.check(bridge.database, running=True)
            now = bridge.overview()
            read = freshness(bridge.database, bridge.settings.extraction)
        except DirectoryError as error:
            unready = jsonify(status="unavailable", causes=[str(error)])
            return unready, HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify(_readiness(now, read)), HTTPStatus.OK


def _readiness(now: Overview, read: Sequence[Freshness]) -> dict[str, Any]:
    doors = (now.door, now.access_door)
    closed = [door for door in doors if door is not None and door.circuit != "closed"]
    causes = [door.cause for door in closed if door.cause]
    causes += [f"IAM does not allow the bridge {action}" for action in now.denied]
    causes += [f"{one.kind} have not been read for long" for one in read if one.is_stale]
    if now.pause is not None:
        causes.append(f"delivery is paused by {now.pause.operator}")
    return {
        "status": "degraded" if closed or causes else "ok",
        "circuit": now.door.circuit if now.door else "closed",
        "causes": causes,
        "extraction": {one.kind: _read_as_dict(one) for one in read},
    }


def _read_as_dict(one: Freshness) -> dict[str, Any]:
    return {
        "age_seconds": one.age and round(one.age, 1),
        "took_seconds": one.seconds and round(one.seconds, 3),
        "counts": dict(one.counts),
        "outcome": one.outcome,
        "stale": one.is_stale,
    }
