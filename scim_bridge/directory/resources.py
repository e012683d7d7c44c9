"""The users and groups of the directory, as a SCIM server stores them.

Nothing is ever erased here: a deleted resource keeps its row and its history, and only SCIM no
longer sees it. A change is written, recorded in the history and told to whoever must act on it in
one transaction.
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, cast

from scim2_models import (
    EnterpriseUser,
    Group,
    InvalidFilterException,
    InvalidPathException,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
    User,
)
from scim2_server.storage import ScimStorage, SearchPage
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Subquery,
    Table,
    bindparam,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
    update,
)

from scim_bridge.directory import (
    actor,
    assignments,
    filters,
    history,
    memberships,
    nesting,
    representation,
    texts,
    uniqueness,
    versions,
)
from scim_bridge.directory.assignments import NO_TURN, Turn
from scim_bridge.directory.catalogue import Resolve, by_arn
from scim_bridge.directory.comparison import folded
from scim_bridge.directory.database import Database
from scim_bridge.directory.documents import Document, document_of, grants_of, is_active
from scim_bridge.directory.entitlements import NamedGrant, Stated, named_by_arn
from scim_bridge.directory.kinds import GROUP, USER, Kind, kind_named, kind_of
from scim_bridge.directory.memberships import NO_MOVES, Moves
from scim_bridge.directory.ownership import Owners
from scim_bridge.directory.pages import Order, Page, page_by_cursor, page_by_index
from scim_bridge.directory.plain_searches import PlainSearch, plain_search
from scim_bridge.directory.prepared import Prepared
from scim_bridge.directory.representation import Provisioning, unprovisioned
from scim_bridge.directory.rosters import NestedGroups, Rosters
from scim_bridge.directory.tables import groups, nestings, users
from scim_bridge.directory.texts import Publisher, Stored
from scim_bridge.directory.write import Cause, Write
from scim_bridge.directory.write import Kind as KindName
from scim_bridge.errors import OperatorError
from scim_bridge.lifecycle.access import returns_to_memberships
from scim_bridge.plan.grants import Grant

# `[deprovision] restore_within`, in seconds.
RESTORE_WITHIN = 30 * 24 * 3600.0

# The models of the resource types, by the name of the type.
MODELS: Mapping[str, type[Resource[Any]]] = MappingProxyType(
    {"User": User[EnterpriseUser], "Group": Group}
)

# What the members of a group given to `update` are: the members it should have; the same, as the
# client's statement that there are no others; or not meant at all.
MemberList = Literal["given", "replaced", "kept"]

# Which columns of a kind of resources are read.
Columns = Callable[[Kind], Sequence[ColumnElement[Any]]]


@dataclass(frozen=True, kw_only=True)
class TextPage:
    """A page of a search as texts, with the positions of the pages beside it."""

    total: int
    texts: Sequence[str]
    next: dict[str, Any] | None = None
    previous: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StoredUser:
    """A user's row, live or deleted."""

    id: str
    user_name: str
    active: bool
    version: int
    document: Document
    deactivated_at: float | None
    deleted_at: float | None


_NO_CAUSES: Mapping[str | NamedGrant, Cause] = MappingProxyType({})


def _unheard(_write: Write) -> None:
    """Nobody needs to act."""


def _allowed(_group: Row[Any]) -> None:
    """Nothing is refused."""


def _uuid() -> str:
    return str(uuid.uuid4())


class Resources(ScimStorage):
    """The directory's users and groups (RFC 7643 §4), in one database.

    `written` is told of every change, inside its transaction; what it raises undoes the change.
    `restore_within` is how long a deactivated person's memberships and grants wait for a return, in
    seconds. `nested` is `[groups] nested`: a group among the members of a group is left out with a
    warning, or gives its people to the outer one. `resolve` knows what names of permission sets and
    applications mean, `provisioning` how a resource stands at the target.

    A version covers a resource's document, its grants and its memberships, `groups` of a user
    included;
    ``meta.lastModified`` covers the document, and the members of a group.

    Every method raises `DatabaseUnavailable` when the database does not answer.
    """

    supports_cursors = True

    def __init__(
        self,
        database: Database,
        *,
        models: Mapping[str, type[Resource[Any]]] = MODELS,
        written: Callable[[Write], None] = _unheard,
        restore_within: float = RESTORE_WITHIN,
        nested: NestedGroups = "skip",
        resolve: Resolve = by_arn,
        provisioning: Provisioning = unprovisioned,
        owners: Owners | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = _uuid,
    ) -> None:
        self.database = database
        self.models = models
        self.written = written
        self.restore_within = restore_within
        self.nested = nested
        self.resolve = resolve
        self.provisioning = provisioning
        self.owners = owners or Owners(database)
        self.clock = clock
        self.new_id = new_id

    @property
    def _rosters(self) -> Rosters:
        return Rosters(self.database, self.nested)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One transaction that may write. Inner ones join the outermost.

        The library opens one also for what it only reads; within `reading` that is enough.
        """
        if self.database.in_transaction:
            yield
            return
        with self.database.transaction():
            yield

    def reading(self) -> AbstractContextManager[object]:
        """One consistent state, which nobody who writes has to wait for."""
        return self.database.reading()

    # -- Reading ------------------------------------------------------------------

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """A live resource. Memberships that the response leaves out are not read.

        Raises `NotFoundException` when there is none of this type with this id.
        """
        kind = kind_of(resource_type)
        with self.database.reading():
            row = self._row(kind, resource_id)
            model = self.models[kind.type_name]
            (resource,) = representation.resources(
                self.database, kind, model, [row], response_parameters, self.provisioning
            )
            return resource

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        """A page of the live resources of these types, as one collection.

        Only the page's rows are read; filtering, sorting and counting are the database's.

        Raises `InvalidFilterException`, `InvalidPathException` (what cannot be sorted by) and
        `InvalidCursorException`.
        """
        with self.database.reading():
            kinds = [kind_of(resource_type) for resource_type in resource_types]
            total, page = self._page(kinds, search_request, position, representation.columns)
            found = self._resources(kinds, page.rows, search_request)
            return SearchPage(total, found, page.next, page.previous)

    def _page(
        self,
        kinds: Sequence[Kind],
        search_request: SearchRequest[Any],
        position: Any,
        columns: Columns,
    ) -> tuple[int, Page]:
        """How many resources of these kinds match, and the rows of a page of them."""
        connection, count = self.database.connection, search_request.count
        begins = search_request.cursor is None and not search_request.start_index_0
        if begins and count and len(kinds) == 1 and search_request.sort_by is None:
            rows = self._first_rows(kinds[0], search_request, columns)
            if 0 < len(rows) < count:
                # It is the last page, so nothing has to be counted.
                return len(rows), Page(rows=rows)
            return self._count(kinds, search_request), Page(rows=rows)
        order = self._order(kinds, search_request)

        def fetch(page: Subquery, terms: Sequence[ColumnElement[Any]]) -> Sequence[Row[Any]]:
            return _whole_rows(connection, kinds, columns, page, terms)

        if count == 0:
            return self._count(kinds, search_request), Page(rows=())
        if search_request.cursor is not None:
            page = page_by_cursor(connection, order, fetch, position, count)
            return self._count(kinds, search_request), page
        start = search_request.start_index_0 or 0
        page = page_by_index(order, fetch, start, count)
        if page.rows and (count is None or len(page.rows) < count):
            return start + len(page.rows), page
        return self._count(kinds, search_request), page

    def _count(self, kinds: Sequence[Kind], search_request: SearchRequest[Any]) -> int:
        """How many resources match."""
        found = [
            self._matching(kind, search_request).with_only_columns(func.count()) for kind in kinds
        ]
        return sum(self.database.connection.scalar(one) or 0 for one in found)

    def _first_rows(
        self, kind: Kind, search_request: SearchRequest[Any], columns: Columns
    ) -> Sequence[Row[Any]]:
        """The rows of the first page in the order of their ids: nothing is passed over for it."""
        query = self._matching(kind, search_request).with_only_columns(
            literal(kind.name).label("kind"), null().label("sort_value"), *columns(kind)
        )
        page = query.order_by(kind.table.c.id).limit(search_request.count)
        return self.database.connection.execute(page).all()

    # -- Reading as JSON that is ready to be sent -----------------------------------

    def stored(self, resource_type: ResourceType, resource_id: str) -> Stored:
        """The row of a live resource, to make its text of.

        Raises `NotFoundException` when there is none of this type with this id.
        """
        kind = kind_of(resource_type)
        with self.database.reading() as connection:
            row = _STORED[kind].row(connection, id=resource_id)
        if row is None:
            raise _not_found(kind, resource_id)
        return Stored(*row)

    def text(
        self,
        resource_type: ResourceType,
        row: Stored,
        parameters: ResponseParameters[Any],
        publisher: Publisher,
    ) -> str:
        """The text of a row that `stored` gave, for parameters for which texts suffice."""
        (found,) = self._texts_of(kind_of(resource_type), [row], parameters, publisher)
        return found

    def search_texts(
        self,
        resource_types: Sequence[ResourceType],
        search_request: SearchRequest[Any],
        publisher: Publisher,
        *,
        position: Any = None,
    ) -> TextPage:
        """The same page as `search` gives, as texts, for parameters for which those suffice."""
        kinds = [kind_of(resource_type) for resource_type in resource_types]
        with self.database.reading() as connection:
            plain = self._plain(kinds, search_request)
            if plain is not None:
                total, page = plain.page(connection, position)
                found = self._texts_of(kinds[0], page.rows, search_request, publisher)
            else:
                total, page = self._page(kinds, search_request, position, texts.columns)
                found = self._texts(kinds, page.rows, search_request, publisher)
            return TextPage(total=total, texts=found, next=page.next, previous=page.previous)

    def _plain(
        self, kinds: Sequence[Kind], search_request: SearchRequest[Any]
    ) -> PlainSearch | None:
        if len(kinds) != 1:
            return None
        return plain_search(kinds[0], self.models[kinds[0].type_name], search_request)

    def _texts(
        self,
        kinds: Sequence[Kind],
        rows: Sequence[Row[Any]],
        parameters: ResponseParameters[Any],
        publisher: Publisher,
    ) -> list[str]:
        """The texts of rows of several kinds, in the order of the rows."""
        built: dict[tuple[str, str], str] = {}
        for kind in dict.fromkeys(kinds):
            of_kind = [row for row in rows if row.kind == kind.name]
            # Before them come the kind and the value by which they are sorted.
            stored = [Stored._make(row[2:]) for row in of_kind]
            made = self._texts_of(kind, stored, parameters, publisher)
            built.update(
                ((kind.name, row.id), text) for row, text in zip(of_kind, made, strict=True)
            )
        return [built[row.kind, row.id] for row in rows]

    def _texts_of(
        self,
        kind: Kind,
        rows: Sequence[Stored],
        parameters: ResponseParameters[Any],
        publisher: Publisher,
    ) -> list[str]:
        model = self.models[kind.type_name]
        return texts.texts(
            self.database, kind, model, rows, parameters, publisher, self.provisioning
        )

    def find_user(self, user_name: str) -> StoredUser | None:
        """The live user of a name, or else the one deleted last."""
        with self.database.reading() as connection:
            row = connection.execute(
                versions.rows(users)
                .where(users.c.user_name_folded == folded(user_name))
                .order_by(users.c.deleted_at.is_not(None), users.c.deleted_at.desc())
                .limit(1)
            ).first()
        if row is None:
            return None
        return StoredUser(**{each.name: getattr(row, each.name) for each in fields(StoredUser)})

    def _row(self, kind: Kind, resource_id: str | None, *, locked: bool = False) -> Row[Any]:
        query = (_LOCKED if locked else _LIVE)[kind]
        with self.database.reading() as connection:
            row = connection.execute(query, {"id": resource_id}).first()
        if row is None:
            raise _not_found(kind, resource_id)
        return row

    def _still_there(self, kind: Kind, resource_id: str) -> Row[Any]:
        """A live resource's row, locked, for an operator who gives something back.

        Raises `OperatorError` when there is none any more.
        """
        try:
            return self._row(kind, resource_id, locked=True)
        except NotFoundException as error:
            raise OperatorError(
                f"{self.called(kind, resource_id)} was deleted: create it again first"
            ) from error

    def called(self, kind: Kind, resource_id: str) -> str:
        """A resource in a sentence. Of a person, no more than that it is one."""
        if kind is USER:
            return "the user"
        query = select(groups.c.display_name).where(groups.c.id == resource_id)
        return f"group {self.database.connection.scalar(query)!r}"

    def _order(self, kinds: Sequence[Kind], search_request: SearchRequest[Any]) -> Order:
        """The matching resources of these kinds, as one collection in its order."""
        found = [self._matching(kind, search_request) for kind in kinds]
        collection: FromClause = (
            found[0].subquery() if len(found) == 1 else union_all(*found).subquery()
        )
        return Order(
            collection=collection,
            by_value=search_request.sort_by is not None,
            descending=search_request.sort_by is not None
            and search_request.sort_order == SearchRequest.SortOrder.descending,
        )

    def _matching(self, kind: Kind, search_request: SearchRequest[Any]) -> Select[Any]:
        table, model = kind.table, self.models[kind.type_name]
        columns = table.c
        query = select(
            literal(kind.name).label("kind"),
            columns.id,
            _sort_value(search_request, model, table).label("sort_value"),
        ).where(columns.deleted_at.is_(None))
        if search_request.filter is None:
            return query
        return query.where(filters.condition(search_request.filter, model, table))

    def _resources(
        self,
        kinds: Sequence[Kind],
        rows: Sequence[Row[Any]],
        parameters: ResponseParameters[Any],
    ) -> list[Resource[Any]]:
        """The resources of rows of several kinds, in the order of the rows."""
        built: dict[tuple[str, str | None], Resource[Any]] = {}
        for kind in dict.fromkeys(kinds):
            of_kind = [row for row in rows if row.kind == kind.name]
            model = self.models[kind.type_name]
            for each in representation.resources(
                self.database, kind, model, of_kind, parameters, self.provisioning
            ):
                built[kind.name, each.id] = each
        return [built[row.kind, row.id] for row in rows]

    # -- Writing ------------------------------------------------------------------

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Store a new resource under an id of the directory's own.

        Raises what `insert` raises.
        """
        with self.database.transaction():
            return self.get(resource_type, self.insert(resource_type, resource))

    def insert(self, resource_type: ResourceType, resource: Resource[Any]) -> str:
        """Store a new resource under an id of the directory's own, and return that id.

        Raises `UniquenessException` naming the attribute, and `InvalidValueException` for a member
        that is neither a live user nor a live group.
        """
        kind = kind_of(resource_type)
        document, grants = document_of(resource), grants_of(resource)
        with self.database.transaction():
            at, resource_id = self._now(), self.new_id()
            if kind is USER:
                document = self.owners.settle(resource_id, None, document, states_all=True)
            self._insert(kind, resource_id, document, at)
            moves, turn = NO_MOVES, NO_TURN
            if kind is GROUP:
                moves = self._rosters.fill(resource_id, _member_ids(resource), at)
            if grants:
                turn = self._state(kind, resource_id, Stated(grants=grants), at)
            self._raise_moved(moves)
            self._tell(
                Write(
                    kind=kind.name,
                    id=resource_id,
                    action="create",
                    before=None,
                    after=document,
                    version=1,
                    version_before=0,
                    **_of_moves(moves),
                    **_of_grants(turn),
                ),
                at,
            )
            return resource_id

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
        members: MemberList = "given",
        named: Sequence[str] = (),
        stated: Stated | None = None,
        states_all: bool = True,
    ) -> Resource[Any]:
        """Replace a resource's document, and make a group's members those of `resource`.

        Takes and raises what `rewrite` does.
        """
        with self.database.transaction():
            self.rewrite(
                resource_type,
                resource,
                expected_version=expected_version,
                members=members,
                named=named,
                stated=stated,
                states_all=states_all,
            )
            return self.get(resource_type, cast(str, resource.id))

    def rewrite(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
        members: MemberList = "given",
        named: Sequence[str] = (),
        stated: Stated | None = None,
        states_all: bool = True,
    ) -> None:
        """The same, without reading what it has become.

        `members`: "replaced" tells that the client stated the whole list (a PUT), which the write
        reports; "kept" leaves the memberships as they are, whatever `resource` holds. The write
        also reports whom the client `named` for removal, members or not.

        `stated`: the grants the client states. None leaves them as they are, whatever `resource`
        holds. `states_all`: what is not in the resource was left out, and not taken away (a PUT).

        Raises `NotFoundException`, `PreconditionFailedException`, `UniquenessException` naming the
        attribute, `ForbiddenException` for what is another source's, and
        `InvalidValueException` for a member that is neither a live user nor a live
        group.
        """
        kind = kind_of(resource_type)
        document = document_of(resource)
        with self.database.transaction():
            row = self._row(kind, resource.id, locked=True)
            _expect(row, expected_version)
            at, moves = self._now(), NO_MOVES
            if kind is USER:
                document = self.owners.settle(row.id, row.document, document, states_all=states_all)
            if kind is GROUP and members != "kept":
                moves = self._rosters.replace(row.id, _member_ids(resource), at)
            self._rewrite(
                kind,
                row,
                document,
                at,
                moves=moves,
                named=tuple(named),
                replaced=kind is GROUP and members == "replaced",
                stated=stated,
            )

    def delete(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        expected_version: str | None = None,
    ) -> None:
        """End a resource and its memberships. The row and the history stay.

        Raises `NotFoundException`, `PreconditionFailedException` and `ForbiddenException`.
        """
        kind = kind_of(resource_type)
        if kind is USER:
            self.owners.refuse_deletion()
        with self.database.transaction():
            row = self._row(kind, resource_id, locked=True)
            _expect(row, expected_version)
            self._end(kind, row, self._now())

    def change_members(
        self,
        group_id: str,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        replace: Sequence[str] | None = None,
        origin: str | None = None,
        allow: Callable[[Row[Any]], None] = _allowed,
    ) -> int:
        """Change a group's members, and return its version.

        What begins has the origin of who acts, or the one given. `allow` is given the group's row
        before anything is changed, to refuse that.

        `replace` states the whole list; then `add` begins memberships and `remove` ends them,
        whoever gave them; an id in both is removed. What `add` and `remove` cost does not depend on
        the size of the group. The write names whom `remove` names, members or not.

        Raises `NotFoundException`, what `allow` raises, and `InvalidValueException` for a member to
        add that is neither a live user nor a live group.
        """
        with self.database.transaction():
            row = self._row(GROUP, group_id, locked=True)
            allow(row)
            at = self._now()
            write = self._rewrite(
                GROUP,
                row,
                row.document,
                at,
                moves=self._rosters.move(
                    group_id, at, add=add, remove=remove, replace=replace, origin=origin
                ),
                named=tuple(dict.fromkeys(remove)),
                replaced=replace is not None,
            )
            return write.version

    # -- What rules give ----------------------------------------------------------

    def found(self, display_name: str, cause: Cause) -> str:
        """Create the group that a rule gives, where there is none of that name. Returns its id."""
        with self.database.transaction():
            name = groups.c.display_name_folded == folded(display_name)
            live = select(groups.c.id).where(name, groups.c.deleted_at.is_(None))
            known: str | None = self.database.connection.scalar(live)
            if known is not None:
                return known
            at, group_id = self._now(), self.new_id()
            document: Document = {
                "schemas": [str(Group.__schema__)],
                "displayName": display_name,
            }
            self._insert(GROUP, group_id, document, at)
            self._tell(
                Write(
                    kind="group",
                    id=group_id,
                    action="create",
                    before=None,
                    after=document,
                    version=1,
                    version_before=0,
                    causes={group_id: cause},
                ),
                at,
            )
            return group_id

    def turn_members(
        self,
        group_id: str,
        *,
        end: Mapping[memberships.Given, Cause],
        begin: Mapping[memberships.Given, Cause],
    ) -> None:
        """End and begin what rules give of a group. Who stays a member is not touched."""
        with self.database.transaction():
            row = self._row(GROUP, group_id, locked=True)
            at = self._now()
            moves = memberships.turn(self.database, group_id, end=end, begin=begin, at=at)
            if moves.changed:
                causes: dict[str | NamedGrant, Cause] = {
                    given.member: cause for given, cause in (*end.items(), *begin.items())
                }
                self._rewrite(GROUP, row, row.document, at, moves=moves, causes=causes)

    def turn_grants(
        self,
        user_id: str,
        *,
        end: Mapping[assignments.Given, Cause],
        begin: Mapping[assignments.Given, Cause],
    ) -> None:
        """End and begin what rules grant a user. What stays granted is not touched."""
        with self.database.transaction():
            row = self._row(USER, user_id, locked=True)
            at = self._now()
            turn = assignments.turn(
                self.database, user_id, end=end, begin=begin, at=at, resolve=self.resolve
            )
            if turn.changed:
                causes: dict[str | NamedGrant, Cause] = {
                    given.named: cause for given, cause in (*end.items(), *begin.items())
                }
                self._rewrite(USER, row, row.document, at, turn=turn, causes=causes)

    def unnest(self) -> int:
        """Take every group out of the groups it is in. Returns how many there were."""
        with self.database.transaction():
            nested = nesting.every_nesting(self.database)
            for group_id, inner in nested.items():
                self.change_members(group_id, remove=inner)
            return sum(map(len, nested.values()))

    def set_active(self, user_id: str, *, active: bool) -> Write | None:
        """Activate or deactivate a user. None when there is nothing to change.

        Raises `NotFoundException`.
        """
        with self.database.transaction():
            row = self._row(USER, user_id, locked=True)
            if is_active(row.document) == active:
                return None
            return self._rewrite(USER, row, {**row.document, "active": active}, self._now())

    def reopen_membership(self, group_id: str, member_id: str) -> Write:
        """Begin a membership again, with its former origin, for an operator who rejects its end.

        Raises `OperatorError` when the group or the user is no longer there.
        """
        with self.database.transaction():
            row = self._still_there(GROUP, group_id)
            self._still_there(USER, member_id)
            at = self._now()
            origin = memberships.last_origin(self.database, group_id, member_id)
            if origin is None or origin.startswith(memberships.RULE):
                # A rule that still gave it would give it itself.
                origin = actor.current().name
            moves = memberships.add(self.database, group_id, [member_id], origin, at=at)
            return self._rewrite(GROUP, row, row.document, at, moves=moves)

    def reopen_nesting(self, group_id: str, inner_id: str) -> Write:
        """Put a group into a group again, with its former origin, for an operator who rejects that
        it was taken out.

        Raises `OperatorError` when either is no longer there, when the inner one holds the outer
        one by now, and when no group is to be in another one.
        """
        with self.database.transaction():
            row, inner = self._still_there(GROUP, group_id), self._still_there(GROUP, inner_id)
            if self.nested == "skip":
                raise OperatorError('[groups] nested is "skip", so no group is put into a group')
            at, origin = self._now(), nesting.last_origin(self.database, group_id, inner_id)
            try:
                moves = self._rosters.add(group_id, [inner_id], at, origin=origin)
            except InvalidValueException as error:
                raise OperatorError(
                    f"group {row.display_name!r} is in group {inner.display_name!r} by now"
                ) from error
            return self._rewrite(GROUP, row, row.document, at, moves=moves)

    def reopen_grant(self, kind_name: KindName, resource_id: str, grant: Grant) -> bool:
        """Grant something again, with its former origin, for an operator who rejects its end.

        False when the directory never granted it. Raises `OperatorError` when the resource is no
        longer there.
        """
        kind = kind_named(kind_name)
        with self.database.transaction():
            row = self._still_there(kind, resource_id)
            at = self._now()
            turn = assignments.begin_again(
                self.database,
                kind.name,
                resource_id,
                grant,
                origin=actor.current().name,
                at=at,
                resolve=self.resolve,
            )
            if turn is None:
                return False
            self._rewrite(kind, row, row.document, at, turn=turn)
            return True

    def entitle(self, kind_name: KindName, resource_id: str, grant: Grant) -> None:
        """Grant something in the name of whoever acts; nothing where it is granted already.

        Raises `NotFoundException`.
        """
        kind = kind_named(kind_name)
        with self.database.transaction():
            row = self._row(kind, resource_id, locked=True)
            held = assignments.current(self.database, kind.name, [resource_id])
            at = self._now()
            turn = assignments.state(
                self.database,
                kind.name,
                resource_id,
                Stated(grants=[*held.get(resource_id, ()), named_by_arn(grant)]),
                origin=actor.current().name,
                at=at,
                resolve=self.resolve,
            )
            if turn.changed:
                self._rewrite(kind, row, row.document, at, turn=turn)

    def is_active(self, user_id: str) -> bool:
        """Whether there is a live user of this id who is active."""
        query = select(users.c.id).where(
            users.c.id == user_id, users.c.active, users.c.deleted_at.is_(None)
        )
        with self.database.reading() as connection:
            return connection.scalar(query) is not None

    def reinstate(self, user_id: str) -> tuple[str, ...]:
        """Bring a user back to what they were before a deactivation or a deletion.

        For an operator who rejects a held loss: a deleted user is there again under the same id,
        active, with the memberships the deletion ended. Returns the groups of those, and those
        that these are in.

        Raises `OperatorError` when somebody else has the user's name or e-mail by now.
        """
        with self.database.transaction() as connection:
            row = connection.execute(
                versions.rows(users).where(users.c.id == user_id).with_for_update()
            ).one()
            if row.deleted_at is None:
                # The deactivation never took effect, so its date must not cost the memberships.
                self._set(USER, user_id, deactivated_at=None)
                self.set_active(user_id, active=True)
                return ()
            document, at = {**row.document, "active": True}, self._now()
            columns = {**USER.columns(document), "deleted_at": None, "deactivated_at": None}
            try:
                uniqueness.refuse_taken(self.database, USER, user_id, columns)
            except UniquenessException as error:
                raise OperatorError(
                    f"user {user_id} cannot come back: {error.detail} by somebody else"
                ) from error
            self._set(USER, user_id, last_modified=at, **columns)
            back = memberships.reopen_member(self.database, user_id, ended_at=row.deleted_at, at=at)
            outer = nesting.outer_groups(self.database, back)
            self._raise_groups(back, at)
            again = assignments.reopen(
                self.database, "user", user_id, ended_at=row.deleted_at, at=at
            )
            self._tell(
                Write(
                    kind="user",
                    id=user_id,
                    action="create",
                    before=None,
                    after=document,
                    version=row.version + 1,
                    version_before=row.version,
                    begun=again,
                    entitlements=bool(again),
                ),
                at,
            )
            return (*back, *outer)

    def undo(self, write: Write) -> Write | None:
        """Take back what a write changed, since the target refused it. None when nothing is.

        A creation is ended; an update gets the earlier document, as a new version; memberships and
        grants that it began are ended, as far as they are still the rows it began. Nothing is taken
        back when the document has moved on since, or when somebody else has the earlier names by
        now. And what took access away (a deletion, a deactivation, the end of a membership or of a
        grant) stays.
        """
        kind = kind_named(write.kind)
        with self.database.transaction():
            row = self._undoable(kind, write)
            if row is None:
                return None
            at = self._now()
            if write.before is None:
                return self._end(kind, row, at, undo=True)
            document = row.document if write.before == write.after else write.before
            moves = memberships.end_rows(self.database, write.rows, at=at).then(
                nesting.end_rows(self.database, write.nesting_rows, at=at)
            )
            turn = assignments.end_rows(
                self.database, write.grant_rows, at=at, resolve=self.resolve
            )
            if document == row.document and not moves.changed and not turn.changed:
                return None
            return self._rewrite(kind, row, document, at, moves=moves, turn=turn, undo=True)

    # -- The steps of a write -------------------------------------------------------

    def _now(self) -> float:
        """The time, in the precision of a SCIM dateTime, so that a filter on it is exact."""
        return datetime.fromtimestamp(self.clock(), UTC).timestamp()

    def _insert(self, kind: Kind, resource_id: str, document: Document, at: float) -> None:
        columns = kind.columns(document)
        row = {"id": resource_id, "created": at, "last_modified": at, "version": 1, **columns}
        uniqueness.insert(self.database, kind, row)

    def _rewrite(
        self,
        kind: Kind,
        row: Row[Any],
        document: Document,
        at: float,
        *,
        moves: Moves = NO_MOVES,
        named: tuple[str, ...] = (),
        replaced: bool = False,
        stated: Stated | None = None,
        turn: Turn = NO_TURN,
        undo: bool = False,
        causes: Mapping[str | NamedGrant, Cause] = _NO_CAUSES,
    ) -> Write:
        """Give a row its new document, raise the versions that change with it, and tell.

        What changes nothing is told only when it states whom the group must not hold, or what the
        resource must not be granted.
        """
        columns = kind.columns(document)
        if document != row.document:
            # Before any row is changed: the caller may go on with less after a refusal.
            uniqueness.refuse_taken(self.database, kind, row.id, columns)
        if kind is USER and self._returns_late(row, document, at):
            turn = turn.then(self._end_old_grants(row, at))
        if stated is not None:
            turn = turn.then(self._state(kind, row.id, stated, at))
        changed = document != row.document or moves.changed or turn.changed
        left: tuple[str, ...] = ()
        if changed:
            left = self._change(kind, row, document, columns, at)
            self._raise_moved(moves)
        write = Write(
            kind=kind.name,
            id=row.id,
            action="update",
            before=row.document,
            after=document,
            version=row.version + changed,
            version_before=row.version,
            named=named,
            replaced=replaced,
            left=left,
            outer=self._outer(row) if moves.changed else (),
            undo=undo,
            causes=causes,
            **_of_moves(moves),
            **_of_grants(turn),
        )
        if changed or named or replaced or turn.revoked or turn.kept:
            self._tell(write, at)
        return write

    def _outer(self, group: Row[Any]) -> tuple[str, ...]:
        """The groups that a group is in."""
        return nesting.outer_groups(self.database, [group.id]) if group.nested else ()

    def _change(
        self, kind: Kind, row: Row[Any], document: Document, columns: dict[str, Any], at: float
    ) -> tuple[str, ...]:
        """Write a row's next version. Returns the groups that a user lost by it."""
        left: tuple[str, ...] = ()
        # Of a group it is most often only the members that change.
        changes = {} if document == row.document else dict(columns)
        if kind is USER:
            changes["deactivated_at"] = _deactivated_at(row, document, at)
            left = self._leave_on_return(row, document, at)
        elif columns["display_name"] != row.display_name:
            self._raise_members([row.id])
        self._set(kind, row.id, last_modified=at, **changes)
        return left

    def _leave_on_return(self, row: Row[Any], document: Document, at: float) -> tuple[str, ...]:
        """End the memberships of a person who returns too late for them.

        What was given since the deactivation is meant for the return, and stays.
        """
        if not self._returns_late(row, document, at):
            return ()
        left = memberships.end_member(self.database, row.id, at=at, begun_by=row.deactivated_at)
        self._raise_groups(left, at)
        return left

    def _end_old_grants(self, row: Row[Any], at: float) -> Turn:
        """End what a person who returns too late was granted before the deactivation."""
        return assignments.end_resource(
            self.database,
            "user",
            row.id,
            at=at,
            resolve=self.resolve,
            begun_by=row.deactivated_at,
        )

    def _returns_late(self, row: Row[Any], document: Document, at: float) -> bool:
        returns = is_active(document) and not is_active(row.document)
        return returns and not returns_to_memberships(
            deactivated_at=row.deactivated_at, now=at, restore_within=self.restore_within
        )

    def _end(self, kind: Kind, row: Row[Any], at: float, *, undo: bool = False) -> Write:
        """Delete a row for SCIM, with its memberships, and tell."""
        moves = NO_MOVES
        left: tuple[str, ...] = ()
        outer: tuple[str, ...] = ()
        turn = assignments.end_resource(
            self.database, kind.name, row.id, at=at, resolve=self.resolve
        )
        if kind is USER:
            left = memberships.end_member(self.database, row.id, at=at)
            self._raise_groups(left, at)
        else:
            outer = nesting.outer_groups(self.database, [row.id])
            emptied, left = nesting.end_group(self.database, row.id, at=at)
            self._raise_members(emptied.unnested)
            moves = memberships.end_group(self.database, row.id, at=at).then(emptied)
            self._raise_groups(left, at)
        self._set(kind, row.id, last_modified=at, deleted_at=at)
        write = Write(
            kind=kind.name,
            id=row.id,
            action="delete",
            before=row.document,
            after=None,
            version=row.version + 1,
            version_before=row.version,
            left=left,
            outer=outer,
            undo=undo,
            **_of_moves(moves),
            **_of_grants(turn),
        )
        self._tell(write, at)
        return write

    def _undoable(self, kind: Kind, write: Write) -> Row[Any] | None:
        """The row of a write, if the write can still be taken back."""
        if _takes_access(write):
            return None
        try:
            row = self._row(kind, write.id, locked=True)
            if write.before == write.after:
                # Only memberships, which are taken back row by row.
                return row
            if write.before is not None:
                uniqueness.refuse_taken(self.database, kind, write.id, kind.columns(write.before))
        except (NotFoundException, UniquenessException):
            return None
        since = history.versions(self.database, write.kind, write.id, since=write.version)
        moved_on = any(version.before != version.after for version in since)
        return None if moved_on else row

    def _tell(self, write: Write, at: float) -> None:
        if write.version != write.version_before:
            history.record(self.database, write, at=at)
        self.written(write)

    def _set(self, kind: Kind, resource_id: str, **values: Any) -> None:
        """Write values of a row's next version."""
        with uniqueness.translated(kind), self.database.transaction() as connection:
            connection.execute(_NEXT[kind], {"changed": resource_id, **values})

    def _raise_moved(self, moves: Moves) -> None:
        """Raise the versions of users who see other groups since groups were put into groups.

        Memberships of their own raise them without this: `scim_bridge.directory.versions`.
        """
        self._raise_members([*moves.nested, *moves.unnested])

    def _raise_members(self, group_ids: Collection[str]) -> None:
        """Raise the versions of the members of groups, who see the names of those."""
        if not group_ids:
            return
        with self.database.transaction() as connection:
            for chunk in memberships.chunks(group_ids):
                within = nesting.people_of(chunk)
                connection.execute(
                    update(users).where(users.c.id.in_(within)).values(version=users.c.version + 1)
                )

    def _raise_groups(self, group_ids: Collection[str], at: float) -> None:
        """Raise the versions of groups whose members changed."""
        with self.database.transaction() as connection:
            for chunk in memberships.chunks(group_ids):
                connection.execute(
                    update(groups)
                    .where(groups.c.id.in_(chunk))
                    .values(version=groups.c.version + 1, last_modified=at)
                )

    def _state(self, kind: Kind, resource_id: str, stated: Stated, at: float) -> Turn:
        """Make what a client stated the grants of a resource."""
        return assignments.state(
            self.database,
            kind.name,
            resource_id,
            stated,
            origin=actor.current().name,
            at=at,
            resolve=self.resolve,
        )


def _not_found(kind: Kind, resource_id: str | None) -> NotFoundException:
    return NotFoundException(detail=f"{kind.type_name} {resource_id!r} not found")


# Made once, since they are asked so often: the row of a live resource by its id, and the same for
# whoever changes it.
_LIVE = {
    kind: versions.rows(kind.table)
    .add_columns(exists(select(nestings.c.id).where(nesting.CURRENT)).label("nested"))
    .where(kind.table.c.id == bindparam("id"), kind.table.c.deleted_at.is_(None))
    for kind in (USER, GROUP)
}
_LOCKED = {kind: statement.with_for_update() for kind, statement in _LIVE.items()}
# The next version of a row; what else changes is said when it is executed.
_NEXT = {
    kind: update(kind.table)
    .where(kind.table.c.id == bindparam("changed"))
    .values(version=kind.table.c.version + 1)
    for kind in (USER, GROUP)
}


def _stored_statement(kind: Kind) -> Prepared:
    """The row of a live resource by its id."""
    table = kind.table
    return Prepared(
        select(*texts.columns(kind)).where(
            table.c.id == bindparam("id"), table.c.deleted_at.is_(None)
        )
    )


_STORED = {kind: _stored_statement(kind) for kind in (USER, GROUP)}


def _whole_rows(
    connection: Connection,
    kinds: Sequence[Kind],
    columns: Columns,
    page: Subquery,
    terms: Sequence[ColumnElement[Any]],
) -> Sequence[Row[Any]]:
    """The rows of a page with these columns, in its order."""
    if len(kinds) == 1:
        return connection.execute(_joined(kinds[0], columns, page).order_by(*terms)).all()
    found = {
        (row.kind, row.id): row
        for kind in dict.fromkeys(kinds)
        for row in connection.execute(_joined(kind, columns, page))
    }
    ordered = connection.execute(select(page.c.kind, page.c.id).order_by(*terms))
    return [found[kind, resource_id] for kind, resource_id in ordered]


def _joined(kind: Kind, columns: Columns, page: Subquery) -> Select[Any]:
    return (
        select(page.c.kind, page.c.sort_value, *columns(kind))
        .join_from(page, kind.table, kind.table.c.id == page.c.id)
        .where(page.c.kind == kind.name)
    )


def _expect(row: Row[Any], version: str | None) -> None:
    if version is not None and version != representation.etag(row):
        raise PreconditionFailedException


def _member_ids(resource: Resource[Any]) -> list[str]:
    """The ids of a group's members, each once.

    Raises `InvalidValueException` for a member without an id.
    """
    found: dict[str, None] = {}
    for member in getattr(resource, "members", None) or ():
        if member.value is None:
            raise InvalidValueException(attribute="members", detail="a member has no value")
        found[member.value] = None
    return list(found)


def _of_moves(moves: Moves) -> dict[str, Any]:
    """What a write tells of the people and groups in a group."""
    return {each.name: getattr(moves, each.name) for each in fields(moves)}


def _of_grants(turn: Turn) -> dict[str, Any]:
    """What a write tells of grants."""
    return {
        "granted": turn.granted,
        "revoked": turn.revoked,
        "entitlements": turn.changed,
        "begun": turn.begun,
        "ended": turn.ended,
        "grant_rows": turn.rows,
        "kept_grants": turn.kept,
    }


def _deactivated_at(row: Row[Any], document: Document, at: float) -> float | None:
    if is_active(document):
        return None
    return at if is_active(row.document) else row.deactivated_at


def _takes_access(write: Write) -> bool:
    """Whether a write took a person's access away, which is never taken back."""
    if write.action == "delete":
        return True
    if write.kind != "user" or write.before is None or write.after is None:
        return False
    return is_active(write.before) and not is_active(write.after)


def _sort_value(
    search_request: SearchRequest[Any], model: type[Resource[Any]], table: Table
) -> ColumnElement[Any]:
    binding = search_request.sort_binding(model)
    if binding is None:
        return null()
    try:
        return filters.sort_key(binding, table)
    except InvalidFilterException as error:
        raise InvalidPathException(path=str(search_request.sort_by), detail=error.detail) from error
