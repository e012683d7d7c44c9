"""How are the APIs of AWS reached, as the settings name them?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from scim_bridge.identity_center.api_operations import (
    IDENTITY_STORE,
    ORGANIZATIONS,
    SSO_ADMIN,
    Service,
)
from scim_bridge.identity_center.caller import Caller
from scim_bridge.identity_center.circuit import Circuit, Standing
from scim_bridge.identity_center.credentials import Keys
from scim_bridge.identity_center.doors import ApiDoor, Door, DoorName, StsDoor
from scim_bridge.identity_center.identity_store import IdentityStore
from scim_bridge.identity_center.instance import Site
from scim_bridge.identity_center.json_api import JsonApi
from scim_bridge.identity_center.organizations import Organizations
from scim_bridge.identity_center.pace import PaceKeeper
from scim_bridge.identity_center.pacer import Pacer
from scim_bridge.identity_center.sso_admin import SsoAdmin
from scim_bridge.identity_center.transport import Transport
from scim_bridge.settings import IdentityCenter

# AWS's quota, in calls a second, that everybody in the account shares (IAM Identity Center User
# Guide, quotas).
SSO_ADMIN_QUOTA = 20.0


@dataclass(frozen=True, kw_only=True)
class Apis:
    """The APIs of one Identity Center. Each serves all threads, at its own pace."""

    identity_store: IdentityStore
    sso_admin: SsoAdmin
    organizations: Organizations
    caller: Caller
    site: Site


def connect_apis(
    settings: IdentityCenter,
    *,
    on_change: Callable[[DoorName, Standing], None] | None = None,
    works_elsewhere: Callable[[DoorName, float], bool] = lambda *_: False,
    keys: Keys | None = None,
    keeper: Callable[[str], PaceKeeper | None] = lambda _: None,
) -> Apis:
    """The APIs as the settings name them. They share credentials, but neither pace nor circuit.

    ``on_change`` and ``works_elsewhere`` are those of each door's circuit (see `Circuit`);
    ``keeper`` keeps the pace of a door, by its name: without one each process has its own. Nothing
    is called yet; the instance is looked up by the first call that needs it.

    :raises SettingsError: the settings do not say which region.
    """
    keys = keys or Keys(settings)

    def transport(door: Door) -> Transport:
        told = partial(on_change, door.name) if on_change else None
        return Transport(
            settings,
            door=door,
            pacer=Pacer(_rate(settings, door), keeper=keeper(door.name)),
            circuit=Circuit(on_change=told, works_elsewhere=partial(works_elsewhere, door.name)),
        )

    def api(name: DoorName, service: Service) -> JsonApi:
        return JsonApi(transport(ApiDoor(settings, keys, name=name, service=service)))

    sso = api("sso-admin", SSO_ADMIN)
    site = Site(settings, sso)
    return Apis(
        identity_store=IdentityStore(api("identity-store", IDENTITY_STORE), site),
        sso_admin=SsoAdmin(sso, site),
        organizations=Organizations(api("organizations", ORGANIZATIONS)),
        caller=Caller(transport(StsDoor(settings, keys))),
        site=site,
    )


def _rate(settings: IdentityCenter, door: Door) -> float:
    """The pace of one door. At another address than AWS's, AWS's quota does not hold."""
    if door.name == "sso-admin" and settings.endpoint_url is None:
        return min(settings.calls_per_second, SSO_ADMIN_QUOTA)
    return settings.calls_per_second
