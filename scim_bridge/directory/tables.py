"""What is stored where. The migrations make exactly these tables.

Times are seconds since 1970 in UTC, as the database's clock tells them where two processes must
agree (leases), as the bridge's clock tells them elsewhere.
"""

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    event,
    false,
    text,
)
from sqlalchemy import String as AnyString
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects import postgresql

from scim_bridge.directory import addresses
from scim_bridge.directory.expressions import flag_in, folded, text_in

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rowids only for INTEGER primary keys.
RowId = BigInteger().with_variant(Integer, "sqlite")
# Kept as it was written, on PostgreSQL too: its jsonb would order the names anew.
Document = JSON()
# Ordered by their characters on every database, whatever language it is set to.
Text = AnyText().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def String(length: int) -> AnyString:  # it stands for a type
    """Text of at most so many characters, ordered as `Text` is."""
    return AnyString(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

LIVE = text("deleted_at IS NULL")
CURRENT = text("valid_to IS NULL")
SEALED = text("seal_id IS NOT NULL")
UNSEALED = text("seal_id IS NULL")

# The SCIM document without memberships, id and meta, and the columns that are filtered or unique.
users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("document", Document, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("user_name_folded", Text, nullable=False),
    Column("external_id", Text),
    Column("email_folded", Text),
    Column("display_name_folded", Text),
    # The SCIM id of the manager, to find who waits for the manager's link.
    Column("manager_id", Text),
    Column("active", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("last_modified", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("deactivated_at", Float),
    Column("deleted_at", Float),
    Index("uq_users_user_name", "user_name_folded", unique=True, sqlite_where=LIVE,
          postgresql_where=LIVE),
    Index("uq_users_email", "email_folded", unique=True, sqlite_where=LIVE,
          postgresql_where=LIVE),
    Index("ix_users_external_id", "external_id"),
    Index("ix_users_display_name", "display_name_folded"),
    Index("ix_users_manager", "manager_id"),
    Index("ix_users_last_modified", "last_modified"),
    Index("ix_users_deleted_name", "user_name_folded"),
    # What a page is found and counted by, without a look at the rows themselves: so it holds also
    # what makes a row live.
    Index("ix_users_live", "id", "display_name_folded", "deleted_at",
          sqlite_where=LIVE, postgresql_where=LIVE),
)  # fmt: skip
# Every e-mail address in a document of `users`, folded, to find who has it. Triggers fill it.
user_emails = Table(
    "user_emails",
    metadata,
    Column("user_id", String(36), nullable=False),
    Column("email_folded", Text, nullable=False),
    Index("uq_user_emails", "email_folded", "user_id", unique=True),
    Index("ix_user_emails_user", "user_id"),
)
for _dialect, _statements in addresses.TRIGGERS.items():
    for _statement in _statements:
        _trigger = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
        event.listen(metadata, "after_create", _trigger)
# What filters ask of the document, in the words in which they ask it.
Index("ix_users_active", flag_in(users.c.document, "active"))
Index("ix_users_employee_number", folded(text_in(users.c.document, ENTERPRISE, "employeeNumber")))
Index("ix_users_department", folded(text_in(users.c.document, ENTERPRISE, "department")))

groups = Table(
    "groups",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("document", Document, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("display_name_folded", Text, nullable=False),
    Column("external_id", Text),
    Column("created", Float, nullable=False),
    Column("last_modified", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("deleted_at", Float),
    Index("uq_groups_display_name", "display_name_folded", unique=True, sqlite_where=LIVE,
          postgresql_where=LIVE),
    Index("ix_groups_external_id", "external_id"),
    Index("ix_groups_last_modified", "last_modified"),
    Index("ix_groups_deleted_name", "display_name_folded"),
    Index("ix_groups_live", "id", "display_name_folded", "deleted_at",
          sqlite_where=LIVE, postgresql_where=LIVE),
)  # fmt: skip

# History is rows: a membership that ended keeps its row with valid_to set.
memberships = Table(
    "memberships",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("group_id", String(36), nullable=False),
    Column("member_id", String(36), nullable=False),
    # Who gave it: "client:<name>" (a client), or "rule:<name>" (a rule).
    Column("origin", Text, nullable=False),
    Column("valid_from", Float, nullable=False),
    Column("valid_to", Float),
    Index("uq_memberships_current", "group_id", "member_id", "origin", unique=True,
          sqlite_where=CURRENT, postgresql_where=CURRENT),
    Index("ix_memberships_member", "member_id", "valid_to"),
)  # fmt: skip

# Which group is in which, as rows that begin and end: the people of the inner one are in both.
nestings = Table(
    "nestings",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    # The outer group, and the one in it.
    Column("group_id", String(36), nullable=False),
    Column("inner_id", String(36), nullable=False),
    # Who put it there, as of a membership.
    Column("origin", Text, nullable=False),
    Column("valid_from", Float, nullable=False),
    Column("valid_to", Float),
    Index("uq_nestings_current", "group_id", "inner_id", unique=True,
          sqlite_where=CURRENT, postgresql_where=CURRENT),
    Index("ix_nestings_inner", "inner_id", "valid_to"),
)  # fmt: skip

# What principals are entitled to by the directory, as rows that begin and end. An account
# assignment has an account and a permission set, an application assignment an application.
assignments = Table(
    "assignments",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    # "user" or "group", and the id in the directory.
    Column("kind", String(8), nullable=False),
    Column("resource_id", String(36), nullable=False),
    Column("account_id", String(12), nullable=False, server_default=""),
    # As the client named it: a name or an ARN.
    Column("permission_set", Text, nullable=False, server_default=""),
    # The ARN, once it is known: a rename at AWS must take nothing away.
    Column("permission_set_arn", Text),
    Column("application", Text, nullable=False, server_default=""),
    Column("application_arn", Text),
    # "client:<name>", "operator:<name>", "adopted" or, later, a rule.
    Column("origin", Text, nullable=False),
    Column("valid_from", Float, nullable=False),
    Column("valid_to", Float),
    Index("uq_assignments_current", "kind", "resource_id", "account_id", "permission_set",
          "application", "origin", unique=True, sqlite_where=CURRENT, postgresql_where=CURRENT),
    Index("ix_assignments_account", "account_id", "valid_to"),
)  # fmt: skip

# Every version of a resource's document: who, when, before and after.
history = Table(
    "history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),
    Column("resource_id", String(36), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    # NULL before the first version, NULL after a deletion.
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Index("ix_history_resource", "kind", "resource_id", "version"),
)

# The audit trail. `personal_digest` is the salted digest of the personal part, kept in
# audit_personal so that it can be erased while the chain of seals stays whole.
audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    # "client:<name>", "operator:<name>" or "bridge".
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", String(8)),
    # The bridge's id, or the target's of somebody or something that the directory does not know.
    Column("resource_id", String(64)),
    # The other resource an event is about: the group a person joined or left, the earlier record
    # of somebody who was hired again.
    Column("related_id", String(64)),
    # The id of the client's request, and of the call at the target, when there was one.
    Column("request_id", Text),
    Column("target_request_id", Text),
    Column("outcome", Text, nullable=False),
    # Nothing personal: counts, attribute names, reasons, HTTP statuses. Canonical JSON, kept as
    # text: what is sealed must come back byte by byte, and no database may rewrite a number.
    Column("facts", Text, nullable=False),
    Column("personal_digest", Text),
    Column("seal_id", RowId),
    Column("position", Integer),
    Index("ix_audit_resource", "resource_id", "at"),
    Index("ix_audit_related", "related_id", sqlite_where=text("related_id IS NOT NULL"),
          postgresql_where=text("related_id IS NOT NULL")),
    Index("ix_audit_at", "at"),
    # Each row is in one of these two: what waits to be sealed, and what `audit verify` walks.
    Index("ix_audit_seal", "seal_id", "position", sqlite_where=SEALED, postgresql_where=SEALED),
    Index("ix_audit_unsealed", "id", sqlite_where=UNSEALED, postgresql_where=UNSEALED),
    # An id is never given twice, even if somebody removed the row that had it.
    sqlite_autoincrement=True,
)  # fmt: skip

audit_personal = Table(
    "audit_personal",
    metadata,
    Column("audit_id", RowId, primary_key=True, autoincrement=False),
    Column("salt", Text, nullable=False),
    # {"userName", "before", "after", …} as canonical JSON, kept as text so that it comes back as
    # it was digested. An erasure deletes the row, salt and all.
    Column("content", Text, nullable=False),
    # The userName at that time, folded, to find a person's trail.
    Column("user_name_folded", Text),
    Index("ix_audit_personal_user_name", "user_name_folded"),
)

audit_seals = Table(
    "audit_seals",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=False),
    Column("sealed_at", Float, nullable=False),
    Column("rows", Integer, nullable=False),
    # Which key made the seal: a digest of it, so that a wrong key is not taken for tampering.
    Column("key_id", String(16), nullable=False),
    Column("previous", Text, nullable=False),
    Column("seal", Text, nullable=False),
)

# Which principal at a target a resource is.
links = Table(
    "links",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("resource_id", String(36), primary_key=True),
    Column("target_id", Text, nullable=False),
    Column("created", Float, nullable=False),
    # Whether the bridge created the principal.
    Column("created_here", Boolean, nullable=False),
    Index("uq_links_target_id", "target", "kind", "target_id", unique=True),
)

# Which users and groups entered the directory from a target that is a source.
sourced = Table(
    "sourced",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("resource_id", String(36), primary_key=True),
    Column("at", Float, nullable=False),
)

# What the bridge last wrote, by resource, and how the target echoed it.
applied = Table(
    "applied",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("resource_id", String(36), primary_key=True),
    Column("attributes", Document, nullable=False),
    Column("echo", Document, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("at", Float, nullable=False),
)

# Memberships the bridge gave and did not yet take, by ids at the target.
applied_memberships = Table(
    "applied_memberships",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Index("ix_applied_memberships_member", "target", "member_id"),
)

# What a principal was last seen to hold, by ids at the target.
observed = Table(
    "observed",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("target_id", Text, primary_key=True),
    Column("external_id", Text),
    Column("attributes", Document, nullable=False),
    Column("active", Boolean, nullable=False),
    # The e-mail it holds, folded: a new person's address may be held by somebody who left.
    Column("email_folded", Text),
    Column("at", Float, nullable=False),
    Index("ix_observed_email", "target", "email_folded"),
    Index("ix_observed_active", "target", "kind", "active"),
)

observed_memberships = Table(
    "observed_memberships",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Index("ix_observed_memberships_member", "target", "member_id"),
)

# Grants the bridge gave and did not yet take, by ids at the target. Either account_id and
# permission_set (an ARN) are set, or application (an ARN); the others are "".
applied_assignments = Table(
    "applied_assignments",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("principal_id", Text, primary_key=True),
    Column("account_id", String(12), primary_key=True),
    Column("permission_set", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("at", Float, nullable=False),
)

# Grants a principal was last seen to hold, in the same columns.
observed_assignments = Table(
    "observed_assignments",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("principal_id", Text, primary_key=True),
    Column("account_id", String(12), primary_key=True),
    Column("permission_set", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Index("ix_observed_assignments_account", "target", "account_id"),
)

# Creations and deletions of account assignments that AWS has taken and not yet ended.
assignment_requests = Table(
    "assignment_requests",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("principal_id", Text, primary_key=True),
    Column("account_id", String(12), primary_key=True),
    Column("permission_set", Text, primary_key=True),
    # "create" or "delete".
    Column("operation", String(8), nullable=False),
    # AWS's id of the request, to ask what became of it. None: asked, and no answer yet.
    Column("request_id", Text),
    Column("started", Float, nullable=False),
    # The generation of the mark for which it was asked.
    Column("generation", BigInteger, nullable=False),
    # Why a creation failed. It is not asked again in this generation, and is not outstanding.
    Column("error", Text),
)

# What the last extraction found: permission sets, accounts and applications.
permission_sets = Table(
    "permission_sets",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("arn", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    # The longest session it gives, in seconds.
    Column("session_seconds", Integer, nullable=False),
    # What it allows: {"managed": […], "customer_managed": […], "inline": bool}.
    Column("policies", Document, nullable=False),
    Column("at", Float, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("id", String(12), primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(32), nullable=False),
    Column("at", Float, nullable=False),
)

applications = Table(
    "applications",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("arn", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# What an extraction did not find any more: it counts as gone after a second one and a direct look.
disappearances = Table(
    "disappearances",
    metadata,
    Column("target", String(64), primary_key=True),
    # "user", "group", "membership" or "assignment".
    Column("kind", String(12), primary_key=True),
    # The ids at the target that name it, as a canonical JSON list.
    Column("item", Text, primary_key=True),
    Column("since", Float, nullable=False),
    Column("times", Integer, nullable=False),
)

# What the bridge took away or forgot, and when: an extraction that began before must not bring it
# back. Rows older than any extraction that may run are of no use, and are cleared by the next one.
departures = Table(
    "departures",
    metadata,
    Column("target", String(64), primary_key=True),
    # As of `disappearances`.
    Column("kind", String(12), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("at", Float, nullable=False),
)

# What is known to differ from what the bridge applied, to tell of each difference once.
drift = Table(
    "drift",
    metadata,
    Column("target", String(64), primary_key=True),
    # What differs, as a canonical JSON list of kind, id, what and name.
    Column("item", Text, primary_key=True),
    Column("since", Float, nullable=False),
    # "reported", "repaired", "contested" or "unmanaged".
    Column("state", String(12), nullable=False),
)

# Repairs of drift, to find what is changed back again and again.
repairs = Table(
    "repairs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("target", String(64), nullable=False),
    Column("item", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_repairs_item", "target", "item", "at"),
)

# Access nobody gave through the bridge and that a deactivation took away: an operator may give it
# again (`scim-bridge access restore`).
taken = Table(
    "taken",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("target", String(64), nullable=False),
    # Who lost it: the id in the directory.
    Column("person", String(36), nullable=False),
    # Of a membership, the group's id at the target; "" of a grant.
    Column("group_id", Text, nullable=False, server_default=""),
    Column("account_id", String(12), nullable=False, server_default=""),
    Column("permission_set", Text, nullable=False, server_default=""),
    Column("application", Text, nullable=False, server_default=""),
    Column("at", Float, nullable=False),
    Column("restored_at", Float),
    Index("ix_taken_person", "target", "person"),
)

# Denials that end sessions at once (`[deprovision] cut_sessions`), by permission set and person.
session_cuts = Table(
    "session_cuts",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("permission_set", Text, primary_key=True),
    # The UserId of Identity Center.
    Column("principal_id", Text, primary_key=True),
    Column("person", String(36), nullable=False),
    # When the last session that may live has ended.
    Column("until", Float, nullable=False),
    # "wanted" (to be put in), "standing", "ended" (to be taken out), "failed".
    Column("state", String(12), nullable=False),
    Column("error", Text),
    Column("at", Float, nullable=False),
)

# All delivery to a target is stopped by an operator.
pauses = Table(
    "pauses",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("since", Float, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# What an alert was sent of, to send it once, and once more when it is over.
alerts = Table(
    "alerts",
    metadata,
    Column("cause", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("sent_at", Float, nullable=False),
)

# What has yet to reach a target. A row is kept when its mark is cleared: generation and lease
# number only grow.
pending = Table(
    "pending",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("resource_id", String(36), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    # "clear", "pending", "failed", "held" or "suppressed".
    Column("state", String(12), nullable=False),
    Column("since", Float, nullable=False),
    Column("urgent", Boolean, nullable=False),
    # Since when access waits to be taken away; None when none does.
    Column("revoking_since", Float),
    # {"everyone": bool, "linked": bool, "named": [directory or target ids]}
    Column("take_away", Document, nullable=False),
    # The target must be read again before anything is planned.
    Column("reread", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Float, nullable=False),
    Column("lease_no", BigInteger, nullable=False),
    Column("leased_until", Float),
    Column("last_error", Text),
    # The IAM action the bridge is not allowed, while that is what is waited for.
    Column("denied", Text),
    # The ids of the client requests it goes back to, the last ones: calls name them in the audit.
    Column("requests", Document, nullable=False, server_default=text("'[]'")),
    Index("ix_pending_due", "target", "state", "urgent", "next_attempt_at"),
    # What `status` and the metrics ask, however much waits.
    Index(
        "ix_pending_unsettled",
        "target",
        "state",
        "since",
        sqlite_where=text("state != 'clear'"),
        postgresql_where=text("state != 'clear'"),
    ),
    Index(
        "ix_pending_errors",
        "target",
        "urgent",
        "next_attempt_at",
        sqlite_where=text("last_error IS NOT NULL"),
        postgresql_where=text("last_error IS NOT NULL"),
    ),
    Index(
        "ix_pending_revoking",
        "target",
        "revoking_since",
        sqlite_where=text("revoking_since IS NOT NULL"),
        postgresql_where=text("revoking_since IS NOT NULL"),
    ),
    Index(
        "ix_pending_denied",
        "target",
        "denied",
        "state",
        sqlite_where=text("denied IS NOT NULL"),
        postgresql_where=text("denied IS NOT NULL"),
    ),
)

# Losses of access, for the brake's sliding hour: a person counts once in each category.
losses = Table(
    "losses",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("category", String(16), primary_key=True),
    Column("person", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Index("ix_losses_at", "target", "category", "at"),
)

# Losses of access that the brake stopped. Only an operator or the client's own reversal ends one.
held = Table(
    "held",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("set_id", String(32), nullable=False),
    Column("target", String(64), nullable=False),
    # "disable", "removal" or "assignment"; for a removal, and for an assignment of a group's, the
    # group.
    Column("category", String(16), nullable=False),
    Column("person", Text, nullable=False),
    Column("group_id", Text, nullable=False, server_default=""),
    # Of an assignment: what is lost, as "account|permission set" or "|application".
    Column("lost", Text, nullable=False, server_default=""),
    Column("since", Float, nullable=False),
    # "held", or "approved" until the loss has reached the target.
    Column("state", String(8), nullable=False),
    Index("uq_held", "target", "category", "person", "group_id", "lost", unique=True),
    Index("ix_held_set", "set_id"),
)

# How far connectors that are told of every change have been told, in the order of the seals.
feeds = Table(
    "feeds",
    metadata,
    Column("connector", String(64), primary_key=True),
    Column("seal_id", RowId, nullable=False),
    Column("position", Integer, nullable=False),
    # When the last event was taken.
    Column("told_at", Float),
    # How often the next event was sent in vain, since when, when it is sent again, and why.
    Column("attempts", Integer, nullable=False),
    Column("failing_since", Float),
    Column("next_attempt_at", Float, nullable=False),
    Column("last_error", Text),
)

# What a target's door is like, for every process and for `status`.
doors = Table(
    "doors",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("circuit", String(16), nullable=False),
    Column("cause", Text),
    Column("since", Float, nullable=False),
)

# Inbound credentials. A token is kept as a digest, never itself.
clients = Table(
    "clients",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
    # Whether it may say what groups and users are entitled to.
    Column("entitlements", Boolean, nullable=False, server_default=false()),
    # "tolerant" or "strict".
    Column("dialect", String(16), nullable=False, server_default="tolerant"),
    Column("created", Float, nullable=False),
    Column("revoked_at", Float),
    Index("uq_clients_name", "name", unique=True, sqlite_where=text("revoked_at IS NULL"),
          postgresql_where=text("revoked_at IS NULL")),
)  # fmt: skip

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("client_id", String(36), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("expires_at", Float),
    Column("last_used_at", Float),
)

# The journal of passes over everything.
runs = Table(
    "runs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("outcome", Text),
    Column("counts", Document, nullable=False),
    Index("ix_runs_kind", "kind", "id"),
)

# Who may do something that only one process at a time may do.
locks = Table(
    "locks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("leased_until", Float, nullable=False),
    Column("number", BigInteger, nullable=False),
)

# The files of rules that were applied, as they were. The last one is in force.
rulebooks = Table(
    "rulebooks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("applied_at", Float, nullable=False),
)

# Until when what a rule gave is kept, of people whom the rule does not mean any more.
rule_lapses = Table(
    "rule_lapses",
    metadata,
    Column("person", String(36), primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("until", Float, nullable=False),
)

# When the rules may say something else of a person although nothing about them changes.
rule_dues = Table(
    "rule_dues",
    metadata,
    Column("person", String(36), primary_key=True),
    Column("at", Float, nullable=False),
    Index("ix_rule_dues_at", "at"),
)

# How fast calls follow one another at each door of Identity Center, for all processes together.
paces = Table(
    "paces",
    metadata,
    Column("door", String(64), primary_key=True),
    # Calls per second.
    Column("rate", Float, nullable=False),
    # When the next call may be sent, until when AWS wants none, and when it throttled last.
    Column("free_at", Float, nullable=False),
    Column("stopped_until", Float, nullable=False),
    Column("halved_at", Float, nullable=False),
    # The rate at which it throttled. Empty: it never did.
    Column("halved_from", Float),
)
