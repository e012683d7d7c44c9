"""What is a running bridge made of? The one place where its parts are put together."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.middleware.proxy_fix import ProxyFix

from scim_bridge.connectors.webhook import Receiver
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
from scim_bridge.identity_center.apis import Apis
from scim_bridge.identity_center.center import Center
from scim_bridge.lifecycle.rule_file import RuleFiles
from scim_bridge.metrics import Metrics, count_requests, page
from scim_bridge.plan.authority import Authorities
from scim_bridge.plan.changes import Change
from scim_bridge.plan.grants import AccessChange
from scim_bridge.scim.authentication import bearer_authentication
from scim_bridge.scim.provider import Provider
from scim_bridge.scim.server import Server
from scim_bridge.scim.tolerances import Tolerances
from scim_bridge.settings import ScimSystem, Settings, Snapshot, Webhook
from scim_bridge.sync import TARGET
from scim_bridge.sync.access import AccessReconciler
from scim_bridge.sync.alerts import Alerts, Cause, at_target, causes, ending_tokens, not_told
from scim_bridge.sync.audience import Audience
from scim_bridge.sync.cuts import Cuts, uncut
from scim_bridge.sync.decisions import Decisions
from scim_bridge.sync.delivery import Delivery
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.extraction import run_of
from scim_bridge.sync.feed import Feed, feed_standing
from scim_bridge.sync.freshness import Freshness, freshness
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.marks import Key, Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.overview import Overview
from scim_bridge.sync.planning import Planning
from scim_bridge.sync.provisioning import provisioning
from scim_bridge.sync.reconciler import Reconciler
from scim_bridge.sync.rule_clock import RuleClock
from scim_bridge.sync.settling import Settling
from scim_bridge.sync.snapshots import Snapshots
from scim_bridge.sync.target import Target, assemble, assemble_system
from scim_bridge.sync.watch import Watch, watch
from scim_bridge.sync.worker import Lane, Worker


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """The parts of a bridge: what a request, the worker and the command line work with."""

    settings: Settings
    database: Database
    provider: Provider
    resources: Resources
    # The Identity Center that requests wait for, and those that the worker sees to.
    target: Target
    others: tuple[Target, ...]
    delivery: Delivery
    decisions: Decisions
    # What reads the Identity Centers whose region is known, the first one first.
    watches: tuple[Watch, ...]
    # Who is told of every change, and who is given the whole directory in files.
    feeds: tuple[Feed, ...]
    snapshots: tuple[Snapshots, ...]
    ruling: Ruling
    # How the file of rules stands to what is in force.
    rule_file: FileWatch

    @property
    def targets(self) -> tuple[Target, ...]:
        return (self.target, *self.others)

    @property
    def center(self) -> Center:
        return self.target.center

    @property
    def marks(self) -> Marks:
        return self.target.marks

    @property
    def observations(self) -> Observations:
        return self.target.observations

    @property
    def held(self) -> HeldLosses:
        return self.target.held

    @property
    def planning(self) -> Planning:
        return self.target.planning

    @property
    def reconciler(self) -> Reconciler:
        return self.target.reconciler

    @property
    def access_marks(self) -> Marks:
        return self.target.access_marks

    @property
    def access(self) -> AccessReconciler:
        return self.target.access

    @property
    def entitlements(self) -> Entitlements:
        return self.target.entitlements

    @property
    def apis(self) -> Apis | None:
        return self.target.apis

    @property
    def cuts(self) -> Cuts:
        return self.target.cuts

    @property
    def watch(self) -> Watch | None:
        """What reads the first Identity Center. None: the settings do not say in which region."""
        return self.watches[0] if self.apis is not None else None

    def overview(self) -> Overview:
        """How things stand between the directory and the first Identity Center."""
        return self.target.overview()

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
                *(one.schedule for one in self.watches),
                *(one.cuts for one in self.targets if one.grants_access),
                *self.feeds,
                *self.snapshots,
                RuleClock(self.ruling, self.rule_file),
            ),
            beside=[lane for one in self.others for lane in one.lanes],
            begin=self.settle,
        )

    def settle(self, stopping: threading.Event) -> None:
        """Mark whom a new target, or a filter that was changed, puts somewhere or takes away."""
        for one in self.targets:
            if one is not self.target or not one.audience.is_all:
                Settling(one).settle(stopping)

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
    def lanes(self) -> tuple[Lane, ...]:
        """The ways of deliveries to the first Identity Center: of users, groups and memberships,
        and of their assignments.
        """
        return self.target.lanes

    def _causes(self) -> Sequence[Cause]:
        """What needs a person just now."""
        today = datetime.now(UTC).date()
        found = [*self._causes_at(self.target)]
        for one in self.others:
            found += [at_target(cause, one.name) for cause in self._causes_at(one)]
        for feed in self.feeds:
            found += not_told(feed.name, feed_standing(self.database, feed.name))
        expiries = {one.name: one.settings.bearer_token_expires for one in self.targets}
        return [*found, *ending_tokens(self.database, expiries, today=today)]

    def _causes_at(self, one: Target) -> Sequence[Cause]:
        read = freshness(self.database, self.settings.extraction, one.name)
        stale = [kind.kind for kind in read if kind.is_stale]
        return [*causes(one.overview(), stale=stale, uncut=uncut(self.database, one.name))]

    def show_door(self) -> None:
        """Say that a door is open again. See `Target.show_door`."""
        for one in self.targets:
            one.show_door()

    def hear_of_door(self) -> None:
        """Try again at once when another process found a door open. See `Target.hear_of_door`."""
        for one in self.targets:
            one.hear_of_door()

    def forget_door(self) -> None:
        """Forget what an earlier run knew of the doors. See `Target.forget_door`."""
        for one in self.targets:
            one.forget_door()

    def close(self) -> None:
        for feed in self.feeds:
            feed.told.close()
        self.database.close()


def build(settings: Settings, *, rehearsed: list[Change | AccessChange] | None = None) -> Bridge:
    """Put a bridge together. Nothing is called and nothing is read yet.

    All bridges of one database keep one pace at each door of Identity Center.
    `rehearsed`: nothing is changed at Identity Center; what would be is noted there.

    Raises `SettingsError` when the settings do not say where Identity Center is.
    """
    database = connect_database(settings.database)
    provider = Provider(settings)
    targets = tuple(_targets(settings, database, provider, rehearsed))
    first, *others = targets
    delivery = Delivery(
        database=database,
        marks=first.marks,
        intents=first.intents,
        wait=settings.delivery.wait,
        at_once=max(settings.server.threads // 2, 1),
    )
    files = RuleFiles(provider.directory_models["User"], settings.safety)
    ruling = Ruling(database, Rulebook(database, files))
    resources = Resources(
        database,
        models=provider.directory_models,
        written=_written(database, delivery, first, others, ruling),
        restore_within=settings.deprovision.restore_within,
        nested=settings.groups.nested,
        owners=Owners(database, Authorities.of(settings)),
        resolve=catalogue_of(settings, database).grant,
        provisioning=lambda kind, id_: provisioning(database, Key(kind=kind, id=id_)),
    )
    ruling.connect(resources)
    delivery.connect(resources=resources, reconciler=first.reconciler)
    return Bridge(
        settings=settings,
        database=database,
        provider=provider,
        resources=resources,
        target=first,
        others=tuple(others),
        delivery=delivery,
        decisions=_decisions(resources, first, [_decisions(resources, one) for one in others]),
        watches=tuple(
            seen
            for one in targets
            if (seen := _watch(settings, resources, one, _recorded(one, targets))) is not None
        ),
        feeds=tuple(
            Feed(database, name, Receiver(one))
            for name, one in settings.connector.items()
            if isinstance(one, Webhook)
        ),
        snapshots=tuple(
            Snapshots(database, name, one)
            for name, one in settings.connector.items()
            if isinstance(one, Snapshot)
        ),
        ruling=ruling,
        rule_file=FileWatch(ruling.rulebook, settings.lifecycle.rules),
    )


def _targets(
    settings: Settings,
    database: Database,
    provider: Provider,
    rehearsed: list[Change | AccessChange] | None,
) -> Iterator[Target]:
    """The Identity Centers of the settings, that of `[identity_center]` first, and what SCIM
    systems are connected.
    """
    named = {TARGET: settings.identity_center, **settings.targets}
    for name, center in named.items():
        section = "identity_center" if name == TARGET else f"targets.{name}"
        audience = Audience(
            center.filter,
            model=provider.directory_models["User"],
            setting=f"{section}.filter",
        )
        yield assemble(
            settings,
            name=name,
            center_settings=center,
            database=database,
            audience=audience,
            others=tuple(other for other in named if other != name),
            rehearsed=rehearsed,
        )
    for name, system in settings.connector.items():
        if isinstance(system, ScimSystem):
            yield assemble_system(
                settings,
                name=name,
                system=system,
                database=database,
                audience=Audience(
                    system.filter,
                    model=provider.directory_models["User"],
                    setting=f"connector.{name}.filter",
                ),
                rehearsed=rehearsed,
            )


def catalogue_of(settings: Settings, database: Database) -> Catalogue:
    """What there is to grant, at all Identity Centers."""
    interval = settings.extraction.interval
    others = [
        Catalogue(database, name, interval=interval, run=run_of("catalogue", name))
        for name in settings.targets
    ]
    return Catalogue(database, TARGET, interval=interval, others=others)


def _decisions(resources: Resources, one: Target, elsewhere: Sequence[Decisions] = ()) -> Decisions:
    return Decisions(
        one.database,
        resources,
        one.marks,
        one.observations,
        one.held,
        one.access_intents,
        audience=one.audience,
        elsewhere=elsewhere,
    )


def _watch(
    settings: Settings, resources: Resources, one: Target, recorded: Callable[[Write], None]
) -> Watch | None:
    if one.reader is None:
        return None
    return watch(
        settings,
        database=one.database,
        reader=one.reader,
        observations=one.observations,
        subjects=one.planning.subjects,
        recorder=one.recorder,
        marks=one.marks,
        access_marks=one.access_marks,
        resources=resources,
        entitlements=one.entitlements,
        held=one.held,
        written=recorded,
        grants_access=one.grants_access,
    )


def _written(
    database: Database,
    delivery: Delivery,
    first: Target,
    others: Sequence[Target],
    ruling: Ruling,
) -> Callable[[Write], None]:
    """Who is told of each write, in its transaction: the audit trail, the marks, then the rules.

    A request waits for the first target alone, and what that one refuses is undone; the worker
    delivers to the others.
    """

    def written(write: Write) -> None:
        record_write(database, write)
        first.cuts.written(first.audience.seen(write))
        # What rules grant a person directly changes nothing of the principal.
        if write.kind == "group" or not write.is_by_rule:
            delivery.written(write)
        first.access_written(write)
        for one in others:
            one.written(write)
        ruling.written(write)

    return written


def _recorded(one: Target, targets: Sequence[Target]) -> Callable[[Write], None]:
    """Who is told of what one target has already: whom it shows and the directory takes over.

    The others have it not: who was disabled there is to be disabled at each of them.
    """

    def written(write: Write) -> None:
        record_write(one.database, write)
        if one.grants_access:
            one.cuts.written(one.audience.seen(write))
        for other in targets:
            if other is not one:
                other.written(write)

    return written


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
        catalogue=catalogue_of(settings, bridge.database),
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
            others = {one.name: one.overview() for one in bridge.others}
        except DirectoryError as error:
            unready = jsonify(status="unavailable", causes=[str(error)])
            return unready, HTTPStatus.SERVICE_UNAVAILABLE
        ready = _readiness(now, read)
        if others:
            ready["targets"] = {name: _readiness(one, ()) for name, one in others.items()}
        return jsonify(ready), HTTPStatus.OK


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
