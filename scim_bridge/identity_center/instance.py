"""Which instance of Identity Center is it, and which identity store belongs to it?"""

from collections.abc import Iterator
from typing import Unpack

from scim_bridge.errors import DoorClosed
from scim_bridge.identity_center.api_payloads import INSTANCE, Instance, read
from scim_bridge.identity_center.json_api import JsonApi
from scim_bridge.identity_center.transport import Haste
from scim_bridge.settings import IdentityCenter

# ListInstances shows no more at once.
INSTANCES_PER_PAGE = 10


class Site:
    """The instance that the settings name, or the only one of the region.

    What the settings say is not looked up; what they do not say is found once.
    """

    def __init__(self, settings: IdentityCenter, api: JsonApi) -> None:
        self._settings = settings
        self._api = api
        self._found: Instance | None = None

    def instance_arn(self, **haste: Unpack[Haste]) -> str:
        """:raises DoorClosed: there is no such instance in the region, or more than one."""
        return self._settings.instance_arn or self._instance(haste).arn

    def identity_store_id(self, **haste: Unpack[Haste]) -> str:
        """:raises DoorClosed: there is no such instance in the region, or more than one."""
        return self._settings.identity_store_id or self._instance(haste).identity_store_id

    def instances(self, **haste: Unpack[Haste]) -> tuple[Instance, ...]:
        """All instances that the region shows to the bridge's credentials."""
        return tuple(self._listed(haste))

    def _listed(self, haste: Haste) -> Iterator[Instance]:
        shown = self._api.pages(
            "ListInstances", {}, "Instances", page_size=INSTANCES_PER_PAGE, **haste
        )
        return (read(INSTANCE, one) for one in shown)

    def _instance(self, haste: Haste) -> Instance:
        # Threads that come at once ask at once, and find the same.
        if self._found is None:
            self._found = _only(
                [one for one in self._listed(haste) if self._meant(one)], self._settings
            )
        return self._found

    def _meant(self, instance: Instance) -> bool:
        """Whether what the settings do say is true of an instance."""
        return self._settings.instance_arn in (None, instance.arn) and (
            self._settings.identity_store_id in (None, instance.identity_store_id)
        )


def _only(instances: list[Instance], settings: IdentityCenter) -> Instance:
    if len(instances) == 1:
        return instances[0]
    named = settings.instance_arn or settings.identity_store_id
    if instances:
        raise DoorClosed(
            f"there are {len(instances)} instances of Identity Center in {settings.region}: set "
            "identity_center.instance_arn to one of "
            + ", ".join(sorted(one.arn for one in instances))
        )
    what = f"no instance of Identity Center {named}" if named else "no instance of Identity Center"
    raise DoorClosed(
        f"there is {what} in {settings.region} that the bridge's credentials can see: check "
        "identity_center.region, and that the credentials belong to the management account or to "
        "the delegated administrator"
    )
