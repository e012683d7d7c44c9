"""What an operator can set, where it is read from, and what is wrong with it."""

from scim_bridge.settings.sources import CONFIG_VARIABLE, DEFAULT, Loaded, load, masked, read
from scim_bridge.settings.values import (
    Adopt,
    Alerts,
    Audit,
    Database,
    Delivery,
    Deprovision,
    Drift,
    Extraction,
    Groups,
    IdentityCenter,
    Log,
    Safety,
    Server,
    Settings,
    Users,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT",
    "Adopt",
    "Alerts",
    "Audit",
    "Database",
    "Delivery",
    "Deprovision",
    "Drift",
    "Extraction",
    "Groups",
    "IdentityCenter",
    "Loaded",
    "Log",
    "Safety",
    "Server",
    "Settings",
    "Users",
    "load",
    "masked",
    "read",
]
