"""What an operator can set, and what holds when nothing is set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Server:
    """``[server]``: where the bridge listens and how it is reached."""

    host: str = "127.0.0.1"
    port: int = 8080
    processes: int = 1
    threads: int = 8
    # How clients reach the bridge, for locations behind TLS termination: "https://scim.example.com".
    public_url: str | None = None
    # How many proxies in front of the bridge are trusted for X-Forwarded-*.
    trusted_proxies: int = 0
    # Where /metrics is served instead of on the main port: "127.0.0.1:9464".
    metrics_listen: str | None = None
    # The largest request body, in bytes.
    max_body: int = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Database:
    """``[database]``: where the directory lives, as a SQLAlchemy URL."""

    url: str = "sqlite:///scim-bridge.db"
    # The password of a PostgreSQL database, where it does not stand in the URL.
    password_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class IdentityCenter:
    """``[identity_center]``: the Identity Center the bridge writes to."""

    region: str | None = None
    # https://scim.<region>.amazonaws.com/<tenant>/scim/v2
    scim_endpoint: str | None = None
    auth: Literal["sigv4", "bearer"] = "sigv4"
    bearer_token_env: str | None = None
    bearer_token_file: Path | None = None
    # The day the token ends, as the console shows it: "2027-05-01".
    bearer_token_expires: str | None = None
    signing_service: str = "identitystore"
    credentials_file: Path | None = None
    profile: str | None = None
    identity_store_id: str | None = None
    instance_arn: str | None = None
    # Overrides the hosts of the Identity Store and SSO Admin APIs.
    endpoint_url: str | None = None
    # The pace that all processes of the bridge together keep under, in calls per second.
    calls_per_second: float = 10.0
    # How long one call may take, in seconds.
    timeout: float = 20.0
    # The door for users, groups and memberships: "identity-store" needs no SCIM endpoint, and
    # cannot disable anybody.
    write_via: Literal["scim", "identity-store"] = "scim"
    # Who goes there: a SCIM filter over the user. None: everybody.
    filter: str | None = None

    @property
    def written_to(self) -> str:
        """Where users and groups are written to, in words."""
        if self.write_via == "identity-store":
            return f"the Identity Store API (sigv4, {self.region})"
        return f"{self.scim_endpoint} ({self.auth}, {self.region})"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """``[delivery]``: how long a client waits for Identity Center, in seconds."""

    wait: float = 5.0
    # The quiet period after which additions of members are sent together, and the longest wait.
    coalesce: float = 0.5
    coalesce_at_most: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Users:
    """``[users]``: what clients may do with people, and what Identity Center gets of it."""

    create: bool = True
    update: bool = True
    username_changes: Literal["refuse", "allow"] = "refuse"
    external_id: Literal["bridge", "client"] = "bridge"


@dataclass(frozen=True, kw_only=True)
class Groups:
    """``[groups]``: what becomes of groups at Identity Center."""

    # What a client's DELETE leaves there: the empty group, or nothing.
    delete: Literal["empty", "remove"] = "empty"
    # What becomes of a group among the members of a group: it is left out with a warning, or its
    # people are members of the outer group, too.
    nested: Literal["skip", "flatten"] = "skip"


@dataclass(frozen=True, kw_only=True)
class Deprovision:
    """``[deprovision]``: how long a leaver can come back to the same access."""

    # Seconds within which a reactivation brings memberships back ("30d" in the file). 0: never.
    restore_within: float = 30 * 86400.0
    # Whether running sessions are ended at once, by a denial in the permission sets.
    cut_sessions: bool = False


@dataclass(frozen=True, kw_only=True)
class Safety:
    """``[safety]``: the brake and the protected names."""

    brake: bool = True
    max_deprovision_percent: float = 10.0
    max_deprovisions: int = 100
    max_removal_percent: float = 30.0
    max_removals: int = 500
    # Patterns of user and group names that no client may touch.
    protected: tuple[str, ...] = ("AWS*", "Administrator*")
    # Names (patterns) of permission sets, and ids of accounts, that no client may assign or take.
    protected_permission_sets: tuple[str, ...] = ()
    protected_accounts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """``[extraction]``: how often Identity Center is read completely, in seconds. 0: never."""

    interval: float = 15 * 60.0
    # Of one kind; None: as `interval`. Assignments take one call for each principal.
    users: float | None = None
    groups: float | None = None
    memberships: float | None = None
    assignments: float | None = 6 * 3600.0
    # What was applied so shortly before an extraction began is not overwritten by it.
    margin: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Drift:
    """``[drift]``: what is done about differences that the bridge did not make."""

    on_managed: Literal["repair", "report", "accept"] = "report"


@dataclass(frozen=True, kw_only=True)
class Source:
    """``[source]``: whether Identity Center is a source, whose people the directory follows."""

    enabled: bool = False


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """``[adopt]``: whether a client's creation may take over a principal that is there already."""

    inline: Literal["never", "matching"] = "never"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """``[[authority]]``: which attributes of people a client owns, with others that list them."""

    client: str
    attributes: tuple[str, ...]
    # What becomes of a write by somebody else: it is left out with a warning, or refused.
    on_conflict: Literal["ignore", "refuse"] = "ignore"


@dataclass(frozen=True, kw_only=True)
class Matching:
    """``[matching]``: by what the same person is known to several sources."""

    # Any of "userName", "externalId", "employeeNumber" and "email". None: nobody is matched.
    users: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """``[alerts]``: who is told when something is failed, held, overdue or about to end."""

    webhook_url: str | None = None
    # Addresses, and the server that takes mail for them: "smtp.example.com:587".
    mail_to: tuple[str, ...] = ()
    mail_from: str | None = None
    smtp_server: str | None = None
    smtp_user: str | None = None
    smtp_password_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """``[audit]``: how the audit trail is sealed."""

    # The key of the seals. Made beside the database when missing.
    key_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """``[lifecycle]``: what people get by the rules of joining, moving and leaving."""

    # The file of rules. What it says acts once it was applied (`scim-bridge rules apply`).
    rules: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Log:
    """``[log]``: what the bridge says on stderr."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """``[[connector]]`` of type webhook: who is sent an event for every change."""

    type: Literal["webhook"] = "webhook"
    url: str
    # What the events are signed with.
    secret_env: str | None = None
    secret_file: Path | None = None
    # How long the receiver may take for one event, in seconds.
    timeout: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """``[[connector]]`` of type csv or jsonl: a folder that holds the whole directory."""

    type: Literal["csv", "jsonl"]
    folder: Path
    # How often it is written, in seconds ("1d" in the file). 0: only by command.
    interval: float = 86400.0


@dataclass(frozen=True, kw_only=True)
class ScimSystem:
    """``[[connector]]`` of type scim: a SCIM service provider that follows the directory."""

    type: Literal["scim"] = "scim"
    # Its base address: https://crm.example.com/scim/v2
    url: str
    bearer_token_env: str | None = None
    bearer_token_file: Path | None = None
    # Who goes there: a SCIM filter over the user. None: everybody.
    filter: str | None = None
    # Whether a creation may take over who is there already, as [adopt] inline has it.
    adopt: Literal["never", "matching"] = "never"
    # By what attribute of a user another one is filled there; an empty one is left out.
    attributes: Mapping[str, str] = field(default_factory=dict)
    # The pace that all processes of the bridge together keep under, in calls per second.
    calls_per_second: float = 10.0
    # How long one call may take, in seconds.
    timeout: float = 20.0


Connector = Webhook | Snapshot | ScimSystem


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything an operator can set."""

    server: Server = field(default_factory=Server)
    database: Database = field(default_factory=Database)
    identity_center: IdentityCenter = field(default_factory=IdentityCenter)
    delivery: Delivery = field(default_factory=Delivery)
    users: Users = field(default_factory=Users)
    groups: Groups = field(default_factory=Groups)
    deprovision: Deprovision = field(default_factory=Deprovision)
    safety: Safety = field(default_factory=Safety)
    extraction: Extraction = field(default_factory=Extraction)
    drift: Drift = field(default_factory=Drift)
    adopt: Adopt = field(default_factory=Adopt)
    source: Source = field(default_factory=Source)
    matching: Matching = field(default_factory=Matching)
    alerts: Alerts = field(default_factory=Alerts)
    audit: Audit = field(default_factory=Audit)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    log: Log = field(default_factory=Log)
    # ``[[authority]]``: which attributes of people are whose.
    authorities: tuple[Authority, ...] = ()
    # ``[targets.NAME]``: further Identity Centers, by their names.
    targets: Mapping[str, IdentityCenter] = field(default_factory=dict)
    # ``[[connector]]``: other systems, by their names.
    connector: Mapping[str, Connector] = field(default_factory=dict)
