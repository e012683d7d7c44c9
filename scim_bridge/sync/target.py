"""What belongs to one Identity Center: its doors, what is known of it, and who delivers there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from scim_bridge.connectors.scim_payloads import flat, projected_user
from scim_bridge.connectors.scim_system import connect_system
from scim_bridge.directory.database import Database
from scim_bridge.directory.write import Write
from scim_bridge.identity_center.apis import Apis, connect_apis
from scim_bridge.identity_center.center import Center, connect
from scim_bridge.identity_center.circuit import Standing
from scim_bridge.identity_center.doors import DoorName
from scim_bridge.identity_center.pace import PaceKeeper
from scim_bridge.identity_center.rehearsal import RehearsedCenter, RehearsedSsoAdmin
from scim_bridge.identity_center.store_center import StoreCenter
from scim_bridge.plan.changes import Change
from scim_bridge.plan.grants import AccessChange
from scim_bridge.plan.policy import Switches
from scim_bridge.plan.state import Attributes
from scim_bridge.settings import IdentityCenter, ScimSystem, Settings
from scim_bridge.sync import TARGET, access_of
from scim_bridge.sync.access import AccessReconciler
from scim_bridge.sync.access_intents import AccessIntents, Entitling, NoAccess
from scim_bridge.sync.access_planning import AccessPlanning
from scim_bridge.sync.access_record import AccessRecorder
from scim_bridge.sync.attempt import Inline
from scim_bridge.sync.audience import Audience
from scim_bridge.sync.cuts import Cuts
from scim_bridge.sync.door import on_door, show_open
from scim_bridge.sync.entitled import Entitlements
from scim_bridge.sync.grants import Grants
from scim_bridge.sync.held import HeldLosses
from scim_bridge.sync.intents import Intents
from scim_bridge.sync.marks import Marks
from scim_bridge.sync.observed import Observations
from scim_bridge.sync.overview import Overview, door_opened_within, overview, remember_door
from scim_bridge.sync.planning import Planning
from scim_bridge.sync.reading import Reader, Reading
from scim_bridge.sync.reconciler import Reconciler
from scim_bridge.sync.record import Recorder
from scim_bridge.sync.shared_pace import SharedPace
from scim_bridge.sync.subjects import Naming, OfIdentityCenter, Projection, Subjects
from scim_bridge.sync.system_reading import SystemReader
from scim_bridge.sync.worker import Lane

Rehearsed = list[Change | AccessChange]

# Of the pace that is allowed, reading takes at most this.
SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Target:
    """An Identity Center or a connected system, and all that is its own: links, marks, pace,
    circuit, brake, drift.
    """

    name: str
    settings: IdentityCenter
    audience: Audience
    database: Database
    center: Center
    # None: the settings do not say in which region they are.
    apis: Apis | None
    marks: Marks
    observations: Observations
    held: HeldLosses
    planning: Planning
    intents: Intents
    recorder: Recorder
    reconciler: Reconciler
    access_marks: Marks
    access: AccessReconciler
    access_intents: Entitling
    entitlements: Entitlements
    cuts: Cuts
    # What reads all it holds. None: the settings do not say in which region it is, or it is only
    # rehearsed.
    reader: Reading | None
    # Whether accounts and applications are granted there: not at a connected system.
    grants_access: bool = True

    def overview(self) -> Overview:
        """How things stand between the directory and this Identity Center."""
        return overview(self.database, self.name)

    def written(self, write: Write) -> None:
        """Leave a write to the worker, in the write's transaction."""
        self.mark(self.audience.seen(write))

    def mark(self, view: Write) -> None:
        """Leave to the worker what a write wants, as this target sees it."""
        if self.grants_access:
            self.cuts.written(view)
        # What rules grant a person directly changes nothing of the principal.
        if view.kind == "group" or not view.is_by_rule:
            wanted = self.intents.of_view(view, impatient=True)
            for intent in (wanted.own, *wanted.others):
                self.marks.mark(intent)
        self.access_intents.written(view)

    def access_written(self, write: Write) -> None:
        """Mark what a write wants of accounts and applications here."""
        self.access_intents.written(self.audience.seen(write))

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The ways of deliveries: of users, groups and memberships, and of their assignments."""
        own = Lane(marks=self.marks, passes=self.reconciler)
        access = Lane(marks=self.access_marks, passes=self.access, threads=2)
        return (own, access) if self.grants_access else (own,)

    def show_door(self) -> None:
        """Say that a door is open again, if it answered after it was closed.

        For the worker: the process that found the door closed may have ended since. That this
        process has not been refused yet says nothing.
        """
        now = self.overview()
        show_open(self.marks, self.center.circuit, now.door)
        if self.apis is not None:
            show_open(self.access_marks, self.apis.sso_admin.circuit, now.access_door)

    def hear_of_door(self) -> None:
        """Try again at once when another process found a door open. For the worker: what it put
        off until its own next probe is due now.
        """
        if self.center.circuit.listen():
            self.marks.wake("pending")
        if self.apis is not None and self.apis.sso_admin.circuit.listen():
            self.access_marks.wake("pending")

    def forget_door(self) -> None:
        """Forget what an earlier run knew of the doors. For whoever starts a bridge: a process
        whose door was never closed has nothing to tell when it is open.
        """
        for target in (self.name, access_of(self.name)):
            remember_door(self.database, target, circuit="closed", cause=None)


def assemble(
    settings: Settings,
    *,
    name: str,
    center_settings: IdentityCenter,
    database: Database,
    audience: Audience,
    others: tuple[str, ...] = (),
    rehearsed: Rehearsed | None = None,
) -> Target:
    """Put together what belongs to one Identity Center. Nothing is called and nothing is read yet.

    All bridges of one database keep one pace at each of its doors. `others` are the names of the
    other Identity Centers. `rehearsed`: nothing is changed there; what would be is noted in it.

    Raises `SettingsError` when the settings do not say where it is.
    """
    keeper = _keeper(database, name)
    marks = Marks(database, name, call_seconds=center_settings.timeout)
    access_marks = Marks(database, access_of(name), call_seconds=center_settings.timeout)
    center = connect(
        center_settings,
        on_change=on_door(marks),
        works_elsewhere=partial(door_opened_within, database, name),
        keeper=keeper,
    )
    apis = _apis(center_settings, access_marks, keeper)
    if rehearsed is not None:
        center, apis = RehearsedCenter(center, rehearsed), _rehearsed(apis, rehearsed)
    return _put_together(
        settings,
        center_settings=center_settings,
        center=center,
        apis=apis,
        marks=marks,
        access_marks=access_marks,
        audience=audience,
        projection=OfIdentityCenter(),
        reader=None
        if apis is None
        else Reader(apis, calls_per_second=center_settings.calls_per_second * SHARE),
        adopt=settings.adopt.inline,
        others=others,
        detour=_detour(center_settings, apis) if rehearsed is None else None,
    )


def assemble_system(
    settings: Settings,
    *,
    name: str,
    system: ScimSystem,
    database: Database,
    audience: Audience,
    rehearsed: Rehearsed | None = None,
) -> Target:
    """The same of a connected system: a target like an Identity Center, without accounts."""
    marks = Marks(database, name, call_seconds=system.timeout)
    found = connect_system(
        name,
        system,
        on_change=on_door(marks),
        works_elsewhere=partial(door_opened_within, database, name),
        keeper=_keeper(database, name),
    )
    connected: Center = found if rehearsed is None else RehearsedCenter(found, rehearsed)
    return _put_together(
        settings,
        center_settings=IdentityCenter(timeout=system.timeout),
        center=connected,
        apis=None,
        marks=marks,
        access_marks=Marks(database, access_of(name), call_seconds=system.timeout),
        audience=audience,
        projection=OfSystem(system.attributes),
        reader=SystemReader(found, calls_per_second=system.calls_per_second * SHARE),
        adopt=system.adopt,
        grants_access=False,
    )


class OfSystem:
    """What a connected system gets to hold, by the table of its connector."""

    only_at_creation: frozenset[str] = frozenset()

    def __init__(self, table: Mapping[str, str]) -> None:
        self.table = table

    def user(self, document: Mapping[str, Any], *, manager: str | None) -> Attributes:
        return projected_user(document, self.table, manager=manager)

    def group(self, document: Mapping[str, Any]) -> Attributes:
        return flat(document)


def _put_together(
    settings: Settings,
    *,
    center_settings: IdentityCenter,
    center: Center,
    apis: Apis | None,
    marks: Marks,
    access_marks: Marks,
    audience: Audience,
    projection: Projection,
    reader: Reading | None,
    adopt: Literal["never", "matching"],
    others: tuple[str, ...] = (),
    detour: Center | None = None,
    grants_access: bool = True,
) -> Target:
    database, name, timeout = marks.database, marks.target, center_settings.timeout
    observations = Observations(database, name, grants_access=grants_access)
    held = HeldLosses(
        database,
        name,
        settings.safety,
        leavers_stay_active=not center.abilities.disables,
        audience=audience,
    )
    grants = Grants(database, name)
    entitlements = Entitlements(database, observations, grants, audience=audience, others=others)
    naming = Naming(
        external_id=settings.users.external_id,
        when_deleted=settings.groups.delete,
        abilities=center.abilities,
        projection=projection,
        # The source is the first Identity Center.
        is_source=settings.source.enabled and name == TARGET,
    )
    planning = Planning(
        database,
        Subjects(database, observations, naming, audience),
        observations,
        held,
        Switches(create=settings.users.create, update=settings.users.update),
    )
    recorder = Recorder(database, marks, observations, held)
    return Target(
        name=name,
        settings=center_settings,
        audience=audience,
        database=database,
        center=center,
        apis=apis,
        marks=marks,
        observations=observations,
        held=held,
        planning=planning,
        intents=Intents(
            database,
            marks,
            observations,
            held,
            settings.delivery,
            audience,
            warns=name == TARGET,
        ),
        recorder=recorder,
        reconciler=Reconciler(
            database=database,
            center=center,
            marks=marks,
            observations=observations,
            planning=planning,
            recorder=recorder,
            call_seconds=timeout,
            quiet=settings.delivery.coalesce,
            inline=Inline(adopt=adopt, protected=settings.safety.protected),
            detour=detour,
        ),
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
        access_intents=AccessIntents(
            access_marks,
            entitlements,
            held,
            has_door=apis is not None,
            when_deleted=settings.groups.delete,
        )
        if grants_access
        else NoAccess(access_marks),
        entitlements=entitlements,
        cuts=Cuts(
            database,
            name,
            apis.sso_admin if apis else None,
            wanted=settings.deprovision.cut_sessions,
            brake=settings.safety.brake,
        ),
        reader=reader,
        grants_access=grants_access,
    )


def _keeper(database: Database, name: str) -> Callable[[str], PaceKeeper]:
    """Who keeps the pace of a door: one for all processes, and for each target its own."""
    if name == TARGET:
        return partial(SharedPace, database)
    return lambda door: SharedPace(database, f"{name}/{door}")


def _apis(
    settings: IdentityCenter, access_marks: Marks, keeper: Callable[[str], PaceKeeper]
) -> Apis | None:
    """The APIs of AWS. None when the settings do not say in which region they are."""
    if settings.region is None:
        return None
    on_access_door = on_door(access_marks)

    def on_change(name: DoorName, standing: Standing) -> None:
        if name == "sso-admin":
            on_access_door(standing)

    def works_elsewhere(name: DoorName, seconds: float) -> bool:
        return name == "sso-admin" and door_opened_within(
            access_marks.database, access_marks.target, seconds
        )

    return connect_apis(
        settings, on_change=on_change, works_elsewhere=works_elsewhere, keeper=keeper
    )


def _detour(settings: IdentityCenter, apis: Apis | None) -> Center | None:
    """By what people are taken out of groups whom the SCIM endpoint refuses to take out."""
    if apis is None or settings.write_via != "scim":
        return None
    return StoreCenter(apis.identity_store)


def _rehearsed(apis: Apis | None, calls: Rehearsed) -> Apis | None:
    if apis is None:
        return None
    return replace(apis, sso_admin=RehearsedSsoAdmin(apis.sso_admin.api, apis.site, calls))
